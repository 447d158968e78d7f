// External approvers: log-in at real providers, links that decide for whom they should, in a real browser.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { up, call, mailServer, freePort, folder, browser, closeBrowser } from './support.mjs';
import { openid, atOpenid, atlassian } from './providers.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const password = 'a sentence that nobody guesses';
let h, smtp, sso, stand, key;
const people = {
  ines: { email: 'ines@controllers.example', email_verified: true, given_name: 'Inês', family_name: 'Duarte' },
  tom: { email: 'tom@controllers.example', email_verified: true, given_name: 'Tom', family_name: 'Ode' },
  thief: { email: 'tom@controllers.example', email_verified: false, given_name: 'Not', family_name: 'Tom' },
};
let atlassianSays;

before(async () => {
  smtp = await mailServer();
  stand = await atlassian({ who: () => atlassianSays });
  const port = await freePort();
  const dir = folder('heimdall-accounts');
  writeFileSync(join(dir, 'secret'), 'openid-secret\n');
  writeFileSync(join(dir, 'config.yaml'), `
approvals:
  legacy: {submit_action_key: "the key of the older system, long enough"}
  accounts:
    providers:
      - {id: contoso, name: Contoso SSO, kind: openid, issuer: "http://127.0.0.1:${port}", client_id: heimdall, client_secret: "file:${dir}/secret"}
      - {id: atlassian, name: Atlassian, kind: atlassian, client_id: heimdall, client_secret: atlassian-secret, authorize_url: "${stand.url}/authorize", token_url: "${stand.url}/oauth/token", profile_url: "${stand.url}/me"}
`);
  h = await up({ args: ['--smtp', smtp.url, '--config', join(dir, 'config.yaml')] });
  sso = await openid({ port, redirect: `${h.approvals}/account/oauth/contoso/callback`, people });
  const made = await call('POST', `${h.approvals}/v1/api-keys`, {
    token: h.admin_key, json: { app: 'acme', name: 'tracker', privileges: ['approvals:read', 'approvals:write', 'approvals:links'] },
  });
  assert.equal(made.status, 201, made.text);
  key = made.json.key;
});
after(async () => { await closeBrowser(); await h?.stop(); await sso?.stop(); await stand?.stop(); await smtp?.stop(); });

const create = async (step, title = `Release ${Math.random().toString(36).slice(2)}`) => {
  const root = { name: 'Security review', type: 'single', ...step };
  const made = await call('POST', `${h.approvals}/webapi/v2/approvals`, { token: key, json: { title, root } });
  assert.equal(made.status, 201, made.text);
  return { ...made.json, title };
};
const shown = async (id) => (await call('GET', `${h.approvals}/webapi/v2/approvals/${id}`, { token: key })).json;
const apiLink = async (id, action = 'approve') => {
  const all = await call('GET', `${h.approvals}/webapi/v2/approvals/${id}/links`, { token: key });
  return all.json.links.find((link) => link.action === action).url;
};
const mailLinks = async (to, title) => {
  const { mail } = await smtp.mail((m) => m.to.includes(to) && m.mail.subject.includes(title));
  const all = mail.text.split(/\s+/).filter((word) => word.includes('/step-action?token='));
  return { approve: all[0], reject: all[1], code: mail.text.match(/\b\d{6}\b/)?.[0] };
};
const fresh = async (options = {}) => (await browser()).newContext({ locale: 'en-GB', ...options });
const confirmMail = async (to) => {
  const { mail } = await smtp.mail((m) => m.to.includes(to) && m.mail.text.includes('/account/activate?token='));
  smtp.mails.splice(smtp.mails.findIndex((m) => m.mail === mail), 1);
  return mail.text.split(/\s+/).find((word) => word.includes('/account/activate?token='));
};
/** Fills in the form behind the link of a mail: the address is confirmed by a mail of ours. */
const join_ = async (context, email) => {
  const page = await context.newPage();
  await page.goto(`${h.approvals}/account/login`);
  await page.click('summary');
  await page.fill('#m', email);
  await page.click('text=Send me a link');
  await page.waitForSelector('text=Look into your mailbox');
  await page.goto(await confirmMail(email));
  assert.ok(!page.url().includes('token'), page.url());
  await page.fill('#g', 'Tom');
  await page.fill('#n', 'Ode');
  await page.fill('#p', password);
  await page.fill('#r', password);
  await page.click('text=Activate account');
  await page.waitForURL(/settings\/profile/);
  return page;
};

test('an API link of somebody unknown leads through log-in, form and back to the decision', async () => {
  const approval = await create({ approvers: [{ email: people.ines.email }] });
  const context = await fresh();
  const page = await context.newPage();
  const link = await apiLink(approval.id);
  await page.goto(link);
  assert.match(page.url(), /\/account\/login\?next=/);
  assert.ok(!page.url().includes('token'));
  await page.click('text=Log in with Contoso SSO');
  await atOpenid(page, 'ines');
  await page.waitForSelector('h1:has-text("Activate your account")');
  assert.equal(await page.inputValue('#g'), 'Inês');
  assert.equal(await page.getAttribute('#e', 'readonly'), '');
  await page.click('button:has-text("Activate account")');
  await page.waitForSelector('h1');
  // Where the browser does not say that a person asked for it, one button stands between.
  if (await page.$('form[action="/step-action"] button')) await page.click('form[action="/step-action"] button');
  await page.waitForSelector('text=You may close this tab');
  const after = await shown(approval.id);
  assert.equal(after.state, 'Approved');
  assert.equal(after.steps[0].votes[0].channel, 'api_link');
  // Logged in, the next link decides at once.
  const next = await create({ approvers: [{ email: people.ines.email }] });
  const answer = await page.goto(await apiLink(next.id, 'reject'));
  assert.equal(answer.status(), 200);
  await page.waitForSelector('text=You may close this tab');
  assert.equal((await shown(next.id)).state, 'Rejected');
  // And of somebody else it does not.
  const foreign = await create({ approvers: [{ email: 'other@controllers.example' }] });
  assert.equal((await page.goto(await apiLink(foreign.id))).status(), 403);
  assert.equal((await shown(foreign.id)).state, 'Open');
  await context.close();
});

test('Atlassian: authorise, exchange, profile; a step that names the account is decided by it', async () => {
  atlassianSays = { account_type: 'atlassian', account_id: '712020:5f1c-e07a', email: 'ana@controllers.example', email_verified: true, name: 'Ana Lima', account_status: 'active' };
  const approval = await create({ approvers: [{ account: '712020:5f1c-e07a' }] });
  const context = await fresh();
  const page = await context.newPage();
  await page.goto(await apiLink(approval.id));
  await page.click('text=Log in with Atlassian');
  await page.waitForSelector('h1:has-text("Activate your account")');
  assert.equal(await page.inputValue('#n'), 'Lima');
  await page.click('button:has-text("Activate account")');
  await page.waitForSelector('h1');
  if (await page.$('form[action="/step-action"] button')) await page.click('form[action="/step-action"] button');
  await page.waitForSelector('text=You may close this tab');
  assert.equal((await shown(approval.id)).state, 'Approved');
  assert.equal(stand.seen.authorize[0].scope, 'read:me');
  assert.equal(stand.seen.authorize[0].code_challenge_method, 'S256');
  assert.equal(stand.seen.exchange[0].grant_type, 'authorization_code');
  await context.close();
});

test('an unverified address at the provider links nothing; the verified one links at once', async () => {
  const own = await fresh();
  await join_(own, people.tom.email);
  const thief = await fresh();
  const page = await thief.newPage();
  await page.goto(`${h.approvals}/account/login`);
  await page.click('text=Log in with Contoso SSO');
  await atOpenid(page, 'thief');
  await page.waitForSelector('text=Look into your mailbox');
  assert.ok(!(await thief.cookies()).some((c) => c.name === 'heimdall_account'));
  // The owner follows the mail in the own browser and says yes: still nothing.
  const owner = await own.newPage();
  await owner.goto(await confirmMail(people.tom.email));
  await owner.click('button:has-text("Link Contoso SSO")');
  await owner.waitForSelector('text=Open this link in the other browser');
  await owner.goto(`${h.approvals}/account/settings/profile`);
  assert.match(await owner.textContent('main'), /Contoso SSO Not linked/);
  await owner.click('text=Link Contoso SSO');
  await atOpenid(owner, 'tom');
  await owner.waitForSelector('text=Unlink Contoso SSO');
  await own.close();
  await thief.close();
});

test('a link of a mail: confirmed by its script, by a click without scripts, at once where the account is linked', async () => {
  const to = people.ines.email;
  const first = await create({ approvers: [{ email: to }] });
  const context = await fresh();
  const page = await context.newPage();
  await page.goto((await mailLinks(to, first.title)).approve);
  await page.waitForSelector('text=You may close this tab');
  assert.ok(!page.url().includes('token'), page.url());
  assert.equal((await shown(first.id)).state, 'Approved');
  await page.waitForSelector(`a[href="/account/login?email=${encodeURIComponent(to)}"]`);
  await context.close();

  const second = await create({ approvers: [{ email: to }] });
  const plain = await fresh({ javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto((await mailLinks(to, second.title)).reject);
  assert.equal((await shown(second.id)).state, 'Open', 'nothing happens without the click');
  await still.click('form[action="/step-action"] button');
  await still.waitForSelector('text=You may close this tab');
  assert.equal((await shown(second.id)).state, 'Rejected');
  await plain.close();

  const third = await create({ approvers: [{ email: to }], confirm: 'bound' });
  const linked = await fresh({ javaScriptEnabled: false });
  const live = await linked.newPage();
  await live.goto(`${h.approvals}/account/login`);
  await live.click('text=Log in with Contoso SSO');
  await atOpenid(live, 'ines');
  await live.waitForURL(/settings\/profile/);
  await live.goto((await mailLinks(to, third.title)).approve);
  await live.waitForSelector('text=You may close this tab');
  assert.equal((await shown(third.id)).state, 'Approved');
  await linked.close();
});

test('bound: by itself only where this approver decided before; challenge: the code of the mail', async () => {
  const to = 'uma@controllers.example';
  const context = await fresh();
  const page = await context.newPage();
  const first = await create({ approvers: [{ email: to }], confirm: 'bound' });
  const { approve } = await mailLinks(to, first.title);
  for (let i = 0; i < 20; i++) await page.goto(approve);
  await page.waitForLoadState('networkidle');
  assert.equal((await shown(first.id)).state, 'Open', 'scripts alone decide nothing');
  await page.click('form[action="/step-action"] button');
  await page.waitForSelector('text=You may close this tab');
  const second = await create({ approvers: [{ email: to }], confirm: 'bound' });
  await page.goto((await mailLinks(to, second.title)).approve);
  await page.waitForSelector('text=You may close this tab');
  assert.equal((await shown(second.id)).state, 'Approved', 'known here: the script confirms');

  const third = await create({ approvers: [{ email: to }], confirm: 'challenge' });
  const links = await mailLinks(to, third.title);
  assert.match(links.code, /^\d{6}$/);
  await page.goto(links.approve);
  await page.fill('#code', links.code === '000000' ? '000001' : '000000');
  await page.click('form[action="/step-action"] button');
  await page.waitForSelector('text=Tries left: 4');
  assert.equal((await shown(third.id)).state, 'Open');
  await page.fill('#code', links.code);
  await page.click('form[action="/step-action"] button');
  await page.waitForSelector('text=You may close this tab');
  assert.equal((await shown(third.id)).state, 'Approved');
  await context.close();
});

test('the pages hold against axe, in both themes and on a phone, in German too', async () => {
  const context = await fresh({ bypassCSP: true });
  const page = await join_(context, 'wcag@controllers.example');
  const paths = ['/account/settings/profile', '/account/settings/password', '/account/settings/delete'];
  const look = async (page, name) => {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }));
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), [], name);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    assert.ok(!wide, `${name} scrolls sideways`);
    if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: true });
  };
  for (const scheme of ['light', 'dark']) {
    for (const width of [1200, 360]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 800 });
      for (const path of paths) {
        await page.goto(h.approvals + path);
        await look(page, `${path.split('/').pop()}-${scheme}-${width}`);
      }
      const guest = await fresh({ colorScheme: scheme, viewport: { width, height: 800 }, locale: scheme === 'dark' ? 'de-DE' : 'en-GB', bypassCSP: true });
      const out = await guest.newPage();
      await out.goto(`${h.approvals}/account/login?next=/step-action`);
      await look(out, `login-${scheme}-${width}`);
      atlassianSays = { account_id: `new-${scheme}-${width}`, email: `new-${scheme}-${width}@controllers.example`, email_verified: true, name: 'Ana Lima' };
      await out.goto(`${h.approvals}/account/oauth/atlassian/start`);
      await look(out, `activate-${scheme}-${width}`);
      const asked = await create({ approvers: [{ email: 'look@controllers.example' }], confirm: 'challenge' });
      const links = await mailLinks('look@controllers.example', asked.title);
      await out.goto(links.approve);
      await look(out, `step-${scheme}-${width}`);
      await out.fill('#code', links.code);
      await out.click('form[action="/step-action"] button');
      await out.waitForSelector('.seal');
      await look(out, `done-${scheme}-${width}`);
      await guest.close();
    }
  }
  await context.close();
});
