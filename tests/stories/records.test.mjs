// What happened: the feed goes on where a reader stopped, and the audit names the row that somebody laid hands on.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { up, call, folder, drop, binary } from './support.mjs';

const sql = (data, script) => execFileSync('python3', ['-c', 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()', join(data, 'heimdall.db'), script]);
const verify = (data) => {
  const done = spawnSync(binary('heimdall'), ['audit', 'verify', '--data', data, '--json'], { encoding: 'utf8' });
  return { code: done.status, report: JSON.parse(done.stdout || 'null'), err: done.stderr };
};

describe('the feed and the audit', () => {
  let h, data;
  const admin = (method, path, json) => call(method, `${h.api}/v1/apps/records${path}`, { token: h.admin_key, json });
  before(async () => {
    data = folder();
    h = await up({ data, keep: true });
    assert.equal((await call('POST', `${h.api}/v1/apps`, { token: h.admin_key, json: { name: 'records' } })).status, 201);
    await admin('POST', '/roles', { name: 'reader', permissions: ['docs:read'] });
    for (let n = 0; n < 12; n++) assert.equal((await admin('POST', '/users', { email: `u${n}@records.example`, role: 'reader' })).status, 201);
  });
  after(async () => { await h?.stop(); drop(data); });

  test('a reader that remembers its place misses nothing and sees nothing twice, whatever the size of a page', async () => {
    const all = (await admin('GET', '/events?limit=200')).json.data;
    for (const size of [1, 3, 7]) {
      const seen = [];
      for (let after = 0; ;) {
        const page = (await admin('GET', `/events?limit=${size}&after=${after}`)).json;
        seen.push(...page.data);
        after = page.after;
        if (!page.pagination.has_more) break;
      }
      assert.deepEqual(seen, all);
    }
    const positions = all.map((event) => event.position);
    assert.deepEqual(positions, [...positions].sort((a, b) => a - b));
    assert.equal(all.filter((event) => event.type === 'user.created').length, 12);
    assert.equal(all.filter((event) => event.type === 'role.assigned').length, 12, 'one a role that a user is made with');
    for (const event of all) assert.ok(event.data.app_id, event.type);
    const only = (await admin('GET', '/events?types=role.created,app.created')).json.data.map((event) => event.type);
    assert.deepEqual(new Set(only), new Set(['app.created', 'role.created']));
    const last = all.at(-1).position;
    assert.deepEqual((await admin('GET', `/events?after=${last}`)).json, { data: [], pagination: { next_cursor: null, has_more: false }, after: last });
    await admin('POST', '/roles', { name: 'later' });
    assert.deepEqual((await admin('GET', `/events?after=${last}`)).json.data.map((event) => event.type), ['role.created']);
  });

  test('a new signing key is told to every App', async () => {
    const made = await call('POST', `${h.api}/v1/keys/rotate`, { token: h.admin_key, json: {} });
    const told = (await admin('GET', '/events?types=key.rotated')).json.data;
    assert.deepEqual(told.map((event) => event.data.kid), [made.json.kid]);
    assert.equal(told[0].data.activates_at, made.json.activates_at);
  });

  test('the audit holds, also beside the running server, and is exported line by line', () => {
    assert.equal(verify(data).code, 0);
    const file = join(data, 'export.jsonl');
    execFileSync(binary('heimdall'), ['audit', 'export', '--data', data, '--output', file], { stdio: 'pipe' });
    const lines = readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.ok(lines.some((line) => line.action === 'user.created'), JSON.stringify(lines[0]));
  });

  test('an altered, a removed, a moved and an added row are found and named', async () => {
    await h.stop();
    const cases = {
      altered: ["update audit set target = target || 'x' where seq = 9", 9],
      'altered within its data': ["update audit set data = '{}' where seq = 9", 9],
      removed: ['delete from audit where seq = 9', 9],
      moved: ['update audit set seq = -1 where seq = 9; update audit set seq = 9 where seq = 10; update audit set seq = 10 where seq = -1', 9],
      'put in': ["insert into audit (app_id, at, actor, action, target, data, content_hash, seq, prev_hash, chain_hash) select app_id, at, actor, 'forged', target, data, content_hash, (select max(seq) + 1 from audit), prev_hash, chain_hash from audit where seq = 9", undefined],
      'cut off at the end': ['delete from audit where seq > (select max(seq) - 3 from audit)', undefined],
    };
    for (const [what, [script, row]] of Object.entries(cases)) {
      const copy = folder();
      cpSync(data, copy, { recursive: true });
      sql(copy, script);
      const { code, report, err } = verify(copy);
      assert.equal(code, 1, `${what}: ${JSON.stringify(report)} ${err}`);
      assert.ok(report.faults.length > 0, what);
      if (row) assert.ok(report.faults.some((fault) => Math.abs(fault.seq - row) <= 1), `${what}: ${JSON.stringify(report.faults)}`);
      drop(copy);
    }
  });
});
