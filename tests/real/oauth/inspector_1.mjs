// A person at the page of the MCP Inspector's first line, in a real Chromium: goes through its guided OAuth flow, and
// then has the page itself ("Direct") connect, list the tools and run one. Every request is the page's own, from its
// origin, so the browser holds it to what the server allows that origin.
//
//   node inspector_1.mjs [--port PORT] --tool NAME [--user alice] [--password password] URL
//
// Prints `{"origin", "steps", "pages", "tools", "result", "requests"}`: where the page is from, what each step of the
// flow showed, the pages of the authorization server, the names of the tools, what came of the tool, and which
// requests the page sent to other origins; or `error`, with what the page complained of.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { follow, freePort, openPage, until, words } from './acting.mjs';

const { values: options, positionals: [url] } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string' },
    tool: { type: 'string' },
    user: { type: 'string', default: 'alice' },
    password: { type: 'string', default: 'password' },
  },
});
const SERVER = join(import.meta.dirname, '../node_modules/@modelcontextprotocol/inspector-client/bin/client.js');

const port = options.port ?? (await freePort());
const origin = `http://localhost:${port}`;
const server = spawn(process.execPath, [SERVER], {
  stdio: ['ignore', 2, 2],
  env: { ...process.env, CLIENT_PORT: port, MCP_AUTO_OPEN_ENABLED: 'false' },
});
const [pages, requests, complaints] = [[], [], []];
const page = await openPage();
page.on('console', (message) => {
  if (message.type() === 'error') complaints.push(message.text());
});
page.on('request', (request) => {
  if (!request.isNavigationRequest() && request.url().startsWith(new URL(url).origin)) {
    requests.push(`${request.method()} ${new URL(request.url()).pathname}`);
  }
});

let seen;
try {
  await until(() => fetch(origin).then((answer) => answer.ok));
  seen = await visit();
} catch (error) {
  seen = { error: error.stack, text: await words(page), complaints };
}
console.log(JSON.stringify({ ...seen, origin, pages, requests }));
await page.context().browser().close();
server.kill();
process.exit(0);

async function visit() {
  await page.goto(`${origin}/?${new URLSearchParams({ transport: 'streamable-http', serverUrl: url })}`);
  await page.getByRole('combobox', { name: 'Connection Type' }).click();
  await page.getByRole('option', { name: 'Direct' }).click();
  const steps = await guided();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByText('Connected', { exact: true }).waitFor();
  await page.getByRole('tab', { name: 'Tools' }).click();
  await page.getByRole('button', { name: 'List Tools' }).click();
  await page.getByText(options.tool, { exact: true }).first().click();
  await page.getByRole('button', { name: 'Run Tool' }).click();
  await page.getByText(/^Tool Result/).waitFor();
  return { steps, result: await page.getByRole('tabpanel', { name: 'Tools' }).innerText() };
}

async function guided() {
  await page.getByRole('button', { name: 'Open Auth Settings' }).click();
  await page.getByRole('button', { name: 'Guided OAuth Flow' }).click();
  const steps = [];
  for (const shown of ['OAuth Metadata Sources', 'Registered Client Information', 'Open authorization URL in new tab']) {
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(shown).or(page.getByRole('button', { name: shown })).first().waitFor();
    steps.push(shown);
  }
  await page.getByRole('textbox', { name: 'Authorization Code' }).fill(await authorized());
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Access Tokens').waitFor();
  return [...steps, 'Access Tokens'];
}

/** Goes where the page says, in another tab; the code that the page there says to copy. */
async function authorized() {
  const opened = page.waitForEvent('popup');
  await page.getByRole('button', { name: 'Open authorization URL in new tab' }).click();
  const tab = await opened;
  pages.push(...(await follow(tab, (at) => at.origin === origin, options)));
  const code = new URL(tab.url()).searchParams.get('code');
  await tab.getByText(code).waitFor();
  await tab.close();
  return code;
}
