// The command line: on an empty folder, beside a running server, and through its API.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync, spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { up, folder, drop, binary, call, postgres } from './support.mjs';

const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HEIMDALL_') || name === 'HEIMDALL_BIN_DIR'));
const heimdall = (args, { env = {}, input } = {}) => {
  const done = spawnSync(binary('heimdall'), args, { env: { ...clean, ...env }, input, encoding: 'utf8', timeout: 60_000 });
  return { code: done.status, out: done.stdout, err: done.stderr };
};
const json = (args, options) => {
  const done = heimdall([...args, '--json'], options);
  assert.equal(done.code, 0, `${args.join(' ')}: ${done.err}`);
  return done.out === '' ? undefined : JSON.parse(done.out);
};

test('on an empty folder the first admin key is made, and works once the server runs', async () => {
  const data = folder();
  const dir = join(data, 'new');
  const made = json(['admin-keys', 'create', 'first', '--data', dir]);
  assert.match(made.key, /^hmk_/);
  assert.equal(statSync(join(dir, 'root.key')).mode & 0o777, 0o600);
  assert.equal(statSync(join(dir, 'heimdall.db')).mode & 0o077, 0);
  json(['apps', 'create', 'before', '--data', dir]);
  const h = await up({ data: dir, args: ['--no-example'] });
  try {
    const apps = await call('GET', `${h.api}/v1/apps`, { token: made.key });
    assert.deepEqual(apps.json.data.map((app) => app.name), ['before']);
  } finally { await h.stop(); drop(data); }
});

test('the root key is replaced: nothing that it seals changes, and the old one opens nothing any more', async () => {
  const data = folder();
  const key = json(['admin-keys', 'create', 'first', '--data', data]).key;
  json(['apps', 'create', 'sealed', '--data', data]);
  json(['roles', 'create', 'reader', '--permission', 'docs:read', '--app', 'sealed', '--data', data]);
  const credential = json(['credentials', 'create', 'svc', '--role', 'reader', '--app', 'sealed', '--data', data]);
  const old = readFileSync(join(data, 'root.key'), 'utf8');
  const kids = json(['keys', 'list', '--data', data]).map((one) => one.kid);
  const done = heimdall(['keys', 'reseal', join(data, 'next.key'), '--data', data]);
  assert.equal(done.code, 0, done.err);
  assert.notEqual(readFileSync(join(data, 'root.key'), 'utf8'), old);
  assert.equal(statSync(join(data, 'next.key')).mode & 0o777, 0o600);
  assert.deepEqual(json(['keys', 'list', '--data', data]).map((one) => one.kid), kids);
  writeFileSync(join(data, 'old.key'), old, { mode: 0o600 });
  const refused = heimdall(['keys', 'list', '--data', data, '--root-key-file', join(data, 'old.key')]);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /not the root key of this database/);
  const h = await up({ data, args: ['--no-example'] });
  try {
    assert.equal((await call('GET', `${h.api}/v1/apps`, { token: key })).status, 200);
    const token = await call('POST', `${h.api}/v1/tokens`, { form: { grant_type: 'client_credentials', client_id: credential.client_id, client_secret: credential.client_secret } });
    assert.equal(token.status, 200, token.text);
    assert.match(heimdall(['keys', 'reseal', join(data, 'other.key'), '--api', h.api]).err, /never goes over the network/);
  } finally { await h.stop(); drop(data); }
});

for (const database of ['sqlite', 'postgres']) {
  describe(`beside a running server on ${database}`, () => {
    let h, pg, place, net, env;
    before(async () => {
      if (database === 'postgres') pg = await postgres();
      h = await up({ args: pg ? ['--database', pg.url] : [] });
      place = pg ? ['--database', pg.url, '--root-key-file', join(h.data, 'root.key')] : ['--data', h.data];
      net = ['--api', h.api, '--approvals', h.approvals];
      env = { HEIMDALL_ADMIN_KEY: h.admin_key };
    });
    after(async () => { await h?.stop(); pg?.stop(); });

    test('looking works on the database itself and says the same as the API', () => {
      for (const what of [['apps', 'list'], ['roles', 'list', '--app', 'acme'], ['users', 'list', '--app', 'acme'], ['keys', 'list'], ['admin-keys', 'list'], ['invites', 'list', '--app', 'acme']]) {
        assert.deepEqual(json([...what, ...place]), json([...what, ...net], { env }), what.join(' '));
      }
      const table = heimdall(['users', 'list', '--app', 'acme', ...place]);
      assert.match(table.out, /^ID +EMAIL +DISPLAY NAME +STATE +ROLES\n/);
    });

    test('changing goes through the API', () => {
      if (database === 'sqlite') {
        const refused = heimdall(['apps', 'create', 'late', ...place]);
        assert.equal(refused.code, 1);
        assert.match(refused.err, /give --api URL/);
      }
      json(['apps', 'create', 'tools', '--display-name', 'Tools', ...net], { env });
      json(['roles', 'create', 'editor', '--permission', 'docs:read', '--permission', 'docs:write', '--app', 'tools', ...net], { env });
      const user = json(['users', 'create', 'ed@tools.example', '--role', 'editor', '--password-stdin', '--app', 'tools', ...net], { env, input: 'a long enough sentence\n' });
      assert.equal(user.has_password, true);
      json(['users', 'unassign', user.id, 'editor', '--app', 'tools', ...net], { env });
      json(['users', 'assign', user.id, 'editor', '--app', 'tools', ...net], { env });
      const credential = json(['credentials', 'create', 'svc', '--role', 'editor', '--app', 'tools', ...net], { env });
      const second = json(['credentials', 'rotate', credential.client_id, '--app', 'tools', ...net], { env });
      assert.ok(second.client_secret);
      json(['credentials', 'delete-secret', credential.client_id, second.id, '--app', 'tools', ...net], { env });
      const invite = json(['invites', 'create', '--email', 'new@tools.example', '--role', 'editor', '--app', 'tools', ...net], { env });
      assert.ok(invite.invite_url.endsWith(invite.token));
      json(['invites', 'revoke', invite.id, '--app', 'tools', ...net], { env });
      const hook = json(['webhooks', 'create', 'http://127.0.0.1:9/x', '--event', 'user.created', '--app', 'tools', ...net], { env });
      json(['webhooks', 'disable', hook.id, '--app', 'tools', ...net], { env });
      assert.equal(json(['webhooks', 'show', hook.id, '--app', 'tools', ...net], { env }).enabled, false);
      const audit = json(['audit', 'list', '--app', 'tools', ...net], { env });
      assert.ok(audit.some((row) => row.action === 'credential.created'));
      const events = json(['events', '--app', 'tools', ...place]);
      assert.ok(events.some((event) => event.type === 'user.created'));
    });

    test('approvals and grants are asked of the approvals service', () => {
      assert.deepEqual(json(['approvals', 'list', '--app', 'acme', ...net], { env }), []);
      assert.deepEqual(json(['grants', 'list', '--app', 'acme', '--active', ...net], { env }), []);
    });

    test('keys are rotated and brought along', async () => {
      const next = json(['keys', 'rotate', ...net], { env });
      assert.equal(next.state, 'pending');
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const file = join(h.data, 'own.pem');
      writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      const own = json(['keys', 'import', file, ...net], { env });
      assert.match(own.algorithm, /^RS256$/);
      const listed = json(['keys', 'list', ...place]).map((key) => key.kid);
      assert.ok(listed.includes(next.kid) && listed.includes(own.kid), 'seen at once');
      const { keys } = (await call('GET', `${h.api}/v1/.well-known/jwks.json`)).json;
      assert.ok(keys.some((key) => key.kid === own.kid && key.kty === 'RSA' && key.d === undefined));
    });

    test('errors say what is wrong and what to do', () => {
      const cases = [
        [['apps', 'create', 'Bad Name', ...net], { env }, /`name` a name has/],
        [['users', 'list', ...net], { env }, /Name it by --app/],
        [['users', 'show', 'usr_nope', '--app', 'acme', ...net], { env }, /no such thing/],
        [['apps', 'list', ...net], {}, /set HEIMDALL_ADMIN_KEY/],
        [['apps', 'list', ...net], { env: { HEIMDALL_ADMIN_KEY: 'hmk_wrong' } }, /not valid/],
        [['apps', 'list', '--api', 'http://127.0.0.1:9'], { env }, /no answer from/],
        [['apps', 'list', '--data', '/nowhere'], {}, /nowhere/],
        [['approvals', 'list', '--app', 'acme', '--api', h.api], { env }, /--approvals URL/],
      ];
      for (const [args, options, expected] of cases) {
        const done = heimdall(args, options);
        assert.equal(done.code, 1, `${args}: ${done.out}`);
        assert.match(done.err, expected);
        assert.ok(!done.err.includes(h.admin_key));
      }
    });
  });
}

test('completions know the commands, and a closed pipe is no failure', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) assert.match(heimdall(['completion', shell]).out, /webhooks/);
  const child = spawn('sh', ['-c', `${binary('heimdall')} completion bash | head -n 1 >/dev/null`], { env: clean });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
});
