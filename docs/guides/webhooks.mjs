// Webhooks: a receiver that checks signatures, fails at first, gets every event in the end, and takes each one once.
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import express from 'express';
import { Webhook } from 'standardwebhooks';

const BASE = process.env.HEIMDALL_URL ?? 'http://127.0.0.1:8080/heimdall';
const ADMIN_KEY = process.env.HEIMDALL_ADMIN_KEY; // hmk_…

async function heimdall(method, path, body) {
  const answer = await fetch(`${BASE}/v1${path}`, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), authorization: `Bearer ${ADMIN_KEY}` },
    body: body && JSON.stringify(body),
  });
  const value = answer.status === 204 ? undefined : await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error.message}`);
  return value;
}

// ---- The receiver. ----
const receiver = express();
const events = new EventEmitter();
const seen = new Set();
const attempts = [];
let secret;       // `whsec_…`, told when the endpoint is registered
let broken = true; // the receiver fails first

// Either header is enough. `standardwebhooks` reads webhook-id, webhook-timestamp and webhook-signature, and refuses
// what is older than five minutes.
const standard = (body, headers) => new Webhook(secret).verify(body, headers);

// The same by hand for `x-heimdall-signature: t=<unix>,v1=<hex>[,v1=<hex>]`, one `v1` a secret; the key is what follows
// `whsec_`, decoded.
function byHand(body, header = '') {
  const parts = header.split(',').map((part) => part.split('='));
  const t = parts.find(([name]) => name === 't')?.[1];
  if (!t || Math.abs(Date.now() / 1000 - t) > 300) throw new Error('no time, or too old');
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${t}.${body}`).digest();
  const good = parts.some(([name, hex]) => name === 'v1' && hex.length === 64 && timingSafeEqual(expected, Buffer.from(hex, 'hex')));
  if (!good) throw new Error('wrong signature');
}

// The raw body is what was signed: parse it only after the check.
receiver.post('/heimdall', express.raw({ type: 'application/json' }), (request, response) => {
  const body = request.body.toString('utf8');
  try {
    standard(body, request.headers);
    byHand(body, request.get('x-heimdall-signature'));
  } catch {
    return response.status(401).end();
  }
  const id = request.get('webhook-id');
  attempts.push(id);
  events.emit('attempt', id);
  if (broken) return response.status(503).end(); // Heimdall tries again: after 5 s, 5 min, 30 min, 2 h, …
  response.status(200).end();                    // acknowledge first, then work
  if (seen.has(id)) return;                      // delivered at least once: the id says which we had
  seen.add(id);
  const { type, data } = JSON.parse(body);
  events.emit('event', type, data);
});
const server = receiver.listen(0, '127.0.0.1');
await once(server, 'listening');

// ---- Register it. ----
await heimdall('POST', '/apps', { name: 'clinic', display_name: 'Clinic' });
const path = '/apps/clinic/webhooks';
const hook = await heimdall('POST', path, {
  url: `http://127.0.0.1:${server.address().port}/heimdall`, // in production https:// and a public address
  events: ['user.created', 'user.deactivated'],
});
secret = hook.secret;

// ---- Something happens while the receiver is broken. ----
const firstAttempt = once(events, 'attempt');
const user = await heimdall('POST', '/apps/clinic/users', { email: 'ann@clinic.example', display_name: 'Ann' });
const [firstId] = await firstAttempt;
const arrives = once(events, 'event');
broken = false; // repaired; the second attempt comes by itself after about five seconds
const [type, data] = await arrives;
assert.equal(type, 'user.created');
assert.equal(data.user_id, user.id);
assert.equal(data.app_id, hook.app_id ?? data.app_id);
assert.deepEqual([...seen], [firstId], 'the id is the same at every attempt');
assert.equal(attempts.length, 2);

// ---- Look at what was tried, and ask for it again. ----
const { data: [delivery] } = await heimdall('GET', `${path}/${hook.id}/deliveries`);
assert.equal(delivery.history[0].status, 503);
const again = once(events, 'attempt');
await heimdall('POST', `${path}/${hook.id}/deliveries/${delivery.id}/redeliver`);
await again;
assert.equal(seen.size, 1, 'had it already');

// ---- Replace the secret: for a day both sign, so the receiver may change over when it likes. ----
const rotated = await heimdall('POST', `${path}/${hook.id}/secret/rotate`);
const withTheOldSecret = once(events, 'event');
await heimdall('DELETE', `/apps/clinic/users/${user.id}`);
assert.equal((await withTheOldSecret)[0], 'user.deactivated');
secret = rotated.secret;
const withTheNew = once(events, 'event');
await heimdall('POST', `${path}/${hook.id}/test`);
assert.equal((await withTheNew)[0], 'webhook.test');
console.log('webhooks: done');
server.close();
