// The guides of docs/guides run unchanged but for the base address, and their pages show the code that was run.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { up, folder, drop } from './support.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const guides = resolve(here, '../../docs/guides');
const names = ['onboarding', 'service-to-service', 'invites', 'local-verification', 'webhooks'];

describe('the guides', () => {
  let h, place;
  before(async () => {
    h = await up();
    // A folder where the packages are found, as in a reader's own project.
    place = folder('heimdall-guides');
    symlinkSync(join(here, 'node_modules'), join(place, 'node_modules'));
  });
  after(async () => { await h?.stop(); drop(place); });

  for (const name of names) {
    test(`${name} does what its page says`, { timeout: 60_000 }, async () => {
      copyFileSync(join(guides, `${name}.mjs`), join(place, `${name}.mjs`));
      const child = spawn(process.execPath, [`${name}.mjs`], {
        cwd: place, env: { ...process.env, HEIMDALL_URL: h.api, HEIMDALL_ADMIN_KEY: h.admin_key },
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += part));
      const [code] = await once(child, 'exit');
      assert.equal(code, 0, text);
      assert.match(text, /: done\n$/);
    });
  }

  test('every guide has a page and is run here', () => {
    const files = readdirSync(guides);
    const deciding = ['just-in-time-jsonwebtoken', 'just-in-time-njwt']; // with an approver: just-in-time.test.mjs
    assert.deepEqual(files.filter((f) => f.endsWith('.mjs')).sort(), [...names, ...deciding].map((n) => `${n}.mjs`).sort());
    for (const name of names) assert.ok(readFileSync(join(guides, `${name}.md`), 'utf8').includes(`(${name}.mjs)`), name);
    for (const name of deciding) assert.ok(readFileSync(join(guides, 'just-in-time.md'), 'utf8').includes(`(${name}.mjs)`), name);
  });
});
