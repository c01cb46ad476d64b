// The TypeScript SDK's client, which logs in by itself. See README.md beside it.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Client, StreamableHTTPClientTransport, UnauthorizedError, auth } from '@modelcontextprotocol/client';

const mode = process.argv[2] ?? 'auto';
const plan = JSON.parse(process.env.OAUTH);

const server = createServer();
server.listen(plan.callback ?? 0, '127.0.0.1');
await once(server, 'listening');
const redirect = `http://127.0.0.1:${server.address().port}/callback`;
const returned = once(server, 'request').then(([request, response]) => {
  response.end('You may close this window.');
  return new URL(request.url, redirect);
});

const kept = { client: plan.client };
const provider = {
  redirectUrl: redirect,
  clientMetadataUrl: plan.clientMetadataUrl,
  clientMetadata: {
    client_name: 'TypeScript visitor',
    redirect_uris: [redirect],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...(plan.scope && { scope: plan.scope }),
  },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  redirectToAuthorization: (url) => { kept.url = url; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => { kept.discovery = state; },
  discoveryState: () => kept.discovery,
};

try {
  console.log(JSON.stringify(await visit()));
} catch (error) {
  console.log(JSON.stringify({ error: error.stack ?? String(error) }));
}
process.exit(0);

async function visit() {
  await connect().then((client) => client.close(), (error) => {
    if (!(error instanceof UnauthorizedError)) throw error;
  });
  await logIn();
  const client = await connect();
  const seen = await look(client);
  for (let round = 0; round < (plan.again ?? 0); round += 1) {
    await auth(provider, { serverUrl: plan.url });
    seen.call = (await look(client)).call;
  }
  await client.close();
  return { ...seen, registered: kept.client.client_id, scope: kept.tokens.scope };
}

async function logIn() {
  const [command, ...args] = plan.human;
  const human = spawn(command, [...args, '--until', redirect, kept.url.href], { stdio: ['ignore', 2, 2] });
  const left = once(human, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`the human gave up: ${code}`);
    return new Promise(() => {});
  });
  const answer = await Promise.race([returned, left]);
  if (answer.searchParams.get('state') !== kept.state) throw new Error('the state is not ours');
  const transport = new StreamableHTTPClientTransport(new URL(plan.url), { authProvider: provider });
  await transport.finishAuth(answer.searchParams);
}

async function connect() {
  const negotiation = ['legacy', 'auto'].includes(mode) ? mode : { pin: mode };
  const client = new Client({ name: 'visitor', version: '1.0.0' }, { versionNegotiation: { mode: negotiation } });
  await client.connect(new StreamableHTTPClientTransport(new URL(plan.url), { authProvider: provider }));
  return client;
}

async function look(client) {
  const tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
  const { content } = await client.callTool(plan.call);
  return {
    protocolVersion: client.getNegotiatedProtocolVersion(),
    tools,
    call: content.map((item) => item.text ?? '').join('\n'),
  };
}
