// One channel that the broker refuses again and again: the others notice nothing, it is tried more and more seldom, and
// whoever asks is told which one it is.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, amqplib, broker, closeAll, configFile, connect, serve, sleep, until } from './lib.mjs';

after(closeAll);

const count = (text, what) => text.split(what).length - 1;

const start = async (channels) => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0', '--config', configFile(channels)]);
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  const ready = async () => {
    const answer = await fetch(admin + '/readyz');
    return { status: answer.status, text: (await answer.text()).trim() };
  };
  return { foz, admin, ready };
};

test('a channel that is ill from the beginning keeps nobody out', async () => {
  const thief = await amqplib.connect(broker);
  thief.on('error', () => {});
  await (await thief.createChannel()).assertQueue('OUT_TAKEN', { exclusive: true, durable: false });
  const { foz, ready } = await start('[channels.taken]\n[channels.free]\n');
  const said = await until(async () => { const now = await ready(); return now.status === 200 && now.text !== 'ready' && now; }, 'it is named', 20);
  assert.equal(said.status, 200);
  assert.match(said.text, /^ready; degraded: channel taken \(OUT_TAKEN\) for \d+ s: .*RESOURCE_LOCKED/);
  const ann = await connect(foz.url);
  await ann.consume({ channel: 'free' });
  await ann.consume({ channel: 'taken' });
  const out = await (await amqp()).createConfirmChannel();
  const say = (channel, text) => out.publish('OUTBOUND', channel, Buffer.from(JSON.stringify(text)), { headers: { 'foz-broadcast': true } });
  say('free', 'others');
  await until(() => ann.messages().includes('others'), 'the others are heard');
  await thief.close();
  await until(async () => (await ready()).text === 'ready', 'it has recovered', 30);
  say('taken', 'at last');
  await until(() => ann.messages().includes('at last'), 'it is heard, too');
  ann.close();
  await foz.stop();
});

test('a stream that can\'t be consumed harms nobody else, is named, and is heard again when it can be', async () => {
  const { foz, admin, ready } = await start('[channels.ill]\n[channels.well]\n[channels.quick]\ndelivery = "volatile"\n');
  const metric = async (name) => (await (await fetch(admin + '/metrics')).text()).split('\n')
    .filter((line) => line.startsWith(name + '{') || line.startsWith(name + ' '))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  await until(async () => (await ready()).text === 'ready', 'it is ready');

  const ann = await connect(foz.url);
  for (const channel of ['ill', 'well', 'quick']) await ann.consume({ channel });
  const out = await (await amqp()).createConfirmChannel();
  const say = (channel, n) => out.publish('OUTBOUND', channel, Buffer.from(JSON.stringify({ channel, n })),
    { headers: { 'foz-broadcast': true } });
  let n = 0;
  const heard = async (channels) => {
    n += 1;
    const begun = performance.now();
    for (const channel of channels) say(channel, n);
    await until(() => channels.every((one) => ann.messages().some((m) => m.channel === one && m.n === n)), channels + ' are heard', 20);
    return performance.now() - begun;
  };
  await heard(['ill', 'well', 'quick']);

  // Somebody else's exclusive queue has taken the stream's name: whoever consumes it is told 405, RESOURCE_LOCKED.
  const thief = await amqplib.connect(broker);
  thief.on('error', () => {});
  const thieving = await thief.createChannel();
  thieving.on('error', () => {});
  await Promise.all([thieving.deleteQueue('OUT_ILL'), thieving.assertQueue('OUT_ILL', { exclusive: true, durable: false })]);
  const named = await until(async () => { const said = await ready(); return said.text !== 'ready' && said; }, '/readyz names it', 20);
  assert.equal(named.status, 200, 'the others work');
  assert.match(named.text, /^ready; degraded: channel ill \(OUT_ILL\) for \d+ s: .*RESOURCE_LOCKED/);
  await foz.until('sick: channel ill (OUT_ILL), ');
  assert.equal(await metric('foz_sick'), 1);

  const tried = await metric('foz_broker_channel_failures_total');
  const waits = [];
  const since = performance.now();
  while (performance.now() - since < 8_000) {
    waits.push(await heard(['well', 'quick']));
    await sleep(50);
  }
  const more = await metric('foz_broker_channel_failures_total') - tried;
  assert.ok(more >= 1 && more <= 12, more + ' attempts in eight seconds');
  assert.ok(Math.max(...waits) < 1_000, 'the others waited ' + Math.max(...waits).toFixed(0) + ' ms at the most');
  assert.equal(await metric('foz_broker_disconnects_total'), 0, 'no connection was lost');
  assert.equal(count(foz.output, 'sick: '), 1, 'it is said once');
  const overview = await (await fetch(admin + '/api/overview')).json();
  assert.equal(overview.aggregator.sick[0].what, 'channel ill (OUT_ILL)');

  await thief.close();
  await until(async () => (await ready()).text === 'ready', 'it has recovered', 30);
  assert.equal(count(foz.output, 'recovered: channel ill (OUT_ILL), after '), 1);
  await heard(['ill', 'well', 'quick']);
  assert.equal(await metric('foz_sick'), 0);
  ann.close();
  await foz.stop();
});
