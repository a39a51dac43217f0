// Two tabs of a real Chromium on the page that ./run shows: chat, tickets and a call with real sound, over one socket
// and over one for each service.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { chat, playwright, serve, tickets, until, voice } from './lib.mjs';

const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 844 };
const common = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream'];
const launch = (...args) => playwright().chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: [...common, ...args],
});

async function services() {
  const all = [await chat(), await tickets(), await voice()];
  return { stop: () => Promise.all(all.map((one) => one.stop())) };
}

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
async function tab(name, { viewport = wide, query = '', scheme = 'light', microphone = true, where = browser } = {}) {
  const permissions = microphone ? ['microphone'] : [];
  const context = await where.newContext({ viewport, colorScheme: scheme, permissions });
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
  await page.goto(foz.url + '/' + query);
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
// A picture for people to look at; whatever it shows, only the sections scroll, never the page.
async function shot(page, name) {
  await page.screenshot({ path: `${process.env.FOZ_OUT}/page-${name}.png` });
  const [width, height] = await page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [scrollWidth - innerWidth, scrollHeight - innerHeight];
  });
  assert.ok(width <= 0 && height <= 0, `${name}: the page is ${width} px too wide, ${height} px too high`);
}
const close = (...pages) => Promise.all(pages.map((page) => page.context().close()));
const quiet = (...pages) => assert.deepEqual(pages.flatMap(({ problems }) => problems), []);

async function chats(ann, bob, when) {
  await say(ann, `The tide turns at ${when}. Shall we meet at the harbour?`);
  await message(bob, 'The tide turns at ' + when).waitFor();
  await say(bob, `Yes, I bring the charts. <b>See you</b> at ${when}!`);
  await message(ann, `<b>See you</b> at ${when}!`).waitFor(); // as it was typed, not as HTML
  assert.equal(await message(ann, 'The tide turns at ' + when).locator('xpath=self::*[contains(@class, "mine")]').count(), 1);

  await bob.selectOption('#to', ann.id);
  await say(bob, 'Between us: the fog comes earlier.');
  await ann.locator('.message.direct', { hasText: 'Between us' }).waitFor();
  await bob.locator('.message.mine.direct', { hasText: 'Between us' }).waitFor();
  await bob.selectOption('#to', '');

  await bob.click('#rooms button[value=harbour]');
  await entered(bob, 'harbour');
  await say(ann, `Anyone still in the lobby at ${when}?`);
  await message(ann, 'Anyone still in the lobby at ' + when).waitFor();
  assert.equal(await message(bob, 'Anyone still').count(), 0);
  await bob.click('#rooms button[value=lobby]');
  await entered(bob, 'lobby');
  await message(bob, 'Anyone still in the lobby at ' + when).waitFor(); // from the history
  assert.equal(await message(bob, 'The tide turns at ' + when).count(), 1);
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
  await bob.click('#comment-form .go');
  await ann.locator('#comments li', { hasText: 'The lamp is here' }).waitFor();
  assert.equal(await ann.locator('#comments li').count(), 2);
}

async function closesTicket(ann, bob, title) {
  await ann.click('[form=close-form]');
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
// What has been heard so far.
const sound = (page) => page.evaluate(async () => {
  const reports = [...(await window.connections.at(-1).getStats()).values()];
  const { packetsReceived: packets = 0, totalAudioEnergy: energy = 0 } = reports.find(({ type }) => type === 'inbound-rtp') ?? {};
  return { packets, energy };
});
const packets = async (page) => (await sound(page)).packets;

const ring = (page, other) => page.click(`#callable button[value=${other.id}]`);
async function calls(ann, bob) {
  if (await bob.locator('nav').isVisible()) await goTo(bob, 'chat'); // the call is told wherever one is
  await ring(ann, bob);
  await bob.locator('#ringing', { hasText: 'Ann is calling you.' }).waitFor();
  await phase(ann, 'calling');
  await shot(bob, 'ringing-' + bob.viewportSize().width);
  await bob.click('#answer');
  for (const page of [ann, bob]) {
    await phase(page, 'talking');
    await until(() => connected(page), 'the peer connection stands');
    await until(async () => (await sound(page)).energy > 0, 'the other\'s microphone is heard: it beeps', 20);
    assert.equal(await page.locator('#remote').evaluate((audio) => audio.paused), false);
  }
  assert.equal(await ann.locator('#separate').isDisabled(), true);
}

async function wholeTour(query, expected_channels) {
  const ann = await tab('Ann', { query });
  const bob = await tab('Bob', { query, viewport: narrow });
  for (const page of [ann, bob]) assert.deepEqual(channels(page), expected_channels);
  const suffix = query ? '-each' : '';
  const title = query ? 'Pilot ladder is loose' : 'Lighthouse lamp is dark';
  await chats(ann, bob, query ? 'seven' : 'six');
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

// Two who know each other: whoever has written can be called.
async function acquainted(text, options = {}) {
  const ann = await tab('Ann', options);
  const bob = await tab('Bob', options);
  await say(bob, text);
  await message(ann, text).waitFor();
  return [ann, bob];
}

test('the switch exchanges the sockets under a running page', async () => {
  const [ann, bob] = await acquainted('Before the switch');
  await ann.click('.switch');
  await until(() => ann.sockets.size === 3, 'three sockets are open, and the one is gone');
  assert.deepEqual(channels(ann), ['chat', 'tickets', 'voice']);
  await entered(ann, 'lobby', 1);
  assert.equal(await ann.locator('#client').textContent(), ann.id);
  assert.equal(new URL(ann.url()).searchParams.get('sockets'), 'each');
  await say(bob, 'After the switch');
  await message(ann, 'After the switch').waitFor();
  assert.equal(await message(ann, 'Before the switch').count(), 1);
  await calls(ann, bob);
  await ann.click('#hangup');
  await ended(bob, 'Ann has hung up.');
  await ann.click('.switch');
  await until(() => ann.sockets.size === 1, 'one socket is open');
  await entered(ann, 'lobby', 2);
  assert.equal(new URL(ann.url()).search, '');
  quiet(ann, bob);
  await close(ann, bob);
});

test('calls are declined, given up, refused as busy, and end with the page', async () => {
  const [ann, bob] = await acquainted('Who calls?');
  const cara = await tab('Cara');
  await message(cara, 'Who calls?').waitFor();
  await ring(ann, bob);
  await bob.click('#decline');
  await ended(ann, 'Bob has declined the call.');
  await ring(ann, bob);
  await bob.locator('#ringing').waitFor();
  await ring(cara, bob);
  await cara.locator('#voice-error', { hasText: 'The line is busy' }).waitFor();
  await ann.click('#hangup');
  await ended(bob, 'Ann has given up calling.');
  await cara.fill('#callee', cara.id);
  await cara.press('#callee', 'Enter');
  await cara.locator('#voice-error', { hasText: 'your own id' }).waitFor();
  await calls(ann, bob);
  await bob.close({ runBeforeUnload: true });
  await phase(ann, 'idle');
  assert.match(await ann.locator('#call-state').textContent(), /^Bob (has hung up|is gone)/);
  quiet(ann, cara);
  await close(ann, bob, cara);
});

test('a refused microphone is told in words, and nobody is rung', async () => {
  const strict = await launch('--deny-permission-prompts');
  browsers.push(strict);
  const ann = await tab('Ann', { where: strict, microphone: false });
  const bob = await tab('Bob');
  await say(bob, 'Call me');
  await message(ann, 'Call me').waitFor();
  await ring(ann, bob);
  await ann.locator('#voice-error', { hasText: 'The microphone was refused.' }).waitFor();
  await ended(ann, 'You are in no call.');
  await say(ann, 'I can\'t talk');
  await message(bob, 'I can\'t talk').waitFor();
  assert.equal(await bob.locator('#ringing').isVisible(), false);
  // The one who is called can allow it and answer after all.
  await ring(bob, ann);
  await ann.click('#answer');
  await ann.locator('#voice-error', { hasText: 'The microphone was refused.' }).waitFor();
  assert.equal(await ann.locator('#ringing').isVisible(), true);
  await ann.click('#decline');
  await ended(bob, 'Ann has declined the call.');
  quiet(ann, bob);
  await close(ann, bob);
});

test('errors are sentences', async () => {
  const page = await tab('Ann');
  const sentences = await page.evaluate(async () => {
    const { sentence } = await import('/words.js');
    return [
      { code: 'no_service' }, { code: 'timeout' }, { code: 'unavailable' }, { code: 'overloaded' },
      { code: 'service', service_code: 'ticket_closed', service: { code: 'ticket_closed', message: 'closed' } },
      { code: 'service', service: { code: 'bad_message', message: 'title: 1 to 200 bytes are expected' } },
      { code: 'service', service: { code: 'odd', message: 'the lamp is out' } },
      { code: 'novel', message: 'something new' },
    ].map(sentence);
  });
  assert.deepEqual(sentences, [
    'Nobody is there to handle this at the moment. Please try again in a little while.',
    'No answer came in time. Please try again.',
    'The service can’t be reached at the moment, and nothing was sent. Please try again in a little while.',
    'There is too much to do at the moment. Please try again in a little while.',
    'This ticket is closed; it can’t be changed any more.',
    'The title is not right: 1 to 200 bytes are expected.',
    'The service said: the lamp is out.',
    'This did not work: something new.',
  ]);
  await close(page);
});

test('the page in the dark, and by keyboard alone', async () => {
  const ann = await tab('Ann', { scheme: 'dark' });
  const bob = await tab('Bob', { scheme: 'dark', viewport: narrow });
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
  await shot(ann, 'dark-wide');
  await ann.setViewportSize({ width: 820, height: 1180 });
  await shot(ann, 'dark-medium');
  await shot(bob, 'dark-chat-narrow');
  await goTo(bob, 'tickets');
  await shot(bob, 'dark-tickets-narrow');
  await goTo(bob, 'voice');
  await shot(bob, 'dark-voice-narrow');
  quiet(ann, bob);
  await close(ann, bob);
});

for (const query of ['', '?sockets=each']) {
  test('it survives the aggregator\'s restart' + query, async () => {
    const [ann, bob] = await acquainted('Before the restart' + query, { query });
    quiet(ann, bob); // from here on the browser itself complains that it can't connect
    const port = new URL(foz.url).port;
    await calls(ann, bob);
    await foz.kill();
    await ann.locator('#state', { hasText: 'Connection lost, trying again…' }).waitFor();
    const so_far = await packets(bob);
    await until(async () => await packets(bob) > so_far + 20, 'the two still hear each other');
    await shot(ann, 'lost-wide');
    await say(ann, 'Said without a connection' + query); // Primus keeps it
    foz = await serve(['--listen', '127.0.0.1:' + port]);
    for (const page of [ann, bob]) {
      await entered(page, 'lobby', 1);
      await message(page, 'Said without a connection' + query).waitFor();
      assert.equal(await message(page, 'Before the restart' + query).count(), 1);
    }
    // The service may not be able to tell Bob any more: his socket is another one.
    if (await ann.locator('#hangup').isVisible()) await ann.click('#hangup');
    for (const page of [ann, bob]) await phase(page, 'idle');
    await say(bob, 'Back again' + query);
    await message(ann, 'Back again' + query).waitFor();
    await handlesTickets(ann, bob, 'After the restart' + query);
    await calls(ann, bob);
    await ann.click('#hangup');
    await ended(bob, 'Ann has hung up.');
    assert.equal(await ann.locator('#client').textContent(), ann.id);
    await close(ann, bob);
  });
}

test('a service that is away is told in words, and what was typed is kept', async () => {
  const ann = await tab('Ann');
  await behind.stop();
  await say(ann, 'Is anyone listening?');
  await ann.locator('#chat-error', { hasText: 'try again' }).waitFor();
  assert.equal(await ann.inputValue('#text'), 'Is anyone listening?');
  behind = await services();
  await ann.click('#say button');
  await message(ann, 'Is anyone listening?').waitFor();
  assert.equal(await ann.locator('#chat-error').isVisible(), false);
  quiet(ann);
  await close(ann);
});
