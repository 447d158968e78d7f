// Local verification: an Express service that verifies tokens without asking anybody, and still hears of revocations.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import express from 'express';
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

// ---- A tenant with two users, as in the guide on onboarding. ----
await heimdall('POST', '/apps', { name: 'library', display_name: 'Library' });
await heimdall('POST', '/apps/library/roles', { name: 'reader', display_name: 'Reader', permissions: ['books:read'] });
await heimdall('POST', '/apps/library/roles', { name: 'librarian', display_name: 'Librarian', permissions: ['books:*'] });
await heimdall('POST', '/apps/library/permissions', { permission: 'books:write', description: 'Add and remove books' });
const password = 'a long enough sentence';
const add = (name, role) => heimdall('POST', '/apps/library/users', { email: `${name}@library.example`, display_name: name, password, role });
const login = async (name) => (await heimdall('POST', '/apps/library/sessions', { email: `${name}@library.example`, password }, null)).access_token;
const [rosa, lena] = [await add('rosa', 'reader'), await add('lena', 'librarian')];

// ---- The verifier: keys are fetched once and cached; an unknown `kid` makes `jose` look again. ----
const keys = createRemoteJWKSet(new URL(`${BASE}/v1/.well-known/jwks.json`), { cooldownDuration: 1_000 });
const changed = new Map(); // what Heimdall said of users, sessions, clients and tokens that changed lately, by id

async function verify(token) {
  const { payload } = await jwtVerify(token, keys, {
    issuer: BASE,             // who signed
    audience: 'library',      // for whom: the App's name
    typ: 'at+jwt',            // an access token and no other kind (RFC 9068)
    clockTolerance: 5,
  });
  for (const id of [payload.user_id ?? payload.client_id, payload.sid, payload.jti]) {
    const now = changed.get(id);
    if (!now) continue;
    if (now.status === 'revoked') throw new Error('revoked');
    if (now.revoked_before && payload.iat * 1000 <= Date.parse(now.revoked_before)) throw new Error('revoked');
    if (id === payload.sub) payload.permissions = now.permissions; // what it may do now, not when it was issued
  }
  return payload;
}

const needs = (permission) => async (request, response, next) => {
  const [, token] = /^Bearer (.+)$/i.exec(request.get('authorization') ?? '') ?? [];
  try {
    request.user = await verify(token ?? '');
  } catch {
    return response.status(401).set('www-authenticate', 'Bearer error="invalid_token"').end();
  }
  // Wildcards of roles were expanded when the token was made: what is in the list is all there is.
  if (!request.user.permissions.includes(permission)) return response.status(403).json({ missing: permission });
  next();
};

const books = express();
books.get('/books', needs('books:read'), (_, response) => response.json(['Atlas', 'Zebra']));
books.post('/books', needs('books:write'), (_, response) => response.status(201).end());
const server = books.listen(0, '127.0.0.1');
await once(server, 'listening');
const ask = async (method, token) => (await fetch(`http://127.0.0.1:${server.address().port}/books`, {
  method, headers: token ? { authorization: `Bearer ${token}` } : {},
})).status;

// ---- What holds without a single call to Heimdall. ----
const [reader, librarian] = [await login('rosa'), await login('lena')];
assert.equal(await ask('GET'), 401);
assert.equal(await ask('GET', reader), 200);
assert.equal(await ask('POST', reader), 403);
assert.equal(await ask('POST', librarian), 201);
assert.equal(await ask('GET', `${reader.slice(0, -4)}AAAA`), 401, 'a changed signature');

// ---- A local verifier learns of changes at the latest when the token ends. To learn sooner: the list of revocations. ----
await heimdall('POST', '/apps/library/roles', { name: 'verifier', permissions: ['roles:read'] });
const service = await heimdall('POST', '/apps/library/credentials', { name: 'books-service', roles: ['verifier'] });
const ownToken = async () => (await heimdall('POST', '/apps/library/tokens',
  { grant_type: 'client_credentials', client_id: service.client_id, client_secret: service.client_secret }, null)).access_token;
let since = 0;
async function hear(wait = 0) { // with `wait` (seconds) the answer comes as soon as there is news
  const news = await heimdall('GET', `/apps/library/revocations?since=${since}&wait=${wait}`, undefined, await ownToken());
  for (const one of news.data) changed.set(one.id, one);
  since = news.seq;
}
await hear();
let hearing = hear(20); // a real service does this in a loop
await heimdall('DELETE', `/apps/library/users/${lena.id}/roles/librarian`);
await hearing;
assert.equal(await ask('POST', librarian), 403, 'the token is the same, the role is gone');
hearing = hear(20);
await heimdall('POST', `/apps/library/users/${rosa.id}/suspend`);
await hearing;
assert.equal(await ask('GET', reader), 401, 'suspended');

// ---- Keys are replaced while the service runs: the new one is published long before it signs. ----
const next = await heimdall('POST', '/apps/library/keys/rotate');
const published = await (await fetch(`${BASE}/v1/.well-known/jwks.json`)).json();
assert.ok(published.keys.some((key) => key.kid === next.kid), 'published already');
await heimdall('POST', `/apps/library/users/${lena.id}/roles`, { role: 'reader' });
await hear();
assert.equal(await ask('GET', await login('lena')), 200);
console.log('local verification: done');
server.close();
