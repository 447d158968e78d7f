// Every page of the path, in light, dark and at phone width: no complaint of axe-core, nothing that the content policy
// stops, nothing wider than the screen, and a way through by keyboard alone. SHOTS=DIR keeps a picture of each.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { up, call, mailIn, linkIn, browser, closeBrowser } from './support.mjs';
import { login, ask, bearerOf, approve, deny } from './acme.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const looks = [
  ['light', { colorScheme: 'light', viewport: { width: 1280, height: 900 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1280, height: 900 } }],
  ['phone', { colorScheme: 'light', viewport: { width: 360, height: 740 } }],
];

let h, links;
const mailOf = (session) => mailIn(h.mail_dir, (mail) => mail.text.includes('external-approval') && mail.text.includes(`\n  ${session}\n`));
before(async () => {
  h = await up();
  links = {};
  const token = await login(h);
  const [open, approved, denied] = [await ask(h, token), await ask(h, token), await ask(h, token)].map((a) => a.json);
  // One request that the administrator decides in the portal.
  const admin = { token: h.admin_key };
  const config = await call('POST', `${h.approvals}/v1/apps/acme/notification-configs`, { ...admin, json: { name: 'administrators', recipients: [h.example.administrator.email], use_for_external_approvals: true } });
  assert.equal(config.status, 201, config.text);
  const opened = await call('PATCH', `${h.api}/v1/apps/acme/roles/billing-viewer`, { ...admin, json: { requestable: { max_minutes: 60 }, notification_configs: [config.json.id] } });
  assert.equal(opened.status, 200, opened.text);
  const inPortal = await ask(h, token, { roles: ['billing-viewer'], justification: 'To decide in the portal' });
  assert.equal(inPortal.status, 201, inPortal.text);
  links.portal = inPortal.json;
  const link = linkIn(await mailOf(open.session_id));
  const approvedMail = await mailOf(approved.session_id);
  await approve(h, approved.session_id, bearerOf(approvedMail));
  await deny(h, denied.session_id, bearerOf(await mailOf(denied.session_id)));
  Object.assign(links, { open, approved, denied, link, decided: linkIn(approvedMail) });
});
after(async () => { await closeBrowser(); await h?.stop(); });

const enter = async (page, who) => {
  await page.goto(`${h.approvals}/login`);
  await page.fill('[name=app]', h.example.app);
  await page.fill('[name=email]', who.email);
  await page.fill('[name=password]', who.password);
  await page.click('main button.go');
  await page.waitForURL(`${h.approvals}/`);
};

// The policy forbids foreign scripts: axe comes in by the debugger's door.
const violations = async (page) => {
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: readFileSync(axe, 'utf8') });
  const { result } = await session.send('Runtime.evaluate', {
    expression: 'axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")} (${v.help})`)))',
    awaitPromise: true, returnByValue: true,
  });
  return JSON.parse(result.value);
};

// Name, who looks, and how to get there.
const pages = () => [
  ['signin', null, (p) => p.goto(`${h.approvals}/login?next=/inbox`)],
  ['signin-refused', null, async (p) => {
    await p.goto(`${h.approvals}/login`);
    await p.fill('[name=app]', h.example.app); await p.fill('[name=email]', 'nobody@acme.example'); await p.fill('[name=password]', 'wrong');
    await p.click('main button.go');
    await p.waitForSelector('.note.no');
  }],
  ['portal-home', 'requester', (p) => p.goto(`${h.approvals}/`)],
  ['request-new', 'requester', (p) => p.goto(`${h.approvals}/requests/new?role=billing-admin`)],
  ['request-new-errors', 'requester', async (p) => {
    await p.goto(`${h.approvals}/requests/new`);
    await p.evaluate(() => document.querySelectorAll('main form').forEach((form) => { form.noValidate = true; }));
    await p.click('main button.go');
    await p.waitForSelector('[aria-invalid=true], .note.no');
  }],
  ['request-open', 'requester', (p) => p.goto(`${h.approvals}/requests/${links.open.id}`)],
  ['request-approved', 'requester', (p) => p.goto(`${h.approvals}/requests/${links.approved.id}`)],
  ['request-denied', 'requester', (p) => p.goto(`${h.approvals}/requests/${links.denied.id}`)],
  ['request-decide', 'administrator', (p) => p.goto(`${h.approvals}/requests/${links.portal.id}`)],
  ['inbox', 'administrator', (p) => p.goto(`${h.approvals}/inbox`)],
  ['inbox-empty', 'requester', (p) => p.goto(`${h.approvals}/inbox`)],
  ['history', 'requester', (p) => p.goto(`${h.approvals}/history`)],
  ['settings', 'administrator', (p) => p.goto(`${h.approvals}/settings`)],
  ['external-approval', null, (p) => p.goto(links.link)],
  ['external-approval-decided', null, (p) => p.goto(links.decided)],
  ['external-approval-invalid', null, (p) => p.goto(`${h.approvals}/external-approval?token=x`)],
  ['mailbox', null, (p) => p.goto(`${h.approvals}/mailbox`)],
  ['not-found', null, (p) => p.goto(`${h.approvals}/no-such-page`)],
  ['denial', null, async (p) => {
    const token = await login(h, h.example.administrator).then(() => login(h));
    await p.setExtraHTTPHeaders({ authorization: `Bearer ${token}` });
    await p.goto(`${h.proxy}/billing/denied-by-nobody`);
    await p.setExtraHTTPHeaders({});
  }],
];

for (const [look, options] of looks) {
  test(`every page is in order: ${look}`, async (t) => {
    const chrome = await browser();
    const people = {};
    for (const who of ['requester', 'administrator']) {
      people[who] = await chrome.newContext({ ...options, bypassCSP: false });
      await enter(await people[who].newPage(), h.example[who]);
    }
    people.null = await chrome.newContext(options);
    // The grant of the approved request would open the door that is to stay shut.
    const token = await login(h);
    await call('POST', `${h.approvals}/v1/apps/acme/requests/${links.approved.id}/terminate`, { token });
    const faults = [];
    for (const [name, who, go] of pages()) {
      const page = await people[who].newPage();
      page.on('console', (message) => { if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(`${name}: ${message.text()}`); });
      page.on('pageerror', (error) => faults.push(`${name}: ${error.message}`));
      await go(page);
      assert.ok(await page.$('h1'), `${name} has a heading`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) faults.push(`${name}: ${wide} px wider than the screen`);
      if (process.env.SHOTS) {
        mkdirSync(process.env.SHOTS, { recursive: true });
        await page.screenshot({ path: join(process.env.SHOTS, `${name}-${look}.png`), fullPage: true });
      }
      for (const violation of await violations(page)) faults.push(`${name}: ${violation}`);
      await page.close();
    }
    for (const context of Object.values(people)) await context.close();
    assert.deepEqual(faults, []);
    t.diagnostic(`${pages().length} pages`);
  });
}

test('the whole path is walked by keyboard alone', async () => {
  const page = await (await browser()).newPage();
  const press = async (wanted) => {
    for (let tabs = 0; tabs < 40; tabs++) {
      if (await page.evaluate((selector) => document.activeElement?.matches(selector), wanted)) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`no way to ${wanted} on ${page.url()}`);
  };
  await page.goto(`${h.approvals}/requests/new?role=billing-admin`);
  await page.waitForSelector('[name=password]');
  await press('[name=app]');
  await page.keyboard.press('Control+A');
  await page.keyboard.type(h.example.app);
  await press('[name=email]');
  await page.keyboard.type(h.example.requester.email);
  await press('[name=password]');
  await page.keyboard.type(h.example.requester.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(/requests\/new/);
  await press('[name=justification]');
  await page.keyboard.type('By keyboard');
  await press('main button.go');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/requests\/req/);
  const number = /\d+/.exec(await page.textContent('main'))[0];
  assert.ok(number);
  const mail = await mailIn(h.mail_dir, (m) => m.text.includes('By keyboard'));
  await page.goto(linkIn(mail));
  await press('button[value=approve]');
  // What has the focus can be seen.
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.seal.ok');
  await page.close();
});

test('a page with a fault would be told of', async () => {
  const page = await (await browser()).newPage();
  await page.setContent('<html><body><img src="x"><input></body></html>');
  const found = (await violations(page)).join();
  assert.match(found, /image-alt/);
  assert.match(found, /label/);
  await page.close();
});

test('pages bring a policy without anything inline', async () => {
  for (const url of [`${h.approvals}/login`, `${h.approvals}/mailbox`, links.link, `${h.approvals}/no-such-page`]) {
    const answer = await call('GET', url, { headers: { accept: 'text/html' } });
    const policy = answer.headers.get('content-security-policy');
    assert.match(policy, /default-src 'none'/, url);
    assert.match(policy, /frame-ancestors 'none'/, url);
    assert.ok(!policy.includes('unsafe'), url);
    assert.ok(!/<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=/i.test(answer.text), `${url} has something inline`);
  }
});
