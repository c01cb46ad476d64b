// What a person does at a page in Chromium: what its roles and labels say.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

export const PATIENCE = 20_000;

const YES = /^\W*(allow|approve|authorize|accept|connect|grant access|continue|log.?in|sign.?in|confirm)\b/i;
const NO = /^\W*(deny|decline|cancel|refuse|don.t allow)\b/i;

/** How Chromium is started: without what it would ask its maker for. */
export const CHROMIUM = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
};

/** A page of a browser of its own, which goes nowhere but to this machine. */
export async function openPage() {
  const browser = await chromium.launch(CHROMIUM);
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 } });
  await context.route(({ hostname }) => !['localhost', '127.0.0.1'].includes(hostname), (route) => route.abort());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  return page;
}

/** A port at which nobody listens. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return String(port);
}

/** Waits until `holds`. */
export async function until(holds) {
  const end = Date.now() + PATIENCE;
  while (!(await Promise.resolve().then(holds).catch(() => false))) {
    if (Date.now() > end) throw new Error(`not within ${PATIENCE} ms: ${holds}`);
    await sleep(50);
  }
}

/** Does what pages ask for until the browser is sent to where `isThere`; the pages on the way, with their texts. */
export async function follow(page, isThere, options) {
  const pages = [];
  await until(async () => {
    await page.waitForLoadState('load');
    const at = new URL(page.url());
    if (isThere(at)) return true;
    const text = await words(page);
    if (pages.at(-1)?.url !== at.href) pages.push({ url: at.href, text });
    // A page that goes on by itself may be gone meanwhile.
    await act(page, options);
    return isThere(new URL(page.url()));
  });
  return pages;
}

/** What a person reads there. */
export function words(page) {
  return page.locator('body').innerText({ timeout: 1_000 }).catch(() => '');
}

/** Does one thing at `page`, as `user` who wants to go on (or to decline); whether there was anything to do. */
export async function act(page, { user, password, decline }) {
  // A page that goes on by itself; where to need not be there, as a client that has its answer may be gone.
  if (await page.locator('meta[http-equiv=refresh]').count().catch(() => 1)) {
    const before = page.url();
    await page.waitForURL((url) => url.href !== before, { waitUntil: 'commit', timeout: 5_000 }).catch(() => undefined);
    return true;
  }
  const name = page.locator('input[name=login], input[name=username], input#username').first();
  if (await name.isVisible().catch(() => false)) {
    await name.fill(user);
    const secret = page.locator('input[type=password]').first();
    if (await secret.isVisible().catch(() => false)) await secret.fill(password);
    return press(page, page.locator('button[type=submit], button:not([type]), input[type=submit], button#button-login').first());
  }
  for (const box of await page.getByRole('checkbox').all()) {
    if (await box.isVisible()) await box.check();
  }
  for (const wanted of [decline ? NO : YES, new RegExp(`\\b${user}\\b`, 'i')]) {
    const button = page.getByRole('button', { name: wanted }).first();
    if ((await button.isVisible().catch(() => false)) && (await button.isEnabled())) return press(page, button);
  }
  return false;
}

/** Presses `what` and waits for what comes of it. */
export async function press(page, what) {
  // Pages made by a script change without being left.
  const left = page.waitForEvent('framenavigated', { timeout: 1_500 }).catch(() => undefined);
  await what.click();
  await left;
  await page.waitForLoadState('load');
  return true;
}
