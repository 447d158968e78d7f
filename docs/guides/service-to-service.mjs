// Service to service: one service calls another with a token of its own, and its secret is replaced while it runs.
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
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error?.message ?? value.error_description}`);
  return value;
}

await heimdall('POST', '/apps', { name: 'warehouse', display_name: 'Warehouse' });
await heimdall('POST', '/apps/warehouse/roles', { name: 'stock-reader', display_name: 'Stock reader', permissions: ['stock:read'] });

// ---- The service that is called: it needs nothing but the published keys. ----
const keys = createRemoteJWKSet(new URL(`${BASE}/v1/.well-known/jwks.json`));
const needs = (permission) => async (request, response, next) => {
  const [, token] = /^Bearer (.+)$/.exec(request.get('authorization') ?? '') ?? [];
  try {
    const { payload } = await jwtVerify(token ?? '', keys, { issuer: BASE, audience: 'warehouse', typ: 'at+jwt' });
    if (!payload.permissions.includes(permission)) return response.status(403).json({ missing: permission });
    request.caller = payload;
    next();
  } catch {
    response.status(401).set('www-authenticate', 'Bearer').end();
  }
};
const stock = express();
stock.get('/stock/:item', needs('stock:read'), (request, response) =>
  response.json({ item: request.params.item, left: 7, askedBy: request.caller.client_id }));
const server = stock.listen(0, '127.0.0.1');
await once(server, 'listening');
const STOCK = `http://127.0.0.1:${server.address().port}`;

// ---- The service that calls: it keeps its token until shortly before the end. ----
class Client {
  constructor(id, secret) { this.id = id; this.secret = secret; }
  async token() {
    if (!this.kept || Date.now() > this.until) {
      const answer = await heimdall('POST', '/apps/warehouse/tokens',
        { grant_type: 'client_credentials', client_id: this.id, client_secret: this.secret }, null);
      this.kept = answer.access_token;
      this.until = Date.now() + (answer.expires_in - 60) * 1000;
    }
    return this.kept;
  }
  forget() { this.kept = undefined; }
  async left(item) {
    const answer = await fetch(`${STOCK}/stock/${item}`, { headers: { authorization: `Bearer ${await this.token()}` } });
    if (!answer.ok) throw new Error(`stock answered ${answer.status}`);
    return answer.json();
  }
}

const credential = await heimdall('POST', '/apps/warehouse/credentials', { name: 'shop-backend', roles: ['stock-reader'] });
const client = new Client(credential.client_id, credential.client_secret); // shown once: store it now
assert.deepEqual(await client.left('atlas'), { item: 'atlas', left: 7, askedBy: credential.client_id });
assert.equal((await fetch(`${STOCK}/stock/atlas`)).status, 401);

// ---- Rotation without an outage: two secrets are valid at a time. ----
const old = client.secret;
const path = `/apps/warehouse/credentials/${credential.client_id}`;
const fresh = await heimdall('POST', `${path}/secrets`);        // 1. a second secret; the first still works
client.forget();
await client.left('atlas');                                     //    … as here
client.secret = fresh.client_secret;                            // 2. deploy it
client.forget();
await client.left('atlas');
const { secrets } = await heimdall('GET', path);                // 3. delete the first
for (const one of secrets) if (one.id !== fresh.id) await heimdall('DELETE', `${path}/secrets/${one.id}`);
client.forget();
await client.left('atlas');                                     //    the new one goes on working
await assert.rejects(new Client(client.id, old).token(), /401/); //   the old one is dead
console.log('service to service: done');
server.close();
