// `heimdall up` and the configuration of every binary, row by row as the documentation promises it.
import { test, describe } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import net from 'node:net';
import tls from 'node:tls';
import { up, call, folder, drop, binary, linkIn, mailIn, until, postgres, freePort } from './support.mjs';
import { app, login, ask } from './acme.mjs';

const run = (name, args, env = {}) => spawnSync(binary(name), args, { encoding: 'utf8', env: { ...process.env, ...env } });
const mode = (path) => (statSync(path).mode & 0o777).toString(8);
const everything = (dir) => readdirSync(dir, { recursive: true }).map((name) => join(dir, name));

test('the ready file names everything, is its owner\'s alone, and is there once every listener accepts', async () => {
  const h = await up();
  for (const name of ['api', 'approvals', 'proxy', 'management', 'upstream']) assert.match(h[name], /^http:\/\/127\.0\.0\.1:[1-9]\d+/, name);
  assert.ok(h.api.endsWith('/heimdall'));
  assert.match(h.admin_key, /^hmk_/);
  assert.deepEqual(Object.keys(h.example).sort(), ['administrator', 'app', 'approver', 'requestable_role', 'requester']);
  assert.equal(h.example.requestable_role, 'billing-admin');
  assert.ok(h.example.requester.password && h.example.administrator.password);
  assert.deepEqual(Object.keys(h.example.approver), ['email']);
  for (const url of [`${h.api}/healthz`, `${h.api}/readyz`, `${h.approvals}/readyz`, `${h.management}/.well-known/health`, `${h.proxy}/open`]) {
    assert.equal((await call('GET', url)).status, 200, url);
  }
  for (const path of everything(h.data)) {
    if (path.includes('/mail/')) continue;
    assert.equal(mode(path), statSync(path).isDirectory() ? '700' : '600', path);
  }
  await h.stop();
});

test('the echo upstream answers what it was asked', async () => {
  const h = await up();
  const answer = await call('POST', `${h.upstream}/a/b?c=1`, { body: 'hello', headers: { 'X-Two': 'x', 'content-type': 'text/plain' } });
  assert.deepEqual(Object.keys(answer.json).sort(), ['body', 'headers', 'method', 'path']);
  assert.deepEqual([answer.json.method, answer.json.path, answer.json.body], ['POST', '/a/b?c=1', 'hello']);
  assert.ok(answer.json.headers.some(([name, value]) => name.toLowerCase() === 'x-two' && value === 'x'));
  const open = (await call('GET', `${h.proxy}/open`, { token: 'not.mine.really' })).json;
  assert.ok(open.headers.every(([, value]) => !value.includes('not.mine.really')), 'the caller\'s own token stays outside');
  await h.stop();
});

test('the six commands that are printed work when they are pasted', async () => {
  const h = await up();
  await until(() => h.log().includes('Stop with Ctrl-C'));
  const lines = h.log().split('Six commands to try:')[1].split('Stop with Ctrl-C')[0].split('\n');
  const script = lines.filter((line) => line.startsWith('   ')).join('\n');
  assert.equal(lines.filter((line) => /^[1-6] {2}\S/.test(line)).length, 6);
  const out = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.match(out.stdout, /billing-admin/, 'the third says what would help');
  assert.match(out.stdout, /request \d+\n/);
  assert.match(out.stdout, /"state":"APPROVED"/);
  assert.match(out.stdout, /"path":"\/billing\/invoices"/, out.stdout + out.stderr);
  await h.stop();
});

test('a second start finds everything again, and credentials that were deleted are not made again', async () => {
  const first = await up({ keep: true });
  await first.stop();
  const kept = join(first.data, 'first-look.json');
  assert.equal(JSON.parse(readFileSync(kept, 'utf8')).admin_key, first.admin_key);
  const second = await up({ data: first.data, keep: true });
  assert.deepEqual([second.admin_key, second.example], [first.admin_key, first.example]);
  assert.equal((await call('GET', `${second.api}/v1/apps`, { token: first.admin_key })).status, 200);
  await second.stop();
  rmSync(kept);
  const third = await up({ data: first.data });
  assert.deepEqual([third.admin_key, third.example], [null, null]);
  assert.ok(await login(third, first.example.requester), 'the people are still there');
  assert.ok(!existsSync(kept));
  await third.stop();
});

test('without the example there is nobody, and no key', async () => {
  const h = await up({ args: ['--no-example'] });
  assert.deepEqual([h.admin_key, h.example], [null, null]);
  assert.equal((await call('GET', `${h.api}/readyz`)).status, 200);
  await h.stop();
});

test('a first start that is killed at any moment is finished by the next', async () => {
  for (const delay of [30, 60, 90, 120, 160, 220]) {
    const data = folder();
    const child = spawn(binary('heimdall'), ['up', '--data', data, ...['api', 'approvals', 'proxy', 'management'].flatMap((f) => [`--${f}`, '127.0.0.1:0'])], { stdio: 'ignore' });
    await new Promise((r) => setTimeout(r, delay));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const h = await up({ data });
    assert.match(h.admin_key, /^hmk_/, `killed after ${delay} ms`);
    assert.ok(await login(h), `killed after ${delay} ms`);
    assert.equal((await ask(h, await login(h))).status, 201);
    await h.stop();
  }
});

test('a folder has one server; looking at it is free', async () => {
  const h = await up();
  const second = run('heimdall', ['up', '--data', h.data, '--api', '127.0.0.1:0', '--approvals', '127.0.0.1:0', '--proxy', '127.0.0.1:0', '--management', '127.0.0.1:0']);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /lock|another|in use/i);
  assert.equal((await call('GET', `${h.api}/readyz`)).status, 200);
  const verify = run('heimdall', ['audit', 'verify', '--data', h.data]);
  assert.equal(verify.status, 0, verify.stderr);
  await h.stop();
});

test('an address that is taken is named', async () => {
  const h = await up();
  const data = folder();
  const taken = new URL(h.api).host;
  const second = run('heimdall', ['up', '--data', data, '--api', taken]);
  assert.equal(second.status, 1);
  assert.ok(second.stderr.includes(taken), second.stderr);
  drop(data);
  await h.stop();
});

describe('the configuration', () => {
  test('flags win over the environment, that over the file', async () => {
    const data = folder();
    const file = join(data, 'all.yaml');
    const [inFile, inEnvironment] = [await freePort(), await freePort()];
    writeFileSync(file, `api:\n  listen: "127.0.0.1:${inFile}"\n  prefix: /from-file\napprovals:\n  listen: "127.0.0.1:${inFile}"\nlog:\n  format: json\n  level: "\${LEVEL:-info}"\n`);
    // The flags of `up` in the stories say port 0 for both; the prefix comes from file or environment.
    const one = await up({ data, keep: true, args: ['--config', file] });
    assert.ok(one.api.endsWith('/from-file'));
    assert.notEqual(new URL(one.api).port, String(inFile));
    await one.stop();
    const two = await up({ data, args: ['--config', file], env: { HEIMDALL_API__PREFIX: '/from-env', HEIMDALL_API__LISTEN: `127.0.0.1:${inEnvironment}` } });
    assert.ok(two.api.endsWith('/from-env'));
    await two.stop();
  });

  test('an unknown key is refused with the nearest name and its line, by every binary', () => {
    const data = folder();
    const file = join(data, 'h.yaml');
    writeFileSync(file, 'limits:\n  per_second: 5\napi:\n  lisen: "127.0.0.1:0"\n');
    for (const [name, args] of [['heimdall', ['config', 'check', file]], ['heimdall', ['up', '--data', data, '--config', file]], ['heimdall-api', ['config', 'check', file]], ['heimdall-api', ['--config', file]]]) {
      const out = run(name, args);
      assert.equal(out.status, 1, name);
      assert.match(out.stderr, /h\.yaml:4: `api\.lisen` is not known here; did you mean `listen`\?/);
    }
    const out = run('heimdall-approvals', ['config', 'check', file], { HEIMDALL_APPROVALS__LISEN: 'x' });
    assert.equal(out.status, 1);
    assert.match(out.stderr, /lisen.*listen/);
    writeFileSync(file, 'database:\n  url: "${NOT_SET_ANYWHERE}"\n');
    assert.match(run('heimdall-api', ['config', 'check', file]).stderr, /h\.yaml:2: `database\.url` names the variable `NOT_SET_ANYWHERE`, which is not set/);
    writeFileSync(file, 'api: [\n');
    assert.match(run('heimdall-api', ['config', 'check', file]).stderr, /h\.yaml:/);
    drop(data);
  });

  test('every binary prints a schema and an example that it takes itself', () => {
    const data = folder();
    for (const name of ['heimdall', 'heimdall-api', 'heimdall-approvals']) {
      const schema = JSON.parse(run(name, ['config', 'schema']).stdout);
      assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema', name);
      const example = run(name, ['config', 'example']).stdout;
      const committed = (kind) => readFileSync(new URL(`../../docs/config/${name.replace('heimdall-', '')}.${kind}`, import.meta.url), 'utf8');
      assert.ok(committed('example.yaml') === example, `docs/config is old: ${name} config example`);
      assert.deepEqual(JSON.parse(committed('schema.json')), schema, `docs/config is old: ${name} config schema`);
      const file = join(data, `${name}.yaml`);
      writeFileSync(file, example);
      assert.match(run(name, ['config', 'check', file]).stdout, /good/, name);
      // Without the comments' marks it is the file with every default.
      writeFileSync(file, example.split('\n').filter((l) => !/^#\s*#/.test(l)).map((l) => l.replace(/^# /, '')).join('\n'));
      const all = run(name, ['config', 'check', file]);
      assert.match(all.stdout, /good/, `${name}: ${all.stderr}`);
    }
    drop(data);
  });

  test('a secret comes from a file or a variable and is never printed', async () => {
    const data = folder();
    const out = run('heimdall-api', ['--listen', '127.0.0.1:0', '--database', `sqlite://${data}/h.db`]);
    assert.equal(out.status, 1);
    assert.match(out.stderr, /root_key.*missing.*heimdall keys root/);
    const file = join(data, 'h.yaml');
    writeFileSync(file, 'root_key: "${KEY}"\n');
    const bad = run('heimdall-api', ['--config', file, '--listen', '127.0.0.1:0', '--database', `sqlite://${data}/h.db`], { KEY: 'hunter2-hunter2' });
    assert.equal(bad.status, 1);
    assert.match(bad.stderr, /root_key/);
    assert.ok(!bad.stderr.includes('hunter2'));
    const wrong = run('heimdall-api', ['--config', file, '--database', 'postgres://someone:hunter2@127.0.0.1:1/x'], { KEY: Buffer.alloc(32, 7).toString('base64') });
    assert.equal(wrong.status, 1);
    assert.ok(!wrong.stderr.includes('hunter2'), wrong.stderr);
    drop(data);
  });
});

test('separate binaries share a PostgreSQL and its root key', async () => {
  const pg = await postgres();
  const data = folder();
  writeFileSync(join(data, 'root.key'), `${Buffer.alloc(32, 9).toString('base64')}\n`);
  const file = join(data, 'all.yaml');
  writeFileSync(file, `root_key: "file:${data}/root.key"\nlog: {format: json}\ndatabase:\n  url: "${pg.url}"\n  manage_schema: true\nsmtp: {url: "file://${data}/mail"}\n`);
  const serve = async (name) => {
    const child = spawn(binary(name), ['--config', file, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (part) => (log += part));
    await until(() => log.includes('"serving"') || child.exitCode !== null, { within: 20_000 });
    const line = log.split('\n').find((l) => l.includes('"serving"'));
    assert.ok(line, log);
    return { child, url: JSON.parse(line).address, log: () => log };
  };
  const api = await serve('heimdall-api');
  const approvals = await serve('heimdall-approvals');
  assert.equal((await call('GET', `${api.url}/readyz`)).status, 200);
  assert.equal((await call('GET', `${approvals.url}/readyz`)).status, 200);
  for (const one of [api, approvals]) {
    one.child.kill('SIGTERM');
    const [code] = await once(one.child, 'exit');
    assert.equal(code, 0, one.log());
  }
  pg.stop();
  drop(data);
});

const selfSigned = (data, name) => execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
  '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', join(data, 'tls.key'), '-out', join(data, 'tls.crt')], { stdio: 'pipe' });
const shown = (url) => new Promise((done, fail) => {
  const socket = tls.connect({ host: '127.0.0.1', port: new URL(url).port, rejectUnauthorized: false }, () => { done(socket.getPeerCertificate().subject.CN); socket.end(); });
  socket.on('error', fail);
});

test('a certificate that is replaced is shown to the next connection, and rubbish is not', async () => {
  const data = folder();
  const certs = join(data, 'certs');
  mkdirSync(certs);
  selfSigned(certs, 'first');
  const file = join(data, 'all.yaml');
  writeFileSync(file, `api:\n  tls: {cert: "${certs}/tls.crt", key: "${certs}/tls.key"}\nlog: {format: json}\n`);
  const h = await up({ data, args: ['--config', file] });
  assert.match(h.api, /^https:/);
  assert.equal(await shown(h.api), 'first');
  writeFileSync(join(certs, 'tls.crt'), 'rubbish');
  await until(() => h.log().includes('the certificate was not replaced'));
  assert.equal(await shown(h.api), 'first');
  selfSigned(certs, 'second');
  await until(async () => (await shown(h.api)) === 'second');
  await h.stop();
});

test('SIGHUP takes over limits and level, and a bad file keeps the old', async () => {
  const data = folder();
  const file = join(data, 'all.yaml');
  const write = (text) => { writeFileSync(`${file}.new`, text); renameSync(`${file}.new`, file); };
  write('log: {format: json}\nlimits: {per_second: 1000, burst: 1000}\n');
  const h = await up({ data, args: ['--config', file] });
  const burst = async (n) => (await Promise.all(Array.from({ length: n }, () => call('GET', `${h.api}/v1/.well-known/jwks.json`)))).filter((a) => a.status === 429).length;
  assert.equal(await burst(20), 0);
  write('limits: {per_secnd: 3}\n');
  h.child.kill('SIGHUP');
  await until(() => h.log().includes('per_secnd'));
  assert.equal(await burst(20), 0);
  write('log: {format: json}\nlimits: {per_second: 3, burst: 3}\napi: {prefix: /other}\n');
  h.child.kill('SIGHUP');
  await until(() => h.log().includes('the configuration was read again'));
  assert.ok(h.log().includes('api.prefix'), 'what waits for a restart is told');
  assert.ok(await burst(20) > 5);
  await h.stop();
});

test('one JSON line a request, without a secret in it', async () => {
  const data = folder();
  const file = join(data, 'all.yaml');
  writeFileSync(file, 'log: {format: json}\n');
  const h = await up({ data, args: ['--config', file] });
  const token = await login(h);
  const asked = await ask(h, token);
  const link = linkIn(await mailIn(h.mail_dir, (mail) => mail.text.includes('external-approval')));
  const bearer = new URL(link).searchParams.get('token');
  assert.equal((await call('GET', link)).status, 200);
  assert.equal((await call('POST', `${h.approvals}/api/pending-approvals/${asked.json.session_id}/approve`, { token: bearer })).status, 200);
  await call('GET', `${h.api}/v1/invites/a-token-of-an-invite-that-is-none`);
  await call('GET', `${h.api}/v1/apps/${encodeURIComponent('x\n{"level":"error"}')}`, { token: h.admin_key });
  await call('GET', `${h.proxy}/me`, { token });
  await h.stop('SIGTERM');
  const lines = h.log().split('\n').filter((l) => l.startsWith('{'));
  const access = lines.map((l) => JSON.parse(l)).filter((l) => l.target === 'access');
  assert.ok(access.length > 5);
  for (const line of access) for (const name of ['request_id', 'method', 'path', 'status', 'micros']) assert.ok(name in line, `${name} in ${JSON.stringify(line)}`);
  assert.ok(access.some((l) => l.path === '/external-approval'));
  assert.ok(access.some((l) => /\/v1\/invites\/token=[0-9a-f]{8}$/.test(l.path)), 'the start of the hash stands for the token');
  const log = h.log().split('Stop with Ctrl-C')[1] + h.log().split('Heimdall is up')[0];
  for (const secret of [token, bearer, h.admin_key, h.example.requester.password, 'a-token-of-an-invite']) assert.ok(!log.includes(secret), secret.slice(0, 8));
});

test('every metric that is shown is documented', async () => {
  const h = await up();
  await login(h);
  await call('GET', `${h.proxy}/open`);
  const documented = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  for (const url of [`${h.api}/metrics`, `${h.approvals}/metrics`, `${h.management}/metrics`]) {
    const text = (await call('GET', url)).text;
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((m) => m[1]);
    assert.ok(names.length > 0, url);
    for (const name of names) assert.ok(documented.includes(`\`${name}\``), `${name} is not in docs/operations.md`);
  }
  await h.stop();
});

test('SIGTERM lets a running request finish and takes no new one', async () => {
  const h = await up();
  const { host, port, pathname } = new URL(`${h.api}/v1/apps/${app}/sessions`);
  const body = JSON.stringify({ email: h.example.requester.email, password: h.example.requester.password });
  const socket = net.connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (part) => (answer += part));
  // The server says `100 Continue` when the request is with its handler.
  socket.write(`POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
  await until(() => answer.startsWith('HTTP/1.1 100 '));
  answer = '';
  socket.write(body.slice(0, 10));
  h.child.kill('SIGTERM');
  await until(() => fetch(`${h.api}/healthz`).then(() => false, () => true));
  socket.write(body.slice(10));
  await once(socket, 'close');
  assert.match(answer, /^HTTP\/1\.1 20[01] /);
  assert.match(answer, /access_token/);
  assert.equal((await h.stop()).code, 0);
});
