// An MCP server of all revisions that takes the tokens of one authorization server and no others. It names that
// server in its resource metadata (RFC 9728), wants `mcp:read` for everything and `mcp:write` in addition for the
// tool `write` (403 `insufficient_scope` otherwise), and tells whoever asks (`whoami`) who they are to it.
//
//   node protected_server.mjs --port 3120 --issuer http://127.0.0.1:4444
//
// `GET /seen` lists the SHA-256 of every token that it was sent, in base64url.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, OAuthError, OAuthErrorCode, createMcpHandler, requireBearerAuth } from '@modelcontextprotocol/server';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { values: options } = parseArgs({ options: { port: { type: 'string' }, issuer: { type: 'string' } } });
const origin = `http://127.0.0.1:${options.port}`;
const resource = new URL(`${origin}/mcp`);
const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
const seen = new Set();

const discovered = await fetch(`${options.issuer}/.well-known/openid-configuration`).then((answer) => answer.json());
const keys = createRemoteJWKSet(new URL(discovered.jwks_uri));

const verifier = {
  async verifyAccessToken(token) {
    seen.add(createHash('sha256').update(token).digest('base64url'));
    try {
      const { payload } = await jwtVerify(token, keys, { issuer: options.issuer, audience: resource.href });
      const { scope = '', client_id: clientId = '', exp: expiresAt, sub } = payload;
      return { token, clientId, scopes: scope.split(' '), expiresAt, resource, extra: { sub } };
    } catch (error) {
      throw new OAuthError(OAuthErrorCode.InvalidToken, error.code ?? 'not a token for this server');
    }
  },
};
const gate = (...requiredScopes) =>
  requireBearerAuth({ verifier, requiredScopes, resourceMetadataUrl: metadata, expectedResource: resource });
const [reading, writing] = [gate('mcp:read'), gate('mcp:read', 'mcp:write')];

const mcp = createMcpHandler(({ authInfo }) => {
  const server = new McpServer({ name: 'protected', version: '1.0.0' });
  const who = () => ({ content: [{ type: 'text', text: `${authInfo.extra.sub} (${authInfo.scopes.join(' ')})` }] });
  server.registerTool('whoami', { description: 'Says who is calling.' }, who);
  server.registerTool('write', { description: 'Writes something down, in the name of who is calling.' }, who);
  return server;
});

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (pathname === '/.well-known/oauth-protected-resource/mcp') {
    return Response.json({
      resource: resource.href,
      authorization_servers: [options.issuer],
      scopes_supported: ['mcp:read'],
      bearer_methods_supported: ['header'],
    });
  }
  if (pathname === '/seen') return Response.json([...seen]);
  if (pathname !== '/mcp') return new Response(null, { status: 404 });
  const body = request.method === 'POST' ? await request.clone().json().catch(() => undefined) : undefined;
  const writes = body?.method === 'tools/call' && body.params?.name === 'write';
  const authInfo = await (writes ? writing : reading)(request);
  return authInfo instanceof Response ? authInfo : mcp.fetch(request, { authInfo });
}

createServer(toNodeHandler({ fetch: answer })).listen(Number(options.port), '127.0.0.1');
