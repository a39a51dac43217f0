// Tabs of a real Chromium on the page that ./run shows: chat, tickets, a guide and calls with real sound, over one socket
// and over one for each service. What happens to them in an outage is page_outage.test.mjs; how they look, page_looks.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { serve, start, until } from './lib.mjs';
import { close, entered, goTo, launch, message, narrow, person, quiet, say, services, shot, tab as openTab } from './page_lib.mjs';

let foz, behind, browser;
const browsers = [];
before(async () => {
  [foz, behind, browser] = await Promise.all([serve(), services(), launch('--use-fake-ui-for-media-stream')]);
  browsers.push(browser);
});
after(async () => {
  for (const one of browsers) await one.close();
  await foz.stop();
  await behind.stop();
});

const tab = (name, options = {}) => openTab(options.where ?? browser, foz.url, name, options);
const tabs = (options = {}) => Promise.all([tab('Ann', options), tab('Bob', options)]);
// For whom each socket is, by its own word.
const channels = (page) => [...page.sockets].map((socket) => new URL(socket.url()).searchParams.get('for')).sort();

async function chats(ann, bob, when) {
  await say(ann, `The tide turns at ${when}. Shall we meet at the harbour?`);
  await message(bob, 'The tide turns at ' + when).waitFor();
  await say(bob, `Yes, I bring the charts. <b>See you</b> at ${when}!`);
  await message(ann, `<b>See you</b> at ${when}!`).waitFor(); // as it was typed, not as HTML
  await ann.locator('.mine[data-state=sent]', { hasText: 'The tide turns at ' + when }).waitFor();

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
  for (const page of [ann, bob]) assert.equal(await message(page, 'The tide turns at ' + when).count(), 1);
}

async function handlesTickets(ann, bob, title) {
  await ann.click('#new-ticket');
  await ann.fill('#title', title);
  await ann.fill('#description', 'It has not lit up since Tuesday night.');
  await ann.click('#ticket-form .go');
  if (bob.viewportSize().width < 1000) await goTo(bob, 'tickets');
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
// What has been heard so far: the other's microphone beeps.
const energy = (page) => page.evaluate(async () => {
  const reports = [...(await window.connections.at(-1).getStats()).values()];
  return reports.find(({ type }) => type === 'inbound-rtp')?.totalAudioEnergy ?? 0;
});

const ring = (page, other) => person(page, other).click();
async function calls(ann, bob) {
  if (bob.viewportSize().width < 1000) await goTo(bob, 'chat'); // the call is told wherever one is
  await ring(ann, bob);
  await bob.locator('#ringing', { hasText: 'Ann is calling you.' }).waitFor();
  await phase(ann, 'calling');
  await bob.click('#answer');
  for (const page of [ann, bob]) {
    await phase(page, 'talking');
    await until(async () => await energy(page) > 0, 'the other is heard', 20);
    assert.equal(await page.locator('#remote').evaluate((audio) => audio.paused), false);
  }
  assert.equal(await ann.locator('#separate').isDisabled(), true);
}

async function wholeTour(query, expected_channels) {
  const [ann, bob] = await Promise.all([tab('Ann', { query }), tab('Bob', { query, viewport: narrow })]);
  assert.equal(await ann.locator('a[href="#guide"]').isVisible(), false, 'there is no such channel');
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

test('the switch exchanges the sockets under a running page, and nothing is missed', async () => {
  const [ann, bob] = await tabs();
  await say(bob, 'Before the switch');
  await message(ann, 'Before the switch').waitFor();
  await ann.click('header .switch');
  await say(ann, 'Written while the sockets change');
  await say(bob, 'Heard while the sockets change');
  await until(() => ann.sockets.size === 3, 'three sockets are open, and the one is gone');
  assert.deepEqual(channels(ann), ['chat', 'tickets', 'voice']);
  assert.equal(await ann.locator('#client').textContent(), ann.id);
  assert.equal(new URL(ann.url()).searchParams.get('sockets'), 'each');
  await say(bob, 'After the switch');
  for (const page of [ann, bob]) {
    await message(page, 'After the switch').waitFor();
    for (const text of ['Before the switch', 'Written while', 'Heard while']) assert.equal(await message(page, text).count(), 1, text);
  }
  await calls(ann, bob);
  await ann.click('#hangup');
  await ended(bob, 'Ann has hung up.');
  await ann.click('header .switch');
  await until(() => ann.sockets.size === 1, 'one socket is open');
  assert.equal(new URL(ann.url()).search, '');
  quiet(ann, bob);
  await close(ann, bob);
});

test('calls are declined, given up, refused as busy, and end with the page', async () => {
  const [[ann, bob], cara] = await Promise.all([tabs(), tab('Cara')]);
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
  const [ann, bob] = await Promise.all([tab('Ann', { where: strict, permissions: [] }), tab('Bob')]);
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

test('what a service refuses is told at the message, which can be edited', async () => {
  const [ann, bob] = await tabs();
  await say(ann, '\u0939'.repeat(1500)); // 4,500 bytes
  const failed = ann.locator('.mine[data-state=failed]');
  await failed.locator('.fate', { hasText: 'The text is not right: 1 to 4000 bytes are expected.' }).waitFor();
  await failed.getByRole('button', { name: 'Edit' }).click();
  assert.equal(await ann.locator('.mine').count(), 0);
  assert.equal((await ann.inputValue('#text')).length, 1500);
  await say(ann, 'Shorter');
  await message(bob, 'Shorter').waitFor();
  quiet(ann, bob);
  await close(ann, bob);
});

test('people come and go, and have the names that they say', async () => {
  const [ann, bob] = await tabs();
  await Promise.all([person(ann, bob).waitFor(), person(bob, ann).waitFor()]);
  await bob.fill('#name', 'Robert');
  await bob.press('#name', 'Enter');
  await ann.locator('#callable', { hasText: 'Robert' }).waitFor();
  await bob.selectOption('#to', ann.id);
  await ann.close();
  await until(async () => await person(bob, ann).count() === 0, 'who closes the tab has gone', 5);
  assert.equal(await bob.locator('#to option:checked').textContent(), 'only Ann, who has left', 'a whisper is not said aloud');
  quiet(bob);
  await close(bob);
});

test('errors are sentences', async () => {
  const page = await tab('Ann');
  const sentences = await page.evaluate(async () => {
    const { sentence } = await import('/words.js');
    return [
      { code: 'no_service' }, { code: 'timeout' }, { code: 'unavailable' }, { code: 'overloaded' }, { code: 'outbox_full' },
      { code: 'service', service_code: 'ticket_closed', service: { code: 'ticket_closed', message: 'closed' } },
      { code: 'service', service: { code: 'bad_message', message: 'title: 1 to 200 bytes are expected' } },
      { code: 'service', service: { code: 'odd', message: 'the lamp is out' } },
      { code: 'novel', message: 'something new' },
    ].map(sentence);
  });
  assert.deepEqual(sentences, [
    'Nobody is there to handle this at the moment. Please try again in a little while.',
    'No answer came in time. Trying again is safe: it happens once.',
    'The service can’t be reached at the moment, and nothing was sent. Please try again in a little while.',
    'There is too much to do at the moment. Please try again in a little while.',
    'Too much waits for the connection already. Please try again when it is back.',
    'This ticket is closed; it can’t be changed any more.',
    'The title is not right: 1 to 200 bytes are expected.',
    'The service said: the lamp is out.',
    'This did not work: something new.',
  ]);
  await close(page);
});
