// A client whose tokens are bound to its key (DPoP, RFC 9449): `oauth4webapi` gets a token from the issuer, and it and
// `dpop` send it to the resource, an MCP endpoint. Prints what each way of sending it came to, as JSON.
//
//   node dpop_client.mjs --issuer http://127.0.0.1:4444 --resource URL [--alg ES256|Ed25519]
import { parseArgs } from 'node:util';
import * as DPoP from 'dpop';
import * as oauth from 'oauth4webapi';

const { values: options } = parseArgs({
  options: {
    issuer: { type: 'string' },
    resource: { type: 'string' },
    alg: { type: 'string', default: 'ES256' },
  },
});
const resource = new URL(options.resource);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: 'machine' };
const secret = oauth.ClientSecretBasic('machine-secret');
const body = JSON.stringify({
  jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { text: 'hi' } },
});
const headers = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

const keys = await oauth.generateKeyPair(options.alg, { extractable: true });
const server = await discover();
const handle = oauth.DPoP(client, keys);
const token = await getToken();
const results = {
  token_type: token.token_type,
  first: await byOauth4webapi(),
  second: await byOauth4webapi(),
};
const nonce = await givenNonce();
const proof = await proofOf(keys);
results.dpop = await send('DPoP', proof);
results.replayed = await send('DPoP', proof);
results.as_bearer = await send('Bearer', await proofOf(keys));
results.without_proof = await send('DPoP');
results.other_key = await send('DPoP', await proofOf(await DPoP.generateKeyPair('ES256')));
console.log(JSON.stringify(results));

async function discover() {
  const issuer = new URL(options.issuer);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
}

async function getToken() {
  const params = { resource: resource.href, scope: 'mcp:read mcp:write' };
  const request = () => oauth.clientCredentialsGrantRequest(server, client, secret, params, { DPoP: handle, ...insecure });
  const read = async () => oauth.processClientCredentialsResponse(server, client, await request());
  return read().catch((error) => (oauth.isDPoPNonceError(error) ? read() : Promise.reject(error)));
}

/** As a client of that library does: again, once, when it is told to take a nonce. */
async function byOauth4webapi() {
  const call = () => oauth.protectedResourceRequest(
    token.access_token, 'POST', resource, new Headers(headers), body, { DPoP: handle, ...insecure },
  );
  const asked = { nonces: 0 };
  const response = await call().catch((error) => {
    asked.nonces += oauth.isDPoPNonceError(error) ? 1 : 0;
    return asked.nonces ? call() : Promise.reject(error);
  });
  return { ...(await outcome(response)), ...asked };
}

/** The nonce that the resource hands out, if it wants one. */
async function givenNonce() {
  const response = await fetch(resource, { method: 'POST', headers, body });
  return response.headers.get('dpop-nonce') ?? undefined;
}

function proofOf(pair) {
  return DPoP.generateProof(pair, resource.href, 'POST', nonce, token.access_token);
}

async function send(scheme, proof) {
  const authorization = `${scheme} ${token.access_token}`;
  const all = { ...headers, authorization, ...(proof && { dpop: proof }) };
  return outcome(await fetch(resource, { method: 'POST', headers: all, body }));
}

async function outcome(response) {
  const text = await response.text();
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text };
}
