// Two instances on one PostgreSQL: what is used once is used once, what one changes the other knows, the login is held by
// row-level security, and the way to the server is encrypted where that is asked for.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync, spawn } from 'node:child_process';
import { copyFileSync, chmodSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { up, call, folder, drop, postgres, binary, until } from './support.mjs';

const PASSWORD = 'a long enough sentence';
const rounds = process.env.LONG ? 200 : 2;

describe('two instances on one PostgreSQL', () => {
  let pg, one, two;
  const admin = (h, method, path, json) => call(method, `${h.api}/v1${path}`, { token: one.admin_key, json });
  before(async () => {
    pg = await postgres();
    one = await up({ args: ['--database', pg.url] });
    const data = folder();
    copyFileSync(join(one.data, 'root.key'), join(data, 'root.key'));
    chmodSync(join(data, 'root.key'), 0o600);
    two = await up({ data, args: ['--database', pg.url, '--no-example'] });
    assert.equal((await admin(one, 'POST', '/apps', { name: 'races' })).status, 201);
    assert.equal((await admin(one, 'POST', '/apps/races/roles', { name: 'guest', permissions: ['docs:read'] })).status, 201);
  });
  after(async () => { await one?.stop(); await two?.stop(); pg?.stop(); });

  test(`an invite for one is accepted once by fifty at once, ${rounds} times over`, async () => {
    for (let round = 0; round < rounds; round++) {
      const invite = (await admin(one, 'POST', '/apps/races/invites', { role: 'guest', max_uses: 1 })).json;
      const before = Number(pg.psql("select count(*) from users"));
      const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => call('POST', `${(n % 2 ? one : two).api}/v1/invites/${invite.token}/accept`, {
        json: { display_name: 'Guest', password: PASSWORD, email: `g${round}-${n}@races.example` },
      })));
      const statuses = answers.map((a) => a.status);
      // Beyond what the pool of password hashes holds at once a 503 or 429 is a refusal too; nobody gets in by it.
      assert.equal(statuses.filter((s) => s === 201).length, 1, `${statuses}`);
      assert.ok(statuses.every((s) => [201, 409, 410, 429, 503].includes(s)), `${statuses}`);
      assert.equal(Number(pg.psql("select count(*) from users")), before + 1);
    }
  });

  test('what one instance takes away the other refuses within a second', async () => {
    const user = (await admin(one, 'POST', '/apps/races/users', { email: 'u@races.example', password: PASSWORD, role: 'guest' })).json;
    const login = (await call('POST', `${two.api}/v1/apps/races/sessions`, { json: { email: user.email, password: PASSWORD } })).json;
    // Each instance issues under its own address, so only the one that issued takes it.
    const may = async () => (await call('POST', `${two.api}/v1/apps/races/authorize`, { json: { permission: 'docs:read' }, token: login.access_token })).json.authorized;
    assert.equal(await may(), true);
    assert.equal((await admin(one, 'DELETE', `/apps/races/users/${user.id}/roles/guest`)).status, 204);
    await until(async () => (await may()) === false, { within: 1_000 });
  });

  test('a key that one instance makes is published by the other', async () => {
    const made = (await admin(one, 'POST', '/keys/rotate', {})).json;
    await until(async () => (await call('GET', `${two.api}/v1/.well-known/jwks.json`)).json.keys.some((key) => key.kid === made.kid), { within: 2_000 });
  });
});

describe('the login to PostgreSQL', () => {
  let pg, data;
  const config = (url) => {
    const file = join(data, 'api.yaml');
    writeFileSync(file, `database: {url: "${url}"}\nroot_key: "file:${join(data, 'root.key')}"\napi: {listen: "127.0.0.1:0"}\nlog: {format: json}\n`, { mode: 0o600 });
    return file;
  };
  const refused = (url) => {
    const done = spawnSync(binary('heimdall-api'), ['--config', config(url)], { encoding: 'utf8', timeout: 15_000 });
    assert.equal(done.status, 1, `${url}: ${done.stdout} ${done.stderr}`);
    return done.stderr;
  };
  const serves = async (url) => {
    const child = spawn(binary('heimdall-api'), ['--config', config(url)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += part));
    try {
      const address = await until(() => {
        if (child.exitCode !== null) throw new Error(text);
        return /"address":"(http[^"]+)"/.exec(text)?.[1];
      }, { within: 20_000 });
      assert.equal((await call('GET', `${address}/heimdall/readyz`)).status, 200);
    } finally { child.kill(); if (child.exitCode === null) await once(child, 'exit'); }
  };
  before(async () => {
    pg = await postgres();
    data = folder();
    writeFileSync(join(data, 'root.key'), execFileSync(binary('heimdall'), ['keys', 'root']), { mode: 0o600 });
    execFileSync(binary('heimdall'), ['migrate', '--database', pg.url]);
    for (const [role, what] of [['service', 'NOINHERIT'], ['bypasser', 'BYPASSRLS'], ['super', 'SUPERUSER']]) {
      pg.admin(`create role ${role} login ${what}; grant heimdall_app, heimdall_system to ${role}`);
    }
  });
  after(() => { pg?.stop(); drop(data); });
  const as = (role) => pg.url.replace('owner@', `${role}@`);

  test('a superuser, the owner of the tables and whoever bypasses row-level security are refused at start', async () => {
    for (const role of ['owner', 'super', 'bypasser']) assert.match(refused(as(role)), /must not log in to PostgreSQL as/, role);
    await serves(as('service'));
  });

  test('the way is encrypted, and the server is checked by its name and its authority', async () => {
    const at = (name) => join(data, name);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=authority',
      '-keyout', at('ca.key'), '-out', at('ca.pem')], { stdio: 'pipe' });
    execFileSync('openssl', ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost', '-keyout', at('server.key'), '-out', at('server.csr')], { stdio: 'pipe' });
    writeFileSync(at('san'), 'subjectAltName=DNS:localhost\n');
    execFileSync('openssl', ['x509', '-req', '-days', '2', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('san'), '-out', at('server.pem')], { stdio: 'pipe' });
    pg.secure(at('server.pem'), at('server.key'));
    const url = (host, rest) => as('service').replace('127.0.0.1', host) + rest;
    await serves(url('localhost', `?sslmode=verify-full&sslrootcert=${at('ca.pem')}`));
    assert.notEqual(refused(url('127.0.0.1', `?sslmode=verify-full&sslrootcert=${at('ca.pem')}`)), '', 'another name');
    assert.notEqual(refused(url('localhost', '?sslmode=require')), '', 'an unknown authority');
    assert.notEqual(refused(url('localhost', '')), '', 'the server wants encryption');
  });
});
