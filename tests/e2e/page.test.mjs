// Two tabs of a real Chromium chat on the page that ./run shows.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { chat, playwright, serve } from './lib.mjs';

let foz, service, browser;
before(async () => {
  foz = await serve();
  service = await chat();
  browser = await playwright().chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
});
after(async () => {
  await browser?.close();
  await foz.stop();
  await service.stop();
});

async function tab(name, viewport = { width: 1100, height: 700 }) {
  const page = await (await browser.newContext({ viewport })).newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  await page.goto(foz.url);
  await page.locator('#state[data-state=online]').waitFor();
  await page.locator('.note').first().waitFor();
  await page.fill('#name', name);
  return page;
}

const send = async (page, text) => {
  await page.fill('#text', text);
  await page.click('button');
};
const heard = (page, text) => page.locator('#messages li', { hasText: text }).waitFor();

test('two tabs chat, whisper, change rooms, and survive the aggregator\'s restart', async () => {
  const ann = await tab('Ann');
  const bob = await tab('Bob', { width: 420, height: 800 });
  await send(ann, 'Hello from Ann');
  await heard(bob, 'Hello from Ann');
  await send(bob, 'Hi Ann, this is Bob');
  await heard(ann, 'Hi Ann, this is Bob');
  assert.equal(await ann.locator('li.mine').count(), 1);

  await bob.selectOption('#to', { label: 'only Ann' });
  await send(bob, 'Between us');
  await heard(ann, 'Between us');
  assert.equal(await ann.locator('li.direct').count(), 1);

  await ann.screenshot({ path: process.env.FOZ_OUT + '/page-wide.png' });
  await bob.screenshot({ path: process.env.FOZ_OUT + '/page-narrow.png' });

  await bob.selectOption('#to', '');
  await bob.fill('#room', 'harbour');
  await bob.locator('#room').dispatchEvent('change');
  await bob.locator('.note', { hasText: 'harbour' }).waitFor();
  await send(ann, 'Anyone in the lobby?');
  await heard(ann, 'Anyone in the lobby?');
  await bob.fill('#room', 'lobby');
  await bob.locator('#room').dispatchEvent('change');
  await bob.locator('.note', { hasText: 'lobby' }).nth(1).waitFor();
  assert.equal(await bob.locator('li', { hasText: 'Anyone in the lobby?' }).count(), 0);

  // From here on the browser itself complains that it can't connect.
  assert.deepEqual([...ann.problems, ...bob.problems], []);
  const port = new URL(foz.url).port;
  await foz.kill();
  await ann.locator('#state:not([data-state=online])').waitFor();
  foz = await serve(['--listen', '127.0.0.1:' + port]);
  await ann.locator('#state[data-state=online]').waitFor();
  await bob.locator('#state[data-state=online]').waitFor();
  await bob.locator('.note', { hasText: 'lobby' }).nth(2).waitFor();
  await send(ann, 'Back again');
  await heard(bob, 'Back again');
});
