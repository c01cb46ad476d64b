// Glewlwyd, a real identity provider from Debian, set up for the tests: its own database in a temporary
// directory, the people `alice` (tenant `acme` in `org_id`) and `bob` (`globex`), both with the password
// `password`, and the clients that the options name. Its OpenID Connect plugin wants PKCE, binds tokens to the
// resource asked for (RFC 8707), names itself in authorization responses (RFC 9207), and can register clients.
// For loopback and tests only.
//
//   node glewlwyd.mjs --port 4593 --redirect http://localhost:8080/login/callback/corp [--redirect …]
//                     [--resource URL …] [--alg ES256|RS256] [--ttl SECONDS]
//
// Listens when it is set up, and not before: what comes in is passed on to the server, which is on another port.
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const SCHEMA = '/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz';
const WEB_APP = '/usr/share/glewlwyd/webapp';
const MODULES = '/usr/lib/glewlwyd';
const PLUGIN = 'oidc';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '4593' },
    redirect: { type: 'string', multiple: true, default: [] },
    resource: { type: 'string', multiple: true, default: [] },
    alg: { type: 'string', default: 'ES256' },
    ttl: { type: 'string', default: '600' },
  },
});
const origin = `http://127.0.0.1:${options.port}`;
const issuer = `${origin}/api/${PLUGIN}`;
const inner = await freePort();
const api = `http://127.0.0.1:${inner}/api`;
const directory = mkdtempSync(join(tmpdir(), 'glewlwyd-'));

// Sends JSON to the administration API with the session cookie of its one account.
let cookie = '';
async function call(method, path, body) {
  const answer = await fetch(`${api}${path}`, {
    method,
    headers: { cookie, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  }
  cookie = answer.headers.getSetCookie().map((set) => set.split(';')[0]).join('; ') || cookie;
}

function configuration() {
  return `
port=${inner}
bind_address="127.0.0.1"
external_url="${origin}"
login_url="login.html"
api_prefix="api"
static_files_path="${directory}/webapp/"
static_files_mime_types=(
  { extension=".html" mime_type="text/html" }, { extension=".css" mime_type="text/css" },
  { extension=".js" mime_type="application/javascript" }, { extension=".json" mime_type="application/json" })
log_mode="console"
log_level="ERROR"
allow_multiple_user_per_session=false
add_x_frame_option_header_deny=true
max_post_size=16778240
cookie_domain=""
cookie_secure=false
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="${MODULES}/user"
client_module_path="${MODULES}/client"
user_auth_scheme_module_path="${MODULES}/scheme"
plugin_module_path="${MODULES}/plugin"
use_secure_connection=false
secure_connection_key_file=""
secure_connection_pem_file=""
secure_connection_ca_file=""
hash_algorithm="SHA512"
database={ type="sqlite3" path="${directory}/glewlwyd.db" };
`;
}

function plugin() {
  const [type, shape] = options.alg === 'RS256'
    ? ['rsa', { modulusLength: 2048 }]
    : ['ec', { namedCurve: 'P-256' }];
  const { privateKey, publicKey } = generateKeyPairSync(type, shape);
  return {
    module: 'oidc',
    name: PLUGIN,
    display_name: 'OpenID Connect',
    enabled: true,
    parameters: {
      iss: issuer,
      'jwt-type': type === 'rsa' ? 'rsa' : 'ecdsa',
      'jwt-key-size': '256',
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: publicKey.export({ type: 'spki', format: 'pem' }),
      'access-token-duration': Number(options.ttl),
      'refresh-token-duration': 1209600,
      'code-duration': 60,
      'refresh-token-rolling': true,
      'refresh-token-one-use': 'always',
      'allow-non-oidc': true,
      'auth-type-code-enabled': true,
      'auth-type-code-revoke-replayed': true,
      'auth-type-token-enabled': false,
      'auth-type-id-token-enabled': true,
      'auth-type-client-enabled': true,
      'auth-type-refresh-enabled': true,
      'auth-type-none-enabled': false,
      'jwks-show': true,
      'pkce-allowed': true,
      'pkce-required': true,
      'pkce-method-plain-allowed': false,
      'oauth-as-iss-id': true,
      'introspection-revocation-allowed': true,
      'introspection-revocation-allow-target-client': true,
      'resource-allowed': true,
      'resource-scope': { 'mcp:read': options.resource, 'mcp:write': options.resource },
      'resource-scope-and-client-property': false,
      'register-client-allowed': true,
      'register-client-auth-scope': [],
      'register-client-credentials-scope': ['mcp:read'],
      'register-resource-specify-allowed': true,
      'claims': [
        { name: 'org_id', 'user-property': 'org_id', type: 'string', mandatory: true, 'on-demand': false, scope: [] },
      ],
      'name-claim': 'mandatory',
      'email-claim': 'mandatory',
      'subject-type': 'public',
    },
  };
}

function client(client_id, redirect_uri, secret) {
  return {
    client_id,
    name: client_id,
    enabled: true,
    confidential: Boolean(secret),
    ...(secret && { client_secret: secret, password: secret }),
    token_endpoint_auth_method: secret ? ['client_secret_basic', 'client_secret_post'] : ['none'],
    authorization_type: ['code', 'refresh_token', ...(secret ? ['client_credentials'] : [])],
    scope: ['mcp:read', 'mcp:write'],
    redirect_uri,
  };
}

async function setUp() {
  await call('POST', '/auth/', { username: 'admin', password: 'password' });
  for (const name of ['profile', 'email', 'mcp:read', 'mcp:write']) {
    await call('POST', '/scope/', { name, display_name: name, description: name, password_required: true, scheme: {} });
  }
  // Claims and the list of people need these fields to be known.
  await call('PUT', '/mod/user/database', {
    module: 'database',
    name: 'database',
    display_name: 'Database',
    parameters: { 'use-glewlwyd-connection': true, 'data-format': { org_id: { multiple: false, read: true, write: true } } },
  });
  await call('PUT', '/mod/client/database', {
    module: 'database',
    name: 'database',
    display_name: 'Database',
    parameters: {
      'use-glewlwyd-connection': true,
      'data-format': {
        redirect_uri: { multiple: true, read: true, write: true },
        authorization_type: { multiple: true, read: true, write: true },
        token_endpoint_auth_method: { multiple: true, read: true, write: true },
      },
    },
  });
  await call('PUT', '/mod/reload/');
  await call('POST', '/mod/plugin/', plugin());
  for (const [username, org_id] of [['alice', 'acme'], ['bob', 'globex'], ['mallory', 'initech']]) {
    await call('POST', '/user/', {
      username,
      name: username[0].toUpperCase() + username.slice(1),
      email: `${username}@example.com`,
      enabled: true,
      password: 'password',
      org_id,
      scope: ['openid', 'profile', 'email', 'mcp:read', 'mcp:write', 'g_profile'],
    });
  }
  await call('POST', '/client/', client('narthex', options.redirect, 'narthex-secret'));
  await call('POST', '/client/', client('agent', options.redirect));
}

const database = new DatabaseSync(join(directory, 'glewlwyd.db'));
database.exec(gunzipSync(readFileSync(SCHEMA)).toString());
database.close();
// The package has a directory where its own pages look for their settings.
cpSync(WEB_APP, join(directory, 'webapp'), { recursive: true, dereference: true, filter: (path) => !path.endsWith('config.json') });
const settings = JSON.parse(readFileSync('/usr/share/glewlwyd/templates/config.json'));
writeFileSync(join(directory, 'webapp/config.json'), JSON.stringify({ ...settings, GlewlwydUrl: `${origin}/` }));
writeFileSync(join(directory, 'glewlwyd.conf'), configuration());
const server = spawn('glewlwyd', ['--config-file', join(directory, 'glewlwyd.conf')], { stdio: ['ignore', 'inherit', 'inherit'] });
server.on('exit', (code) => {
  rmSync(directory, { recursive: true, force: true });
  process.exit(code ?? 1);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => server.kill());
}

for (let tries = 0; ; tries += 1) {
  try {
    await fetch(`${api}/../config`);
    break;
  } catch (error) {
    if (tries === 200) throw error;
    await new Promise((done) => setTimeout(done, 50));
  }
}
await setUp();
createServer(passOn).listen(Number(options.port), '127.0.0.1', () => console.log(`glewlwyd is ready on ${issuer}`));

function passOn(incoming, response) {
  const { method, url, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port: inner, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  incoming.pipe(onward);
}

async function freePort() {
  const probe = createTcpServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
