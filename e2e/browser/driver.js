// A browser that does what it is told: commands as lines of JSON on standard input, an answer of one line to each.
//
//   {"do":"open","url":"http://…/"}   →   {"ok":null}   or   {"error":"…"}
//
// What a test does and expects stands in the test (e2e/tests/it/console*.rs); this knows the browser and nothing of the
// console. CHROMIUM names the browser.
'use strict';

const { chromium } = require('playwright-core');
const fs = require('node:fs');
const readline = require('node:readline');

/** The deadline of whatever a page is waited for. */
const SOON_MS = 15000;

let browser;
let context;
let page;
/** What went wrong in a page without a test having asked: exceptions, refused loads, breaches of its policy. */
let faults = [];

const commands = {
  /** A fresh browser profile at this address. Certificates of tests are signed by nobody whom a browser knows. */
  async open({ url, width = 1280, height = 900, theme = 'light' }) {
    await context?.close();
    faults = [];
    context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: 'reduce', timezoneId: 'UTC', locale: 'en-GB', ignoreHTTPSErrors: true });
    context.setDefaultTimeout(SOON_MS);
    page = await context.newPage();
    page.on('pageerror', (error) => faults.push(`exception: ${error.stack ?? error}`));
    page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    await page.goto(url);
  },

  async reload() {
    await page.reload();
  },

  async go({ hash }) {
    await page.evaluate(
      (to) =>
        new Promise((there) => {
          if (location.hash === to) return there();
          // Two pictures later, what stands there is the new view's.
          addEventListener('hashchange', () => requestAnimationFrame(() => requestAnimationFrame(() => there())), { once: true });
          location.hash = to;
          return undefined;
        }),
      hash,
    );
  },

  async click({ role = 'button', name, within, exact = true }) {
    await scope(within).getByRole(role, { name, exact }).first().click();
  },

  async choose({ label, value, within }) {
    await scope(within).getByLabel(label).first().selectOption(value);
  },

  async fill({ label, value, within }) {
    await scope(within).getByLabel(label).first().fill(value);
  },

  async press({ keys }) {
    for (const key of keys) await page.keyboard.press(key);
  },

  /** Waits until this text is visible below `within`. */
  async see({ text, within }) {
    await scope(within).getByText(text).locator('visible=true').first().waitFor();
  },

  /** Waits until it is no longer. */
  async gone({ text, within }) {
    await eventually(async () => !(await scope(within).innerText()).includes(text));
  },

  /** All that can be read below `within`. */
  async text({ within }) {
    return scope(within).innerText();
  },

  /** Waits until this expression of the page is true. */
  async until({ script }) {
    await eventually(() => page.evaluate(script));
  },

  async evaluate({ script }) {
    return page.evaluate(script);
  },

  async cookies() {
    return context.cookies();
  },

  async resize({ width, height }) {
    await page.setViewportSize({ width, height });
  },

  async theme({ theme }) {
    await page.emulateMedia({ colorScheme: theme });
  },

  async shot({ path, whole = false }) {
    await page.screenshot({ path, fullPage: whole });
  },

  /** Adds `suffix` to every string in what the API answers from now on, but for those that are looked up by their value. */
  async taint({ suffix, keep }) {
    await page.route('**/api/v1/**', async (route) => {
      const kind = route.request().headers().accept ?? '';
      if (kind.includes('event-stream')) return route.continue();
      const response = await route.fetch();
      let body = await response.text();
      try {
        body = JSON.stringify(tainted(JSON.parse(body), suffix, new Set(keep)));
      } catch {
        // No JSON: as it is.
      }
      return route.fulfill({ response, body });
    });
  },

  /** What axe finds: rule, how bad, and where. */
  async axe() {
    // Through the debugger: the page's policy lets no script of others in.
    await page.evaluate(fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    return violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.slice(0, 4).map((node) => `${node.target} ${node.any.concat(node.all).map((one) => one.message).join('; ')}`).join(' | ')}`);
  },

  /** What went wrong since the page was opened, and forgets it. */
  async faults() {
    return faults.splice(0);
  },
};

/** Asks again and again from here: what runs by itself in the page would be text that becomes code, which its policy forbids. */
async function eventually(look) {
  const deadline = Date.now() + SOON_MS;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`not within ${SOON_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const scope = (within) => page.locator(within ?? 'body');

function tainted(value, suffix, keep, name) {
  if (typeof value === 'string') return keep.has(name) ? value : value + suffix;
  if (Array.isArray(value)) return value.map((item) => tainted(item, suffix, keep, name));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, tainted(item, suffix, keep, key)]));
  }
  return value;
}

async function main() {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // In a container there is neither a sandbox to be had nor much of /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb', '--font-render-hinting=none'],
  });
  console.log(JSON.stringify({ ok: browser.version() }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const { do: name, ...parameters } = JSON.parse(line);
      answer = { ok: (await commands[name](parameters)) ?? null };
    } catch (error) {
      answer = { error: String(error.message ?? error).slice(0, 2000) };
    }
    console.log(JSON.stringify(answer));
  }
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
