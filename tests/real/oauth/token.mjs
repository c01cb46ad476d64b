// Gets an access token for a resource with `oauth4webapi`, a client library that no MCP SDK is made with: resource
// metadata (RFC 9728), authorization server metadata (RFC 8414), registration (RFC 7591), code with PKCE and resource
// indicator, `iss` (RFC 9207). With `--dpop` the token is bound to a key (RFC 9449).
//
//   HUMAN='["node", "human.mjs", …]' node token.mjs --resource URL [--scope "mcp:read"] [--client ID] [--dpop]
//
// Prints `{"access_token", "refresh_token", "scope", "expires_in", "client_id", "issuer", "jwk"}`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import * as oauth from 'oauth4webapi';

const { values: options } = parseArgs({
  options: {
    resource: { type: 'string' },
    scope: { type: 'string', default: 'mcp:read' },
    client: { type: 'string' },
    dpop: { type: 'boolean', default: false },
  },
});
const insecure = { [oauth.allowInsecureRequests]: true };

const callback = createServer();
callback.listen(0, '127.0.0.1');
await once(callback, 'listening');
const redirect_uri = `http://127.0.0.1:${callback.address().port}/callback`;
const returned = once(callback, 'request').then(([request, response]) => {
  response.end('You may close this window.');
  return new URL(request.url, redirect_uri);
});

const resource = new URL(options.resource);
const metadata = await oauth.resourceDiscoveryRequest(resource, insecure)
  .then((answer) => oauth.processResourceDiscoveryResponse(resource, answer));
const issuer = new URL(metadata.authorization_servers[0]);
const as = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
  .then((answer) => oauth.processDiscoveryResponse(issuer, answer));
const client = options.client ? { client_id: options.client } : await register();

const pair = options.dpop ? await oauth.generateKeyPair('ES256', { extractable: true }) : undefined;
const dpop = pair && { DPoP: oauth.DPoP(client, pair) };
const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
const url = new URL(as.authorization_endpoint);
url.search = new URLSearchParams({
  response_type: 'code',
  client_id: client.client_id,
  redirect_uri,
  scope: options.scope,
  state,
  resource: options.resource,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
}).toString();

const [command, ...args] = JSON.parse(process.env.HUMAN);
const human = spawn(command, [...args, '--until', redirect_uri, url.href], { stdio: ['ignore', 2, 2] });
const gaveUp = once(human, 'exit').then(([code]) => (code === 0 ? new Promise(() => {}) : process.exit(code ?? 1)));
const params = oauth.validateAuthResponse(as, client, await Promise.race([returned, gaveUp]), state);
const tokens = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), params, redirect_uri, verifier, {
  additionalParameters: { resource: options.resource },
  ...dpop,
  ...insecure,
}).then((answer) => oauth.processAuthorizationCodeResponse(as, client, answer));
console.log(JSON.stringify({
  ...tokens,
  client_id: client.client_id,
  issuer: as.issuer,
  ...(pair && { jwk: await crypto.subtle.exportKey('jwk', pair.privateKey) }),
}));
process.exit(0);

async function register() {
  const asked = {
    client_name: 'oauth4webapi',
    redirect_uris: [redirect_uri],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  };
  const answer = await oauth.dynamicClientRegistrationRequest(as, asked, insecure);
  return oauth.processDynamicClientRegistrationResponse(answer);
}
