// Signed links as an attacker, a scanner and a latecomer use them: raw requests against the built binary, whose clock
// is moved by libfaketime.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { up, call, mailServer, folder } from './support.mjs';

const older = 'the key of the older system';
const claimsOf = (url) => JSON.parse(Buffer.from(new URL(url).searchParams.get('token').split('.')[1], 'base64url'));
let h, smtp, key, clock;

before(async () => {
  smtp = await mailServer();
  const dir = folder('heimdall-links');
  clock = join(dir, 'clock');
  writeFileSync(clock, '+0');
  writeFileSync(join(dir, 'config.yaml'), `approvals:\n  legacy: {submit_action_key: "${older}"}\nlimits: {links_per_second: 0, per_second: 0}\n`);
  const libs = '/usr/lib';
  const found = readdirSync(libs).map((name) => join(libs, name, 'faketime/libfaketime.so.1')).find((path) => existsSync(path));
  h = await up({ args: ['--smtp', smtp.url, '--config', join(dir, 'config.yaml')], env: { LD_PRELOAD: found, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' } });
  const made = await call('POST', `${h.approvals}/v1/api-keys`, { token: h.admin_key, json: { app: 'acme', name: 'tracker', privileges: ['approvals:read', 'approvals:write', 'approvals:links'] } });
  assert.equal(made.status, 201, made.text);
  key = made.json.key;
});
after(async () => { await h?.stop(); await smtp?.stop(); });

const browser = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1' };
const get = (url, headers = browser) => call('GET', url, { headers });
const post = (nonce, more = {}, headers = {}) => call('POST', `${h.approvals}/step-action`, { form: { nonce, ...more }, headers });
const nonceOf = (page) => page.text.match(/name="nonce" value="([^"]+)"/)?.[1];
const create = async (root, title = `Change ${Math.random().toString(36).slice(2)}`) => {
  const made = await call('POST', `${h.approvals}/webapi/v2/approvals`, { token: key, json: { title, root } });
  assert.equal(made.status, 201, made.text);
  return { ...made.json, title };
};
const single = (email, more = {}) => ({ name: 'Review', type: 'single', approvers: [{ email }], ...more });
const shown = async (id) => (await call('GET', `${h.approvals}/webapi/v2/approvals/${id}`, { token: key })).json;
const apiLinks = async (id, query = '') => call('GET', `${h.approvals}/webapi/v2/approvals/${id}/links${query}`, { token: key });
const mailed = async (to, title) => {
  const { mail } = await smtp.mail((m) => m.to.includes(to) && m.mail.subject.includes(title));
  return mail.text.split(/\s+/).filter((word) => word.includes('/step-action?token='));
};
const move = (offset) => writeFileSync(clock, offset);

test('a life of 0, 25 or -1 hours is refused; a second after its end a link is over', async () => {
  const approval = await create(single('late@x.example'));
  for (const hours of ['0', '25', '-1', '1.5', 'x', '']) assert.equal((await apiLinks(approval.id, `?ttlHours=${hours}`)).status, 400, hours);
  const [link] = (await apiLinks(approval.id, '?ttlHours=1')).json.links;
  const { iat, exp } = claimsOf(link.url);
  assert.ok(exp - iat <= 3600 && exp - iat > 3590, `${exp - iat}`);
  assert.equal((await get(link.url)).status, 303);
  const [mail] = await mailed('late@x.example', approval.title);
  const nonce = nonceOf(await get(mail));
  move('+3602');
  assert.equal((await get(link.url)).status, 410);
  assert.equal((await post(nonce)).status, 410, 'a page that lay open is over');
  assert.equal((await get(mail)).status, 200, 'the mail lives a day');
  move('+86402');
  assert.equal((await get(mail)).status, 410);
  assert.equal((await shown(approval.id)).steps[0].votes.length, 0);
  move('+0');
  assert.equal((await get(mail)).status, 200);
});

test('twenty times looked at by many agents, nothing is recorded', async () => {
  const approval = await create(single('seen@x.example'));
  const links = await mailed('seen@x.example', approval.title);
  const agents = ['Mozilla/5.0', 'Slackbot-LinkExpanding 1.0', 'facebookexternalhit/1.1', 'Mozilla/5.0 (compatible; bingbot/2.0)', 'SkypeUriPreview', 'curl/8', ''];
  for (let i = 0; i < 20; i++) {
    for (const link of links) {
      const agent = { 'user-agent': agents[i % agents.length] };
      assert.equal((await get(link, { ...agent, ...(i % 2 ? browser : {}) })).status, 200);
      for (const method of ['HEAD', 'OPTIONS']) assert.equal((await call(method, link, { headers: agent })).status, 200);
      const ahead = await get(link, { ...agent, 'sec-purpose': 'prefetch;prerender' });
      assert.ok(ahead.status === 200 && !nonceOf(ahead), 'prefetched pages hold nothing to post');
    }
  }
  assert.equal((await shown(approval.id)).steps[0].votes.length, 0);
});

test('fifty approve and deny at once: one decision, one vote, the rest hear what was recorded', async () => {
  const approval = await create({ name: 'Both', type: 'group', pass: 1, approvers: [{ email: 'a@x.example' }, { email: 'b@x.example' }] });
  const [a, b] = [await mailed('a@x.example', approval.title), await mailed('b@x.example', approval.title)];
  const pages = await Promise.all(Array.from({ length: 50 }, (_, i) => get([a[0], b[1]][i % 2])));
  const answers = await Promise.all(pages.map((page) => post(nonceOf(page))));
  const count = (status) => answers.filter((answer) => answer.status === status).length;
  assert.equal(count(200) + count(409), 50, JSON.stringify(answers.map((x) => x.status)));
  assert.equal(count(200), 25, 'only the person whose vote counted hears 200');
  const after = await shown(approval.id);
  assert.equal(after.steps[0].votes.length, 1);
  const audit = await call('GET', `${h.api}/v1/apps/acme/audit?action=approval.vote_cast&limit=100`, { token: h.admin_key });
  assert.equal(audit.status, 200, audit.text);
  assert.equal(audit.json.data.filter((row) => row.data.approval_id === approval.id).length, 1, 'one audit row');
});

test('edited, stretched, mixed-up and borrowed tokens get the one page, whatever the reason', async () => {
  const approval = await create(single('mine@x.example'));
  const other = await create(single('theirs@x.example'));
  const [mine] = await mailed('mine@x.example', approval.title);
  const [theirs] = await mailed('theirs@x.example', other.title);
  const token = new URL(mine).searchParams.get('token');
  const [head, , proof] = token.split('.');
  const claims = claimsOf(mine);
  const alien = claimsOf(theirs);
  const with_ = (change) => `${head}.${Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url')}.${proof}`;
  const bad = [
    with_({ action: 'reject' }), with_({ stepId: alien.stepId }), with_({ sub: alien.sub }), with_({ approvalId: alien.approvalId }),
    with_({ exp: claims.exp + 60 }), with_({ loginRequired: true }), with_({ sub: undefined, loginRequired: true }), with_({ hostId: 'app_01JNKZ8W000000000000000000' }),
    `${head}.${token.split('.')[1]}.${new URL(theirs).searchParams.get('token').split('.')[2]}`,
    token.slice(0, -4), `${token}x`, '', 'x', '..', `${Buffer.from('{"alg":"none","typ":"step-action+jwt"}').toString('base64url')}.${token.split('.')[1]}.`,
    h.admin_key, key,
  ];
  const pages = new Set();
  for (const one of bad) {
    const answer = await get(`${h.approvals}/step-action?token=${encodeURIComponent(one)}`);
    assert.equal(answer.status, 400, one);
    pages.add(answer.text);
  }
  assert.equal(pages.size, 1);
  assert.ok(![...pages][0].includes(approval.title));
  assert.equal((await shown(approval.id)).state, 'Open');
});

test('a link is no credential elsewhere, and nothing else is a link', async () => {
  const approval = await create(single('kinds@x.example'));
  const token = new URL((await mailed('kinds@x.example', approval.title))[0]).searchParams.get('token');
  for (const url of [`${h.api}/v1/apps/acme`, `${h.approvals}/webapi/v2/approvals`, `${h.approvals}/v1/apps/acme/requests`]) assert.equal((await call('GET', url, { token })).status, 401, url);
  assert.equal((await call('GET', `${h.approvals}/api/pending-approvals`, { token })).status, 401);
  assert.equal((await get(`${h.approvals}/external-approval?token=${token}`)).status, 400);
  assert.equal((await get(`${h.approvals}/submit-action.html?token=${token}`)).status, 400);
  assert.equal((await call('GET', `${h.approvals}/webapi/v2/approvals?token=${key}`)).status, 401, 'a key in the query is ignored');
});

test('forms of other sites are refused; every page forbids frames, inline scripts, caches and referrers', async () => {
  const approval = await create(single('forms@x.example'));
  const [link] = await mailed('forms@x.example', approval.title);
  const nonce = nonceOf(await get(link));
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) assert.equal((await post(nonce, {}, headers)).status, 403, JSON.stringify(headers));
  assert.equal((await call('POST', `${h.approvals}/step-action`, { body: JSON.stringify({ nonce }), headers: { 'content-type': 'text/plain' } })).status, 415);
  assert.equal((await post('forged')).status, 403);
  assert.equal((await shown(approval.id)).state, 'Open');
  for (const url of [link, `${h.approvals}/step-action`, `${h.approvals}/account/login`, `${h.approvals}/account/oauth/none/start`, `${h.approvals}/account/activate?token=x`, `${h.approvals}/submit-action.html`, `${h.approvals}/nothing`]) {
    const { headers } = await get(url);
    assert.match(headers.get('content-security-policy'), /frame-ancestors 'none'/, url);
    assert.doesNotMatch(headers.get('content-security-policy'), /unsafe/, url);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', url);
    assert.equal(headers.get('referrer-policy'), 'no-referrer', url);
    assert.equal(headers.get('cache-control'), 'no-store', url);
  }
});

test('what people write stays text, and a comment has 1 to 1,000 characters however long they are', async () => {
  const evil = '<img src=x onerror=alert(1)> "><script>x</script> {{7*7}} \u202e';
  const approval = await create({ ...single('text@x.example', { comment: { approve: 'required' } }), name: 'Review <b>' }, evil.slice(0, 60));
  const { mail } = await smtp.mail((m) => m.to.includes('text@x.example'));
  const link = mail.text.split(/\s+/).find((word) => word.includes('/step-action?token='));
  assert.ok(!mail.html.includes('<img') && !mail.html.includes('<script'), 'inert in the mail');
  let page = await get(link);
  assert.ok(!page.text.includes('<img') && page.text.includes('{{7*7}}') === evil.slice(0, 60).includes('{{7*7}}'));
  for (const comment of ['', '   ', 'x'.repeat(1001), '😀'.repeat(1001)]) {
    const answer = await post(nonceOf(page), { comment });
    assert.equal(answer.status, 422, `${comment.length}`);
    page = answer;
  }
  assert.equal((await post(nonceOf(page), { comment: 'x'.repeat(10 << 20) })).status, 413);
  assert.equal((await post(nonceOf(page), { comment: '😀'.repeat(1000) })).status, 200);
  assert.equal((await shown(approval.id)).state, 'Approved');
});

test('a link of the older system: its route, its key, its end', async () => {
  const approval = await create(single('old@x.example'));
  const sign = (claims, alg = 'HS256', secret = older) => {
    const text = [{ alg, typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };
  const now = Math.floor(Date.now() / 1000);
  const claims = { approvalId: approval.id, stepId: approval.steps[0].id, userId: 'old@x.example', action: 'reject', exp: now + 600 };
  const at = (token, route = 'submit-action.html') => get(`${h.approvals}/${route}?token=${token}`);
  for (const bad of [sign(claims, 'HS256', 'other'), sign(claims, 'none'), sign({ ...claims, userId: 'nobody@x.example' }), sign({ ...claims, exp: `${now + 600}` }), sign({ ...claims, action: 'own' })]) assert.equal((await at(bad)).status, 400);
  assert.equal((await at(sign(claims), 'step-action')).status, 400);
  assert.equal((await at(sign({ ...claims, exp: now - 1 }))).status, 410);
  const page = await at(sign(claims));
  assert.equal(page.status, 200);
  assert.equal((await post(nonceOf(page))).status, 200);
  assert.equal((await shown(approval.id)).state, 'Rejected');
});

test('no token and no code reaches the log', async () => {
  const log = h.log();
  assert.ok(!/eyJ[A-Za-z0-9_-]{20,}/.test(log.replace(/"permissions".*/g, '')), 'no token');
  assert.ok(!/token=[A-Za-z0-9]/.test(log), 'no query');
});
