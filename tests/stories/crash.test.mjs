// kill -9 at any moment: everything that was acknowledged is there at the next start, and decisions and audit agree.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { up, call, folder, drop, binary, linkIn } from './support.mjs';
import { app, login, ask, approve, deny, bearerOf, request } from './acme.mjs';

const rounds = Number(process.env.KILLS ?? (process.env.LONG ? 1_000 : 6));

test(`${rounds} kills lose nothing that was acknowledged`, async (t) => {
  const data = folder('heimdall-crash');
  const config = join(data, 'limits.yaml');
  writeFileSync(config, 'limits: {per_second: 0, burst: 0, logins_per_account: 0, logins_per_source: 0}\nlog: {level: error}\n');
  const args = ['--config', config];
  const ledger = new Map(); // request id → the state that was acknowledged last
  let touched = new Set(); // what was acknowledged since the last start
  let [kills, decisions] = [0, 0];
  let seed = 42;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  const note = (id, state) => { ledger.set(id, state); touched.add(id); };

  const check = async (h, token, ids) => {
    for (const id of ids) {
      const now = await request(h, token, id);
      assert.equal(now.status, 200, `${id} is lost`);
      // A decision whose answer was cut off may have happened; one that was acknowledged must have.
      const state = ledger.get(id);
      if (state !== 'CREATED') assert.equal(now.json.state, state, id);
      else ledger.set(id, now.json.state);
    }
  };

  for (let round = 0; round < rounds; round++) {
    const h = await up({ data, args });
    const token = await login(h);
    await check(h, token, touched);
    touched = new Set();
    const killer = setTimeout(() => h.child.kill('SIGKILL'), 50 + random() * 600);
    const worker = async () => {
      for (;;) {
        const asked = await ask(h, token);
        assert.equal(asked.status, 201, asked.text);
        note(asked.json.id, 'CREATED');
        const mail = await mailWith(h.mail_dir, asked.json.session_id, () => h.child.signalCode === null && !h.child.killed);
        if (!mail) return;
        const [state, act] = random() < 0.5 ? ['APPROVED', approve] : ['DENIED', deny];
        const answer = await act(h, asked.json.session_id, bearerOf(mail));
        assert.equal(answer.status, 200, answer.text);
        note(asked.json.id, state);
        decisions += 1;
      }
    };
    await Promise.all([worker(), worker(), worker()].map((w) => w.catch((error) => { if (error.code === 'ERR_ASSERTION') throw error; })));
    clearTimeout(killer);
    await h.stop('SIGKILL');
    kills += 1;
    if (kills % 100 === 0) t.diagnostic(`${kills} kills, ${ledger.size} requests and ${decisions} decisions acknowledged`);
  }

  const h = await up({ data, args });
  await check(h, await login(h), ledger.keys());
  // Every decision has one audit row, and every audit row its decision.
  const decided = new Map();
  for (const line of execFileSync(binary('heimdall'), ['audit', 'export', '--data', data], { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')) {
    const row = line ? JSON.parse(line) : {};
    if (row.action !== 'approval.resolved') continue;
    decided.set(row.data.request_id, [...(decided.get(row.data.request_id) ?? []), row.data.state]);
  }
  const word = { APPROVED: /^approved$/i, DENIED: /^(denied|rejected)$/i };
  for (const [id, state] of ledger) {
    const rows = decided.get(id) ?? [];
    if (state === 'CREATED') assert.deepEqual(rows, [], id);
    else assert.ok(rows.length === 1 && word[state].test(rows[0]), `${id} is ${state}, the audit says ${rows}`);
  }
  const audit = execFileSync(binary('heimdall'), ['audit', 'verify', '--data', data], { encoding: 'utf8' });
  assert.match(audit, /the audit holds/);
  t.diagnostic(`${kills} kills, ${ledger.size} requests and ${decisions} decisions acknowledged; ${decided.size} decisions in the audit; ${audit.split('\n')[0]}`);
  assert.ok(ledger.size > rounds);
  await h.stop();
  drop(data);
});

const waiting = new Map(); // session → its mail to the approver
async function mailWith(dir, session, alive) {
  while (alive()) {
    for (const name of readdirSync(dir).filter((name) => name.endsWith('.eml'))) {
      const mail = await simpleParser(readFileSync(join(dir, name))).catch(() => undefined);
      const about = /Request\s+(\d+)/.exec(mail?.text ?? '')?.[1];
      if (about && linkIn(mail)?.includes('external-approval')) waiting.set(about, mail);
      // Read once: the folder would grow with the campaign. Another worker may have been faster.
      try { unlinkSync(join(dir, name)); } catch { /* gone already */ }
    }
    const found = waiting.get(String(session));
    if (found) { waiting.delete(String(session)); return found; }
    await new Promise((r) => setTimeout(r, 10));
  }
}
