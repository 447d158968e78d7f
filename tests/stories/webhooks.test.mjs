// Webhooks under bad receivers: slow, broken, gone, endless, moved; one among twenty holds up nobody (trust.md A20, A21, F8).
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { spawn, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { up, call, until, folder, drop, binary } from './support.mjs';

/** A receiver that answers as `manner` says and remembers every post with the moment it came. */
async function receiver(manner = (response) => response.writeHead(200).end()) {
  const posts = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      posts.push({ at: Date.now(), headers: request.headers, body, id: request.headers['webhook-id'] });
      server.emit('post', posts.at(-1));
      self.manner(response, request);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self = {
    posts, server, manner, url: `http://127.0.0.1:${server.address().port}/hook`,
    async next(wanted = () => true) {
      for (;;) {
        const [post] = await once(server, 'post');
        if (wanted(post)) return post;
      }
    },
    stop() { server.closeAllConnections(); server.close(); },
  };
  return self;
}

describe('webhooks', () => {
  let h, count = 0;
  const all = [];
  const admin = (method, path, json) => call(method, `${h.api}/v1/apps/hooks${path}`, { token: h.admin_key, json });
  const listening = async (manner) => { const r = await receiver(manner); all.push(r); return r; };
  const register = async (url, events = ['user.created']) => {
    const a = await admin('POST', '/webhooks', { url, events });
    assert.equal(a.status, 201, a.text);
    return a.json;
  };
  const happen = async () => (await admin('POST', '/users', { email: `u${++count}@hooks.example`, display_name: 'U' })).json;
  const deliveries = async (hook) => (await admin('GET', `/webhooks/${hook.id}/deliveries`)).json.data;
  const shown = async (hook) => (await admin('GET', `/webhooks/${hook.id}`)).json;
  const remove = (hook) => admin('DELETE', `/webhooks/${hook.id}`);

  before(async () => {
    h = await up();
    await call('POST', `${h.api}/v1/apps`, { token: h.admin_key, json: { name: 'hooks' } });
  });
  after(async () => { for (const r of all) r.stop(); await h?.stop(); });

  test('one receiver that never answers and one that never ends among twenty hold up nobody', async () => {
    const silent = await listening(() => {});
    const endless = await listening((response) => { const timer = setInterval(() => response.write('x'.repeat(4096)), 1); response.on('close', () => clearInterval(timer)); });
    const good = await Promise.all(Array.from({ length: 18 }, () => listening()));
    const hooks = await Promise.all([silent, endless, ...good].map((r) => register(r.url)));
    const began = Date.now();
    const users = await Promise.all([happen(), happen(), happen()]);
    await until(() => good.every((r) => r.posts.length === 3), { within: 10_000 });
    const slowest = Math.max(...good.flatMap((r) => r.posts.map((p) => p.at))) - began;
    assert.ok(slowest < 8_000, `${slowest} ms, less than the patience with a silent one`);
    for (const r of good) assert.deepEqual(new Set(r.posts.map((p) => JSON.parse(p.body).data.user_id)), new Set(users.map((u) => u.id)));
    await until(async () => (await deliveries(hooks[1])).every((d) => d.state === 'delivered'), { within: 5_000 });
    await Promise.all(hooks.map(remove));
  });

  test('a failed delivery comes again after five seconds under the same id, with a fresh time and a good signature', async () => {
    let answers = [503, 200];
    const r = await listening((response) => response.writeHead(answers.shift() ?? 200).end());
    const hook = await register(r.url);
    const second = r.next().then(() => r.next());
    await happen();
    const again = await second;
    const [first] = r.posts;
    assert.equal(again.id, first.id);
    const wait = again.at - first.at;
    assert.ok(wait > 4_000 && wait < 9_000, `${wait} ms`);
    assert.ok(Number(again.headers['webhook-timestamp']) > Number(first.headers['webhook-timestamp']));
    const w = new Webhook(hook.secret);
    for (const post of [first, again]) w.verify(post.body, post.headers);
    assert.throws(() => w.verify(again.body.replace('user.created', 'user.deleted'), again.headers), 'another body');
    assert.throws(() => w.verify(again.body, { ...again.headers, 'webhook-id': 'evt_other' }), 'another id');
    assert.throws(() => w.verify(again.body, { ...again.headers, 'webhook-timestamp': String(Number(again.headers['webhook-timestamp']) - 1) }), 'another time');
    const [delivery] = await until(async () => { const d = await deliveries(hook); return d[0].state === 'delivered' && d; });
    assert.deepEqual(delivery.history.map((one) => one.status), [503, 200]);
    await remove(hook);
  });

  test('Retry-After is honoured', async () => {
    let answers = [{ status: 429, after: '2' }];
    const r = await listening((response) => { const a = answers.shift(); a ? response.writeHead(a.status, { 'retry-after': a.after }).end() : response.writeHead(200).end(); });
    const hook = await register(r.url);
    await happen();
    const [delivery] = await until(async () => { const d = await deliveries(hook); return d[0]?.history?.length === 1 && d; });
    const wait = Date.parse(delivery.next_attempt) - Date.parse(delivery.history[0].at);
    assert.ok(wait >= 1_900, `${wait} ms`);
    await remove(hook);
  });

  test('410 disables an endpoint, says so in the feed, and enabling it serves it again', async () => {
    const r = await listening((response) => response.writeHead(410).end());
    const hook = await register(r.url);
    await happen();
    await until(async () => (await shown(hook)).enabled === false);
    assert.match((await shown(hook)).disabled_reason, /410/);
    const feed = (await admin('GET', '/events?types=webhook.disabled')).json.data;
    assert.ok(feed.some((event) => JSON.stringify(event.data).includes(hook.id)), JSON.stringify(feed));
    await happen();
    assert.equal((await deliveries(hook)).length, 1, 'nothing is queued for it');
    r.manner = (response) => response.writeHead(200).end();
    assert.equal((await admin('POST', `/webhooks/${hook.id}/enable`)).json.enabled, true);
    const post = r.next();
    await happen();
    await post;
    await remove(hook);
  });

  test('a redirect is not followed and the answer is not shown', async () => {
    const inner = await listening();
    const r = await listening((response) => response.writeHead(302, { location: inner.url }).end('the secret of the inner network'));
    const hook = await register(r.url);
    await happen();
    const [delivery] = await until(async () => { const d = await deliveries(hook); return d[0]?.history?.length === 1 && d; });
    assert.equal(delivery.history[0].status, 302);
    assert.equal(inner.posts.length, 0);
    assert.ok(!JSON.stringify(delivery).includes('inner network'));
    await remove(hook);
  });

  test('during the overlap both secrets sign; afterwards a delivery can be sent again and everything since a moment too', async () => {
    const r = await listening();
    const hook = await register(r.url);
    const rotated = (await admin('POST', `/webhooks/${hook.id}/secret/rotate`)).json;
    assert.notEqual(rotated.secret, hook.secret);
    const coming = r.next();
    await happen();
    const post = await coming;
    for (const secret of [hook.secret, rotated.secret]) new Webhook(secret).verify(post.body, post.headers);
    assert.equal(post.headers['x-heimdall-signature'].split(',').filter((part) => part.startsWith('v1=')).length, 2);
    const [delivery] = await until(async () => { const d = await deliveries(hook); return d[0].state === 'delivered' && d; });
    const again = r.next();
    assert.equal((await admin('POST', `/webhooks/${hook.id}/deliveries/${delivery.id}/redeliver`)).status, 204);
    assert.equal((await again).id, post.id);
    const replayed = r.next((p) => p.id === post.id);
    const count = (await admin('POST', `/webhooks/${hook.id}/replay`, { since: new Date(Date.now() - 60_000).toISOString() })).json.count;
    assert.ok(count >= 1);
    await replayed;
    await remove(hook);
  });
});

describe('where private addresses are refused', () => {
  let data, child, base, key, names, text = '';
  const answers = new Map(); // name -> list of IPv4 addresses, one an asking
  before(async () => {
    data = folder();
    // A DNS server of our own: names may answer differently each time.
    names = createSocket('udp4');
    names.on('message', (query, from) => {
      const labels = [];
      let at = 12;
      for (; query[at]; at += query[at] + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
      const question = query.subarray(12, at + 5);
      const list = query.readUInt16BE(at + 1) === 1 ? answers.get(labels.join('.')) ?? [] : [];
      const address = list.length > 1 ? list.shift() : list[0];
      const head = Buffer.from([query[0], query[1], 0x81, 0x80, 0, 1, 0, address ? 1 : 0, 0, 0, 0, 0]);
      const record = address ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]) : Buffer.alloc(0);
      names.send(Buffer.concat([head, question, record]), from.port, from.address);
    });
    names.bind(0, '127.0.0.1');
    await once(names, 'listening');
    writeFileSync(join(data, 'root.key'), execFileSync(binary('heimdall'), ['keys', 'root']), { mode: 0o600 });
    key = JSON.parse(execFileSync(binary('heimdall'), ['admin-keys', 'create', 'story', '--data', data, '--json'])).key;
    writeFileSync(join(data, 'api.yaml'), `database: {url: "sqlite://${join(data, 'heimdall.db')}"}\nroot_key: "file:${join(data, 'root.key')}"\n`
      + `api: {listen: "127.0.0.1:0"}\nlog: {format: json}\nresolver: "127.0.0.1:${names.address().port}"\n`);
    child = spawn(binary('heimdall-api'), ['--config', join(data, 'api.yaml')], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += part));
    base = await until(() => /"address":"(http[^"]+)"/.exec(text)?.[1], { within: 20_000 });
    await call('POST', `${base}/heimdall/v1/apps`, { token: key, json: { name: 'strict' } });
  });
  after(async () => { child?.kill(); if (child?.exitCode === null) await once(child, 'exit'); names?.close(); drop(data); });
  const register = (url) => call('POST', `${base}/heimdall/v1/apps/strict/webhooks`, { token: key, json: { url } });

  test('at registration, in every spelling and behind every name', async () => {
    answers.set('inward.example.com', ['10.0.0.7']);
    for (const url of ['https://127.0.0.1/', 'https://[::1]/', 'https://[::ffff:169.254.169.254]/', 'https://2130706433/', 'https://0x7f.1/', 'https://0177.0.0.1/',
      'https://localhost/', 'https://user:pass@example.com/', 'https://example.com:22/', 'http://example.com/', 'ftp://example.com/', 'https://inward.example.com/',
      'https://127.0.0.1.:443/', 'https://[fd00::1]/', 'https://169.254.169.254/latest/meta-data']) {
      const answer = await register(url);
      assert.deepEqual([answer.status, answer.json.error.details[0].field], [422, 'url'], `${url}: ${answer.text}`);
    }
  });

  test('at connect, on what the name resolves to then', async () => {
    answers.set('rebinds.example.com', ['93.184.216.34', '127.0.0.1']);
    const hook = await register('https://rebinds.example.com/');
    assert.equal(hook.status, 201, hook.text);
    await call('POST', `${base}/heimdall/v1/apps/strict/webhooks/${hook.json.id}/test`, { token: key });
    const seen = await until(async () => {
      const { data: [delivery] } = (await call('GET', `${base}/heimdall/v1/apps/strict/webhooks/${hook.json.id}/deliveries`, { token: key })).json;
      return delivery?.history?.[0];
    });
    assert.match(seen.error, /not a public address/);
    assert.equal(seen.status, null);
  });

  test('of a jwks_uri too', async () => {
    const answer = await call('POST', `${base}/heimdall/v1/apps/strict/credentials`, { token: key, json: { name: 'c', jwks_uri: 'https://inward.example.com/jwks' } });
    assert.deepEqual([answer.status, answer.json.error.details[0].field], [422, 'jwks_uri'], answer.text);
  });
});
