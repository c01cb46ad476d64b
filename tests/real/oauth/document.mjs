// A client's metadata document (draft-ietf-oauth-client-id-metadata-document) at a real https server on loopback.
//
//   node document.mjs --port 4460 --cert FILE --key FILE
//
// At https://localhost:PORT/client.json: a public client of programs on this machine, as Claude Code and VS Code
// publish theirs.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { port: { type: 'string' }, cert: { type: 'string' }, key: { type: 'string' } },
});
const id = `https://localhost:${options.port}/client.json`;
const document = {
  client_id: id,
  client_name: 'Documented',
  client_uri: 'https://localhost',
  logo_uri: 'https://localhost/logo.png',
  redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback', 'https://localhost/redirect'],
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
  application_type: 'native',
};

const tls = { cert: readFileSync(options.cert), key: readFileSync(options.key) };
createServer(tls, (request, response) => {
  const found = request.url === '/client.json';
  response.writeHead(found ? 200 : 404, { 'content-type': 'application/json', 'cache-control': 'max-age=300' });
  response.end(JSON.stringify(found ? document : {}));
}).listen(Number(options.port), '127.0.0.1');
