// kill -9 at any moment: everything that was acknowledged is there at the next start, and decisions and audit agree.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { up, call, folder, drop, binary } from './support.mjs';
import { app, login, ask, approve, deny, bearerOf } from './acme.mjs';

const rounds = Number(process.env.KILLS ?? (process.env.LONG ? 1_000 : 6));

test(`${rounds} kills lose nothing that was acknowledged`, async (t) => {
  const data = folder('heimdall-crash');
  const ledger = new Map(); // request id → the state that was acknowledged last
  let seed = 42;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  for (let round = 0; round < rounds; round++) {
    const h = await up({ data });
    const token = await login(h);
    for (const [id, state] of ledger) {
      const now = await patiently(() => call('GET', `${h.approvals}/v1/apps/${app}/requests/${id}`, { token }));
      assert.equal(now.status, 200, `${id} is lost`);
      // A decision whose answer was cut off may have happened; one that was acknowledged must have.
      if (state !== 'CREATED') assert.equal(now.json.state, state, id);
      else if (now.json.state !== 'CREATED') ledger.set(id, now.json.state);
    }
    const limit = 100 + random() * 900;
    const killer = setTimeout(() => h.child.kill('SIGKILL'), limit);
    const worker = async () => {
      for (;;) {
        const asked = await patiently(() => ask(h, token));
        assert.equal(asked.status, 201, asked.text);
        ledger.set(asked.json.id, 'CREATED');
        const found = await mailWith(h.mail_dir, asked.json.session_id, () => h.child.signalCode === null && !h.child.killed);
        if (!found) return;
        const wanted = random() < 0.5 ? ['APPROVED', approve] : ['DENIED', deny];
        const answer = await patiently(() => wanted[1](h, asked.json.session_id, bearerOf(found)));
        assert.equal(answer.status, 200, answer.text);
        ledger.set(asked.json.id, wanted[0]);
      }
    };
    await Promise.all([worker(), worker(), worker()].map((w) => w.catch((error) => { if (error.code === 'ERR_ASSERTION') throw error; })));
    clearTimeout(killer);
    await h.stop('SIGKILL');
  }
  const h = await up({ data });
  const token = await login(h);
  for (const [id, state] of ledger) {
    const now = (await patiently(() => call('GET', `${h.approvals}/v1/apps/${app}/requests/${id}`, { token }))).json.state;
    if (state !== 'CREATED') assert.equal(now, state, id);
  }
  const audit = execFileSync(binary('heimdall'), ['audit', 'verify', '--data', data], { encoding: 'utf8' });
  assert.match(audit, /hold/i);
  t.diagnostic(`${ledger.size} requests acknowledged, ${[...ledger.values()].filter((s) => s !== 'CREATED').length} decisions`);
  assert.ok(ledger.size > rounds);
  await h.stop();
  drop(data);
});

// The limit of requests a second is part of the product: whoever meets it waits, as a client would.
async function patiently(send) {
  for (;;) {
    const answer = await send();
    if (answer.status !== 429) return answer;
    await new Promise((r) => setTimeout(r, 100));
  }
}

const seen = new Map();
async function mailWith(dir, session, alive) {
  while (alive()) {
    for (const name of readdirSync(dir)) {
      if (!name.endsWith('.eml') || seen.has(name)) continue;
      const mail = await simpleParser(readFileSync(join(dir, name)));
      seen.set(name, mail);
    }
    for (const mail of seen.values()) if (mail.text.includes(`\n  ${session}\n`) && mail.text.includes('external-approval')) return mail;
    await new Promise((r) => setTimeout(r, 10));
  }
}
