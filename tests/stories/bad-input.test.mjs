// What a request, a decision and a link may not be: clear answers, nothing recorded.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { up, call, mailServer, mailIn, linkIn, folder, until } from './support.mjs';
import { app, login, ask, request, bearerOf, approve, deny, mailAbout, fault, invoices } from './acme.mjs';

let h, smtp, token;
before(async () => { smtp = await mailServer(); h = await up({ args: ['--smtp', smtp.url] }); token = await login(h); });
after(async () => { await h?.stop(); await smtp?.stop(); });

const url = () => `${h.approvals}/v1/apps/${app}/requests`;
const problem = (answer) => assert.match(answer.headers.get('content-type') ?? '', /application\/problem\+json/, answer.text);

test('a request that cannot be is refused by the name of its field', async () => {
  const table = [
    [{ roles: ['no-such-role'] }, 422, /^roles/], [{ roles: ['viewer-of-nothing', h.example.requestable_role] }, 422, /^roles/],
    [{ roles: [] }, 422, /^roles/], [{ justification: '' }, 422, 'justification'], [{ justification: '   ' }, 422, 'justification'],
    [{ justification: undefined }, 422, 'justification'], [{ duration_minutes: 0 }, 422, 'duration_minutes'],
    [{ duration_minutes: 1_000_000 }, 422, 'duration_minutes'], [{ duration_minutes: -1 }, [400, 422], 'duration_minutes'],
    [{ duration_minutes: '60' }, 400, 'duration_minutes'], [{ duration_minutes: 1.5 }, 400, 'duration_minutes'],
    [{ roles: 'billing-admin' }, 400, 'roles'], [{ surprise: 1 }, 400, 'surprise'], [{ justification: 7 }, 400, 'justification'],
  ];
  for (const [over, status, field] of table) {
    const answer = await ask(h, token, over);
    const [got, name] = fault(answer);
    assert.ok([status].flat().includes(got), `${JSON.stringify(over)}: ${answer.status} ${answer.text}`);
    field instanceof RegExp ? assert.match(name, field) : assert.equal(name, field, JSON.stringify(over));
    problem(answer);
  }
  const list = await call('GET', url(), { token });
  assert.equal(list.json.data.length, 0, 'nothing was recorded');
});

test('bodies that are no JSON object of this kind are refused before they cost anything', async () => {
  const send = (body, headers = { 'content-type': 'application/json' }) => call('POST', url(), { token, body, headers });
  assert.equal((await send('x'.repeat(10 * 1024 * 1024))).status, 413);
  for (const body of ['[', '{', '{"a":', '[]', '"x"', '\u0000', `${'['.repeat(100_000).slice(0, 60_000)}`, '{"roles":["a"],"roles":["b"]}', '{"duration_minutes":1e400}', '{"justification":"\\ud800"}', '\ufeff{}']) {
    const answer = await send(body);
    assert.equal(answer.status, 400, `${body.slice(0, 40)}: ${answer.status} ${answer.text}`);
    problem(answer);
  }
  assert.equal((await send('roles=a', { 'content-type': 'text/plain' })).status, 415);
});

test('without a token, with a broken one or with one of another kind there is no way in', async () => {
  assert.equal((await call('POST', url(), { json: {} })).status, 401);
  for (const bad of ['x', 'a.b.c', `${token}x`, token.replace(/\.[^.]*$/, '.'), h.admin_key.slice(0, -2)]) {
    assert.equal((await call('GET', url(), { token: bad })).status, 401, bad.slice(0, 12));
  }
});

test('a mail token is good for its own session, once, and for nothing else', async () => {
  const one = (await ask(h, token)).json;
  const two = (await ask(h, token)).json;
  const [first, second] = await Promise.all([one, two].map((r) => mailAbout(smtp, h, r.session_id).then(bearerOf)));
  const [head, body, signature] = first.split('.');
  const edited = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url')), sid: two.session_id })).toString('base64url');
  const none = Buffer.from('{"alg":"none","typ":"approval+jwt"}').toString('base64url');
  for (const forged of [`${head}.${edited}.${signature}`, `${none}.${body}.`, `${none}.${edited}.`, `${head}.${body}.${signature.slice(0, -3)}AAA`, 'x', token]) {
    assert.equal((await approve(h, two.session_id, forged)).status, 401, forged.slice(0, 20));
  }
  assert.equal((await approve(h, two.session_id, first)).status, 403, 'another session');
  assert.equal((await approve(h, 999_999, first)).status, 403);
  assert.equal((await call('POST', `${h.approvals}/api/pending-approvals/${one.session_id}/approve`)).status, 401);
  assert.equal((await call('POST', `${h.approvals}/api/pending-approvals/${one.session_id}/approve?token=${first}`)).status, 401, 'not in the query');
  assert.equal((await call('POST', `${h.approvals}/api/pending-approvals/${one.session_id}/approve`, { basic: 'a:b' })).status, 401);
  assert.equal(fault(await call('POST', `${h.approvals}/api/pending-approvals/deny`, { token: first, json: { sessionId: one.session_id } }))[0], 422);
  for (const r of [one, two]) assert.equal((await request(h, token, r.id)).json.state, 'CREATED', 'nothing was recorded');

  const decided = await approve(h, one.session_id, first);
  assert.equal(decided.status, 200, decided.text);
  assert.equal(decided.headers.get('set-cookie'), null);
  assert.equal((await deny(h, one.session_id, first)).status, 409);
  assert.equal((await deny(h, String(two.session_id), second)).status, 200, 'the number as a string is the same session');
  assert.equal((await call('GET', `${h.proxy}/me`, { token: second })).status, 401, 'a mail token opens no door');
  assert.equal((await call('GET', url(), { token: second })).status, 401);
});

test('nobody decides what he asked for himself, also where he is named as an approver', async () => {
  const admin = { token: h.admin_key };
  const config = await call('POST', `${h.approvals}/v1/apps/${app}/notification-configs`, { ...admin, json: { name: 'requesters themselves', recipients: [h.example.requester.email, h.example.administrator.email], use_for_external_approvals: true } });
  assert.equal(config.status, 201, config.text);
  const opened = await call('PATCH', `${h.api}/v1/apps/${app}/roles/billing-viewer`, { ...admin, json: { requestable: { max_minutes: 60 }, notification_configs: [config.json.id] } });
  assert.equal(opened.status, 200, opened.text);
  const asked = (await ask(h, token, { roles: ['billing-viewer'] })).json;
  const pending = await call('GET', `${h.approvals}/v1/apps/${app}/pending`, { token });
  assert.ok(!(pending.text ?? '').includes(asked.id), 'it does not wait for him');
  const mails = smtp.mails.filter((m) => m.to.includes(h.example.requester.email) && m.mail.text.includes(`\n  ${asked.session_id}\n`));
  for (const { mail } of mails) {
    const link = linkIn(mail);
    if (link?.includes('external-approval')) assert.ok([403, 409].includes((await approve(h, asked.session_id, bearerOf(mail))).status));
  }
  assert.equal((await request(h, token, asked.id)).json.state, 'CREATED');
});

test('a cancelled request takes no decision', async () => {
  const asked = (await ask(h, token)).json;
  const bearer = await mailAbout(smtp, h, asked.session_id).then(bearerOf);
  assert.equal((await call('POST', `${url()}/${asked.id}/cancel`, { token })).status, 200);
  assert.equal((await approve(h, asked.session_id, bearer)).status, 409);
  assert.equal((await request(h, token, asked.id)).json.state, 'CANCELED');
});

test('the page of a mail says nothing to whoever holds no genuine link', async () => {
  const asked = (await ask(h, token)).json;
  const link = linkIn(await mailAbout(smtp, h, asked.session_id));
  const good = await call('GET', link);
  assert.equal(good.status, 200);
  for (const [name, value] of [['referrer-policy', 'no-referrer'], ['x-content-type-options', 'nosniff']]) assert.equal(good.headers.get(name), value);
  assert.match(good.headers.get('cache-control'), /no-store/);
  assert.match(good.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/);
  for (const bad of [`${link}x`, link.replace(/token=.*/, 'token=x'), link.replace(/token=.*/, ''), link.replace(/\.[^.]+$/, '.')]) {
    const page = await call('GET', bad);
    assert.equal(page.status, 400, bad.slice(-20));
    assert.ok(!page.text.includes('billing-admin') && !page.text.includes('Month-end'), page.text);
  }
  const nonce = /name="nonce" value="([^"]+)"/.exec(good.text)?.[1];
  assert.ok(nonce, 'the form has a nonce');
  assert.equal((await call('POST', `${h.approvals}/external-approval`, { form: { nonce: 'x', action: 'approve' } })).status >= 400, true);
  assert.equal((await call('POST', `${h.approvals}/external-approval`, { form: { nonce, action: 'approve' }, headers: { origin: 'https://evil.example' } })).status, 403);
  for (const method of ['HEAD', 'OPTIONS', 'GET']) await call(method, link);
  assert.equal((await request(h, token, asked.id)).json.state, 'CREATED');
});

test('after the deadline there is no decision', async (t) => {
  const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
  if (!existsSync(library)) return t.skip('libfaketime is not installed');
  const data = folder();
  const clock = join(data, 'clock');
  writeFileSync(clock, '+0\n');
  const late = await up({ data, env: { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' } });
  const own = await login(late);
  const asked = (await ask(late, own)).json;
  const link = linkIn(await mailIn(late.mail_dir, (mail) => mail.text.includes('external-approval')));
  writeFileSync(clock, '+25h\n');
  const answer = await approve(late, asked.session_id, new URL(link).searchParams.get('token'));
  assert.equal(answer.status, 401, answer.text);
  assert.equal((await call('GET', link)).status, 410);
  const again = await login(late);
  const state = await until(async () => { const now = (await request(late, again, asked.id)).json.state; return now !== 'CREATED' && now; });
  assert.equal(state, 'EXPIRED');
  // A proxy that has heard nothing for a day by its clock shuts rather than believes: 502 until it has heard again.
  assert.ok([403, 502].includes((await invoices(late, again)).status));
  await late.stop();
});
