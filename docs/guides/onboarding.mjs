// Onboarding: a tenant, its roles, its first user, a login, and a token that any JavaScript service can verify.
import assert from 'node:assert/strict';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const BASE = process.env.HEIMDALL_URL ?? 'http://127.0.0.1:8080/heimdall';
const ADMIN_KEY = process.env.HEIMDALL_ADMIN_KEY; // hmk_…

async function heimdall(method, path, body, token = ADMIN_KEY) {
  const answer = await fetch(`${BASE}/v1${path}`, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const value = answer.status === 204 ? undefined : await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error.message}`);
  return value;
}

// 1. The tenant. Its name is the key of everything below it.
const app = await heimdall('POST', '/apps', { name: 'bookshop', display_name: 'The Book Shop' });
console.log(`App ${app.name} is ${app.id}`);

// 2. Its roles, each with its permissions in one go. `orders:*` stands for every permission below `orders`.
await heimdall('POST', '/apps/bookshop/roles', { name: 'clerk', display_name: 'Clerk', permissions: ['orders:read'] });
await heimdall('POST', '/apps/bookshop/roles', {
  name: 'manager', display_name: 'Manager', includes: ['clerk'],
  permissions: ['orders:write', 'refunds:write', 'users:read', 'users:invite'],
});

// 3. Its first user.
const user = await heimdall('POST', '/apps/bookshop/users', {
  email: 'Mia@bookshop.example', display_name: 'Mia', password: 'a long enough sentence', role: 'manager',
});
console.log(`Mia is ${user.id}`);

// 4. Mia logs in. No key is needed for that, only her password.
const login = await heimdall('POST', '/apps/bookshop/sessions',
  { email: 'mia@bookshop.example', password: 'a long enough sentence' }, null);
assert.equal(login.token_type, 'Bearer');
console.log(`Her token lives ${login.expires_in} seconds`);

// 5. Any service verifies her token by itself: issuer, audience (the App's name) and the published keys.
const keys = createRemoteJWKSet(new URL(`${BASE}/v1/.well-known/jwks.json`));
const { payload } = await jwtVerify(login.access_token, keys, { issuer: BASE, audience: 'bookshop', typ: 'at+jwt' });
assert.equal(payload.sub, user.id);
assert.equal(payload.user_id, user.id);
assert.equal(payload.app_id, app.id);
assert.ok(payload.roles.includes('manager'));
assert.ok(payload.permissions.includes('orders:read'), 'included roles count');
assert.ok(payload.permissions.includes('refunds:write'));

// 6. Or it asks Heimdall, which knows what changed a moment ago.
const may = async (permission) =>
  (await heimdall('POST', '/apps/bookshop/authorize', { permission }, login.access_token)).authorized;
assert.equal(await may('refunds:write'), true);
await heimdall('POST', `/apps/bookshop/users/${user.id}/roles`, { role: 'clerk' });
await heimdall('DELETE', `/apps/bookshop/users/${user.id}/roles/manager`);
assert.equal(await may('refunds:write'), false, 'the token is the same, the answer is not');
assert.equal(await may('orders:read'), true);

// 7. When the access token runs out, the refresh token gets the next one, once.
const next = await heimdall('POST', '/apps/bookshop/tokens',
  { grant_type: 'refresh_token', refresh_token: login.refresh_token }, null);
const { payload: fresh } = await jwtVerify(next.access_token, keys, { issuer: BASE, audience: 'bookshop' });
assert.deepEqual(fresh.permissions, ['orders:read']);
console.log('onboarding: done');
