// Dead letters: why, where to, and what they say about it.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, consume, counts, drain, fresh, kind, put, queue, quorum, streamQueue, text, until } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

// A queue whose dead letters go to another queue of ours; both names.
async function mortal(args = {}, options = { durable: false }) {
  const dead = await queue(ch, { durable: false });
  const q = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead, ...args } });
  return { q, dead };
}
async function letters(dead, count = 1) {
  await until(async () => (await counts(ch, dead)).messages >= count, count + ' dead letters have come');
  return drain(ch, dead);
}
const seconds = (time) => Math.abs(time.value - Date.now() / 1000) < 100;

for (const [type, options] of [['classic', { durable: false }], ['quorum', quorum()]]) {
  test(type + ': rejected', async () => {
    const { q, dead } = await mortal({}, options);
    await put(ch, q, 'a', 'b', 'c', 'd');
    ch.reject(await ch.get(q, {}), false);
    ch.nack(await ch.get(q, {}), false, false);
    await ch.get(q, {});
    ch.nack(await ch.get(q, {}), true, false);
    const got = await letters(dead, 4);
    assert.deepEqual(got.map(text), ['a', 'b', 'c', 'd']);
    for (const m of got) {
      assert.deepEqual([m.fields.exchange, m.fields.routingKey, m.fields.redelivered], ['', dead, false]);
      const { 'x-death': [death, ...others], ...rest } = m.properties.headers;
      assert.deepEqual(others, []);
      assert.ok(seconds(death.time));
      delete death.time;
      assert.deepEqual(death, { count: 1, exchange: '', queue: q, reason: 'rejected', 'routing-keys': [q] });
      assert.deepEqual(rest, { 'x-first-death-exchange': '', 'x-first-death-queue': q, 'x-first-death-reason': 'rejected' });
    }
    await ch.deleteQueue(q);
  });

  test(type + ': expired, by the queue and by the message; the expiration is taken out and told', async () => {
    const { q, dead } = await mortal({ 'x-message-ttl': 80 }, options);
    await put(ch, q, 'by the queue');
    ch.sendToQueue(q, Buffer.from('by itself'), { expiration: '20', priority: 3, messageId: 'm1', headers: { own: 'h' } });
    const got = await letters(dead, 2);
    assert.deepEqual(got.map(text).sort(), ['by itself', 'by the queue']);
    const own = got.find((m) => text(m) === 'by itself');
    assert.equal(own.properties.expiration, undefined);
    assert.deepEqual([own.properties.messageId, own.properties.priority, own.properties.headers.own], ['m1', 3, 'h']);
    assert.equal(own.properties.headers['x-death'][0]['original-expiration'], '20');
    for (const m of got) assert.equal(m.properties.headers['x-death'][0].reason, 'expired');
    await ch.deleteQueue(q);
  });

  test(type + ': too many, too large: the oldest goes', async () => {
    const { q, dead } = await mortal({ 'x-max-length': 2 }, options);
    await put(ch, q, 'a', 'b', 'c', 'd');
    const got = await letters(dead, 2);
    assert.deepEqual(got.map((m) => [text(m), m.properties.headers['x-death'][0].reason]), [['a', 'maxlen'], ['b', 'maxlen']]);
    await ch.deleteQueue(q);
  });

  test(type + ': without a routing key of the queue they keep their own, CC included', async () => {
    const x = fresh('x');
    await ch.assertExchange(x, 'direct', { durable: false });
    const [own, cc] = [await queue(ch), await queue(ch)];
    const q = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-dead-letter-exchange': x } });
    await ch.bindQueue(own, x, q);
    await ch.bindQueue(cc, x, 'copy');
    ch.sendToQueue(q, Buffer.from('m'), { headers: { CC: ['copy'] } });
    await ch.waitForConfirms();
    ch.reject(await ch.get(q, {}), false);
    const [got] = await letters(own);
    assert.deepEqual([got.fields.exchange, got.fields.routingKey], [x, q]);
    assert.deepEqual(got.properties.headers['x-death'][0]['routing-keys'], [q, 'copy']);
    assert.deepEqual(got.properties.headers.CC, ['copy']);
    assert.equal((await letters(cc)).length, 1);
    await ch.deleteQueue(q);
  });

  test(type + ': with a routing key of the queue CC is taken out', async () => {
    const { q, dead } = await mortal({}, options);
    const copy = await queue(ch);
    ch.sendToQueue(q, Buffer.from('m'), { headers: { CC: [fresh('nobody')], other: 1 } });
    await ch.waitForConfirms();
    ch.reject(await ch.get(q, {}), false);
    const [got] = await letters(dead);
    assert.equal(got.properties.headers.CC, undefined);
    assert.equal(got.properties.headers.other, 1);
    assert.equal(got.properties.headers['x-death'][0]['routing-keys'].length, 2);
    await ch.deleteQueue(copy);
    await ch.deleteQueue(q);
  });

  test(type + ': several deaths: the newest first, counted by queue and reason, the first one remembered', async () => {
    const { q: second, dead } = await mortal({}, options);
    const first = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': second, 'x-message-ttl': 20 } });
    await put(ch, first, 'm');
    await until(async () => (await counts(ch, second)).messages === 1, 'it has died once');
    ch.reject(await ch.get(second, {}), false);
    const [got] = await letters(dead);
    assert.deepEqual(got.properties.headers['x-death'].map((d) => [d.queue, d.reason, d.count]), [[second, 'rejected', 1], [first, 'expired', 1]]);
    assert.deepEqual([got.properties.headers['x-first-death-queue'], got.properties.headers['x-first-death-reason']], [first, 'expired']);
    // Published again by a client, headers and all, it goes on counting.
    ch.sendToQueue(second, got.content, { headers: got.properties.headers });
    await ch.waitForConfirms();
    ch.reject(await ch.get(second, {}), false);
    const [again] = await letters(dead);
    assert.deepEqual(again.properties.headers['x-death'].map((d) => [d.queue, d.reason, d.count]), [[second, 'rejected', 2], [first, 'expired', 1]]);
    for (const q of [first, second]) await ch.deleteQueue(q);
  });

  test(type + ': an exchange that is not there, or leads nowhere: the message is gone', async () => {
    for (const x of [fresh('nowhere'), 'amq.direct']) {
      const q = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-dead-letter-exchange': x } });
      await put(ch, q, 'm');
      ch.reject(await ch.get(q, {}), false);
      assert.equal((await counts(ch, q)).messages, 0);
      await ch.deleteQueue(q);
    }
  });

  test(type + ': a message that goes round by itself is dropped, one that is rejected goes on', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    await queue(ch, { ...options, arguments: { ...options.arguments, 'x-message-ttl': 20, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': b } }, a);
    await queue(ch, { ...options, arguments: { ...options.arguments, 'x-message-ttl': 20, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': a } }, b);
    await put(ch, a, 'round');
    await until(async () => (await counts(ch, a)).messages + (await counts(ch, b)).messages === 0, 'it is dropped');
    const self = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-dead-letter-exchange': 'amq.topic', 'x-dead-letter-routing-key': 'self.' + a } });
    await ch.bindQueue(self, 'amq.topic', 'self.' + a);
    await put(ch, self, 'again');
    for (let i = 1; i <= 3; ++i) {
      await until(async () => (await counts(ch, self)).messages === 1, 'it is back');
      const m = await ch.get(self, {});
      assert.equal(m.properties.headers['x-death']?.[0].count, i === 1 ? undefined : i - 1);
      ch.reject(m, false);
    }
    for (const q of [a, b, self]) await ch.deleteQueue(q);
  });

  test(type + ': purged and deleted messages are no dead letters', async () => {
    const { q, dead } = await mortal({}, options);
    await put(ch, q, 'a', 'b');
    await ch.purgeQueue(q);
    await put(ch, q, 'c');
    await ch.deleteQueue(q);
    assert.equal((await counts(ch, dead)).messages, 0);
  });
}

test('classic: a queue may be its own dead letter exchange’s target once it is no cycle', async () => {
  const q = fresh('q');
  await queue(ch, { durable: false, arguments: { 'x-max-length': 1, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': q } }, q);
  await put(ch, q, 'a', 'b');
  await until(async () => (await counts(ch, q)).messages === 1, 'one is left');
  await ch.deleteQueue(q);
});

test('quorum: delivery limit', async () => {
  const { q, dead } = await mortal({ 'x-delivery-limit': 1 }, quorum());
  await put(ch, q, 'poison');
  for (let i = 0; i < 2; ++i) {
    await until(async () => (await counts(ch, q)).messages === 1, 'it is there');
    ch.nack(await ch.get(q, {}));
  }
  const [got] = await letters(dead);
  assert.deepEqual([got.properties.headers['x-death'][0].reason, got.properties.headers['x-first-death-reason']], ['delivery_limit', 'delivery_limit']);
  await ch.deleteQueue(q);
});

test('quorum: at-least-once', async () => {
  const { q, dead } = await mortal({ 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish', 'x-delivery-limit': 0 }, quorum());
  await put(ch, q, 'a', 'b', 'c');
  ch.reject(await ch.get(q, {}), false);
  ch.nack(await ch.get(q, {}));
  const got = await letters(dead, 2);
  assert.deepEqual(got.map((m) => [text(m), m.properties.headers['x-death'][0].reason]), [['a', 'rejected'], ['b', 'delivery_limit']]);
  await ch.deleteQueue(q);
});

test('into several queues through a fanout', async () => {
  const x = fresh('x');
  await ch.assertExchange(x, 'fanout', { durable: false });
  const [one, other] = [await queue(ch), await queue(ch)];
  for (const q of [one, other]) await ch.bindQueue(q, x, '');
  const q = await queue(ch, { durable: false, arguments: { 'x-dead-letter-exchange': x } });
  await put(ch, q, 'm');
  ch.reject(await ch.get(q, {}), false);
  assert.equal((await letters(one)).length, 1);
  assert.equal((await letters(other)).length, 1);
  await ch.deleteQueue(q);
});

test('into a stream', { skip: kind === 'rabbitmq' && 'RabbitMQ 3.10 loses dead letters that a stream should get' }, async () => {
  const stream = await queue(ch, streamQueue());
  const q = await queue(ch, { durable: false, arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': stream } });
  await put(ch, q, 'm');
  ch.reject(await ch.get(q, {}), false);
  const on = await channel();
  await on.prefetch(10);
  const reader = await consume(on, stream, { arguments: { 'x-stream-offset': 'first' } });
  await reader.until(1);
  assert.equal(reader.got[0].properties.headers['x-death'][0].queue, q);
  for (const name of [stream, q]) await ch.deleteQueue(name);
});
