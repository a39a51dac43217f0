// The page when something is killed under it: what was written is there once for everyone, whoever presses what, and who
// is there is still known.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { chat, closeAll, configFile, guide, ownBroker, serve, tickets, until, voice } from './lib.mjs';
import { close, entered, launch, message, online, person, quiet, say, shot, tab as openTab, texts } from './page_lib.mjs';

// A service that is away is told soon.
const configuration = configFile(`
[channels.chat]
no_service_after_ms = 300
[channels.tickets]
[channels.guide]
[channels.voice]
delivery = "volatile"
consumers = "single_active"
presence = true
no_service_after_ms = 0
`);

let broker, foz, services, browser, worker;
const startGuide = async () => { worker = await guide(['--pause', '50'], broker.url); };
const startFoz = () => serve(['--config', configuration, ...(foz ? ['--listen', new URL(foz.url).host] : [])], broker.url);
before(async () => {
  broker = await ownBroker();
  foz = await startFoz();
  [services, browser] = await Promise.all([
    Promise.all([chat([], broker.url), tickets([], broker.url), voice([], broker.url)]), launch('--use-fake-ui-for-media-stream'), startGuide()]);
});
after(async () => {
  await browser.close();
  await foz.stop();
  await Promise.all([worker, ...services].map((one) => one.stop()));
  await closeAll();
});

const tab = (name, options = {}) => openTab(browser, foz.url, name, options);
const tabs = async (options = {}) => {
  const both = await Promise.all([tab('Ann', options), tab('Bob', options)]);
  await Promise.all([person(both[0], both[1]).waitFor(), person(both[1], both[0]).waitFor()]);
  return both;
};
const lost = (...pages) => Promise.all(pages.map((page) => page.locator('#state[data-state=lost]').waitFor()));
const fate = (page, text, state) => page.locator(`.mine[data-state=${state}]`, { hasText: text }).waitFor();

// Everybody has these messages, the last one of which was written when all was well again, and each once. Their order is
// the service's, which works on several at once.
async function everybodyHas(pages, expected) {
  for (const page of pages) {
    await message(page, expected.at(-1)).waitFor();
    assert.deepEqual((await texts(page)).filter((text) => expected.includes(text)).sort(), [...expected].sort());
  }
}

for (const query of ['', '?sockets=each'])
  test('an aggregator is killed, messages are written meanwhile, a call goes on' + query, async () => {
    const [ann, bob] = await tabs({ query });
    const all = ['before', 'during 1', 'during 2', 'after'].map((text) => text + query);
    await say(ann, all[0]);
    await message(bob, all[0]).waitFor();
    quiet(ann, bob); // from here on the browser itself complains that it can't connect
    await person(ann, bob).click();
    await bob.click('#answer');
    for (const page of [ann, bob]) await page.locator('#voice[data-phase=talking]').waitFor();
    await foz.kill();
    await lost(ann, bob);
    await say(ann, all[1]);
    await fate(ann, all[1], 'waiting');
    await say(ann, all[2]);
    assert.equal(await ann.locator('#voice').getAttribute('data-phase'), 'talking', 'the sound goes its own way');
    await shot(ann, 'outage' + (query && '-each'));
    foz = await startFoz();
    await Promise.all([online(ann), online(bob)]);
    await fate(ann, all[2], 'sent');
    await say(bob, all[3]);
    await everybodyHas([ann, bob], all);
    await Promise.all([person(ann, bob).waitFor(), person(bob, ann).waitFor()]);
    if (await ann.locator('#hangup').isVisible()) await ann.click('#hangup');
    for (const page of [ann, bob]) await page.locator('#voice[data-phase=idle]').waitFor();
    await close(ann, bob);
  });

test('the broker is killed, messages are written meanwhile, and the page is loaded anew in the middle', async () => {
  const [ann, bob] = await tabs({ patience_ms: 60_000 }); // a RabbitMQ may need longer than 10 s to start
  const all = ['storm 1', 'storm 2', 'storm 3', 'storm 4', 'storm 5'];
  await say(ann, all[0]);
  await message(bob, all[0]).waitFor();
  await broker.kill();
  await say(ann, all[1]);
  await say(ann, all[2]);
  await ann.reload();
  await message(ann, all[2]).waitFor();
  assert.deepEqual(await ann.locator('.mine').evaluateAll((items) => items.map(({ dataset }) => ['sending', 'waiting'].includes(dataset.state))), [true, true]);
  await say(ann, all[3]);
  await broker.start();
  await entered(ann, 'lobby');
  await fate(ann, all[3], 'sent');
  await say(ann, all[4]);
  await everybodyHas([ann, bob], all);
  assert.equal(await ann.locator('#client').textContent(), ann.id, 'it is the same client after the reload');
  await ann.reload();
  await entered(ann, 'lobby');
  await everybodyHas([ann], all);
  await close(ann, bob);
});

test('what nobody handled is told, survives a reload, and is said once when it is tried again', async () => {
  const [ann, bob] = await tabs({ patience_ms: 700 });
  await services[0].kill();
  await say(ann, 'is anyone at work?');
  await fate(ann, 'is anyone at work?', 'failed');
  assert.match(await ann.locator('#fate').textContent(), /^Your message was not sent: /);
  await shot(ann, 'failed');
  await ann.reload();
  const retry = ann.locator('.mine[data-state=failed]', { hasText: 'is anyone at work?' }).getByRole('button', { name: 'Retry' });
  await retry.click();
  await retry.waitFor(); // failed once more
  services[0] = await chat([], broker.url);
  await until(async () => {
    await retry.click({ timeout: 500 }).catch(() => {}); // it may have worked meanwhile
    return await ann.locator('.mine[data-state=sent]').count();
  }, 'it is sent', 20);
  await say(ann, 'good to see you');
  await everybodyHas([ann, bob], ['is anyone at work?', 'good to see you']);
  await close(ann, bob);
});

test('a message that timed out, is tried again and is done after all is one message', async () => {
  const [ann, bob] = await tabs({ patience_ms: 700 });
  services[0].child.kill('SIGSTOP');
  await say(ann, 'slowly');
  await ann.locator('.fate', { hasText: 'Trying again is safe' }).waitFor();
  await ann.getByRole('button', { name: 'Retry' }).click();
  await fate(ann, 'slowly', 'sending');
  services[0].child.kill('SIGCONT');
  await until(async () => {
    await ann.getByRole('button', { name: 'Retry' }).click({ timeout: 200 }).catch(() => {});
    return await ann.locator('.mine[data-state=sent]').count();
  }, 'it is sent', 20);
  await say(ann, 'and surely');
  await everybodyHas([ann, bob], ['slowly', 'and surely']);
  const newcomer = await tab('Cara');
  await everybodyHas([newcomer], ['slowly', 'and surely']);
  await close(ann, bob, newcomer);
});

test('a ticket whose opening timed out and is asked for again is one ticket', async () => {
  const ann = await tab('Ann', { patience_ms: 700 });
  services[1].child.kill('SIGSTOP');
  await ann.click('#new-ticket');
  await ann.fill('#title', 'The buoy rings twice');
  await ann.press('#title', 'Enter');
  await ann.locator('#tickets-error', { hasText: 'Trying again is safe' }).waitFor();
  services[1].child.kill('SIGCONT');
  await until(async () => {
    await ann.click('#ticket-form .go', { timeout: 200 }).catch(() => {}); // it may have worked meanwhile
    return await ann.locator('#ticket-form').isHidden();
  }, 'it is opened', 20);
  const bob = await tab('Bob');
  await bob.locator('.ticket', { hasText: 'The buoy rings twice' }).first().waitFor();
  for (const page of [ann, bob]) assert.equal(await page.locator('.ticket', { hasText: 'The buoy rings twice' }).count(), 1);
  await close(ann, bob);
});

test('who leaves while nobody can tell is gone soon, and nobody who is there is', async () => {
  const [ann, bob] = await tabs({ clock: true });
  const cara = await tab('Cara');
  await Promise.all([person(ann, cara).waitFor(), person(bob, cara).waitFor()]);
  await foz.kill();
  await cara.close();
  foz = await startFoz();
  await Promise.all([online(ann), online(bob)]);
  await bob.clock.pauseAt(Date.now() + 5000); // as in a hidden tab: from here on its timers sleep
  for (let seconds = 0; seconds < 30 && await person(ann, cara).count() > 0; seconds += 1) {
    await ann.clock.fastForward(1000);
    await ann.evaluate(() => fetch('run.json')); // time for what has been written to come back
    assert.equal(await person(ann, bob).count(), 1, 'Bob is there after ' + seconds + ' s');
  }
  assert.equal(await person(ann, cara).count(), 0);
  await close(ann, bob, cara);
});

test('a tab that was duplicated is somebody else, and has nothing of what the other one writes', async () => {
  const [ann, bob] = await tabs();
  await services[0].kill();
  await say(ann, 'not for my copy');
  await fate(ann, 'not for my copy', 'failed');
  const opened = ann.context().waitForEvent('page');
  await ann.evaluate(() => { window.open(location.href); }); // browsers copy sessionStorage into it, as into a duplicate
  const copy = await opened;
  await until(async () => {
    const id = await copy.locator('#client').textContent().catch(() => '…');
    return id !== '…' && id !== ann.id;
  }, 'the copy is another client');
  assert.equal(await message(copy, 'not for my copy').count(), 0);
  assert.equal(await ann.locator('#client').textContent(), ann.id);
  services[0] = await chat([], broker.url);
  await until(async () => {
    // Its tab is behind the copy's: a click would wait for frames that may not be drawn there.
    await ann.getByRole('button', { name: 'Retry' }).dispatchEvent('click', undefined, { timeout: 500 }).catch(() => {});
    return await ann.locator('.mine[data-state=sent]').count();
  }, async () => `it is sent; ${await ann.locator('#state').textContent()}; ${await ann.locator('#messages').innerHTML()}; ${foz.output.slice(-1500)}`, 40);
  await everybodyHas([ann, bob, copy], ['not for my copy']);
  await close(ann, bob);
});

const ask = async (page, about, how) => {
  await page.locator('#guide-form label', { hasText: how }).click();
  await page.fill('#about', about);
  await page.click('#guide-ask');
  return page.locator('.tale', { hasText: about });
};
const words = async (tale) => (await tale.locator('.text').textContent()).split(' ').filter(Boolean);

test('a guide is killed in the middle: another one goes on, or begins again and the page says so', async () => {
  const ann = await tab('Ann', { query: '#guide' });
  const told = await ask(ann, 'lighthouses', 'Tell');
  await until(async () => (await words(told)).length >= 5, 'it has begun');
  const first = await words(told);
  await worker.kill();
  await startGuide();
  await ann.locator('.tale[data-state=whole]', { hasText: 'lighthouses' }).waitFor();
  const all = await words(told);
  assert.deepEqual(all.slice(0, first.length), first, 'it goes on');
  assert.equal(await told.locator('.state').textContent(), `All ${all.length} words.`);

  const invented = await ask(ann, 'harbours', 'Improvise');
  await until(async () => (await words(invented)).length >= 5, 'it has begun');
  await worker.kill();
  await startGuide();
  await invented.locator('.mark', { hasText: 'begun again' }).waitFor();
  await shot(ann, 'guide');
  await ann.locator('.tale[data-state=whole]', { hasText: 'harbours' }).waitFor();
  const again = await words(invented);
  assert.equal(await invented.locator('.state').textContent(), `All ${again.length} words.`);

  const stopped = await ask(ann, 'ferries', 'Tell');
  await until(async () => (await words(stopped)).length >= 2, 'it has begun');
  await ann.click('#guide-stop');
  await stopped.locator('.state', { hasText: 'Stopped.' }).waitFor();
  await ann.locator('#guide-ask').waitFor();
  assert.equal(await ann.locator('#guide-error').isVisible(), false);
  assert.equal(await stopped.getAttribute('data-state'), 'stopped');
  quiet(ann);
  await close(ann);
});
