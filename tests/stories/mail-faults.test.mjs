// A mail server that is away, refuses or hangs: the request is kept, nobody waits, the mail goes later.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { up, call, mailServer, freePort } from './support.mjs';
import { app, login, ask, mailAbout, request, approve, bearerOf } from './acme.mjs';

const quick = async (work) => { const began = Date.now(); const value = await work(); assert.ok(Date.now() - began < 2_000, `took ${Date.now() - began} ms`); return value; };

test('a server that is away at first gets the mail when it is back', async () => {
  const port = await freePort();
  const h = await up({ args: ['--smtp', `smtp://127.0.0.1:${port}`] });
  const token = await login(h);
  const asked = await quick(() => ask(h, token));
  assert.equal(asked.status, 201);
  const { SMTPServer } = await import('smtp-server');
  const got = new Promise((done) => {
    const server = new SMTPServer({
      authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'],
      onData(stream, session, end) {
        const to = session.envelope.rcptTo[0].address;
        let text = '';
        stream.on('data', (part) => (text += part));
        stream.on('end', () => { end(); if (to === h.example.approver.email) { server.close(); done(text); } });
      },
    });
    server.listen(port, '127.0.0.1');
  });
  assert.match(await got, new RegExp(String(asked.json.session_id)));
  await h.stop();
});

test('a hanging server holds up neither the request nor other mails for ever, and the Message-ID stays', async () => {
  const smtp = await mailServer();
  smtp.state.manner = 'later';
  const h = await up({ args: ['--smtp', smtp.url] });
  const token = await login(h);
  const asked = await quick(() => ask(h, token));
  assert.equal(asked.status, 201);
  while (smtp.state.attempts < 2) await new Promise((r) => setTimeout(r, 50));
  smtp.state.manner = 'accept';
  const mail = await mailAbout(smtp, h, asked.json.session_id);
  assert.ok(mail.messageId);
  assert.equal((await approve(h, asked.json.session_id, bearerOf(mail))).status, 200);
  assert.equal((await request(h, token, asked.json.id)).json.state, 'APPROVED');
  await h.stop();
  await smtp.stop();
});

test('a refused mail is a dead letter that an administrator sees', async () => {
  const smtp = await mailServer();
  smtp.state.manner = 'refuse';
  const h = await up({ args: ['--smtp', smtp.url] });
  const token = await login(h);
  const asked = await ask(h, token);
  assert.equal(asked.status, 201);
  while (smtp.state.attempts < 1) await new Promise((r) => setTimeout(r, 50));
  assert.equal((await request(h, token, asked.json.id)).json.state, 'CREATED');
  await h.stop();
  await smtp.stop();
});
