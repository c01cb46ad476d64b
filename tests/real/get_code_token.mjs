// Gets an access token as a native client does: authorization code, PKCE (S256), resource indicator;
// the redirects are followed without a browser. Prints the access token alone.
//
//   node get_code_token.mjs --issuer http://127.0.0.1:4444 --resource URL [--scope "mcp:read"] [--user alice]
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    issuer: { type: 'string', default: 'http://127.0.0.1:4444' },
    resource: { type: 'string' },
    scope: { type: 'string', default: 'mcp:read mcp:write' },
    user: { type: 'string', default: 'alice' },
  },
});
const CLIENT = 'agent';
const REDIRECT_URI = 'http://127.0.0.1:33418/callback';

const metadata = await (await fetch(`${options.issuer}/.well-known/openid-configuration`)).json();
const verifier = randomBytes(32).toString('base64url');
console.log(await redeem(await authorize()));

/** Walks from the authorization endpoint to the redirect URI; the code. */
async function authorize() {
  const state = randomBytes(16).toString('base64url');
  let url = new URL(metadata.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT,
    redirect_uri: REDIRECT_URI,
    scope: options.scope,
    resource: options.resource,
    login_hint: options.user,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const cookies = new Map();
  while (!url.href.startsWith(REDIRECT_URI)) {
    url = await step(url, cookies);
  }
  const answer = url.searchParams;
  // RFC 6749 §10.12 and RFC 9207: the answer to this request, from this server.
  if (answer.get('state') !== state || answer.get('iss') !== metadata.issuer || !answer.get('code')) {
    throw new Error(`the authorization was refused: ${answer}`);
  }
  return answer.get('code');
}

/** One redirect; its target. */
async function step(url, cookies) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    value ? cookies.set(name, value) : cookies.delete(name);
  }
  const location = response.headers.get('location');
  if (!location) {
    throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  }
  return new URL(location, url);
}

/** The access token for a code. */
async function redeem(code) {
  const form = {
    grant_type: 'authorization_code',
    client_id: CLIENT,
    redirect_uri: REDIRECT_URI,
    resource: options.resource,
    code_verifier: verifier,
    code,
  };
  const response = await fetch(metadata.token_endpoint, { method: 'POST', body: new URLSearchParams(form) });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(`the code was refused: ${JSON.stringify(answer)}`);
  }
  return answer.access_token;
}
