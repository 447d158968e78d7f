// People and their proofs: authenticator app, passkey (Chromium's virtual authenticator), recovery code, forgotten
// password, imports; and every page of the console, light, dark and narrow, without a finding of axe.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, pbkdf2Sync, scryptSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { up, call, mailServer, linkIn, browser, closeBrowser } from './support.mjs';
import { app, login } from './acme.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core');
const shots = process.env.SCREENSHOTS;
const password = 'correct horse battery';

/** The code that an authenticator app shows (RFC 6238). */
function totp(secret, at = Date.now()) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const tag = createHmac('sha1', key).update(step).digest();
  return String((tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

describe('people prove who they are', () => {
  let h, smtp, base;
  const made = {};
  const tenants = (path) => `${h.api}/v1/apps/${app}${path}`;
  const enter = (email, secret = password) => call('POST', tenants('/sessions'), { json: { email, password: secret } });
  const second = (proof) => call('POST', tenants('/sessions/mfa'), { json: proof });
  before(async () => {
    smtp = await mailServer();
    h = await up({ args: ['--smtp', smtp.url] });
    // Browsers make no passkeys for an IP address.
    base = h.api.replace('127.0.0.1', 'localhost');
    for (const name of ['tess', 'pia', 'ron']) {
      const user = await call('POST', tenants('/users'), { token: h.admin_key, json: { email: `${name}@acme.example`, display_name: name, password } });
      assert.equal(user.status, 201, user.text);
      made[name] = user.json.id;
    }
  });
  after(async () => { await h?.stop(); await smtp?.stop(); await closeBrowser(); });

  test('an authenticator app is enrolled, asked for, and each code and recovery code counts once', async () => {
    const token = (await enter('tess@acme.example')).json.access_token;
    const refused = await call('POST', tenants('/me/factors/totp'), { token, json: { password: 'wrong' } });
    assert.equal(refused.status, 422, refused.text);
    const offer = (await call('POST', tenants('/me/factors/totp'), { token, json: { password } })).json;
    assert.match(offer.otpauth_uri, /^otpauth:\/\/totp\/.+:tess%40acme\.example\?secret=[A-Z2-7]{32}&issuer=/);
    assert.match(offer.qr_svg, /^<svg /);
    assert.equal((await enter('tess@acme.example')).status, 201, 'an offer alone asks for nothing');
    const at = Date.now();
    const confirmed = await call('POST', tenants('/me/factors/totp/confirm'), { token, json: { code: totp(offer.secret, at) } });
    assert.equal(confirmed.status, 200, confirmed.text);
    const codes = confirmed.json.recovery_codes;
    assert.equal(codes.length, 10);

    const asked = await enter('tess@acme.example');
    assert.equal(asked.status, 403, asked.text);
    assert.equal(asked.json.error.code, 'mfa_required');
    assert.equal(asked.json.access_token, undefined);
    assert.deepEqual(asked.json.mfa_methods, ['totp', 'recovery_code']);
    const { mfa_token } = asked.json;
    assert.equal((await second({ mfa_token, code: totp(offer.secret, at) })).status, 401, 'the code of the enrolment is spent');
    assert.equal((await second({ mfa_token: 'made up', code: totp(offer.secret, at + 30_000) })).status, 401);
    const next = await second({ mfa_token, code: totp(offer.secret, at + 30_000) });
    assert.equal(next.status, 201, next.text);
    assert.equal((await second({ mfa_token, code: totp(offer.secret, at + 30_000) })).status, 401);

    const again = (await enter('tess@acme.example')).json.mfa_token;
    assert.equal((await second({ mfa_token: again, recovery_code: codes[0] })).status, 201);
    const third = (await enter('tess@acme.example')).json.mfa_token;
    assert.equal((await second({ mfa_token: third, recovery_code: codes[0] })).status, 401, 'a recovery code works once');
    assert.equal((await call('GET', tenants('/me/factors'), { token: next.json.access_token })).json.recovery_codes_left, 9);
    assert.equal((await call('GET', tenants('/me/factors'), { token: h.admin_key })).status, 403);
  });

  test('the portal and Basic do not let the password alone in either', async () => {
    const page = await call('POST', `${h.approvals}/login`, { form: { app, email: 'tess@acme.example', password, next: '/' } });
    assert.equal(page.status, 200);
    assert.match(page.text, /name="code"/);
    assert.equal(page.headers.get('set-cookie'), null);
    assert.notEqual((await call('GET', `${h.approvals}/`, { basic: `${app}/tess@acme.example:${password}` })).status, 200);
  });

  test('five wrong codes lock the second step', async () => {
    const { mfa_token } = (await enter('tess@acme.example')).json;
    const statuses = [];
    for (let i = 0; i < 6; i += 1) statuses.push((await second({ mfa_token, code: '000000' })).status);
    assert.equal(statuses.at(-1), 429, statuses.join());
    const reset = await call('POST', tenants(`/users/${made.tess}/factors/reset`), { token: h.admin_key });
    assert.equal(reset.status, 204, reset.text);
    assert.equal((await enter('tess@acme.example')).status, 201, 'an administrator lets in who lost the device');
  });

  test('a passkey is made and shown in a browser, in the console and in the portal', async () => {
    const context = await (await browser()).newContext();
    const page = await context.newPage();
    const cdp = await context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
    const signIn = async () => {
      await page.goto(`${base}/console/signin`);
      await page.fill('#a', app); await page.fill('#e', 'pia@acme.example'); await page.fill('#p', password);
      await page.click('form:has(#p) button');
    };
    await signIn();
    await page.waitForURL((url) => !url.pathname.endsWith('/signin'));
    await page.goto(`${base}/console/me`);
    await page.fill('#p2', password);
    await page.click('button[value=passkey]');
    await page.fill('#n', 'Key on my ring');
    await page.click('form[data-passkey] button');
    await page.waitForSelector('.once code');
    assert.equal(await page.locator('.once code').count(), 10, 'recovery codes are shown once');
    await page.goto(`${base}/console/me`);
    assert.match(await page.textContent('main'), /Key on my ring/);
    await page.click('form.me button');

    await signIn();
    await page.waitForSelector('form[data-passkey=get]');
    await page.click('form[data-passkey=get] button');
    await page.waitForURL((url) => /\/console(\/apps.*)?$/.test(url.pathname));
    await page.goto(`${base}/console/me`);
    assert.match(await page.textContent('main'), /last used/);

    const portal = h.approvals.replace('127.0.0.1', 'localhost');
    await page.goto(`${portal}/login`);
    await page.fill('#a', app); await page.fill('#e', 'pia@acme.example'); await page.fill('#p', password);
    await page.click('form:has(#p) button');
    await page.click('form[data-passkey=get] button');
    await page.waitForURL(`${portal}/`);
    await context.close();
  });

  test('an answer to another question, or a second time, is refused', async () => {
    const first = (await enter('pia@acme.example')).json;
    assert.deepEqual(first.mfa_methods, ['passkey', 'recovery_code']);
    assert.equal(first.passkey.rpId, 'localhost');
    const passkey = { id: first.passkey.allowCredentials[0].id, type: 'public-key', response: { clientDataJSON: 'e30', authenticatorData: 'AAAA', signature: 'AAAA' } };
    assert.equal((await second({ mfa_token: first.mfa_token, passkey })).status, 401);
    assert.equal((await second({ mfa_token: first.mfa_token, passkey: { id: 1 } })).status, 400);
    assert.equal((await second({ mfa_token: first.mfa_token })).status, 401);
  });

  test('a forgotten password is chosen anew once, by mail, and every session ends, in the portal too', async () => {
    const token = (await enter('ron@acme.example')).json.access_token;
    const entered = await call('POST', `${h.approvals}/login`, { form: { app, email: 'ron@acme.example', password, next: '/' } });
    const cookie = entered.headers.get('set-cookie').split(';')[0];
    assert.equal((await call('GET', `${h.approvals}/`, { headers: { cookie } })).status, 200);
    const ask = (email) => call('POST', tenants('/password-resets'), { json: { email } });
    const [known, unknown] = [await ask('ron@acme.example'), await ask('nobody@acme.example')];
    assert.deepEqual([known.status, known.text], [unknown.status, unknown.text]);
    assert.equal(known.status, 202);
    const { mail } = await smtp.mail((m) => m.to.includes('ron@acme.example'));
    const link = linkIn(mail);
    assert.ok(link.startsWith(`${h.api}/password/${app}/hpr_`), link);
    assert.ok(!h.log().includes(link.split('/').at(-1)), 'no log line has the token');
    const page = await (await browser()).newPage();
    await page.goto(link);
    await page.fill('#p', 'another horse'); await page.fill('#r', 'another mule');
    await page.click('button.go');
    assert.match(await page.textContent('[role=alert]'), /differ/);
    await page.fill('#p', 'another horse battery'); await page.fill('#r', 'another horse battery');
    await page.click('button.go');
    assert.match(await page.textContent('h1'), /changed/);
    await page.goto(link);
    assert.match(await page.textContent('main'), /used already/);
    await page.close();
    assert.equal((await enter('ron@acme.example')).status, 401);
    assert.equal((await enter('ron@acme.example', 'another horse battery')).status, 201);
    assert.equal((await call('GET', tenants('/me/factors'), { token })).status, 401, 'the session of before is over');
    assert.notEqual((await call('GET', `${h.approvals}/`, { headers: { cookie } })).status, 200, 'so is that of the portal');
    assert.equal(smtp.mails.filter((m) => m.to.includes('nobody@acme.example')).length, 0);
  });

  test('hashes of other systems log in and are hashed anew', async () => {
    const b64 = (bytes) => Buffer.from(bytes).toString('base64').replace(/=+$/, '');
    const salt = Buffer.from('0123456789abcdef');
    const hashes = {
      pbkdf2: `$pbkdf2-sha256$i=20000,l=32$${b64(salt)}$${b64(pbkdf2Sync('hunter22', salt, 20_000, 32, 'sha256'))}`,
      pbkdf512: `$pbkdf2-sha512$i=20000,l=32$${b64(salt)}$${b64(pbkdf2Sync('hunter22', salt, 20_000, 32, 'sha512'))}`,
      scrypt: `$scrypt$ln=12,r=8,p=1$${b64(salt)}$${b64(scryptSync('hunter22', salt, 32, { N: 4096, r: 8, p: 1 }))}`,
      bcrypt: '$2b$04$abcdefghijklmnopqrstuunBMgByaIAZYuFgMUjBx8aaeU/9We5xa',
    };
    const lines = Object.entries(hashes).map(([name, password_hash]) => JSON.stringify({ email: `${name}@import.example`, password_hash }));
    const absurd = { huge: '$scrypt$ln=30,r=8,p=1$AAAA$AAAA', slow: '$2b$31$abcdefghijklmnopqrstuuiLvfVJsuw8VJa6z2hVCkq.K0BkXMoNS', plain: 'hunter22' };
    lines.push(...Object.entries(absurd).map(([name, password_hash]) => JSON.stringify({ email: `${name}@import.example`, password_hash })));
    const report = await call('POST', tenants('/users:import'), { token: h.admin_key, body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } });
    assert.equal(report.status, 200, report.text);
    assert.deepEqual(report.json.data.map((line) => line.error === undefined), [true, true, true, true, false, false, false], report.text);
    for (const name of Object.keys(hashes)) {
      assert.equal((await enter(`${name}@import.example`, 'hunter23')).status, 401, name);
      const first = await enter(`${name}@import.example`, 'hunter22');
      assert.equal(first.status, 201, `${name}: ${first.text}`);
      assert.equal((await enter(`${name}@import.example`, 'hunter22')).status, 201, `${name} once more`);
    }
    const audit = (await call('GET', tenants('/audit?action=user.rehashed'), { token: h.admin_key })).json.data;
    assert.equal(audit.length, 4, 'each was hashed anew once');
    const long = JSON.stringify({ email: 'long@import.example', display_name: 'x'.repeat(70_000) });
    const over = await call('POST', tenants('/users:import'), { token: h.admin_key, body: long, headers: { 'content-type': 'application/x-ndjson' } });
    assert.equal(over.status, 413, over.text);
  });

  test('no page of the console has a finding of axe, light, dark or narrow', async () => {
    if (shots) mkdirSync(shots, { recursive: true });
    const role = await call('GET', tenants('/roles'), { token: h.admin_key });
    const user = (await call('GET', tenants('/users'), { token: h.admin_key })).json.data[0].id;
    await call('POST', tenants('/webhooks'), { token: h.admin_key, json: { url: 'http://127.0.0.1:9/hook', events: ['user.*'] } });
    const inside = ['users', `users/${user}`, 'roles', `roles/${role.json.data[0].name}`, 'credentials', 'invites', 'webhooks', 'keys', 'audit'];
    const open = { signin: '/console/signin', forgot: '/password', reset: `/password/${app}/hpr_none`, join: '/invites/hit_none' };
    const operator = { apps: '/console/apps', 'operator-keys': '/console/admin-keys', app: `/console/apps/${app}`, ...Object.fromEntries(inside.map((p) => [p.replace('/', '-'), `/console/apps/${app}/${p}`])) };
    const looks = [
      ['light', { colorScheme: 'light', viewport: { width: 1280, height: 900 } }],
      ['dark', { colorScheme: 'dark', viewport: { width: 1280, height: 900 } }],
      ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 } }],
    ];
    const findings = [];
    for (const [look, settings] of looks) {
      // Scripts that axe brings are no scripts of the page.
      const context = await (await browser()).newContext({ ...settings, bypassCSP: true });
      const page = await context.newPage();
      const visit = async (name, path) => {
        const answer = await page.goto(`${h.api}${path}`);
        assert.ok(answer.status() < 500, `${path}: ${answer.status()}`);
        await page.addScriptTag({ path: axe });
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        findings.push(...violations.map((v) => `${look} ${name}: ${v.id} ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 1) findings.push(`${look} ${name}: ${wide} px wider than the window`);
        if (shots) await page.screenshot({ path: `${shots}/${look}-${name}.png`, fullPage: true });
      };
      for (const [name, path] of Object.entries(open)) await visit(name, path);
      await page.goto(`${h.api}/console/signin`);
      await page.fill('#k', h.admin_key);
      await page.click('form:has(#k) button');
      for (const [name, path] of Object.entries(operator)) await visit(name, path);
      await context.clearCookies();
      await page.goto(`${h.api}/console/signin`);
      await page.fill('#a', app); await page.fill('#e', 'tess@acme.example'); await page.fill('#p', password);
      await page.click('form:has(#p) button');
      await visit('me', '/console/me');
      await context.close();
    }
    assert.deepEqual(findings, []);
  });
});
