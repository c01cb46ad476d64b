// A person at a real Chromium. Goes to URL, does on each page what its roles and labels say, and stops when the
// browser was sent to where it was to end, or when a page says that it is the end.
//
//   node human.mjs [--user alice] [--password password] [--decline] [--until PREFIX] [--shots DIR] [--narrow]
//                  [--dark] [--profile DIR] [--click NAME] URL
//
// Prints `{"url", "pages": [{"url", "title", "heading", "text"}], "blocked"}`: where it ended, every page
// that it was shown, and what the pages tried that their own policy forbids. Ends with 1 if it does not get on.
// `--profile` keeps cookies from one call to the next; `--click` clicks a button or link of that name,
// looks at what comes of it, and does no more.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { act, CHROMIUM, PATIENCE, press } from './acting.mjs';

const { values: options, positionals: [start] } = parseArgs({
  allowPositionals: true,
  options: {
    user: { type: 'string', default: 'alice' },
    password: { type: 'string', default: 'password' },
    decline: { type: 'boolean', default: false },
    until: { type: 'string' },
    shots: { type: 'string' },
    narrow: { type: 'boolean', default: false },
    dark: { type: 'boolean', default: false },
    profile: { type: 'string' },
    click: { type: 'string' },
  },
});

const directory = options.profile ?? mkdtempSync(join(tmpdir(), 'human-'));
const context = await chromium.launchPersistentContext(directory, {
  ...CHROMIUM,
  colorScheme: options.dark ? 'dark' : 'light',
  viewport: options.narrow ? { width: 360, height: 740 } : { width: 1000, height: 800 },
});
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(PATIENCE);
const [pages, blocked] = [[], []];
let landed;
page.on('request', (request) => {
  if (options.until && request.isNavigationRequest() && request.url().startsWith(options.until)) landed = request.url();
});
page.on('console', (message) => {
  if (/content security policy/i.test(message.text())) blocked.push(message.text());
});

let failed;
try {
  await page.goto(start, { waitUntil: 'load' });
  for (let step = 0; step < 15 && !(await isOver()); step += 1) {
    await remember(step);
    const before = page.url();
    if (options.click) {
      await press(page, page.getByRole('button', { name: options.click }).or(page.getByRole('link', { name: options.click })).first());
      break;
    }
    if (!(await act(page, options))) break;
    if (step === 14) throw new Error(`no end in sight at ${before}`);
  }
  if (!arrived()) await remember(15);
} catch (error) {
  failed = error;
}
console.log(JSON.stringify({ url: landed ?? page.url(), pages, blocked, ...(failed && { error: String(failed) }) }));
await context.close();
if (!options.profile) rmSync(directory, { recursive: true, force: true });
process.exit(failed || (options.until && !arrived()) ? 1 : 0);

function arrived() {
  return landed !== undefined;
}

async function isOver() {
  await page.waitForLoadState('load');
  return arrived();
}

async function remember(step) {
  const heading = await page.locator('h1').first().textContent({ timeout: 1000 }).catch(() => '');
  const text = await page.locator('body').innerText({ timeout: 1000 }).catch(() => '');
  pages.push({ url: page.url(), title: await page.title(), heading: heading?.trim(), text: text.slice(0, 2000) });
  if (options.shots) {
    const where = new URL(page.url()).pathname.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '').slice(0, 40);
    await page.screenshot({ path: join(options.shots, `${String(step).padStart(2, '0')}-${where}.png`), fullPage: true });
  }
}
