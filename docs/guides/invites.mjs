// Invites: an administrator of a tenant invites a colleague, who chooses a name and a password, and is in.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const BASE = process.env.HEIMDALL_URL ?? 'http://127.0.0.1:8080/heimdall';
const ADMIN_KEY = process.env.HEIMDALL_ADMIN_KEY; // hmk_…

const request = (method, path, body, token) => fetch(`${BASE}/v1${path}`, {
  method,
  headers: { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }) },
  body: body && JSON.stringify(body),
});
async function heimdall(method, path, body, token = ADMIN_KEY) {
  const answer = await request(method, path, body, token);
  const value = answer.status === 204 ? undefined : await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error.message}`);
  return value;
}

await heimdall('POST', '/apps', { name: 'studio', display_name: 'The Studio' });
await heimdall('POST', '/apps/studio/roles', { name: 'painter', display_name: 'Painter', permissions: ['canvas:write'] });
await heimdall('POST', '/apps/studio/roles', {
  name: 'owner', display_name: 'Owner', includes: ['painter'], permissions: ['users:invite', 'users:read', 'billing:write'],
});
await heimdall('POST', '/apps/studio/roles', { name: 'auditor', display_name: 'Auditor', permissions: ['audit:read'] });
await heimdall('POST', '/apps/studio/users', { email: 'olga@studio.example', display_name: 'Olga', password: 'a long enough sentence', role: 'owner' });
const olga = await heimdall('POST', '/apps/studio/sessions', { email: 'olga@studio.example', password: 'a long enough sentence' }, null);

// 1. Olga invites: her own token is enough, because it carries `users:invite`.
const invite = await heimdall('POST', '/apps/studio/invites',
  { email: 'pia@studio.example', role: 'painter', expires_in_hours: 72, max_uses: 1 }, olga.access_token);
console.log(`Send this to Pia: ${invite.invite_url}`); // shown once; `token` is its last part
assert.ok(invite.invite_url.includes(invite.token));

// 2. Nobody can invite to more than what they hold.
const tooMuch = await request('POST', '/apps/studio/invites', { email: 'eve@studio.example', role: 'auditor' }, olga.access_token);
assert.equal(tooMuch.status, 403);
assert.deepEqual((await tooMuch.json()).missing_permissions, ['audit:read']);

// 3. Your sign-up page. Heimdall has one too, at `invite_url`; this is how to write your own.
const page = express();
page.use(express.urlencoded({ extended: false }));
page.get('/join/:token', async (req, res) => {
  const shown = await request('GET', `/invites/${encodeURIComponent(req.params.token)}`);
  if (!shown.ok) return res.status(shown.status).send('This invitation is not valid any more.');
  const { app_display_name: app, email } = await shown.json();
  res.send(`Join ${app} as ${email}`);
});
page.post('/join/:token', async (req, res) => {
  const { display_name, password } = req.body;
  const accepted = await request('POST', `/invites/${encodeURIComponent(req.params.token)}/accept`, { display_name, password });
  res.status(accepted.status).json(await accepted.json());
});
const server = page.listen(0, '127.0.0.1');
await once(server, 'listening');
const join = `http://127.0.0.1:${server.address().port}/join/${invite.token}`;

// 4. Pia opens the page and joins.
assert.match(await (await fetch(join)).text(), /as pia@studio\.example/);
const form = () => fetch(join, { method: 'POST', body: new URLSearchParams({ display_name: 'Pia', password: 'another long sentence' }) });
const joined = await form();
assert.equal(joined.status, 201);
const { user, access_token } = await joined.json();
const keys = createRemoteJWKSet(new URL(`${BASE}/v1/.well-known/jwks.json`));
const { payload } = await jwtVerify(access_token, keys, { issuer: BASE, audience: 'studio' });
assert.equal(payload.user_id, user.id);
assert.deepEqual(payload.permissions, ['canvas:write']); // the role comes from the invite, never from the form

// 5. An invitation with `max_uses: 1` works once, however often the button is pressed.
assert.equal((await form()).status, 410);
assert.equal((await fetch(join)).status, 410);

// 6. An invitation that was a mistake is withdrawn.
const mistake = await heimdall('POST', '/apps/studio/invites', { email: 'who@studio.example', role: 'painter' }, olga.access_token);
await heimdall('DELETE', `/apps/studio/invites/${mistake.id}`, undefined, olga.access_token);
assert.equal((await request('GET', `/invites/${mistake.token}`)).status, 410);
console.log('invites: done');
server.close();
