// Just-in-time: an application asks people before it goes on, with application tokens made by npm `jsonwebtoken`.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';

const BASE = process.env.HEIMDALL_APPROVALS_URL ?? 'http://127.0.0.1:8081'; // the approvals address, as its configuration says it
const APPLICATION = process.env.APPLICATION ?? 'shop';   // `iss`: the application's name
const KEY = Buffer.from(process.env.APPLICATION_KEY, 'base64'); // shown once, as base64; what signs is the 64 bytes
const TEMPLATE = process.env.TEMPLATE ?? 'payout';
const USER = process.env.APPLICATION_USER ?? 'jo@shop.example'; // for whom the application asks

// A token a request: it lives two minutes (five are the most), and its `jti` is its own.
const token = () => jwt.sign({}, KEY, {
  algorithm: 'HS256', issuer: APPLICATION, audience: BASE, subject: USER,
  expiresIn: 120, notBefore: 0, jwtid: randomUUID(),
});

async function heimdall(method, path, body) {
  const answer = await fetch(`${BASE}/v1/jit/requests${path}`, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), authorization: `Bearer ${token()}` },
    body: body && JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${value.error.message}`);
  return value;
}

/** The states of a request as they come. The stream ends after the last one; an interrupted one goes on after `last`. */
async function* states(id, last = '0') {
  const headers = { accept: 'text/event-stream', 'last-event-id': last, authorization: `Bearer ${token()}` };
  const answer = await fetch(`${BASE}/v1/jit/requests/${id}/events`, { headers });
  if (!answer.ok) throw new Error(`events: ${answer.status}`);
  let text = '';
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
    const events = (text + part).split('\n\n');
    text = events.pop();
    for (const event of events) {
      const data = event.split('\n').find((line) => line.startsWith('data:')); // other lines: the id, a sign of life
      if (data) yield JSON.parse(data.slice(5));
    }
  }
}

// ---- Ask. `data` is what people read and decide on; `metadata` comes back as it was. ----
const asked = await heimdall('POST', '', {
  key: TEMPLATE,
  data: { payee: 'Northwind', amount: 1250 },
  metadata: { order: 'A-1180' },
});
console.log(`asked ${asked.requestId}: ${asked.state}`);

// ---- Poll: the answer is the same at any time. ----
const now = await heimdall('GET', `/${asked.requestId}`);
assert.equal(now.dig, asked.dig, 'the digest of what was asked does not change');

// ---- Stream: wait for the outcome without asking again and again. ----
let outcome = now;
for await (const state of states(asked.requestId)) {
  outcome = state;
  console.log(`state ${state.state}`);
}

// ---- Go on, or not. Anything but `approved` is a no: `rejected`, `expired`, `cancelled`. ----
const final = await heimdall('GET', `/${asked.requestId}`);
assert.deepEqual(final, outcome, 'the stream and the poll say the same');
assert.deepEqual(final.metadata, { order: 'A-1180' });
if (final.state === 'approved') console.log(`approved by ${final.decision.by}: paying`);
else console.log(`${final.state}: not paying`);
console.log('just-in-time with jsonwebtoken: done');
