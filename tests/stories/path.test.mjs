// The path that joins all three services (docs/ARCHITECTURE.md, "One request, from 403 to 200"), on both databases.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { up, call, postgres, mailServer, mailIn, linkIn, events, until, browser, closeBrowser, binary } from './support.mjs';
import { app, login, ask, invoices, bearerOf, approve, deny, mailAbout, request } from './acme.mjs';


const addressed = (who) => (mail) => mail.to?.text === who;

for (const database of ['sqlite', 'postgres']) {
  describe(`on ${database}`, () => {
    let h, pg, smtp;
    before(async () => {
      smtp = await mailServer();
      const args = ['--smtp', smtp.url];
      if (database === 'postgres') { pg = await postgres(); args.push('--database', pg.url); }
      h = await up({ args });
    });
    after(async () => { await h?.stop(); pg?.stop(); await smtp?.stop(); await closeBrowser(); });

    test('without the role the proxy says 403, names the role and where to ask for it', async () => {
      const token = await login(h);
      assert.equal((await call('GET', `${h.proxy}/open`)).status, 200);
      assert.equal((await call('GET', `${h.proxy}/me`)).status, 401);
      assert.equal((await call('GET', `${h.proxy}/me`, { token })).status, 200);
      const denied = await invoices(h, token);
      assert.equal(denied.status, 403);
      assert.match(denied.headers.get('content-type'), /application\/problem\+json/);
      assert.equal(denied.json.missing_permission, 'billing:write');
      assert.deepEqual(denied.json.requestable_roles, ['billing-admin']);
      assert.ok(denied.json.request_url.startsWith(`${h.approvals}/requests/new?role=billing-admin`), denied.json.request_url);
    });

    test('a mail link, a click in a browser, and the next token opens the door', async () => {
      const before = await login(h);
      const asked = await ask(h, before);
      assert.equal(asked.status, 201, asked.text);
      assert.equal(asked.json.state, 'CREATED');
      assert.ok(Number.isInteger(asked.json.session_id));
      const seen = (async () => {
        const states = [];
        for await (const event of events(`${h.approvals}/v1/apps/${app}/requests/${asked.json.id}/events`, { token: before })) states.push(event.data.state);
        return states;
      })();
      const { mail, to } = await smtp.mail((m) => m.to.includes(h.example.approver.email) && m.mail.text.includes(String(asked.json.session_id)));
      assert.deepEqual(to, [h.example.approver.email]);
      const link = linkIn(mail);
      assert.ok(link.startsWith(`${h.approvals}/external-approval?token=`), link);

      const page = await (await browser()).newPage();
      await page.goto(link);
      assert.match(await page.textContent('h1'), /billing-admin/);
      assert.equal((await call('GET', `${h.approvals}/v1/apps/${app}/requests/${asked.json.id}`, { token: before })).json.state, 'CREATED', 'opening decides nothing');
      await page.click('button[value=approve]');
      await page.waitForSelector('.seal.ok');
      await page.close();
      assert.deepEqual(await seen, ['CREATED', 'APPROVED']);
      await smtp.mail((m) => m.to.includes(h.example.requester.email) && /Approved/.test(m.mail.subject));

      const token = await login(h);
      const let_in = await invoices(h, token);
      assert.equal(let_in.status, 200, let_in.text);
      const upstream = Object.fromEntries(let_in.json.headers.map(([k, v]) => [k.toLowerCase(), v]));
      const jwt = upstream.authorization.replace(/^Bearer /, '');
      assert.notEqual(jwt, token, 'the caller\'s own token does not reach the upstream');
      const { payload } = await jwtVerify(jwt, createRemoteJWKSet(new URL(`${h.management}/.well-known/jwks`)));
      const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
      assert.equal(payload.sub, claims.sub);
      assert.ok(claims.permissions.includes('billing:write'));
      const { payload: verified } = await jwtVerify(token, createRemoteJWKSet(new URL(`${h.api}/v1/.well-known/jwks.json`)), { issuer: h.api, audience: app, typ: 'at+jwt' });
      assert.ok(verified.roles.includes('billing-admin'));

      const grants = await call('GET', `${h.approvals}/v1/apps/${app}/grants?active=true`, { token: h.admin_key });
      assert.equal(grants.status, 200, grants.text);
      const grant = grants.json.data.find((g) => g.request_id === asked.json.id);
      assert.equal(grant.role, 'billing-admin');
      const revoked = await call('POST', `${h.approvals}/v1/apps/${app}/grants/${grant.id}/revoke`, { token: h.admin_key });
      assert.equal(revoked.status, 200, revoked.text);
      await until(async () => (await invoices(h, token)).status === 403, { within: 1_000 });
      await until(async () => !(await call('POST', `${h.api}/v1/apps/${app}/authorize`, { token, json: { permission: 'billing:write' } })).json.authorized, { within: 1_000 });
      const looked = await call('POST', `${h.api}/v1/apps/${app}/tokens/introspect`, { token: h.admin_key, form: { token } });
      assert.equal(looked.status, 200, looked.text);
      assert.ok(!looked.json.permissions?.includes('billing:write'), looked.text);
      const later = await login(h);
      assert.equal((await invoices(h, later)).status, 403);
    });

    test('approve and deny by the bearer token of the mail, each once', async () => {
      const token = await login(h);
      for (const [act, body, state] of [['approve', undefined, 'APPROVED'], ['deny', (id) => ({ sessionId: id, denialReason: 'Not this month' }), 'DENIED']]) {
        const asked = await ask(h, token);
        const id = asked.json.session_id;
        const { mail } = await smtp.mail((m) => m.to.includes(h.example.approver.email) && m.mail.text.includes(String(id)));
        const bearer = bearerOf(mail);
        const url = act === 'approve' ? `${h.approvals}/api/pending-approvals/${id}/approve` : `${h.approvals}/api/pending-approvals/deny`;
        const answer = await call('POST', url, { token: bearer, json: body?.(id) });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json, { sessionId: id, state });
        assert.equal((await call('POST', url, { token: bearer, json: body?.(id) })).status, 200, 'the same again');
        const other = act === 'approve'
          ? await call('POST', `${h.approvals}/api/pending-approvals/deny`, { token: bearer, json: { sessionId: id, denialReason: 'no' } })
          : await call('POST', `${h.approvals}/api/pending-approvals/${id}/approve`, { token: bearer });
        assert.equal(other.status, 409, other.text);
        assert.equal((await request(h, token, asked.json.id)).json.state, state);
        if (state === 'APPROVED') {
          const ended = await call('POST', `${h.approvals}/v1/apps/${app}/requests/${asked.json.id}/terminate`, { token });
          assert.equal(ended.json.state, 'TERMINATED', ended.text);
        }
      }
    });

    test('the end of a grant shuts the door by itself', async () => {
      const token = await login(h);
      const asked = await ask(h, token, { duration_minutes: 1 });
      const { mail } = await smtp.mail((m) => m.to.includes(h.example.approver.email) && m.mail.text.includes(String(asked.json.session_id)));
      assert.equal((await call('POST', `${h.approvals}/api/pending-approvals/${asked.json.session_id}/approve`, { token: bearerOf(mail) })).status, 200);
      const fresh = await login(h);
      assert.equal((await invoices(h, fresh)).status, 200);
      const grant = (await call('GET', `${h.approvals}/v1/apps/${app}/grants?active=true`, { token: h.admin_key })).json.data.find((g) => g.request_id === asked.json.id);
      const end = Date.parse(grant.ends_at);
      await new Promise((r) => setTimeout(r, end - Date.now() - 300));
      assert.equal((await invoices(h, fresh)).status, 200, 'still open just before the end');
      await until(async () => Date.now() > end && (await invoices(h, fresh)).status === 403, { within: 1_300 });
      assert.ok(Date.now() < end + 1_100, `shut ${Date.now() - end} ms after the end`);
    });

    test('the audit holds over every step', () => {
      const where = database === 'postgres' ? ['--database', pg.url] : ['--data', h.data];
      const out = execFileSync(binary('heimdall'), ['audit', 'verify', ...where], { encoding: 'utf8' });
      assert.match(out, /hold/i, out);
    });

    test('a second start finds everything again', async () => {
      if (database === 'postgres') return;
      const again = await up({ args: ['--smtp', smtp.url], keep: true });
      const who = again.example.requester;
      const asked = await ask(again, await login(again, who));
      assert.equal(asked.status, 201);
      await again.stop();
      const third = await up({ data: again.data, args: ['--smtp', smtp.url] });
      assert.deepEqual(third.example, again.example);
      assert.equal(third.admin_key, again.admin_key);
      const token = await login(third, who);
      assert.equal((await call('GET', `${third.approvals}/v1/apps/${app}/requests/${asked.json.id}`, { token })).json.state, 'CREATED');
      await third.stop();
    });
  });
}

test('without SMTP the mail lies in the folder and on the mailbox page', async () => {
  const h = await up();
  const token = await login(h);
  const asked = await ask(h, token);
  const mail = await mailIn(h.mail_dir, addressed(h.example.approver.email));
  assert.ok(linkIn(mail).includes('/external-approval?token='));
  const page = await call('GET', `${h.approvals}/mailbox`);
  assert.equal(page.status, 200);
  assert.ok(page.text.includes(h.example.approver.email));
  assert.ok(asked.json.id);
  await h.stop();
});
