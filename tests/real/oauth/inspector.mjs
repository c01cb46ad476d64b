// A person at the MCP Inspector's page, in a real Chromium: connects to URL by the switch, logs in on the pages that
// come of it, lists the tools, runs one, and then one that takes more scopes. The Inspector is started for it, and
// keeps nothing.
//
//   node inspector.mjs [--era legacy|auto|modern] --tool NAME --more NAME [--user alice] [--password password] URL
//
// Prints `{"pages", "tools", "results"}`: the pages on the way with their texts, what the list of tools is headed
// by, and what came of each tool; or `error`.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { follow, freePort, openPage, until, words } from './acting.mjs';

const { values: options, positionals: [url] } = parseArgs({
  allowPositionals: true,
  options: {
    era: { type: 'string', default: 'legacy' },
    tool: { type: 'string' },
    more: { type: 'string' },
    user: { type: 'string', default: 'alice' },
    password: { type: 'string', default: 'password' },
  },
});
const LAUNCHER = join(
  import.meta.dirname,
  '../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js',
);

const home = mkdtempSync(join(tmpdir(), 'inspector-'));
const [port, sandbox, apps] = [await freePort(), await freePort(), await freePort()];
const inspector = spawn(
  process.execPath,
  [LAUNCHER, '--web', '--transport', 'http', '--server-url', url, '--protocol-era', options.era],
  {
    stdio: ['ignore', 2, 2],
    env: {
      ...process.env,
      HOME: home,
      MCP_STORAGE_DIR: home,
      MCP_INSPECTOR_SECRET_STORE: 'memory',
      MCP_AUTO_OPEN_ENABLED: 'false',
      CLIENT_PORT: port,
      MCP_SANDBOX_PORT: sandbox,
      MCP_APP_ORIGIN_PORT: apps,
    },
  },
);
const pages = [];
const page = await openPage();

let seen;
try {
  await until(() => fetch(`http://localhost:${port}/`).then((answer) => answer.ok));
  seen = await visit();
} catch (error) {
  seen = { error: error.stack, at: page.url(), text: await words(page) };
}
console.log(JSON.stringify({ ...seen, pages }));
await page.context().browser().close();
inspector.kill();
rmSync(home, { recursive: true, force: true });
process.exit(0);

async function visit() {
  await page.goto(`http://localhost:${port}/`);
  // A switch that is drawn over its own input is for the keyboard.
  await page.getByRole('switch', { name: /^Connect or disconnect/ }).press(' ');
  await logIn();
  await page.locator('label').filter({ hasText: /^Tools$/ }).click();
  const tools = await page.getByRole('heading', { name: /^Tools \(/ }).textContent();
  const results = [await run(options.tool)];
  await choose(options.more);
  await page.getByRole('dialog').getByRole('button', { name: 'Authorize' }).click();
  await logIn();
  await page.locator('label').filter({ hasText: /^Tools$/ }).click();
  results.push(await run(options.more));
  return { tools, results };
}

/** The page is sent to the authorization server, does what it asks for, and is sent back. */
async function logIn() {
  await page.waitForURL((at) => !isHome(at), { waitUntil: 'load' });
  pages.push(...(await follow(page, isHome, options)));
  await page.locator('[data-testid=connection-status][data-status=connected]').waitFor();
}

async function run(tool) {
  await choose(tool);
  await page.getByRole('heading', { name: 'Results' }).waitFor();
  const text = await page.getByRole('main').innerText();
  return text.slice(text.lastIndexOf('Results'));
}

async function choose(tool) {
  await page.getByRole('button', { name: tool, exact: true }).click();
  await page.getByRole('button', { name: 'Execute Tool' }).click();
}

function isHome(at) {
  return at.port === String(port);
}
