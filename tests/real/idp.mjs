// A real identity provider (oidc-provider) for the tests: authorization code with PKCE and client
// credentials, resource indicators (RFC 8707), JWT access tokens (RFC 9068) with the tenant in
// `org_id`. It logs everybody in as whom they say they are: for loopback and tests only.
//
//   node idp.mjs --port 4444 [--alg RS256|ES256] [--ttl SECONDS] [--format jwt|opaque]
//                [--redirect URL …] [--pages] [--register]
//
// With `--redirect`, the client `narthex-login` (secret `narthex-login-secret`) may send people there, to log in by
// OpenID Connect. With `--pages`, people log in and consent at pages; without, as `login_hint` says, or as alice.
// With `--register`, clients may register (RFC 7591).
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Provider, errors } from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '4444' },
    alg: { type: 'string', default: 'RS256' },
    ttl: { type: 'string', default: '600' },
    format: { type: 'string', default: 'jwt' },
    redirect: { type: 'string', multiple: true, default: [] },
    pages: { type: 'boolean', default: false },
    register: { type: 'boolean', default: false },
  },
});
const issuer = `http://127.0.0.1:${options.port}`;

// The tenants of the people and programs that get tokens; `mallory` is of a tenant nobody knows.
const TENANTS = { alice: 'acme', bob: 'globex', mallory: 'initech', machine: 'acme' };
const SCOPES = 'mcp:read mcp:write';

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'agent',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback'],
    },
    {
      client_id: 'machine',
      client_secret: 'machine-secret',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
    {
      client_id: 'narthex',
      client_secret: 'narthex-secret',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
    ...(options.redirect.length ? [loginClient()] : []),
  ],
  jwks: { keys: [jwk('rsa', 'RS256', { modulusLength: 2048 }), jwk('ec', 'ES256', { namedCurve: 'P-256' })] },
  cookies: { keys: [randomUUID()] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub', 'org_id', 'groups'], profile: ['name'], email: ['email'] },
  conformIdTokenClaims: false,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => claimsOf(id) }),
  ...(!options.pages && { interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` } }),
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  extraTokenClaims: (ctx, token) => ({ org_id: TENANTS[token.accountId ?? token.clientId] }),
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: options.pages },
    registration: { enabled: options.register },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: resourceServer,
    },
  },
});

// Everybody may have a token for any resource: whether it opens the door is the resource's business.
function resourceServer(ctx, resource) {
  if (!URL.canParse(resource) || new URL(resource).hash) {
    throw new errors.InvalidTarget();
  }
  return {
    scope: SCOPES,
    audience: resource,
    accessTokenTTL: Number(options.ttl),
    accessTokenFormat: options.format,
    jwt: { sign: { alg: options.alg } },
  };
}

function loginClient() {
  return {
    client_id: 'narthex-login',
    client_secret: 'narthex-login-secret',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: options.redirect,
  };
}

function claimsOf(id) {
  const name = id[0].toUpperCase() + id.slice(1);
  return { sub: id, org_id: TENANTS[id], groups: ['staff'], name, email: `${id}@example.com` };
}

// Nobody is asked: login is as `login_hint`, or alice, and consent is to all that the client wants.
provider.use(async (ctx, next) => {
  if (options.pages || !ctx.path.startsWith('/interaction/')) {
    return next();
  }
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  const result = details.prompt.name === 'login'
    ? { login: { accountId: details.params.login_hint ?? 'alice' } }
    : { consent: { grantId: await grantAll(details) } };
  const merge = { mergeWithLastSubmission: true };
  return ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, merge));
});

async function grantAll({ grantId, params, session }) {
  const grant = (grantId && (await provider.Grant.find(grantId)))
    || new provider.Grant({ clientId: params.client_id, accountId: session.accountId });
  grant.addOIDCScope('openid offline_access profile email');
  for (const resource of [params.resource ?? []].flat()) {
    grant.addResourceScope(resource, SCOPES);
  }
  return grant.save();
}

function jwk(type, alg, shape) {
  const { privateKey } = generateKeyPairSync(type, shape);
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${alg}-${randomUUID()}` };
}

provider.on('server_error', (ctx, error) => console.error(error));
provider.listen(Number(options.port), '127.0.0.1', () => console.log(`idp is ready on ${issuer}`));
