// Mints ES256 tokens, one a line: node tokens.mjs FOLDER FILES TOKENS_EACH RETURNING
// `returning.txt` holds RETURNING tokens, `unseen-N.txt` TOKENS_EACH tokens that no other file holds, `jwks.json` the key.
import { createWriteStream, writeFileSync } from 'node:fs';
import { generateKeyPairSync, sign } from 'node:crypto';

const [folder, files, each, returning] = process.argv.slice(2);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'load', alg: 'ES256', use: 'sig' };
writeFileSync(`${folder}/jwks.json`, JSON.stringify({ keys: [jwk] }));

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const head = encode({ alg: 'ES256', typ: 'JWT', kid: 'load' });
const now = Math.floor(Date.now() / 1000);
let number = 0;
function mint() {
  number += 1;
  const claims = { iss: 'load', sub: `user-${number}`, aud: 'load', iat: now, nbf: now, exp: now + 3600, jti: `t-${number}`, scope: 'read write' };
  const text = `${head}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}\n`;
}

function write(name, count) {
  const out = createWriteStream(`${folder}/${name}`);
  for (let at = 0; at < count; at += 1) out.write(mint());
  out.end();
}
write('returning.txt', Number(returning));
for (let file = 0; file < Number(files); file += 1) write(`unseen-${file}.txt`, Number(each));
