// The two just-in-time samples of docs/guides run unchanged while an approver decides by the links of his mails.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, symlinkSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import jwt from 'jsonwebtoken';
import { up, call, mailServer, folder, drop } from './support.mjs';
import { fault } from './acme.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const guides = resolve(here, '../../docs/guides');
const approver = 'olga@board.example';
const field = (title, type) => ({ type, title, required: true });
const templates = [
  { key: 'payout', name: 'Payouts', title: 'Payout of {{amount}} to {{payee}}', type: 'approve', approvers: [{ email: approver }], data_schema: { payee: field('Payee', 'string'), amount: field('Amount', 'number') } },
  { key: 'release', name: 'Releases', title: 'Release {{version}}', type: 'sign_and_approve', approvers: [{ email: approver }], data_schema: { version: field('Version', 'string'), notes: field('Notes', 'string') } },
];
let h, smtp, place, key;

before(async () => {
  smtp = await mailServer();
  h = await up({ args: ['--smtp', smtp.url] });
  place = folder('heimdall-just-in-time');
  symlinkSync(join(here, 'node_modules'), join(place, 'node_modules'));
  const jit = `${h.approvals}/v1/apps/acme/jit`;
  for (const template of templates) {
    const made = await call('POST', `${jit}/templates`, { token: h.admin_key, json: template });
    assert.equal(made.status, 201, made.text);
  }
  const made = await call('POST', `${jit}/applications`, { token: h.admin_key, json: { iss: 'shop' } });
  assert.equal(made.status, 201, made.text);
  key = made.json.key;
});
after(async () => { await h?.stop(); await smtp?.stop(); drop(place); });

/** A sample as a reader starts it: what it says so far, the mail its question led to, and its end. */
async function sample(name, title) {
  const had = smtp.mails.length;
  copyFileSync(join(guides, `${name}.mjs`), join(place, `${name}.mjs`));
  const child = spawn(process.execPath, [`${name}.mjs`], {
    cwd: place, env: { ...process.env, HEIMDALL_APPROVALS_URL: h.approvals, APPLICATION: 'shop', APPLICATION_KEY: key },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += part));
  const end = once(child, 'close').then(([code]) => { assert.equal(code, 0, text); return text; });
  const mail = smtp.mail((m) => smtp.mails.indexOf(m) >= had && m.to.includes(approver) && m.mail.subject.includes(title));
  const { mail: asked } = await Promise.race([mail, end.then((all) => { throw new Error(`ended undecided\n${all}`); })]);
  const links = asked.text.split(/\s+/).filter((word) => word.includes('/step-action?token='));
  const claims = (url) => JSON.parse(Buffer.from(new URL(url).searchParams.get('token').split('.')[1], 'base64url'));
  const link = (action) => links.find((url) => claims(url).action === action);
  return { link, end, text: () => text };
}
const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1' };
async function opened(url) {
  const page = await call('GET', url, { headers: navigation });
  assert.equal(page.status, 200, page.text);
  return { page, nonce: page.text.match(/name="nonce" value="([^"]+)"/)[1] };
}
const decide = (nonce, more = {}) => call('POST', `${h.approvals}/step-action`, { form: { nonce, ...more } });
const token = (over = {}, secret = Buffer.from(key, 'base64')) => jwt.sign({}, secret, {
  algorithm: 'HS256', issuer: 'shop', audience: h.approvals, subject: 'jo@shop.example', expiresIn: 120, notBefore: 0, jwtid: Math.random().toString(36), ...over,
});
const state = async (text) => (await call('GET', `${h.approvals}/v1/jit/requests/${text.match(/jit_\w+/)[0]}`, { token: token() })).json;

test('jsonwebtoken, bearer: an approval by the mail\'s link is heard, and the application goes on', { timeout: 60_000 }, async () => {
  const run = await sample('just-in-time-jsonwebtoken', 'Payout');
  const { page, nonce } = await opened(run.link('approve'));
  assert.ok(page.text.includes('Payout of 1250 to Northwind'), page.text);
  const answer = await decide(nonce);
  assert.equal(answer.status, 200, answer.text);
  const text = await run.end;
  assert.match(text, /^asked jit_\w+: pending\nstate pending\nstate approved\napproved by olga@board\.example: paying\n.*: done\n$/, text);
  assert.equal((await state(text)).state, 'approved');
});

test('jsonwebtoken, bearer: a rejection is heard, and the application does not go on', { timeout: 60_000 }, async () => {
  const run = await sample('just-in-time-jsonwebtoken', 'Payout');
  const { nonce } = await opened(run.link('reject'));
  const answer = await decide(nonce);
  assert.equal(answer.status, 200, answer.text);
  const text = await run.end;
  assert.match(text, /state rejected\nrejected: not paying\n/, text);
});

test('njwt, older header: without a signature the approval is refused, with one it is approved', { timeout: 60_000 }, async () => {
  const run = await sample('just-in-time-njwt', 'Release');
  const { nonce } = await opened(run.link('approve'));
  const unsigned = await decide(nonce);
  assert.equal(unsigned.status, 422, unsigned.text);
  for (const typed of ['', '   ']) assert.equal((await decide(nonce, { kind: 'typed', typed })).status, 422, `typed ${JSON.stringify(typed)}`);
  assert.equal((await state(run.text())).state, 'pending', 'nothing was recorded');
  const signed = await decide(nonce, { kind: 'typed', typed: 'Olga Owner' });
  assert.equal(signed.status, 200, signed.text);
  const text = await run.end;
  assert.match(text, /state pending\nstate approved\napproved by olga@board\.example, signed \(typed\) Olga Owner: releasing\n/, text);
  const { decision, dig } = await state(text);
  assert.deepEqual([decision.signature.name, decision.signature.dig], ['Olga Owner', dig]);
});

test('a token that is stretched, foreign, unsigned or by another key asks nothing; data must fit the form', async () => {
  const url = `${h.approvals}/v1/jit/requests`;
  const json = { key: 'payout', data: { payee: 'Northwind', amount: 1 } };
  const bad = {
    'six minutes': token({ expiresIn: 360 }),
    'over': token({ notBefore: -300, expiresIn: -30 }),
    'not yet': token({ notBefore: 200, expiresIn: 250 }),
    'another audience': token({ audience: 'https://elsewhere.example' }),
    'another application': token({ issuer: 'warehouse' }),
    'another algorithm': token({ algorithm: 'HS512' }),
    'another key': token({}, Buffer.alloc(64, 7)),
    'the base64 text as the key': token({}, key),
    'no signature': `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${token().split('.')[1]}.`,
  };
  for (const [why, one] of Object.entries(bad)) {
    for (const carried of [{ token: one }, { headers: { 'x-nl3-authorization-token': one } }]) {
      assert.equal((await call('POST', url, { json, ...carried })).status, 401, why);
    }
  }
  const unfit = await call('POST', url, { token: token(), json: { ...json, data: { payee: 'Northwind' } } });
  assert.deepEqual(fault(unfit), [422, 'data.amount']);
});

test('two keys overlap, and what a deleted key signed is refused', async () => {
  const keys = `${h.approvals}/v1/apps/acme/jit/applications/shop/keys`;
  const url = `${h.approvals}/v1/jit/requests`;
  const ask = (secret) => call('POST', url, { token: token({}, Buffer.from(secret, 'base64')), json: { key: 'payout', data: { payee: 'Northwind', amount: 1 } } });
  const [{ id: old }] = (await call('GET', keys, { token: h.admin_key })).json.data;
  const fresh = (await call('POST', keys, { token: h.admin_key })).json.key;
  for (const secret of [key, fresh]) assert.equal((await ask(secret)).status, 202);
  assert.equal((await call('DELETE', `${keys}/${old}`, { token: h.admin_key })).status, 204);
  assert.equal((await ask(key)).status, 401);
  assert.equal((await ask(fresh)).status, 202);
});
