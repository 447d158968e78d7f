// The second peer of api.sh: npm `oidc-provider` with JWT access tokens signed by ES256, in memory, on one process.
// node tests/load/oidc-provider.mjs PORT [RUN-FROM: tests/stories, where the package lies]
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { resolve, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKeyPairSync } from 'node:crypto';

const stories = resolve(dirname(fileURLToPath(import.meta.url)), '../stories/package.json');
const { default: Provider } = await import(pathToFileURL(createRequire(stories).resolve('oidc-provider')));
const port = Number(process.argv[2]);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'load', client_secret: 'load-secret-load-secret-load-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post', introspection_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256' }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'load', alg: 'ES256', use: 'sig' }] },
  features: {
    devInteractions: { enabled: false }, clientCredentials: { enabled: true }, introspection: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: () => 'urn:acme', useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'billing:read', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } }, accessTokenTTL: 3600 }),
    },
  },
});
provider.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'));
