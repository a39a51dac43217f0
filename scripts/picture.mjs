#!/usr/bin/env node
// Makes the picture in the README, of a page that runs and in whose harbour nobody has spoken yet:
// ./run, then scripts/picture.mjs [URL] [FILE].
import { createRequire } from 'node:module';

const [url = 'http://127.0.0.1:8080/', file = 'docs/page.jpg'] = process.argv.slice(2);
const { chromium } = createRequire(new URL('../clients/js/package.json', import.meta.url))('playwright-core');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

async function tab(name) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 760 } });
  const page = await context.newPage();
  await page.addInitScript((own_name) => {
    localStorage.setItem('foz-introduced', 'true');
    sessionStorage.setItem('foz-name', own_name);
    sessionStorage.setItem('foz-room', 'harbour');
  }, name);
  await page.goto(url);
  await page.locator('.note[data-complete]').waitFor({ state: 'attached' });
  return page;
}

async function say(page, other, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
  await other.locator('.message', { hasText: text }).waitFor();
}

const [ann, bob] = await Promise.all([tab('Ann'), tab('Bob')]);
await ann.locator('#callable button').first().waitFor();
await say(bob, ann, 'The tide turns at six. Shall we meet at the harbour?');
await say(ann, bob, 'Yes, I bring the charts.');
await say(ann, bob, 'And the lamp oil: it was low on Tuesday.');
await ann.click('a[href="#guide"]');
await ann.fill('#about', 'lighthouses');
await ann.click('#guide-ask');
await ann.click('a[href="#panel"]');
await ann.click('#panel .switch');
await ann.waitForFunction(() => Number(document.getElementById('written').textContent) >= 15);
await ann.screenshot({ path: file, type: 'jpeg', quality: 82 });
await ann.locator('.tale[data-state=whole]').waitFor({ timeout: 60_000 });
await browser.close();
