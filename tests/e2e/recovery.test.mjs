// The broker dies under the running aggregator and service, and comes back; both go on by themselves.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, chat, connect, onFoz, ownBroker, serve, sleep, until, worker } from './lib.mjs';

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
