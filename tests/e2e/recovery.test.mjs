// The broker dies under the running aggregator and service, and comes back; both go on by themselves.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeAll, chat, configFile, connect, onFoz, ownBroker, serve, sleep, until, WebSocket, worker } from './lib.mjs';

after(closeAll);

test('the broker is killed and started again', { timeout: 150_000 }, async () => {
  const broker = await ownBroker();
  const url = broker.url;
  const foz = await serve(['--publish-timeout', '60000', '--request-timeout', '60000'], url);
  const service = await chat([], url);
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  await ann.consume();
  await bob.consume();
  const say = (text) => ann.publish('say', { room: 'lobby', text });
  assert.equal((await say('before')).event, 'answer');
  // RabbitMQ 3.10: queues and streams that are killed together with their node right after they were declared may be
  // down for good; what was declared a moment ago is what a first start is about, not what this test is about.
  if (!onFoz) await sleep(3000);

  for (const way of ['kill', 'stop']) {
    await broker[way]();
    // Asked while there is no broker: kept, and answered when it is back.
    const asked = say('during ' + way);
    // A request on a volatile channel has no way back.
    assert.equal((await ann.ask({ packet_action: 'publish', channel: 'voice', message: 1 })).error.code, 'unavailable');
    await broker.start();
    assert.deepEqual((await asked).message, { ok: true }, way);
    assert.equal((await say('after ' + way)).event, 'answer');
  }
  await until(() => bob.messages().some((m) => m.text === 'after stop'), 'bob hears what was said last', 30);
  const heard = bob.messages().map((m) => m.text);
  assert.deepEqual(heard, ['before', 'during kill', 'after kill', 'during stop', 'after stop'], 'all of it, once, in order');
  assert.equal(ann.opened, 1, 'clients have not noticed');
  assert.equal(bob.opened, 1);
  ann.close();
  bob.close();
  await foz.stop();
  await service.stop();
});

test('a volatile channel after the broker has been away: answered again, through a queue of another name', { timeout: 90_000 }, async () => {
  const broker = await ownBroker();
  const foz = await serve([], broker.url);
  const queues = [];
  const serves = () => worker('IN_VOICE', (message, body, channel) => {
    if (!message.properties.replyTo) return channel.ack(message);
    queues.push(message.properties.replyTo);
    channel.publish('', message.properties.replyTo, message.content, { correlationId: message.properties.correlationId });
    channel.publish('OUTBOUND', 'voice', message.content, { headers: { 'foz-broadcast': true } });
    channel.ack(message);
  }, broker.url);
  await serves();
  const ann = await connect(foz.url);
  await ann.ask({ packet_action: 'consume', channel: 'voice' });
  assert.equal((await ann.ask({ packet_action: 'publish', channel: 'voice', message: 'before' })).message, 'before');
  // RabbitMQ 3.10 may lose quorum queues that are killed right after they were declared.
  await (onFoz ? broker.kill() : broker.stop());
  await broker.start();
  const back = await serves();
  const answer = await until(async () => {
    const said = await ann.ask({ packet_action: 'publish', channel: 'voice', message: 'after' });
    return said.event === 'answer' && said;
  }, 'requests are answered', 30);
  assert.equal(answer.message, 'after');
  await until(() => ann.messages().includes('after'), 'and what is said is heard');
  assert.equal(ann.opened, 1);
  queues.forEach((queue) => assert.match(queue, /^OUT_VOICE\./));
  assert.notEqual(queues.at(-1), queues[0]);
  ann.close();
  await back.stop();
  await foz.stop();
});

test('a broker that is back is met soon, however short its absence was', { timeout: 60_000, skip: !onFoz && 'RabbitMQ takes seconds to start' }, async (t) => {
  const broker = await ownBroker();
  const foz = await serve(['--publish-timeout', '60000', '--request-timeout', '60000'], broker.url);
  const service = await chat([], broker.url);
  const ann = await connect(foz.url);
  const say = (text) => ann.publish('say', { room: 'lobby', text });
  assert.equal((await say('first')).event, 'answer');
  const late = [];
  for (const outage of [100, 300, 1_000, 100, 300, 1_000, 3_000]) {
    await broker.kill();
    await sleep(outage);
    await broker.start();
    const back = performance.now();
    assert.equal((await say('after ' + outage)).event, 'answer');
    late.push(performance.now() - back);
  }
  t.diagnostic('answered again after the broker was ready: ' + late.map((ms) => ms.toFixed(0)).join(', ') + ' ms');
  const median = late.sort((a, b) => a - b)[3];
  assert.ok(median < 500, 'median ' + median.toFixed(0) + ' ms');
  ann.close();
  await foz.stop();
  await service.stop();
});

test('without a broker an aggregator lives and is not ready, after a grace', { timeout: 60_000 }, async () => {
  const broker = await ownBroker();
  const foz = await serve(['--admin-listen', '127.0.0.1:0', '--config', configFile('[broker]\nunready_after_ms = 1500\n')], broker.url);
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  const get = async (url) => { const answer = await fetch(url); return answer.status + ' ' + (await answer.text()).trim(); };
  const readiness = () => get(admin + '/readyz');
  await until(async () => await readiness() === '200 ready', 'it is ready');
  const ann = await connect(foz.url);

  // RabbitMQ 3.10 may lose quorum queues that are killed right after they were declared.
  await (onFoz ? broker.kill() : broker.stop());
  const begun = performance.now();
  assert.equal(await readiness(), '200 ready');
  assert.equal(await get(foz.url + '/healthz'), '200 ready');
  await until(async () => (await get(foz.url + '/healthz')) === '503 not ready: the broker can\'t be reached', 'the port says so');
  if (onFoz) assert.ok(performance.now() - begun > 1_200, 'after a grace');
  assert.match(await until(async () => { const said = await readiness(); return said.startsWith('503') && said; }, '/readyz says so'),
    /^503 not ready: no connection to the broker \(.+\) for \d+ s: .+/);
  assert.equal(await get(admin + '/healthz'), '200 alive');
  const newcomer = new WebSocket(foz.url.replace('http', 'ws') + '/primus/');
  const [, response] = await once(newcomer, 'unexpected-response');
  assert.equal(response.statusCode, 503);
  assert.equal(response.headers['retry-after'], '1');
  newcomer.on('error', () => {}).terminate();
  assert.equal(ann.opened, 1, 'who is there stays');

  await broker.start();
  await until(async () => await readiness() === '200 ready', 'it is ready again', 20);
  await connect(foz.url);
  assert.match(foz.output, /not ready: no connection to the broker [^]*ready again/);
  assert.equal(ann.opened, 1);
  await foz.stop();
});
