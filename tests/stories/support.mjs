// What every story needs: the built binary, a database, a mail server, a browser, and a client that hides nothing.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, readFileSync, existsSync, readdirSync, watch, chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { SMTPServer } from 'smtp-server';
import { simpleParser } from 'mailparser';

const here = dirname(fileURLToPath(import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? resolve(here, '../../target');
export const binary = (name) => process.env.HEIMDALL_BIN_DIR
  ? join(process.env.HEIMDALL_BIN_DIR, name)
  : join(target, process.env.HEIMDALL_PROFILE ?? 'debug', name);

export const folder = (name = 'heimdall') => mkdtempSync(join(tmpdir(), `${name}-`));
export const drop = (path) => rmSync(path, { recursive: true, force: true });

/** Resolves when `path` exists: by the folder's own events, not by looking again and again. */
export async function appears(path, { signal, child } = {}) {
  const dir = dirname(path);
  return new Promise((done, fail) => {
    const look = () => existsSync(path) && (watcher.close(), done(path));
    const watcher = watch(dir, look);
    child?.once('exit', (code, sig) => { watcher.close(); fail(new Error(`exited with ${code ?? sig} before ${path} appeared\n${child.output?.()}`)); });
    signal?.addEventListener('abort', () => { watcher.close(); fail(new Error(`no ${path}\n${child?.output?.()}`)); });
    look();
  });
}

function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let text = '';
  child.stdout.on('data', (part) => (text += part));
  child.stderr.on('data', (part) => (text += part));
  child.output = () => text;
  return child;
}

/** `heimdall up` with everything it needs in a folder of its own. */
export async function up({ data = folder(), args = [], env = {}, keep = false } = {}) {
  const ready = join(data, `ready-${process.pid}-${Math.random().toString(36).slice(2)}.json`);
  const child = start(binary('heimdall'), [
    'up', '--data', data, '--ready-file', ready, '--api', '127.0.0.1:0', '--approvals', '127.0.0.1:0',
    '--proxy', '127.0.0.1:0', '--management', '127.0.0.1:0', ...args,
  ], { env: { ...process.env, RUST_BACKTRACE: '1', ...env } });
  await appears(ready, { child, signal: AbortSignal.timeout(60_000) });
  const info = JSON.parse(readFileSync(ready, 'utf8'));
  const ended = once(child, 'exit');
  // A test that fails before it stops its process must not keep the whole file waiting.
  const parts = [child, child.stdout, child.stderr];
  for (const part of parts) part.unref();
  const last = () => child.kill('SIGKILL');
  process.once('exit', last);
  return {
    ...info, data, child,
    log: () => child.output(),
    async stop(signal = 'SIGTERM') {
      for (const part of parts) part.ref();
      process.off('exit', last);
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      const [code, sig] = await ended;
      if (!keep && signal !== 'SIGKILL') drop(data);
      return { code, sig };
    },
  };
}

/** One request; the answer with its text and, where it is JSON, its value. */
export async function call(method, url, { token, json, body, headers = {}, form, redirect = 'manual', basic } = {}) {
  const all = { ...headers };
  if (token) all.authorization = `Bearer ${token}`;
  if (basic) all.authorization = `Basic ${Buffer.from(basic).toString('base64')}`;
  if (json !== undefined) { all['content-type'] ??= 'application/json'; body = JSON.stringify(json); }
  if (form) { all['content-type'] = 'application/x-www-form-urlencoded'; body = new URLSearchParams(form).toString(); }
  const answer = await fetch(url, { method, headers: all, body, redirect });
  const text = await answer.text();
  let value;
  try { value = JSON.parse(text); } catch { /* not JSON: `json` stays undefined */ }
  return { status: answer.status, headers: answer.headers, text, json: value };
}

/** A private PostgreSQL on loopback, run by an ordinary user because it refuses to run as root. */
export async function postgres() {
  const root = '/usr/lib/postgresql';
  const version = readdirSync(root).sort((a, b) => Number(b) - Number(a))[0];
  const bin = (name) => join(root, version, 'bin', name);
  const data = folder('heimdall-pg');
  const asRoot = process.getuid() === 0;
  const run = (program, args) => asRoot
    ? execFileSync('setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', program, ...args], { stdio: 'pipe' })
    : execFileSync(program, args, { stdio: 'pipe' });
  if (asRoot) { execFileSync('chown', ['postgres', data]); } else chmodSync(data, 0o700);
  run(bin('initdb'), ['-D', `${data}/db`, '-U', 'owner', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']);
  const port = await freePort();
  const launch = (mode = 'start', ...more) => run(bin('pg_ctl'), ['-D', `${data}/db`, '-w', '-s', '-l', `${data}/log`, ...more,
    ...(mode === 'start' ? ['-o', `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=${data} -c fsync=on`] : []), mode]);
  launch();
  const psql = (sql, db = 'postgres') => run(bin('psql'), ['-h', '127.0.0.1', '-p', String(port), '-U', 'owner', '-d', db, '-v', 'ON_ERROR_STOP=1', '-qAtc', sql]).toString();
  psql('create database heimdall');
  return {
    url: `postgres://owner@127.0.0.1:${port}/heimdall`,
    port, psql: (sql) => psql(sql, 'heimdall'), admin: psql,
    /** From now on only encrypted connections, with this certificate. */
    secure(certificate, key) {
      for (const [from, name] of [[certificate, 'server.crt'], [key, 'server.key']]) {
        const to = `${data}/db/${name}`;
        copyFileSync(from, to);
        chmodSync(to, 0o600);
        if (asRoot) execFileSync('chown', ['postgres', to]);
      }
      psql('alter system set ssl = on');
      writeFileSync(`${data}/db/pg_hba.conf`, 'hostssl all all 127.0.0.1/32 trust\nhostssl all all ::1/128 trust\nlocal all all trust\n');
      launch('stop', '-m', 'fast');
      launch();
    },
    crash: () => launch('stop', '-m', 'immediate'),
    start: () => launch(),
    stop() { try { launch('stop', '-m', 'immediate'); } finally { drop(data); } },
  };
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A real SMTP server. `manner` may be changed at any time: accept, refuse (5xx), later (4xx), hang. */
export async function mailServer() {
  const mails = [];
  const waiting = [];
  const state = { manner: 'accept', attempts: 0 };
  const server = new SMTPServer({
    authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'], logger: false,
    onData(stream, session, done) {
      simpleParser(stream).then((mail) => {
        state.attempts += 1;
        if (state.manner === 'hang') return;
        if (state.manner === 'refuse') return done(Object.assign(new Error('no such mailbox'), { responseCode: 550 }));
        if (state.manner === 'later') return done(Object.assign(new Error('busy'), { responseCode: 451 }));
        const entry = { to: session.envelope.rcptTo.map((r) => r.address), mail };
        mails.push(entry);
        done();
        for (const look of [...waiting]) look();
      }, done);
    },
  });
  server.on('error', () => {});
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address();
  return {
    url: `smtp://127.0.0.1:${port}`, port, mails, state,
    /** The first mail that `wanted` accepts, past or future. */
    async mail(wanted, { timeout = 15_000 } = {}) {
      return new Promise((found, fail) => {
        const look = () => {
          const hit = mails.find(wanted);
          if (!hit) return;
          clearTimeout(timer);
          waiting.splice(waiting.indexOf(look), 1);
          found(hit);
        };
        const timer = setTimeout(() => fail(new Error(`no such mail among: ${mails.map((m) => `${m.to} ${m.mail.subject}`).join('; ')}`)), timeout);
        waiting.push(look);
        look();
      });
    },
    stop: () => new Promise((done) => server.close(done)),
  };
}

/** The link that stands alone on its line in a mail's text part. */
export const linkIn = (mail) => mail.text.split(/\r?\n/).map((l) => l.trim()).find((l) => /^https?:\/\/\S+$/.test(l));

/** All mails of the mailbox folder, parsed. */
export async function mailsIn(dir) {
  const names = existsSync(dir) ? readdirSync(dir).filter((n) => n.endsWith('.eml')) : [];
  return Promise.all(names.map(async (n) => ({ name: n, mail: await simpleParser(readFileSync(join(dir, n))) })));
}

/** The first mail in the folder that `wanted` accepts, past or future. */
export async function mailIn(dir, wanted, { timeout = 15_000 } = {}) {
  const signal = AbortSignal.timeout(timeout);
  return new Promise((found, fail) => {
    let watcher;
    const look = async () => {
      const hit = (await mailsIn(dir)).find((m) => wanted(m.mail));
      if (hit) { watcher?.close(); found(hit.mail); }
    };
    watcher = watch(dir, () => look().catch(fail));
    signal.addEventListener('abort', () => { watcher.close(); fail(new Error(`no such mail in ${dir}`)); });
    look().catch(fail);
  });
}

/** Server-sent events of `url` as they come: an async iterator of `{id, data}`. */
export async function* events(url, { token, cookie, lastEventId, signal } = {}) {
  const headers = { accept: 'text/event-stream' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (cookie) headers.cookie = cookie;
  if (lastEventId) headers['last-event-id'] = lastEventId;
  const answer = await fetch(url, { headers, signal });
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
  let rest = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    rest += chunk;
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const lines = rest.slice(0, end).split('\n');
      rest = rest.slice(end + 2);
      const field = (name) => lines.filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).trim()).join('\n');
      if (lines.some((l) => l.startsWith('event:'))) throw new Error('an event carries an event field');
      if (field('data')) yield { id: field('id'), data: JSON.parse(field('data')) };
    }
  }
}

let chrome;
/** A headless Chromium, one for all stories of a file. */
export async function browser() {
  if (!chrome) {
    const { chromium } = await import('playwright-core');
    chrome = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
  }
  return chrome;
}
export const closeBrowser = async () => { await chrome?.close(); chrome = undefined; };

/** Tries `probe` until it gives something truthy; for states that only a question can reveal. */
export async function until(probe, { within = 5_000, every = 25 } = {}) {
  const end = Date.now() + within;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${probe}`);
    await new Promise((r) => setTimeout(r, every));
  }
}
