// What the storage below may do: vanish, fill up, run out of files, come back from a backup.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync, execFileSync } from 'node:child_process';
import { copyFileSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync, constants } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { up, call, folder, drop, binary, postgres, until, mailIn } from './support.mjs';
import { app, login, ask, approve, bearerOf, request, invoices } from './acme.mjs';

const verify = (...where) => execFileSync(binary('heimdall'), ['audit', 'verify', ...where], { encoding: 'utf8' });
const unlimited = (dir) => { const file = join(dir, 'limits.yaml'); writeFileSync(file, 'limits: {per_second: 0, burst: 0, logins_per_account: 0, logins_per_source: 0}\nlog: {level: error}\n'); return file; };

test('PostgreSQL stops at once, again and again under load: 503 meanwhile, nothing acknowledged is lost, no restart of ours', async (t) => {
  const rounds = process.env.LONG ? 40 : 3;
  const pg = await postgres();
  const data = folder();
  const h = await up({ data, args: ['--database', pg.url, '--config', unlimited(data)] });
  const token = await login(h);
  const seen = {};
  const ledger = [];
  let going = true;
  const client = async () => {
    while (going) {
      const answer = await ask(h, token).catch((error) => ({ status: error.cause?.code ?? error.message }));
      seen[answer.status] = (seen[answer.status] ?? 0) + 1;
      if (answer.status === 201) ledger.push(answer.json.id);
      else { assert.equal(answer.status, 503, answer.text); assert.match(answer.headers.get('content-type'), /problem\+json/); await new Promise((r) => setTimeout(r, 20)); }
    }
  };
  const clients = Array.from({ length: 6 }, client);
  for (let round = 0; round < rounds; round++) {
    const before = ledger.length;
    await until(() => ledger.length > before + 5, { within: 30_000 });
    pg.crash();
    await until(() => seen[503] > round, { within: 10_000 });
    assert.equal((await call('GET', `${h.api}/readyz`)).status, 503);
    pg.start();
  }
  const before = ledger.length;
  await until(() => ledger.length > before + 5, { within: 30_000 });
  going = false;
  await Promise.all(clients);
  await until(async () => (await call('GET', `${h.api}/readyz`)).status === 200);
  for (const id of ledger) assert.equal((await request(h, token, id)).status, 200, id);
  assert.match(verify('--database', pg.url), /the audit holds/);
  t.diagnostic(`${rounds} stops; ${JSON.stringify(seen)}`);
  await h.stop();
  pg.stop();
});

test('a full disk refuses what would be written, answers what is only read, and is forgotten when there is room', async (t) => {
  const data = folder();
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', data]).status !== 0) {
    drop(data);
    return t.skip('mounting a tmpfs needs root');
  }
  const config = folder();
  let h;
  try {
    h = await up({ data, keep: true, args: ['--config', unlimited(config)] });
    const token = await login(h);
    const first = (await ask(h, token)).json;
    const mail = await mailIn(h.mail_dir, (m) => m.text.includes('external-approval'));
    // Fills what is left to the last byte.
    const filler = openSync(join(data, 'filler'), constants.O_WRONLY | constants.O_CREAT);
    const fill = () => { for (let size = 1 << 20; size >= 1; size = Math.floor(size / 2)) for (;;) { try { if (writeSync(filler, Buffer.alloc(size)) < size) break; } catch { break; } } };
    fill();
    // What the database set aside before may still take a few.
    const kept = [];
    await until(async () => { fill(); const answer = await ask(h, token); if (answer.status === 201) kept.push(answer.json.id); return answer.status === 503; }, { within: 60_000, every: 1 });
    const refused = await ask(h, token);
    assert.equal(refused.status, 503, refused.text);
    assert.match(refused.headers.get('content-type'), /problem\+json/);
    assert.equal((await approve(h, first.session_id, bearerOf(mail))).status, 503, 'no decision without its audit row');
    // Checks of tokens go on.
    const authorized = await call('POST', `${h.api}/v1/apps/${app}/authorize`, { token, json: { permission: 'timesheets:read' } });
    assert.deepEqual([authorized.status, authorized.json.authorized], [200, true], authorized.text);
    assert.equal((await call('POST', `${h.api}/v1/apps/${app}/tokens/introspect`, { token: h.admin_key, form: { token } })).json.active, true);
    assert.equal((await call('GET', `${h.proxy}/me`, { token })).status, 200);
    assert.equal((await invoices(h, token)).status, 403);
    assert.equal((await request(h, token, first.id)).json.state, 'CREATED');
    closeSync(filler);
    rmSync(join(data, 'filler'));
    await until(async () => (await ask(h, token)).status === 201, { within: 10_000 });
    assert.equal((await approve(h, first.session_id, bearerOf(mail))).status, 200);
    for (const id of kept) assert.equal((await request(h, token, id)).status, 200, id);
    await h.stop();
    assert.match(verify('--data', data), /the audit holds/);
  } finally {
    h?.child.kill('SIGKILL');
    spawnSync('umount', ['-l', data]);
    drop(data);
    drop(config);
  }
});

test('a service that runs out of files sheds, does not spin, and serves again when there are some', async () => {
  const h = await up();
  execFileSync('prlimit', ['--pid', String(h.child.pid), `--nofile=${openFiles(h.child.pid) + 6}`]);
  const { port } = new URL(h.api);
  const idle = Array.from({ length: 60 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  const used = () => { const f = readFileSync(`/proc/${h.child.pid}/stat`, 'utf8').split(') ')[1].split(' '); return Number(f[11]) + Number(f[12]); };
  await new Promise((r) => setTimeout(r, 300));
  const before = used();
  await new Promise((r) => setTimeout(r, 2_000));
  const share = (used() - before) / 200;
  assert.ok(share < 0.3, `${Math.round(share * 100)} % of a core for nothing`);
  idle.forEach((socket) => socket.destroy());
  await until(() => call('GET', `${h.api}/readyz`).then((a) => a.status === 200, () => false), { within: 10_000 });
  assert.ok(await login(h));
  await h.stop();
});
const openFiles = (pid) => Number(execFileSync('sh', ['-c', `ls /proc/${pid}/fd | sort -n | tail -n 1`]).toString()) + 1;

for (const kind of ['sqlite', 'postgres']) {
  test(`what was spent stays spent after a backup is put back: ${kind}`, async () => {
    const pg = kind === 'postgres' ? await postgres() : undefined;
    const args = pg ? ['--database', pg.url] : [];
    const h = await up({ keep: true, args });
    const session = await call('POST', `${h.api}/v1/apps/${app}/sessions`, { json: { email: h.example.requester.email, password: h.example.requester.password } });
    const token = session.json.access_token;
    const asked = (await ask(h, token)).json;
    const bearer = bearerOf(await mailIn(h.mail_dir, (m) => m.text.includes('external-approval')));
    const invited = await call('POST', `${h.api}/v1/apps/${app}/invites`, { token: h.admin_key, json: { role: 'employee', max_uses: 1 } });
    assert.equal(invited.status, 201, invited.text);
    const accept = (at, email) => call('POST', `${at.api}/v1/invites/${invited.json.token}/accept`, { json: { email, password: 'correct horse battery', display_name: 'New' } });

    const backup = join(h.data, 'copy');
    execFileSync(binary('heimdall'), ['backup', ...(pg ? ['--database', pg.url] : ['--data', h.data]), backup]);

    // After the backup everything is spent.
    assert.equal((await accept(h, 'one@acme.example')).status, 201);
    assert.equal((await approve(h, asked.session_id, bearer)).status, 200);
    const renew = (at) => call('POST', `${at.api}/v1/apps/${app}/tokens`, { json: { grant_type: 'refresh_token', refresh_token: session.json.refresh_token } });
    assert.equal((await renew(h)).status, 200);
    await h.stop();

    const data = folder();
    mkdirSync(data, { recursive: true });
    copyFileSync(join(h.data, 'root.key'), join(data, 'root.key'));
    const target = pg ? pg.url.replace(/heimdall$/, 'restored') : undefined;
    if (pg) pg.admin('create database restored');
    execFileSync(binary('heimdall'), ['restore', ...(pg ? ['--database', target] : ['--data', data]), backup]);
    const again = await up({ data, args: pg ? ['--database', target] : [] });

    assert.equal((await accept(again, 'two@acme.example')).status >= 400, true, 'an invite');
    assert.equal((await call('GET', `${again.approvals}/v1/apps/${app}/requests`, { token })).status, 401, 'an access token');
    // Until the proxy has heard of the App it says 502, never yes.
    await until(async () => { const { status } = await call('GET', `${again.proxy}/me`, { token }); assert.ok([401, 502].includes(status), `an access token, at the proxy: ${status}`); return status === 401; }, { within: 15_000 });
    assert.equal((await renew(again)).json.error, 'invalid_grant', 'a refresh token');
    assert.equal([401, 403, 409, 410].includes((await approve(again, asked.session_id, bearer)).status), true, 'a mail token');
    const fresh = await login(again, h.example.requester);
    assert.ok(fresh, 'people sign in again');
    assert.equal((await request(again, fresh, asked.id)).json.state, 'CREATED', 'as it was when the backup was made');
    await again.stop();
    drop(h.data);
    pg?.stop();
  });
}
