// One tenant before the doors of another: every route of the OpenAPI document, with every foreign id in path, query and
// body, gives the very bytes of an id that does not exist, and changes nothing (trust.md P4, A6, A7).
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { up, call, until, folder } from './support.mjs';

const PASSWORD = 'a long enough sentence';
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

describe('a tenant and its neighbour', () => {
  let h, data, document, sink, mine, theirs;
  const admin = (method, path, json) => call(method, `${h.api}/v1${path}`, { token: h.admin_key, json });
  const made = async (path, json) => { const a = await admin('POST', path, json); assert.ok(a.status < 300, `${path}: ${a.text}`); return a.json; };

  // A tenant with one of everything.
  async function tenant(name) {
    const app = await made('/apps', { name, display_name: name });
    const at = `/apps/${name}`;
    await made(`${at}/roles`, { name: 'everything', permissions: ['*'] });
    const role = await made(`${at}/roles`, { name: `${name}-role`, permissions: [`${name}:read`] });
    const user = await made(`${at}/users`, { email: `root@${name}.example`, display_name: 'Root', password: PASSWORD, role: 'everything' });
    const login = (await call('POST', `${h.api}/v1${at}/sessions`, { json: { email: user.email, password: PASSWORD } })).json;
    const credential = await made(`${at}/credentials`, { name: 'svc', roles: ['everything'] });
    const second = await made(`${at}/credentials/${credential.client_id}/secrets`);
    const machine = (await call('POST', `${h.api}/v1${at}/tokens`, { json: { grant_type: 'client_credentials', client_id: credential.client_id, client_secret: credential.client_secret } })).json;
    const invite = await made(`${at}/invites`, { email: `new@${name}.example`, role: 'everything' });
    const webhook = await made(`${at}/webhooks`, { url: `http://127.0.0.1:${sink.address().port}/${name}` });
    await made(`${at}/webhooks/${webhook.id}/test`);
    const delivery = await until(async () => (await admin('GET', `${at}/webhooks/${webhook.id}/deliveries`)).json.data[0]?.id);
    const sessions = await call('GET', `${h.api}/v1${at}/me/sessions`, { token: login.access_token });
    return {
      name, app, token: login.access_token, refresh: login.refresh_token, machine: machine.access_token, credential, invite, email: user.email,
      ids: {
        app: app.id, role: role.name, role_id: role.id, user: user.id, client: credential.client_id, secret: second.id, invite: invite.id,
        webhook: webhook.id, delivery, session: sessions.json.data[0].id, permission: `${name}:read`, token: invite.token,
      },
    };
  }

  // The same kind of name for something that does not exist.
  const absent = {
    app: `app_${ULID}`, role: 'nobody-role', role_id: `role_${ULID}`, user: `usr_${ULID}`, client: `cid_${ULID}`, secret: `sec_${ULID}`, invite: `inv_${ULID}`,
    webhook: `whk_${ULID}`, delivery: `dlv_${ULID}`, session: `ses_${ULID}`, permission: 'nobody:read', token: 'A'.repeat(43), id: `adk_${ULID}`,
  };

  // A body that a route takes, made of the document's own schema; `over` puts names into the members that name something.
  function body(operation, over = {}) {
    const content = operation.requestBody?.content;
    if (!content) return undefined;
    if (content['application/x-ndjson']) return '{"email":"imported@x.example"}\n';
    const schema = (content['application/json'] ?? Object.values(content)[0]).schema;
    return JSON.stringify(example(schema, over));
  }
  const resolve = (schema) => schema.$ref ? document.components.schemas[schema.$ref.split('/').at(-1)] : schema;
  const SAMPLE = {
    email: 'someone@x.example', password: PASSWORD, permission: 'docs:read', permissions: ['docs:read'], name: 'sample', url: 'https://hooks.example.com/x',
    since: '2026-01-01T00:00:00Z', grant_type: 'client_credentials', events: ['user.created'], jwks: undefined, jwks_uri: undefined,
    passkey: { id: 'x', type: 'public-key', response: { clientDataJSON: 'x', attestationObject: 'x' } },
  };
  function example(schema, over) {
    const { properties = {}, required = [] } = resolve(schema);
    const out = {};
    for (const name of Object.keys(properties)) {
      if (name in over) out[name] = over[name];
      else if (required.includes(name)) out[name] = SAMPLE[name] ?? 'sample';
    }
    return out;
  }

  const fill = (path, values) => path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? absent[name]));
  async function ask(method, path, token, text, ndjson) {
    const headers = text === undefined ? {} : { 'content-type': ndjson ? 'application/x-ndjson' : 'application/json' };
    return call(method, `${h.api}${path}`, { token, body: text, headers });
  }
  // What a caller can tell apart: the status, the bytes, and every header that is not about this one request.
  const seen = (answer) => {
    const headers = [...answer.headers].filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name));
    return JSON.stringify([answer.status, answer.text, headers]);
  };
  const operations = () => Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).filter(([m]) => m !== 'parameters').map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })));
  const ndjson = (operation) => Boolean(operation.requestBody?.content['application/x-ndjson']);

  async function picture(who) {
    const at = `/apps/${who.name}`;
    const parts = await Promise.all(['', '/roles', '/users', '/credentials', '/invites', '/webhooks', '/settings', '/permissions', `/users/${who.ids.user}/roles`, '/audit']
      .map(async (rest) => (await admin('GET', `${at}${rest}${rest === '/audit' ? '?limit=200' : ''}`)).text));
    return parts.join('\n');
  }

  before(async () => {
    // One source asks some thousand times here, as fast as it can.
    data = folder();
    writeFileSync(join(data, 'limits.yaml'), 'limits: {per_second: 0, burst: 0}\n');
    h = await up({ data, args: ['--config', join(data, 'limits.yaml')] });
    sink = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
    await once(sink, 'listening');
    document = (await call('GET', `${h.api}/openapi.json`)).json;
    mine = await tenant('mine');
    theirs = await tenant('theirs');
  });
  after(async () => { sink?.close(); await h?.stop(); });

  for (const kind of ['token', 'machine']) {
    test(`with a ${kind === 'token' ? 'user' : 'machine'}'s token every route of the neighbour is the 404 of an absent App`, async () => {
      const before = await picture(theirs);
      const token = mine[kind];
      const told = [];
      for (const { path, method, operation } of operations()) {
        if (!path.startsWith('/v1/apps/{app}')) continue;
        const text = body(operation);
        for (const [foreign, none] of [[theirs.ids.app, absent.app], [theirs.name, 'nobody-here']]) {
          const one = await ask(method, fill(path, { ...theirs.ids, app: foreign }), token, text, ndjson(operation));
          const other = await ask(method, fill(path, { ...absent, app: none }), token, text, ndjson(operation));
          if (seen(one) !== seen(other)) told.push(`${method} ${path}: ${seen(one)} but ${seen(other)}`);
          if (other.status !== 404) told.push(`${method} ${path}: ${other.status} ${other.text}`);
        }
      }
      assert.deepEqual(told, []);
      assert.equal(await picture(theirs), before, 'the neighbour is as it was');
    });
  }

  test('foreign ids in the path of one\'s own App are absent ids', async () => {
    const before = await picture(theirs);
    const told = [];
    let tried = 0;
    for (const { path, method, operation } of operations()) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
      // `{role}` and `{permission}` are names of one's own App: there is no such thing as a foreign one, but `role_…` ids are.
      for (const name of names.filter((n) => n !== 'app' && n !== 'token' && n !== 'id')) {
        const own = { ...mine.ids, app: 'mine' };
        const foreign = name === 'role' ? theirs.ids.role_id : theirs.ids[name];
        const none = name === 'role' ? absent.role_id : absent[name];
        const text = body(operation, { role: 'everything' });
        const one = await ask(method, fill(path, { ...own, [name]: foreign }), mine.token, text, ndjson(operation));
        const other = await ask(method, fill(path, { ...own, [name]: none }), mine.token, text, ndjson(operation));
        tried += 1;
        if (seen(one) !== seen(other)) told.push(`${method} ${path} {${name}}: ${seen(one)} but ${seen(other)}`);
        if (![404, 204].includes(one.status)) told.push(`${method} ${path} {${name}}: ${one.status} ${one.text}`);
      }
    }
    assert.ok(tried > 30, `${tried} routes`);
    assert.deepEqual(told, []);
    assert.equal(await picture(theirs), before);
  });

  test('foreign ids in queries and bodies are absent ids', async () => {
    const before = await picture(theirs);
    const told = [];
    // What names something in a body or a query, and a foreign and an absent one of its kind.
    const naming = {
      role: [[theirs.ids.role, absent.role], [theirs.ids.role_id, absent.role_id]],
      roles: [[[theirs.ids.role], [absent.role]], [[theirs.ids.role_id], [absent.role_id]]],
      includes: [[[theirs.ids.role], [absent.role]], [[theirs.ids.role_id], [absent.role_id]]],
      user_id: [[theirs.ids.user, absent.user]], user: [[theirs.ids.user, absent.user]],
      actor: [[theirs.ids.user, absent.user]], target: [[theirs.ids.user, absent.user], [theirs.ids.webhook, absent.webhook]],
      email: [[theirs.email, 'nobody@theirs.example']],
      client_id: [[theirs.ids.client, absent.client]],
      token: [[theirs.token, `${theirs.token.slice(0, -4)}AAAA`]], refresh_token: [[theirs.refresh, 'rt_nonsense']],
      subject_token: [[theirs.token, 'a.b.c']], notification_configs: [[[`ncf_${ULID}`], [`ncf_${ULID.replace('A', 'B')}`]]],
    };
    // An answer may repeat what was sent: both are compared with the name taken out.
    const bare = (answer, name) => seen(answer).replaceAll(JSON.stringify(String(name)).slice(1, -1), '…');
    let tried = 0;
    for (const { path, method, operation } of operations()) {
      if (!path.startsWith('/v1/apps/{app}')) continue;
      const values = { ...mine.ids, app: 'mine' };
      for (const parameter of (operation.parameters ?? []).filter((p) => p.in === 'query' && p.name in naming)) {
        for (const [foreign, none] of naming[parameter.name]) {
          const at = (value) => `${fill(path, values)}?${parameter.name}=${encodeURIComponent(value)}`;
          const [one, other] = [await ask(method, at(foreign), mine.token), await ask(method, at(none), mine.token)];
          tried += 1;
          if (bare(one, foreign) !== bare(other, none)) told.push(`${method} ${path}?${parameter.name}: ${seen(one)} but ${seen(other)}`);
        }
      }
      const content = operation.requestBody?.content?.['application/json'];
      if (!content || method === 'DELETE') continue;
      for (const name of Object.keys(resolve(content.schema).properties ?? {}).filter((n) => n in naming)) {
        // An address is no id: the neighbour's users may be invited and be users here too.
        if (name === 'email' && !path.endsWith('/sessions')) continue;
        for (const [foreign, none] of naming[name]) {
          const grant = { refresh_token: 'refresh_token', subject_token: 'urn:ietf:params:oauth:grant-type:token-exchange', user_id: 'urn:heimdall:grant:user' }[name];
          const over = { ...(grant && { grant_type: grant }), ...(name === 'subject_token' && { client_id: mine.credential.client_id, client_secret: mine.credential.client_secret, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }) };
          const token = path.includes('/tokens') ? (name === 'user_id' ? h.admin_key : undefined) : mine.token;
          const one = await ask(method, fill(path, values), token, body(operation, { ...over, [name]: foreign }));
          const other = await ask(method, fill(path, values), token, body(operation, { ...over, [name]: none }));
          tried += 1;
          // A valid token of another App is a 404 where a bad one is a 401 (authorize); neither says what it is worth there.
          if (name === 'token' && path.includes('authorize')) { assert.equal(one.status, 404, one.text); continue; }
          if (bare(one, foreign) !== bare(other, none)) told.push(`${method} ${path} ${name}: ${seen(one)} but ${seen(other)}`);
        }
      }
    }
    assert.ok(tried > 20, `${tried} names`);
    assert.deepEqual(told, []);
    assert.equal(await picture(theirs), before);
  });

  test('no kind of token passes for another', async () => {
    const at = `${h.api}/v1/apps/mine`;
    const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
    const [head, payload, signature] = mine.token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url'));
    const header = JSON.parse(Buffer.from(head, 'base64url'));
    const { keys } = (await call('GET', `${h.api}/v1/.well-known/jwks.json`)).json;
    const hmac = (secret) => { const text = `${b64({ ...header, alg: 'HS256' })}.${payload}`; return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`; };
    const forged = (over, c = claims) => `${b64({ ...header, ...over })}.${b64(c)}.${signature}`;
    const kinds = {
      'invite token': mine.invite.token, 'refresh token': mine.refresh, 'client secret': mine.credential.client_secret,
      'unsigned': `${b64({ ...header, alg: 'none' })}.${payload}.`, 'without a signature': `${head}.${payload}.`, 'two parts': `${head}.${payload}`,
      'signed with the public key as text': hmac(JSON.stringify(keys[0])), 'signed with its x': hmac(Buffer.from(keys[0].x, 'base64url')),
      'kid as a path': forged({ kid: '../../keys/x' }), 'kid as SQL': forged({ kid: "' OR 1=1--" }), 'kid with NUL': forged({ kid: 'a\0b' }),
      'kid of 10 kB': forged({ kid: 'k'.repeat(10_000) }), 'kid a number': forged({ kid: 1 }), 'kid a list': forged({ kid: [header.kid] }), 'no kid': forged({ kid: undefined }),
      'jku': forged({ jku: `http://127.0.0.1:${sink.address().port}/` }), 'x5u': forged({ x5u: `http://127.0.0.1:${sink.address().port}/` }),
      'jwk': forged({ jwk: keys[0] }), 'crit': forged({ crit: ['x'] }), 'type': forged({ typ: 'JWT' }),
      'exp as text': forged({}, { ...claims, exp: String(claims.exp) }), 'no exp': forged({}, { ...claims, exp: undefined }), 'other issuer': forged({}, { ...claims, iss: 'https://evil.example' }),
      'nothing': 'x', 'a lot': 'a'.repeat(20_000), 'webhook secret': 'whsec_AAAA',
    };
    for (const alg of ['None', 'NONE', 'nOnE']) kinds[`alg ${alg}`] = `${b64({ ...header, alg })}.${payload}.`;
    let connections = 0;
    sink.on('connection', () => (connections += 1));
    for (const [kind, token] of Object.entries(kinds)) {
      const direct = await call('GET', `${at}/roles`, { token });
      // A head of 20 kB is refused before anybody looks into it.
      assert.ok(direct.status === 401 || (direct.status === 431 && token.length > 8_000), `${kind} as an access token: ${direct.status} ${direct.text}`);
      assert.ok(!direct.text.includes(token.slice(0, 60)) || token.length < 4, `${kind}: the answer repeats it`);
      const verified = await call('POST', `${at}/verify`, { json: { token } });
      assert.deepEqual(verified.json, { active: false }, kind);
      const asked = await call('POST', `${at}/tokens/introspect`, { form: { token }, basic: `${mine.credential.client_id}:${mine.credential.client_secret}` });
      if (kind !== 'refresh token') assert.deepEqual([asked.status, asked.json.active], [200, false], `${kind}: ${asked.text}`);
      if (kind !== 'refresh token') {
        const refreshed = await call('POST', `${at}/tokens`, { form: { grant_type: 'refresh_token', refresh_token: token } });
        assert.deepEqual([refreshed.status, refreshed.json.error], [400, 'invalid_grant'], kind);
      }
      if (kind !== 'invite token' && token.length < 8_000) {
        assert.equal((await call('GET', `${h.api}/v1/invites/${encodeURIComponent(token)}`)).status, 404, kind);
      }
    }
    assert.equal(connections, 0, 'nobody was asked for keys');
    for (const token of [mine.token, mine.machine]) assert.equal((await call('GET', `${h.api}/v1/apps`, { token })).status, 403, 'an App token is no admin key');
    assert.ok([400, 401].includes((await call('GET', `${at}/roles?access_token=${mine.token}`)).status), 'a token in the query is none');
    assert.equal((await call('GET', `${at}/roles`, { headers: { cookie: `token=${mine.token}` } })).status, 401, 'nor in a cookie');
  });
});
