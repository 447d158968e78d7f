// Two certified OAuth clients drive every grant of the api, and what they cannot drive is asked for by hand.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import * as jose from 'jose';
import * as client from 'openid-client';
import * as oauth from 'oauth4webapi';
import { up, call } from './support.mjs';

const insecure = { [oauth.allowInsecureRequests]: true };
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token';
const ASSERTION = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const claims = (token) => jose.decodeJwt(token);

describe('the token endpoints', () => {
  let h, metadata, keySets, published = {};
  let svc, keyed, remote, user;
  const admin = (method, path, json) => call(method, `${h.api}/v1${path}`, { token: h.admin_key, json });
  const make = async (path, json) => { const a = await admin('POST', path, json); assert.equal(a.status, 201, a.text); return a.json; };
  const login = async () => {
    const a = await call('POST', `${h.api}/v1/apps/oauth/sessions`, { json: { email: 'uma@oauth.example', password: 'a long enough sentence' } });
    assert.equal(a.status, 201, a.text);
    return a.json;
  };
  const config = (id, auth, metadata) => client.discovery(new URL(h.api), id, metadata, auth, { execute: [client.allowInsecureRequests], algorithm: 'oauth2' });

  before(async () => {
    h = await up();
    // Where `jwks_uri` leads: a real server that counts.
    let fetches = 0;
    keySets = createServer((request, response) => {
      fetches += 1;
      response.setHeader('content-type', 'application/jwk-set+json').end(JSON.stringify({ keys: published.keys ?? [] }));
    }).listen(0, '127.0.0.1');
    keySets.count = () => fetches;
    await once(keySets, 'listening');
    await make('/apps', { name: 'oauth', display_name: 'OAuth' });
    await make('/apps/oauth/roles', { name: 'reader', permissions: ['docs:read', 'docs:list'] });
    await make('/apps/oauth/roles', { name: 'writer', permissions: ['docs:read', 'docs:write'] });
    user = await make('/apps/oauth/users', { email: 'uma@oauth.example', display_name: 'Uma', password: 'a long enough sentence', role: 'writer' });
    svc = await make('/apps/oauth/credentials', { name: 'svc', roles: ['reader'] });
    metadata = (await call('GET', `${h.api}/.well-known/openid-configuration`)).json;
  });
  after(async () => { keySets?.close(); await h?.stop(); });

  test('discovery is found under the path of RFC 8414 and the one of OpenID Connect, and is complete', async () => {
    for (const algorithm of ['oauth2', 'oidc']) {
      const answer = await oauth.discoveryRequest(new URL(h.api), { algorithm, ...insecure });
      const as = await oauth.processDiscoveryResponse(new URL(h.api), answer);
      for (const one of ['token_endpoint', 'introspection_endpoint', 'revocation_endpoint', 'jwks_uri']) {
        assert.ok(as[one].startsWith(h.api), `${algorithm}: ${one}`);
      }
      assert.ok(as.token_endpoint_auth_methods_supported.includes('private_key_jwt'));
      assert.ok(as.dpop_signing_alg_values_supported.includes('ES256'));
      assert.ok(as.grant_types_supported.includes(EXCHANGE));
    }
  });

  test('client_credentials by openid-client: secret in the body, secret by Basic, narrowed by scope, with a resource', async () => {
    for (const auth of [client.ClientSecretPost, client.ClientSecretBasic]) {
      const c = await config(svc.client_id, auth(svc.client_secret));
      const tokens = await client.clientCredentialsGrant(c, { scope: 'docs:read', resource: 'https://docs.example/' });
      assert.equal(tokens.token_type, 'bearer');
      assert.equal(typeof tokens.expires_in, 'number');
      const got = claims(tokens.access_token);
      assert.deepEqual(got.permissions, ['docs:read']);
      assert.deepEqual(got.aud, ['oauth', 'https://docs.example/']);
      assert.equal(got.sub, svc.client_id);
      assert.equal(got.user_id, undefined);
      const { protectedHeader } = await jose.jwtVerify(tokens.access_token, jose.createRemoteJWKSet(new URL(metadata.jwks_uri)), { issuer: h.api });
      assert.equal(protectedHeader.typ, 'at+jwt');
    }
    const json = await call('POST', `${h.api}/v1/apps/oauth/tokens`, { json: { grant_type: 'client_credentials', client_id: svc.client_id, client_secret: svc.client_secret } });
    assert.deepEqual([json.status, json.json.token_type, json.headers.get('cache-control')], [200, 'Bearer', 'no-store']);
  });

  test('client_credentials by oauth4webapi at the App\'s own endpoint, as RFC 9068 wants the token', async () => {
    const as = { issuer: h.api, token_endpoint: `${h.api}/v1/apps/oauth/tokens`, jwks_uri: metadata.jwks_uri };
    const answer = await oauth.clientCredentialsGrantRequest(as, { client_id: svc.client_id }, oauth.ClientSecretBasic(svc.client_secret), {}, insecure);
    const tokens = await oauth.processClientCredentialsResponse(as, { client_id: svc.client_id }, answer);
    const request = new Request('http://resource.example/x', { headers: { authorization: `Bearer ${tokens.access_token}` } });
    const verified = await oauth.validateJwtAccessToken(as, request, 'oauth', insecure);
    assert.equal(verified.client_id, svc.client_id);
  });

  test('private_key_jwt with keys that were handed over, for every algorithm', async () => {
    for (const alg of ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256']) {
      const pair = await jose.generateKeyPair(alg, { extractable: true });
      const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid: `k-${alg}`, alg, use: 'sig' };
      keyed = await make('/apps/oauth/credentials', { name: `keyed ${alg}`, roles: ['reader'], jwks: { keys: [jwk] } });
      if (alg === 'EdDSA') {
        // WebCrypto calls it Ed25519; by hand with the name of RFC 8037.
        const assertion = await new jose.SignJWT({}).setProtectedHeader({ alg, kid: jwk.kid }).setIssuer(keyed.client_id).setSubject(keyed.client_id)
          .setAudience(h.api).setJti(randomUUID()).setIssuedAt().setExpirationTime('1m').sign(pair.privateKey);
        const a = await call('POST', metadata.token_endpoint, { form: { grant_type: 'client_credentials', client_assertion: assertion, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' } });
        assert.equal(a.status, 200, `${alg}: ${a.text}`);
        continue;
      }
      const c = await config(keyed.client_id, client.PrivateKeyJwt({ key: pair.privateKey, kid: jwk.kid }));
      const tokens = await client.clientCredentialsGrant(c);
      assert.equal(claims(tokens.access_token).client_id, keyed.client_id, alg);
    }
  });

  test('private_key_jwt with keys behind a jwks_uri: fetched once, whatever made-up key names come', async () => {
    const pair = await jose.generateKeyPair('ES256', { extractable: true });
    published.keys = [{ ...(await jose.exportJWK(pair.publicKey)), kid: 'first', alg: 'ES256', use: 'sig' }];
    const uri = `http://127.0.0.1:${keySets.address().port}/jwks`;
    remote = await make('/apps/oauth/credentials', { name: 'remote', roles: ['reader'], jwks_uri: uri });
    const c = await config(remote.client_id, client.PrivateKeyJwt({ key: pair.privateKey, kid: 'first' }));
    for (let n = 0; n < 3; n++) assert.ok((await client.clientCredentialsGrant(c)).access_token);
    assert.equal(keySets.count(), 1, 'the set is kept');
    // A made-up key name does not drive us: within the cool-down nothing is fetched.
    const stranger = await jose.generateKeyPair('ES256');
    const wrong = await config(remote.client_id, client.PrivateKeyJwt({ key: stranger.privateKey, kid: 'made-up' }));
    for (let n = 0; n < 5; n++) await assert.rejects(client.clientCredentialsGrant(wrong), { status: 401 });
    assert.equal(keySets.count(), 1);
  });

  test('an assertion is refused when it was used, lives too long, or is meant for somebody else', async () => {
    const pair = await jose.generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid: 'a' };
    const own = await make('/apps/oauth/credentials', { name: 'asserting', roles: ['reader'], jwks: { keys: [jwk] } });
    const assertion = (over = {}, aud = h.api, exp = '1m') => new jose.SignJWT({ jti: randomUUID(), ...over }).setProtectedHeader({ alg: 'ES256', kid: 'a' })
      .setIssuer(over.iss ?? own.client_id).setSubject(over.sub ?? own.client_id).setAudience(aud).setIssuedAt().setExpirationTime(exp).sign(pair.privateKey);
    const grant = (text) => call('POST', metadata.token_endpoint, { form: { grant_type: ASSERTION, assertion: text } });
    const good = await assertion();
    const answer = await grant(good);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(claims(answer.json.access_token).permissions, ['docs:list', 'docs:read']);
    const bad = {
      'used already': good,
      'for somebody else': await assertion({}, 'https://elsewhere.example'),
      'living an hour': await assertion({}, h.api, '1h'),
      'about somebody else': await assertion({ sub: svc.client_id }),
      'of a client without keys': await assertion({ iss: svc.client_id, sub: svc.client_id }),
      'nothing': 'a.b.c',
    };
    for (const [why, text] of Object.entries(bad)) {
      const a = await grant(text);
      assert.deepEqual([a.status, a.json.error], [400, 'invalid_grant'], why);
    }
  });

  test('refresh tokens rotate; the same successor within ten seconds, the end of the family afterwards', async () => {
    const c = await config('sessions', client.None());
    const first = await login();
    const second = await client.refreshTokenGrant(c, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    const again = await client.refreshTokenGrant(c, first.refresh_token);
    assert.equal(again.refresh_token, second.refresh_token, 'a lost answer is answered again');
    const third = await client.refreshTokenGrant(c, second.refresh_token);
    // Two generations back is no lost answer any more: somebody has an old token.
    await assert.rejects(client.refreshTokenGrant(c, first.refresh_token), { error: 'invalid_grant' });
    await assert.rejects(client.refreshTokenGrant(c, third.refresh_token), { error: 'invalid_grant' });
    const asked = await call('POST', `${h.api}/v1/apps/oauth/tokens/introspect`, { token: h.admin_key, form: { token: third.access_token } });
    assert.deepEqual(asked.json, { active: false }, 'the access tokens of the family are dead too');
  });

  test('many refreshes of one token at once give one successor', async () => {
    const first = await login();
    const all = await Promise.all(Array.from({ length: 20 }, () =>
      call('POST', metadata.token_endpoint, { form: { grant_type: 'refresh_token', refresh_token: first.refresh_token } })));
    assert.deepEqual([...new Set(all.map((a) => a.status))], [200]);
    assert.equal(new Set(all.map((a) => a.json.refresh_token)).size, 1);
  });

  test('token exchange: the client acts for the user, with what both may do, and says so in `act`', async () => {
    const c = await config(svc.client_id, client.ClientSecretPost(svc.client_secret));
    const { access_token: subject } = await login();
    const tokens = await client.genericGrantRequest(c, EXCHANGE, { subject_token: subject, subject_token_type: ACCESS });
    assert.equal(tokens.issued_token_type, ACCESS);
    const got = claims(tokens.access_token);
    assert.deepEqual([got.sub, got.user_id, got.act], [user.id, user.id, { sub: svc.client_id }]);
    assert.deepEqual(got.permissions, ['docs:read'], 'what both hold');
    assert.ok(got.exp <= claims(subject).exp, 'it does not outlive what it came from');
    await assert.rejects(client.genericGrantRequest(c, EXCHANGE, { subject_token: subject, subject_token_type: ACCESS, scope: 'docs:write' }), { error: 'invalid_scope' });
    await assert.rejects(client.genericGrantRequest(c, EXCHANGE, { subject_token: 'x.y.z', subject_token_type: ACCESS }), { error: 'invalid_grant' });
    await assert.rejects(client.genericGrantRequest(c, EXCHANGE, { subject_token: subject, subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }), { error: 'invalid_request' });
  });

  test('introspection and revocation by openid-client', async () => {
    const c = await config(svc.client_id, client.ClientSecretPost(svc.client_secret));
    const { access_token } = await client.clientCredentialsGrant(c);
    const active = await client.tokenIntrospection(c, access_token);
    assert.equal(active.active, true);
    assert.equal(active.client_id, svc.client_id);
    assert.equal(active.token_type, 'Bearer');
    assert.ok(Number.isInteger(active.exp) && Number.isInteger(active.iat));
    await client.tokenRevocation(c, access_token);
    assert.deepEqual(await client.tokenIntrospection(c, access_token), { active: false });
    await client.tokenRevocation(c, 'no token at all');
    const pair = await login();
    await client.tokenRevocation(c, pair.refresh_token, { token_type_hint: 'refresh_token' });
    assert.equal((await client.tokenIntrospection(c, pair.access_token)).active, false, 'the session is over');
  });

  test('DPoP: bound tokens, also by refresh; worthless without the key, and a proof counts once', async () => {
    const c = await config(svc.client_id, client.ClientSecretBasic(svc.client_secret));
    const keys = await client.randomDPoPKeyPair('ES256', { extractable: true });
    const handle = client.getDPoPHandle(c, keys);
    const tokens = await client.clientCredentialsGrant(c, {}, { DPoP: handle });
    assert.equal(tokens.token_type, 'dpop');
    const jkt = await jose.calculateJwkThumbprint(await jose.exportJWK(keys.publicKey));
    assert.deepEqual(claims(tokens.access_token).cnf, { jkt });
    const asked = await client.tokenIntrospection(c, tokens.access_token);
    assert.deepEqual([asked.active, asked.cnf], [true, { jkt }]);
    const bare = await call('GET', `${h.api}/v1/apps/oauth/roles`, { token: tokens.access_token });
    assert.equal(bare.status, 401);

    // As a protected resource: this client lacks `roles:read`, so 403 shows that the token was taken, 401 that it was not.
    const url = new URL(`${h.api}/v1/apps/oauth/roles`);
    const seen = [];
    const spied = await config(svc.client_id, client.ClientSecretBasic(svc.client_secret));
    spied[client.customFetch] = (...args) => { seen.push(new Headers(args[1].headers).get('dpop')); return fetch(...args); };
    const good = await client.fetchProtectedResource(spied, tokens.access_token, url, 'GET', undefined, undefined, { DPoP: client.getDPoPHandle(spied, keys) });
    assert.equal(good.status, 403);
    const replay = await call('GET', url, { headers: { authorization: `DPoP ${tokens.access_token}`, dpop: seen[0] } });
    assert.equal(replay.status, 401, 'a proof counts once');
    const other = await client.randomDPoPKeyPair('ES256');
    await assert.rejects(client.fetchProtectedResource(spied, tokens.access_token, url, 'GET', undefined, undefined, { DPoP: client.getDPoPHandle(spied, other) }));
  });

  test('refusals are those of RFC 6749 §5.2', async () => {
    const ask = (form, options = {}) => call('POST', metadata.token_endpoint, { form, ...options });
    const basic = `${svc.client_id}:${svc.client_secret}`;
    const cases = [
      [await ask({}), 400, 'invalid_request'],
      [await ask({ grant_type: 'password', username: 'a', password: 'b' }, { basic }), 400, 'unsupported_grant_type'],
      [await ask({ grant_type: 'client_credentials' }), 401, 'invalid_client'],
      [await ask({ grant_type: 'client_credentials', client_id: svc.client_id, client_secret: 'wrong' }), 401, 'invalid_client'],
      [await ask({ grant_type: 'client_credentials', client_id: 'nobody', client_secret: 'wrong' }), 401, 'invalid_client'],
      [await ask({ grant_type: 'client_credentials' }, { basic: `${svc.client_id}:wrong` }), 401, 'invalid_client'],
      [await ask({ grant_type: 'client_credentials', scope: 'docs:write' }, { basic }), 400, 'invalid_scope'],
      [await ask({ grant_type: 'client_credentials', client_secret: svc.client_secret, client_id: svc.client_id }, { basic }), 400, 'invalid_request'],
      [await ask({ grant_type: 'refresh_token' }), 400, 'invalid_request'],
      [await ask({ grant_type: 'refresh_token', refresh_token: 'nonsense' }), 400, 'invalid_grant'],
      [await ask({ grant_type: 'client_credentials', resource: 'not a uri with spaces' }, { basic }), 400, 'invalid_target'],
      [await call('POST', metadata.token_endpoint, { body: 'grant_type=client_credentials&grant_type=client_credentials', headers: { 'content-type': 'application/x-www-form-urlencoded' }, basic }), 400, 'invalid_request'],
      [await call('POST', metadata.token_endpoint, { body: '{"grant_type"', headers: { 'content-type': 'application/json' }, basic }), 400, 'invalid_request'],
    ];
    for (const [answer, status, error] of cases) {
      assert.deepEqual([answer.status, answer.json?.error], [status, error], answer.text);
      assert.equal(answer.headers.get('content-type'), 'application/json', error);
      assert.equal(answer.headers.get('cache-control'), 'no-store', error);
      assert.ok(typeof answer.json.error_description === 'string' && /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/.test(answer.json.error_description), answer.text);
      if (status === 401) assert.match(answer.headers.get('www-authenticate') ?? '', /^Basic /);
    }
    const lenient = await ask({ grant_type: 'client_credentials', unknown: 'ignored' }, { basic });
    assert.equal(lenient.status, 200, 'unknown parameters are ignored (§3.2)');
    assert.equal((await call('GET', metadata.token_endpoint)).status, 405);
  });

  test('a client of one App is no client of another', async () => {
    await make('/apps', { name: 'oauth-other', display_name: 'Other' });
    const form = { grant_type: 'client_credentials', client_id: svc.client_id, client_secret: svc.client_secret };
    const foreign = await call('POST', `${h.api}/v1/apps/oauth-other/tokens`, { form });
    assert.deepEqual([foreign.status, foreign.json.error], [401, 'invalid_client']);
    const { access_token } = (await call('POST', `${h.api}/v1/tokens`, { form })).json;
    const other = await make('/apps/oauth-other/credentials', { name: 'svc' });
    const asked = await call('POST', `${h.api}/v1/tokens/introspect`, { form: { token: access_token }, basic: `${other.client_id}:${other.client_secret}` });
    assert.deepEqual(asked.json, { active: false }, 'a foreign token looks like none');
  });
});
