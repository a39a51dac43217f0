// Direct reply-to: amq.rabbitmq.reply-to.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, connect, consume, drain, fresh, queue, refused, roundTrip, text, until, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

const replies = 'amq.rabbitmq.reply-to';

test('an answer comes to the channel that asked, through an address made for it', async () => {
  const q = await queue(ch);
  const asking = await channel();
  const answers = await consume(asking, replies, { noAck: true });
  asking.sendToQueue(q, Buffer.from('question'), { replyTo: replies, correlationId: 'c1', headers: { h: 1 } });
  await until(async () => (await ch.checkQueue(q)).messageCount === 1, 'the question is there');
  const [asked] = await drain(ch, q);
  const address = asked.properties.replyTo;
  assert.match(address, /^amq\.rabbitmq\.reply-to\.[^ ]{8,}$/);
  assert.deepEqual([asked.properties.correlationId, asked.properties.headers], ['c1', { h: 1 }]);
  assert.deepEqual(await ch.assertQueue(address), { queue: address, messageCount: 0, consumerCount: 1 });
  for (const body of ['one', 'two']) ch.sendToQueue(address, Buffer.from(body), { correlationId: 'c1' });
  await ch.waitForConfirms();
  await answers.until(2);
  assert.deepEqual(answers.texts(), ['one', 'two']);
  const { fields, properties } = answers.got[0];
  assert.deepEqual([fields.exchange, fields.routingKey, fields.redelivered, fields.consumerTag, properties.correlationId], ['', address, false, answers.tag, 'c1']);
});

test('an answer is in no queue: as a mandatory one it comes back, and arrives all the same', async () => {
  const q = await queue(ch);
  const asking = await channel();
  const answers = await consume(asking, replies, { noAck: true });
  asking.sendToQueue(q, Buffer.from('question'), { replyTo: replies });
  await until(async () => (await ch.checkQueue(q)).messageCount === 1, 'the question is there');
  const [asked] = await drain(ch, q);
  ch.returned.length = 0;
  ch.sendToQueue(asked.properties.replyTo, Buffer.from('answer'), { mandatory: true });
  await ch.waitForConfirms();
  await answers.until(1);
  assert.deepEqual(ch.returned.map((m) => m.fields.replyCode), [312]);
});

test('large answers from several at once: all of them arrive', async () => {
  const q = await queue(ch, { durable: false });
  const asking = await channel();
  const answers = await consume(asking, replies, { noAck: true });
  const workers = [];
  for (let i = 0; i < 4; ++i) {
    const on = await channel();
    workers.push(on);
    await on.consume(q, (m) => on.sendToQueue(m.properties.replyTo, Buffer.alloc(100_000, text(m)), { correlationId: text(m) }), { noAck: true });
  }
  for (let i = 0; i < 200; ++i) asking.sendToQueue(q, Buffer.from(String(i)), { replyTo: replies });
  await answers.until(200, 30);
  assert.equal(new Set(answers.got.map((m) => m.properties.correlationId)).size, 200);
  assert.ok(answers.got.every((m) => m.content.length === 100_000));
  await ch.deleteQueue(q);
});

test('answers keep their order; each channel has its own', async () => {
  const connection = await connect();
  const q = await queue(ch);
  const channels = [await channel(connection), await channel(connection)];
  const answers = [];
  for (const [i, on] of channels.entries()) {
    answers.push(await consume(on, replies, { noAck: true }));
    on.sendToQueue(q, Buffer.from(String(i)), { replyTo: replies });
  }
  const worker = await consume(ch, q, { noAck: true });
  await worker.until(2);
  const addresses = Object.fromEntries(worker.got.map((m) => [text(m), m.properties.replyTo]));
  assert.notEqual(addresses[0], addresses[1]);
  for (let n = 0; n < 100; ++n) for (const i of [0, 1]) ch.sendToQueue(addresses[i], Buffer.from(i + '.' + n));
  for (const i of [0, 1]) {
    await answers[i].until(100);
    assert.deepEqual(answers[i].texts(), Array.from({ length: 100 }, (_, n) => i + '.' + n));
  }
});

test('when the asker has gone, an answer finds nobody', async () => {
  const q = await queue(ch);
  for (const leave of [(on, tag) => on.cancel(tag), (on) => on.close(), (on) => on.connection_model.close()]) {
    const asking = await channel();
    const { tag } = await consume(asking, replies, { noAck: true });
    asking.sendToQueue(q, Buffer.from('q'), { replyTo: replies });
    await until(async () => (await ch.checkQueue(q)).messageCount === 1, 'the question is there');
    const [{ properties: { replyTo } }] = await drain(ch, q);
    await leave(asking, tag);
    ch.returned.length = 0;
    await until(async () => {
      ch.sendToQueue(replyTo, Buffer.from('late'), { mandatory: true });
      await ch.waitForConfirms();
      return ch.returned.length;
    }, 'it comes back');
    const probe = await channel();
    await assert.rejects(probe.checkQueue(replyTo), { code: 404 });
  }
});

test('a consumer of replies can be set again after it was cancelled', async () => {
  const asking = await channel();
  const first = await consume(asking, replies, { noAck: true });
  await asking.cancel(first.tag);
  const q = await queue(ch);
  const second = await consume(asking, replies, { noAck: true });
  asking.sendToQueue(q, Buffer.from('q'), { replyTo: replies });
  const worker = await consume(ch, q, { noAck: true });
  await worker.until(1);
  ch.sendToQueue(worker.got[0].properties.replyTo, Buffer.from('a'));
  await second.until(1);
  assert.equal(first.got.length, 0);
});

test('what is refused', async () => {
  const refusal = (text) => ({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - ' + text });
  await refused(refusal('reply consumer cannot acknowledge'), (c) => c.consume(replies, () => {}));
  await refused(refusal('reply consumer already set'), async (c) => {
    await c.consume(replies, () => {}, { noAck: true });
    await c.consume(replies, () => {}, { noAck: true });
  });
  await refused(refusal('fast reply consumer does not exist'), (c) => { c.sendToQueue('x', Buffer.from('q'), { replyTo: replies }); });
  const wrong = replies + '.' + fresh('nobody');
  await refused({ level: 'channel', code: 404, text: `NOT_FOUND - no queue '${wrong}' in vhost '${vhost}'` }, (c) => c.assertQueue(wrong));
  assert.equal((await ch.assertQueue(replies)).queue, replies);
});

test('a publisher’s own reply_to stays as it is', async () => {
  const q = await queue(ch);
  ch.sendToQueue(q, Buffer.from('m'), { replyTo: 'my queue' });
  await ch.waitForConfirms();
  assert.equal((await drain(ch, q))[0].properties.replyTo, 'my queue');
  await roundTrip(ch);
});
