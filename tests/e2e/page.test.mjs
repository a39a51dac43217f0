// Two tabs of a real Chromium on the page that ./run shows: chat, tickets and a call with real sound, over one socket
// and over one for each service.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { playwright, serve, until } from './lib.mjs';
import { services } from './page_services.mjs';

const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 844 };
const common = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream'];
const launch = (...args) => playwright().chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: [...common, ...args],
});

let foz, behind, browser;
const browsers = [];
before(async () => {
  foz = await serve();
  behind = await services();
  browser = await launch('--use-fake-ui-for-media-stream');
  browsers.push(browser);
});
after(async () => {
  for (const one of browsers) await one.close();
  await foz.stop();
  await behind.stop();
});

// A tab that is ready, as a client of its own. It keeps what the console complains about, its sockets, and (for the
// test alone) its RTCPeerConnections.
async function tab(name, { viewport = wide, query = '', scheme = 'light', microphone = true, hash = '', where = browser } = {}) {
  const context = await where.newContext({ viewport, colorScheme: scheme, permissions: microphone ? ['microphone'] : [] });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.addInitScript((own_name) => {
    sessionStorage.setItem('foz-name', own_name);
    const Original = RTCPeerConnection;
    window.connections = [];
    window.RTCPeerConnection = class extends Original {
      constructor(...args) { super(...args); window.connections.push(this); }
    };
  }, name);
  page.problems = [];
  page.sockets = new Set();
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  page.on('websocket', (socket) => {
    page.sockets.add(socket);
    socket.on('close', () => page.sockets.delete(socket));
  });
  await page.goto(foz.url + '/' + query + hash);
  await entered(page, 'lobby');
  page.id = await page.locator('#client').textContent();
  return page;
}

const online = (page) => page.locator('#state[data-state=online]').waitFor();
// The room's history is there as well.
async function entered(page, room, nth = 0) {
  await online(page);
  await page.locator(`.note[data-room=${room}][data-complete]`).nth(nth).waitFor({ state: 'attached' });
}
const channels = (page) => [...page.sockets].map((socket) => new URL(socket.url()).searchParams.get('channel')).sort();

const message = (page, text) => page.locator('#messages .message', { hasText: text });
async function say(page, text) {
  await page.fill('#text', text);
  await page.click('#say button');
}
const goTo = (page, section) => page.locator(`nav a[href="#${section}"]`).click();
const shot = (page, name) => page.screenshot({ path: `${process.env.FOZ_OUT}/page-${name}.png` });
const close = (...pages) => Promise.all(pages.map((page) => page.context().close()));
const quiet = (...pages) => assert.deepEqual(pages.flatMap(({ problems }) => problems), []);

async function chats(ann, bob) {
  await say(ann, 'The tide turns at six. Shall we meet at the harbour?');
  await message(bob, 'The tide turns at six').waitFor();
  await say(bob, 'Yes, I bring the charts. <b>See you</b> there!');
  await message(ann, '<b>See you</b> there!').waitFor(); // as it was typed, not as HTML
  assert.equal(await message(ann, 'The tide turns').locator('xpath=self::*[contains(@class, "mine")]').count(), 1);

  await bob.selectOption('#to', { label: 'Only Ann' });
  await say(bob, 'Between us: the fog comes earlier.');
  await ann.locator('.message.direct', { hasText: 'Between us' }).waitFor();
  await bob.locator('.message.mine.direct', { hasText: 'Between us' }).waitFor();
  await bob.selectOption('#to', '');

  await bob.click('#rooms button[value=harbour]');
  await entered(bob, 'harbour');
  await say(ann, 'Anyone still in the lobby?');
  await message(ann, 'Anyone still').waitFor();
  assert.equal(await message(bob, 'Anyone still').count(), 0);
  await bob.click('#rooms button[value=lobby]');
  await entered(bob, 'lobby');
  await message(bob, 'Anyone still').waitFor(); // from the history
  assert.equal(await message(bob, 'The tide turns').count(), 1);
}

async function handlesTickets(ann, bob, title) {
  await ann.click('#new-ticket');
  await ann.fill('#title', title);
  await ann.fill('#description', 'It has not lit up since Tuesday night.');
  await ann.click('#ticket-form .go');
  if (await bob.locator('nav').isVisible()) await goTo(bob, 'tickets');
  const row = bob.locator('.ticket', { hasText: title });
  await row.locator('button').click();
  await bob.locator('#comments li', { hasText: 'since Tuesday' }).waitFor();

  await bob.click('#assign-form button'); // empty: oneself
  await ann.locator('.ticket', { hasText: title }).getByText('Bob looks after it').waitFor();
  await ann.locator('.ticket', { hasText: title }).locator('button').click();
  await bob.fill('#comment', 'The lamp is here; we sail out tomorrow.');
  await bob.click('#comment-form button');
  await ann.locator('#comments li', { hasText: 'The lamp is here' }).waitFor();
  assert.equal(await ann.locator('#comments li').count(), 2);
}

async function closesTicket(ann, bob, title) {
  await ann.click('#close-form button');
  await bob.locator('#ticket[data-state=closed]').waitFor();
  assert.equal(await bob.locator('#comment-form').isVisible(), false);
  for (const page of [ann, bob]) await page.click('#ticket-back');
  assert.equal(await bob.locator('.ticket', { hasText: title }).count(), 0);
  await bob.selectOption('#filter', 'closed');
  await bob.locator('.ticket[data-state=closed]', { hasText: title }).waitFor();
  await bob.selectOption('#filter', 'open');
}

const phase = (page, name) => page.locator(`#voice[data-phase=${name}]`).waitFor({ state: 'attached' });
const ended = async (page, words) => {
  await phase(page, 'idle');
  assert.equal(await page.locator('#call-state').textContent(), words);
};
const connected = (page) => page.evaluate(() => window.connections.at(-1).connectionState === 'connected');
// What has been heard so far: the fake microphone beeps.
const heard = (page) => page.evaluate(async () => {
  const reports = [...(await window.connections.at(-1).getStats()).values()];
  const sound = reports.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio');
  return sound && sound.packetsReceived > 20 && sound.totalAudioEnergy > 0;
});

async function calls(ann, bob) {
  if (await bob.locator('nav').isVisible()) await goTo(bob, 'chat'); // the call is told wherever one is
  await ann.getByRole('button', { name: 'Call Bob' }).click();
  await bob.locator('#ringing', { hasText: 'Ann is calling you.' }).waitFor();
  await phase(ann, 'calling');
  await bob.click('#answer');
  for (const page of [ann, bob]) {
    await phase(page, 'talking');
    await until(() => connected(page), 'the peer connection stands');
    await until(() => heard(page), 'sound arrives', 20);
    assert.equal(await page.locator('#remote').evaluate((audio) => audio.paused), false);
  }
  assert.equal(await ann.locator('#separate').isDisabled(), true);
}

async function wholeTour(query, expected_channels) {
  const ann = await tab('Ann', { query });
  const bob = await tab('Bob', { query, viewport: narrow });
  const title = 'Lighthouse lamp is dark' + query;
  for (const page of [ann, bob]) assert.deepEqual(channels(page), expected_channels);
  const suffix = query ? '-each' : '';
  await chats(ann, bob);
  await shot(bob, 'chat-narrow' + suffix);
  await handlesTickets(ann, bob, title);
  await shot(ann, 'wide' + suffix);
  await shot(bob, 'ticket-narrow' + suffix);
  await closesTicket(ann, bob, title);
  await calls(ann, bob);
  await shot(ann, 'call-wide' + suffix);
  await shot(bob, 'voice-narrow' + suffix);
  await bob.click('#hangup');
  await ended(ann, 'Bob has hung up.');
  await ended(bob, 'You have hung up.');
  for (const page of [ann, bob]) assert.deepEqual(channels(page), expected_channels);
  quiet(ann, bob);
  await close(ann, bob);
}

test('chat, tickets and a call over one socket', () => wholeTour('', [null]));
test('the same over a socket for each service', () => wholeTour('?sockets=each', ['chat', 'tickets', 'voice']));
