// Many users in one PostgreSQL: list, get, find and assign with 10 thousand, then with many more, and their ratios.
// node tests/load/million-users.mjs [USERS, default 10000000] [CALLS A MEASUREMENT, default 1000]
// The rows are made by the server itself out of one user that the api made; ids and addresses are new.
import { spawn, execFileSync } from 'node:child_process';
import { writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'node:http';
import { once } from 'node:events';
import { postgres, folder, until, binary } from '../stories/support.mjs';

const many = Number(process.argv[2] ?? 10_000_000), calls = Number(process.argv[3] ?? 1_000), few = 10_000;
const data = folder('heimdall-million');
const pg = await postgres();
const say = (text) => process.stdout.write(`${text}\n`);
let child;
try {
  writeFileSync(join(data, 'root.key'), execFileSync(binary('heimdall'), ['keys', 'root']), { mode: 0o600 });
  const key = JSON.parse(execFileSync(binary('heimdall'), ['admin-keys', 'create', 'load', '--database', pg.url, '--root-key-file', join(data, 'root.key'), '--json'])).key;
  pg.admin('create role service login noinherit; grant heimdall_app, heimdall_system to service');
  writeFileSync(join(data, 'api.yaml'), `database: {url: "${pg.url.replace('owner@', 'service@')}"}\nroot_key: "file:${join(data, 'root.key')}"\napi: {listen: "127.0.0.1:0"}\nlimits: {per_second: 0, burst: 0}\nlog: {format: json, level: "info,access=off"}\n`);
  child = spawn(binary('heimdall-api'), ['--config', join(data, 'api.yaml')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (part) => { if (log.length < 10_000) log += part; });
  const base = await until(() => /"address":"(http[^"]+)"/.exec(log)?.[1], { within: 20_000 });

  // One connection, so that nothing but the way of one request is measured.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (method, path, body) => new Promise((done, fail) => {
    const text = body && JSON.stringify(body);
    const asked = request(`${base}/heimdall/v1${path}`, { method, agent, headers: { authorization: `Bearer ${key}`, ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) } }, (answer) => {
      let all = '';
      answer.on('data', (part) => (all += part)).on('end', () => answer.statusCode < 300 ? done(all ? JSON.parse(all) : undefined) : fail(new Error(`${method} ${path}: ${answer.statusCode} ${all}`)));
    });
    asked.on('error', fail);
    asked.end(text);
  });
  await ask('POST', '/apps', { name: 'crowd' });
  await ask('POST', '/apps/crowd/roles', { name: 'member', permissions: ['docs:read'] });
  await ask('POST', '/apps/crowd/roles', { name: 'extra', permissions: ['docs:write'] });
  const model = await ask('POST', '/apps/crowd/users', { email: 'model@crowd.example', role: 'member' });
  const id = (n) => `usr_01${n.toString(16).toUpperCase().padStart(24, '0')}`;
  const fill = (from, to) => {
    for (let start = from; start < to; start += 500_000) {
      const end = Math.min(start + 500_000, to) - 1;
      pg.psql(`insert into users select m.app_id, i.id, i.email, m.state, m.version, replace(replace(m.body, m.id, i.id), m.email, i.email)
        from users m, (select 'usr_01' || lpad(upper(to_hex(n)), 24, '0') as id, 'u' || n || '@crowd.example' as email from generate_series(${start}, ${end}) n) i where m.id = '${model.id}';
        insert into user_roles select r.app_id, 'usr_01' || lpad(upper(to_hex(n)), 24, '0'), r.role_id, r.at from user_roles r, generate_series(${start}, ${end}) n where r.user_id = '${model.id}'`);
      say(`${end + 1} users`);
    }
    pg.psql('analyze users; analyze user_roles');
  };

  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  async function median(run) {
    const times = [];
    for (let n = 0; n < calls + 50; n++) {
      const began = process.hrtime.bigint();
      await run(n);
      if (n >= 50) times.push(Number(process.hrtime.bigint() - began) / 1e6);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  }
  const hex = (text) => Buffer.from(text).toString('hex');
  const measure = async (users) => ({
    get: await median(() => ask('GET', `/apps/crowd/users/${id(random(users))}`)),
    'first page': await median(() => ask('GET', '/apps/crowd/users?limit=50')),
    'page in the middle': await median(() => ask('GET', `/apps/crowd/users?limit=50&cursor=${hex(id(random(users)))}`)),
    'find by address': await median(() => ask('GET', `/apps/crowd/users?email=u${random(users)}%40crowd`)),
    'page of a role': await median(() => ask('GET', `/apps/crowd/users?limit=50&role=member&cursor=${hex(id(random(users)))}`)),
    assign: await median(() => ask('POST', `/apps/crowd/users/${id(random(users))}/roles`, { role: 'extra' })),
  });
  fill(0, few);
  const before = await measure(few);
  fill(few, many);
  const after = await measure(many);
  for (const name of Object.keys(before)) {
    say(`${name}: ${before[name].toFixed(2)} ms with ${few}, ${after[name].toFixed(2)} ms with ${many}, ratio ${(after[name] / before[name]).toFixed(2)} (wanted at most 2)`);
  }
} finally {
  if (child && child.exitCode === null) { child.kill(); await once(child, 'exit'); }
  pg.stop();
  rmSync(data, { recursive: true, force: true });
}
