// How the page is for everyone: sizes, contrasts, forced colours, keyboard, less motion; and what only some see of it: the
// first visit, the panel of ./run.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { serve, until } from './lib.mjs';
import { close, entered, fakePanel, goTo, launch, message, narrow, person, quiet, say, services, shot, tab as openTab } from './page_lib.mjs';

const jsqr = readFileSync(createRequire(process.env.FOZ_ROOT + '/clients/js/package.json').resolve('jsqr'), 'utf8');

let foz, behind, browser, panel;
before(async () => {
  [foz, behind, browser, panel] = await Promise.all([serve(), services(), launch('--use-fake-ui-for-media-stream'), fakePanel([
    { name: 'foz', kind: 'aggregator', state: 'running', pid: 1, restarts: 0, down_ms: null },
    { name: 'broker', kind: 'broker', state: 'running', pid: 2, restarts: 1, down_ms: 640 },
    { name: 'chat', kind: 'service', state: 'running', pid: 3, restarts: 0, down_ms: null },
    { name: 'voice', kind: 'service', state: 'starting', pid: null, restarts: 1, down_ms: null },
  ])]);
});
after(async () => {
  await browser.close();
  panel.close();
  await foz.stop();
  await behind.stop();
});

const tab = (name, options = {}) => openTab(browser, foz.url, name, options);
const sections = ['chat', 'tickets', 'voice', 'panel'];

// Controls that are smaller than a finger (44 px), and those whose edge can hardly be told from what is around (3:1).
const measure = (page) => page.evaluate(() => {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, i) => c * a + below[i] * (1 - a));
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  // What can be behind an element: one colour, or those of a gradient.
  const behind = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      const { backgroundColor, backgroundImage } = getComputedStyle(at);
      const stops = backgroundImage.includes('gradient') ? backgroundImage.match(/rgba?\([^)]*\)/g).map(parse) : [];
      if (stops.length > 0) return stops;
      const color = parse(backgroundColor);
      if ((color[3] ?? 1) === 1) return [color];
    }
    return [[255, 255, 255]];
  };
  const name = (element) => element.id || element.name || element.textContent.trim();
  const small = [], faint = [];
  for (const control of document.querySelectorAll('button, input, select, textarea, a[href], summary')) {
    if (!control.checkVisibility() || control.disabled || control.closest('.unseen')) continue;
    const box = (control.matches('[type=checkbox], [type=radio]') ? control.closest('label') : control).getBoundingClientRect();
    if (box.width < 43.9 || box.height < 43.9) small.push(`${name(control)}: ${box.width} x ${box.height}`);
    const style = getComputedStyle(control);
    if (control.matches('a, [aria-disabled=true]') || style.appearance === 'auto' && control.type === 'radio') continue;
    const ratio = Math.min(...behind(control).map((color) => Math.max(contrast(over(parse(style.borderTopColor), color), color),
      contrast(over(parse(style.backgroundColor), color), color))));
    if (ratio < 3) faint.push(`${name(control)}: ${ratio.toFixed(2)}`);
  }
  return { small, faint };
});

for (const scheme of ['light', 'dark'])
  test(`every control is as large as a finger and has an edge that can be seen: ${scheme}`, async () => {
    const page = await tab('Ann', { colorScheme: scheme, run: panel.run, reducedMotion: 'reduce' });
    await page.locator('a[href="#panel"]').waitFor();
    await page.click('#new-ticket');
    for (const viewport of [{ width: 1280, height: 800 }, narrow]) {
      await page.setViewportSize(viewport);
      for (const section of sections) {
        await goTo(page, section);
        assert.deepEqual(await measure(page), { small: [], faint: [] }, `${section} at ${viewport.width} px`);
        await shot(page, `${scheme}-${section}-${viewport.width}`);
      }
    }
    quiet(page);
    await close(page);
  });

test('a phone on its side and twice the size leave room for the messages', async () => {
  const page = await tab('Ann', { run: panel.run });
  await say(page, 'Can you read this?');
  await message(page, 'Can you read this?').waitFor();
  for (const [name, width, height] of [['landscape', 844, 390], ['small-landscape', 667, 375], ['twice', 640, 400], ['tablet', 820, 1180], ['small', 320, 568]]) {
    await page.setViewportSize({ width, height });
    for (const section of sections) {
      await goTo(page, section);
      await shot(page, `${name}-${section}`);
    }
    await goTo(page, 'chat');
    const seen = await page.evaluate(() => {
      const inside = (box) => box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
      const list = document.getElementById('messages').getBoundingClientRect();
      return { box: inside(document.getElementById('text').getBoundingClientRect()), messages: Math.round(list.height) };
    });
    assert.ok(seen.box && seen.messages >= 90, `${name}: ${JSON.stringify(seen)}`);
  }
  await close(page);
});

test('in forced colours every state is told by more than a colour', async () => {
  const [ann, bob] = await Promise.all([tab('Ann', { forcedColors: 'active', run: panel.run }), tab('Bob')]);
  await say(ann, 'Is anyone there?');
  await ann.locator('.mine[data-state=sent] .fate', { hasText: 'sent' }).waitFor();
  assert.equal(await ann.locator('#state').textContent(), 'Connected');
  const mark = (selector, pseudo, what) => ann.locator(selector).first().evaluate((element, [of, property]) =>
    getComputedStyle(element, of)[property], [pseudo, what]);
  assert.match(await mark('#sockets li', '::before', 'content'), /●/);
  const edge = async (selector) => parseFloat(await mark(selector, null, 'borderTopWidth'));
  assert.ok(await edge('#rooms [aria-pressed=true]') > await edge('#rooms [aria-pressed=false]'), 'the room that one is in');
  assert.ok(await edge('nav [aria-current]') > await edge('nav :not(.beside)'), 'the section that is shown');
  await goTo(ann, 'panel');
  assert.deepEqual(await ann.locator('.process-state').allTextContents(), ['running', 'running', 'running', 'starting…']);
  await shot(ann, 'forced');
  quiet(ann, bob);
  await close(ann, bob);
});

test('the page by keyboard alone', async () => {
  const [ann, bob] = await Promise.all([tab('Ann'), tab('Bob', { viewport: narrow })]);
  await bob.focus('#text');
  await bob.keyboard.type('The night ferry is on time.');
  await bob.keyboard.press('Enter');
  await message(ann, 'The night ferry').waitFor();
  for (const title of ['Buoy 7 has drifted', 'Radio silence on channel 12']) {
    await ann.focus('#new-ticket');
    await ann.keyboard.press('Enter'); // the focus goes to the title
    await ann.keyboard.type(title);
    await ann.keyboard.press('Enter');
    await ann.locator('.ticket', { hasText: title }).waitFor();
  }
  await ann.keyboard.press('Tab'); // from the button for a new ticket to the newest one
  await ann.keyboard.press('Enter');
  await ann.locator('#ticket-title', { hasText: 'Radio silence' }).waitFor();
  assert.equal(await ann.evaluate(() => document.activeElement.id), 'ticket-title');
  await ann.click('#ticket-back');
  quiet(ann, bob);
  await close(ann, bob);
});

test('a drop runs along the river for each message, and none where motion is not wanted', async () => {
  const [ann, bob] = await Promise.all([tab('Ann'), tab('Bob', { reducedMotion: 'reduce' })]);
  for (const page of [ann, bob]) await page.evaluate(() => {
    window.drops = [];
    window.most = 0;
    new MutationObserver(() => {
      window.most = Math.max(window.most, document.querySelectorAll('.drop').length);
      for (const drop of document.querySelectorAll('.drop:not([data-seen])'))
        window.drops.push([drop.className, drop.dataset.seen = drop.firstElementChild.dataset.ms ?? 'none']);
    }).observe(document.getElementById('stream'), { childList: true });
  });
  await until(async () => await ann.locator('.drop').count() === 0, 'what came before has run out');
  await ann.evaluate(() => { window.drops.length = 0; });
  await say(ann, 'A drop');
  for (const page of [ann, bob]) await message(page, 'A drop').waitFor();
  await ann.locator('.mine[data-state=sent]', { hasText: 'A drop' }).waitFor();
  const [[out, none], [back, ms], ...more] = await ann.evaluate(() => window.drops);
  assert.deepEqual([out, none, back, more.length], ['drop out', 'none', 'drop in', 0]);
  assert.match(ms, /^[\d.]+ ms$/);
  assert.equal(await ann.locator('#pulse').textContent(), ms);
  await until(async () => await ann.locator('.drop').count() === 0, 'a drop that has arrived is gone');
  // However many there are.
  await ann.evaluate(async () => { await Promise.all(Array.from({ length: 60 }, (_, i) => i).map(async (i) => {
    document.getElementById('text').value = 'drop ' + i;
    document.getElementById('say').requestSubmit();
  })); });
  await message(bob, 'drop 59').waitFor();
  assert.ok(await ann.evaluate(() => window.most) <= 24);
  assert.deepEqual(await bob.evaluate(() => window.drops), []);
  assert.match(await bob.locator('#pulse').textContent(), / ms$/);
  quiet(ann, bob);
  await close(ann, bob);
});

test('the first visit explains itself, once, and leads to a second tab and to the phone', async () => {
  const address = 'http://192.168.1.23:8080/';
  const page = await tab('Ann', { first: true, run: { lan_url: address } });
  await page.locator('#qr svg').waitFor();
  await shot(page, 'first-visit');
  const picture = (await page.locator('#qr').screenshot()).toString('base64');
  await page.evaluate(jsqr); // a script of the test's: sets window.jsQR
  const read = await page.evaluate(async (base64) => {
    const octets = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([octets], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    return window.jsQR(canvas.getImageData(0, 0, bitmap.width, bitmap.height).data, bitmap.width, bitmap.height)?.data;
  }, picture);
  assert.equal(read, address);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'second-tab');
  const [second] = await Promise.all([page.context().waitForEvent('page'), page.click('#second-tab')]);
  await second.locator('#state[data-state=online]').waitFor();
  assert.notEqual(await second.locator('#client').textContent(), page.id, 'it is somebody else');
  await second.locator('#name').waitFor();
  assert.equal(await second.locator('#intro').isVisible(), false);
  await page.reload();
  await entered(page, 'lobby');
  assert.equal(await page.locator('#intro').isVisible(), false);
  await page.click('#help');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#intro').isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'help');
  quiet(page);
  await close(page);
});

test('the panel shows what runs and kills it, and is not there without one', async () => {
  const [ann, bob] = await Promise.all([tab('Ann', { run: panel.run, query: '#panel' }), tab('Bob', { query: '#panel' })]);
  const row = ann.locator('#processes li', { hasText: 'chat' });
  await row.locator('.process-state', { hasText: 'running' }).waitFor();
  await ann.getByRole('button', { name: 'Kill chat' }).click();
  await row.locator('.process-state', { hasText: 'down' }).waitFor();
  await ann.getByRole('button', { name: 'Kill chat' }).click({ force: true }); // it looks as if it could not be
  await ann.locator('#panel-error', { hasText: 'not running' }).waitFor();
  const chat = panel.processes.find(({ name }) => name === 'chat');
  Object.assign(chat, { state: 'running', down_ms: 1234 });
  panel.tell();
  await row.getByText('service · 1 restart · down 1.2 s').waitFor();
  await ann.click('#poison');
  await ann.click('#slow');
  await until(() => panel.orders.length === 4, 'the orders are given');
  assert.deepEqual(panel.orders, [['/kill', { name: 'chat' }], ['/kill', { name: 'chat' }], ['/poison', {}], ['/slow', { seconds: 20 }]]);
  assert.equal(await bob.locator('a[href="#panel"]').isVisible(), false);
  assert.equal(await bob.locator('#panel').isVisible(), false);
  assert.equal(await bob.locator('#chat').isVisible(), true);
  await close(ann, bob);
});

test('the steady stream is counted, and a message that is missing or comes twice is seen', async () => {
  const ann = await tab('Ann', { run: panel.run, query: '#panel' });
  await ann.locator('#panel .switch').click();
  const count = async (name) => Number((await ann.locator('#' + name).textContent()).replace(/\D/g, ''));
  await until(async () => await count('answered') >= 5, 'some are answered');
  await ann.locator('#panel .switch').click();
  await until(async () => await count('waiting') === 0, 'all are answered');
  assert.equal(await count('written'), await count('answered'));
  assert.deepEqual([await count('lost'), await count('repeated'), await count('failed')], [0, 0, 0]);
  assert.ok(await count('longest') > 0);
  // The books themselves, with a clock and misfortunes of the test's own.
  const kept = await ann.evaluate(async () => {
    const { Books } = await import('/audit.js');
    const books = new Books();
    for (let i = 0; i < 5; i += 1) books.write(i);
    for (const number of [1, 2, 3]) books.answer(number, 100);
    books.fail(4);
    for (const number of [1, 3, 3]) books.hear(number);
    return {
      ...{ repeated: books.repeated, waiting: books.waiting, longest: books.longest(500) },
      lost: [books.lost(200, 0), books.lost(20_000, 0), books.lost(20_000, 15_000), books.lost(20_000, null)],
    };
  });
  assert.deepEqual(kept, { repeated: 1, waiting: 1, longest: 496, lost: [0, 1, 0, 0] });
  quiet(ann);
  await close(ann);
});
