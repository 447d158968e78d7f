// Log-in providers as they are: a real OpenID Connect provider, and a stand-in that speaks Atlassian's three endpoints.
import { createServer } from 'node:http';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import Provider from 'oidc-provider';

/** npm `oidc-provider` at this port. Whoever logs in as `NAME` has the claims that `people[NAME]` says. */
export async function openid({ port, redirect, people }) {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: 'heimdall', client_secret: 'openid-secret', redirect_uris: [redirect] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name', 'name'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ['stories'] },
  });
  const server = provider.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { stop: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
}

/** Logs in at `oidc-provider`'s own pages and says yes to everything. */
export async function atOpenid(page, name) {
  await page.waitForSelector('input[name=login]');
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.waitForSelector('form[action*="/interaction/"] button[type=submit], form button[autofocus]');
  await page.click('button[type=submit]');
}

/** Authorise, exchange and profile as Atlassian has them. `who` is asked at each log-in for the profile. */
export async function atlassian({ who }) {
  const codes = new Map();
  const tokens = new Map();
  const seen = { authorize: [], exchange: [] };
  const server = createServer(async (request, answer) => {
    const url = new URL(request.url, 'http://stand-in');
    const say = (status, value, headers = {}) => { answer.writeHead(status, { 'content-type': 'application/json', ...headers }); answer.end(JSON.stringify(value)); };
    if (url.pathname === '/authorize') {
      const asked = Object.fromEntries(url.searchParams);
      seen.authorize.push(asked);
      const right = asked.audience === 'api.atlassian.com' && asked.prompt === 'consent' && asked.response_type === 'code' && asked.state;
      if (!right) return say(400, asked);
      const code = randomBytes(16).toString('hex');
      codes.set(code, { asked, profile: who() });
      return say(302, {}, { location: `${asked.redirect_uri}?code=${code}&state=${asked.state}` });
    }
    if (url.pathname === '/oauth/token') {
      let text = '';
      for await (const part of request) text += part;
      if (!request.headers['content-type'].startsWith('application/json')) return say(415, {});
      const given = JSON.parse(text);
      seen.exchange.push(given);
      const held = codes.get(given.code);
      codes.delete(given.code);
      const challenge = createHash('sha256').update(given.code_verifier ?? '').digest('base64url');
      const right = held && given.client_secret === 'atlassian-secret' && given.redirect_uri === held.asked.redirect_uri && challenge === held.asked.code_challenge;
      if (!right) return say(403, { error: 'access_denied' });
      const token = randomBytes(16).toString('hex');
      tokens.set(token, held.profile);
      return say(200, { access_token: token, token_type: 'Bearer', expires_in: 3600, scope: 'read:me' });
    }
    if (url.pathname === '/me') {
      const profile = tokens.get(request.headers.authorization?.replace('Bearer ', ''));
      return profile ? say(200, profile) : say(401, {});
    }
    return say(404, {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}`, seen, stop: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
}
