// Consumers: who gets what, in what order, and what becomes of what is not acknowledged.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, connect, consume, counts, drain, drainTexts, drop, fresh, put, queue, quorum, refused, roundTrip, text, until, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

const kinds = [['classic', { durable: true }], ['quorum', quorum()]];
const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => String(from + i));

for (const [kind, options] of kinds) {
  test(kind + ': order is kept, from publish to delivery', async () => {
    const q = await queue(ch, options);
    const consumer = await consume(await channel(), q, { noAck: true });
    await put(ch, q, ...numbers(0, 2000));
    await consumer.until(2000);
    assert.deepEqual(consumer.texts(), numbers(0, 2000));
    await ch.deleteQueue(q);
  });

  test(kind + ': competing consumers share, each message goes to one of them, in turn', async () => {
    const q = await queue(ch, options);
    const all = [];
    for (let i = 0; i < 3; ++i) all.push(await consume(await channel(), q, { noAck: true }));
    await put(ch, q, ...numbers(0, 300));
    await until(() => all.reduce((sum, one) => sum + one.got.length, 0) === 300, 'all have come');
    assert.deepEqual(all.flatMap((one) => one.texts()).sort(), numbers(0, 300).sort());
    for (const one of all) {
      assert.ok(one.got.length >= 90 && one.got.length <= 110, 'it got ' + one.got.length);
      assert.deepEqual(one.texts(), [...one.texts()].sort((a, b) => a - b)); // in order, with holes
    }
    await ch.deleteQueue(q);
  });

  test(kind + ': prefetch bounds what is unacknowledged; each ack lets one more through', async () => {
    const q = await queue(ch, options);
    await put(ch, q, ...numbers(0, 10));
    const on = await channel();
    await on.prefetch(3);
    const consumer = await consume(on, q);
    await consumer.until(3);
    await roundTrip(on);
    assert.deepEqual(consumer.texts(), ['0', '1', '2']);
    on.ack(consumer.got[1]);
    await consumer.until(4);
    on.ack(consumer.got[3], true); // 0, 2 and 3
    await consumer.until(7);
    await roundTrip(on);
    assert.deepEqual(consumer.texts(), numbers(0, 7));
    await until(async () => (await counts(ch, q)).messages === 3, 'three wait');
    await ch.deleteQueue(q);
  });

  test(kind + ': what a dead client had comes back first, in order, marked', async () => {
    const q = await queue(ch, options);
    await put(ch, q, ...numbers(0, 6));
    const dying = await connect();
    const on = await channel(dying);
    await on.prefetch(4);
    const first = await consume(on, q);
    await first.until(4);
    assert.deepEqual(first.got.map((m) => m.fields.redelivered), [false, false, false, false]);
    on.ack(first.got[1]);
    await roundTrip(on);
    drop(dying);
    await until(async () => (await counts(ch, q)).messages === 5, 'five are back');
    const got = await drain(ch, q);
    assert.deepEqual(got.map(text), ['0', '2', '3', '4', '5']);
    assert.deepEqual(got.map((m) => m.fields.redelivered), [true, true, true, true, false]);
    await ch.deleteQueue(q);
  });

  test(kind + ': closing the channel gives back, too', async () => {
    const q = await queue(ch, options);
    await put(ch, q, 'a', 'b', 'c');
    const on = await channel();
    const consumer = await consume(on, q);
    await consumer.until(3);
    await on.close();
    await until(async () => (await counts(ch, q)).messages === 3, 'all are back');
    const got = await drain(ch, q);
    assert.deepEqual(got.map((m) => [text(m), m.fields.redelivered]), [['a', true], ['b', true], ['c', true]]);
    await ch.deleteQueue(q);
  });

  test(kind + ': cancelled consumers keep what they have', async () => {
    const q = await queue(ch, options);
    await put(ch, q, 'a', 'b');
    const on = await channel();
    await on.prefetch(1);
    const consumer = await consume(on, q);
    await consumer.until(1);
    await on.cancel(consumer.tag);
    assert.equal((await counts(ch, q)).messages, 1);
    on.nack(consumer.got[0]);
    await until(async () => (await counts(ch, q)).messages === 2, 'it is back');
    assert.equal(consumer.got.length, 1);
    await ch.deleteQueue(q);
  });

  test(kind + ': nack with requeue of some, one, all; reject; without requeue they are gone', async () => {
    const q = await queue(ch, options);
    await put(ch, q, 'a', 'b', 'c', 'd', 'e');
    const on = await channel();
    const got = [];
    for (let i = 0; i < 5; ++i) got.push(await on.get(q, {}));
    on.nack(got[1], true, true); // a, b
    on.reject(got[3], true); // d
    on.reject(got[2], false); // c
    on.nack(got[4], false, false); // e
    await until(async () => (await counts(ch, q)).messages === 3, 'three are back');
    const back = await drain(on, q);
    assert.deepEqual(back.map(text), ['a', 'b', 'd']);
    assert.ok(back.every((m) => m.fields.redelivered));
    await ch.deleteQueue(q);
  });

  test(kind + ': nackAll and ackAll', async () => {
    const q = await queue(ch, options);
    await put(ch, q, 'a', 'b', 'c');
    const on = await channel();
    for (let i = 0; i < 3; ++i) await on.get(q, {});
    on.nackAll(true);
    await until(async () => (await counts(ch, q)).messages === 3, 'all are back');
    for (let i = 0; i < 3; ++i) assert.equal((await on.get(q, {})).fields.redelivered, true);
    on.ackAll();
    await on.close();
    assert.equal((await counts(ch, q)).messages, 0);
    await ch.deleteQueue(q);
  });

  test(kind + ': basic.recover gives back everything', async () => {
    const q = await queue(ch, options);
    await put(ch, q, 'a', 'b');
    const on = await channel();
    const consumer = await consume(on, q);
    await consumer.until(2);
    await on.recover();
    await consumer.until(4);
    assert.deepEqual(consumer.got.slice(2).map((m) => [text(m), m.fields.redelivered]), [['a', true], ['b', true]]);
    await ch.deleteQueue(q);
  });

  test(kind + ': consumer priority: the higher one first, the lower one while that is busy', async () => {
    const q = await queue(ch, options);
    const low = await channel(), high = await channel();
    await low.prefetch(10);
    await high.prefetch(2);
    const lower = await consume(low, q);
    const higher = await consume(high, q, { priority: 10 });
    await put(ch, q, ...numbers(0, 5));
    await until(() => lower.got.length + higher.got.length === 5, 'all have come');
    assert.deepEqual([higher.texts(), lower.texts()], [['0', '1'], ['2', '3', '4']]);
    high.ackAll();
    await until(async () => { await roundTrip(high); return true; }, '');
    await put(ch, q, '5');
    await higher.until(3);
    await ch.deleteQueue(q);
  });

  test(kind + ': single active consumer: the first one, then the next in line', async () => {
    const q = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-single-active-consumer': true } });
    const firstOn = await channel();
    await firstOn.prefetch(2);
    const first = await consume(firstOn, q);
    const second = await consume(await channel(), q);
    const third = await consume(await channel(), q);
    await put(ch, q, 'a', 'b', 'c', 'd');
    await first.until(2);
    firstOn.ack(first.got[0]);
    await first.until(3);
    assert.deepEqual([second.got.length, third.got.length], [0, 0]);
    drop(firstOn.connection_model);
    await second.until(3);
    assert.deepEqual(second.texts(), ['b', 'c', 'd']); // back, and what it had not got
    assert.equal(second.got.filter((m) => m.fields.redelivered).length, 2);
    assert.equal(third.got.length, 0);
    await ch.deleteQueue(q);
  });

  for (const prefetch of [1, 3])
    test(`${kind}: single active consumers that die one after the other, prefetch ${prefetch}: the work stays in order`, async () => {
      const q = await queue(ch, { ...options, arguments: { ...options.arguments, 'x-single-active-consumer': true } });
      const all = [];
      for (let i = 0; i < 3; ++i) {
        const on = await channel();
        await on.prefetch(prefetch);
        all.push(await consume(on, q));
        all[i].on = on;
      }
      await put(ch, q, ...numbers(0, 12));
      let done = 0; // acknowledged
      for (const one of all.slice(0, 2)) {
        await one.until(prefetch);
        one.on.ack(one.got[0]);
        await one.until(prefetch + 1);
        await roundTrip(one.on);
        assert.deepEqual(one.texts(), numbers(done, done + prefetch + 1));
        done += 1;
        drop(one.on.connection_model);
      }
      const last = all[2];
      for (let i = 0; done + i < 12; ++i) {
        await last.until(i + 1);
        last.on.ack(last.got[i]);
      }
      assert.deepEqual(last.texts(), numbers(done, 12));
      assert.deepEqual(last.got.map((m) => m.fields.redelivered), numbers(done, 12).map((_, i) => i < prefetch));
      await ch.deleteQueue(q);
    });

  test(kind + ': a queue that is deleted says so to its consumers; the channel goes on', async () => {
    const q = await queue(ch, options);
    await put(ch, q, 'a');
    const on = await channel();
    const consumer = await consume(on, q);
    await consumer.until(1);
    await ch.deleteQueue(q);
    await until(() => consumer.cancelled, 'the consumer is told');
    on.ack(consumer.got[0]); // of a queue that is gone: no error
    await roundTrip(on);
    await on.checkExchange('amq.direct');
    assert.equal(on.closed, false);
  });

  test(kind + ': basic.get: the oldest, how many are left, or nothing', async () => {
    const q = await queue(ch, options);
    assert.equal(await ch.get(q, {}), false);
    await put(ch, q, 'a', 'b', 'c');
    const got = await ch.get(q, {});
    assert.deepEqual([text(got), got.fields.messageCount, got.fields.redelivered, got.fields.exchange, got.fields.routingKey], ['a', 2, false, '', q]);
    ch.nack(got);
    await until(async () => (await counts(ch, q)).messages === 3, 'it is back');
    const all = await drain(ch, q);
    const [back, others] = [[['a', true]], [['b', false], ['c', false]]];
    // A quorum queue without a delivery limit puts it at its end.
    assert.deepEqual(all.map((m) => [text(m), m.fields.redelivered]), kind === 'classic' ? [...back, ...others] : [...others, ...back]);
    await ch.deleteQueue(q);
  });
}

test('classic: what is requeued goes to its old place', async () => {
  const q = await queue(ch, { durable: false });
  await put(ch, q, ...numbers(0, 6));
  const got = [];
  for (let i = 0; i < 4; ++i) got.push(await ch.get(q, {}));
  ch.nack(got[2]);
  ch.nack(got[0]);
  ch.nack(got[3]);
  await until(async () => (await counts(ch, q)).messages === 5, 'they are back');
  assert.deepEqual(await drainTexts(ch, q), ['0', '2', '3', '4', '5']);
  await ch.deleteQueue(q);
});

const count = (m) => m.properties.headers?.['x-delivery-count'];

test('quorum without a delivery limit: what is requeued goes to the end, in that order', async () => {
  const q = await queue(ch, quorum());
  await put(ch, q, ...numbers(0, 6));
  const got = [];
  for (let i = 0; i < 4; ++i) got.push(await ch.get(q, {}));
  assert.deepEqual(got.map(count), [0, 0, 0, 0]);
  ch.nack(got[2]);
  ch.reject(got[0]);
  ch.nack(got[3], true); // 1 and 3
  await until(async () => (await counts(ch, q)).messages === 6, 'they are back');
  assert.deepEqual((await drain(ch, q)).map((m) => [text(m), m.fields.redelivered, count(m)]),
    [['4', false, 0], ['5', false, 0], ['2', true, 1], ['0', true, 1], ['1', true, 1], ['3', true, 1]]);
  await ch.deleteQueue(q);
});

test('quorum with a delivery limit: what is requeued comes first, in that order', async () => {
  const q = await queue(ch, quorum({ 'x-delivery-limit': 5 }));
  await put(ch, q, ...numbers(0, 6));
  const got = [];
  for (let i = 0; i < 4; ++i) got.push(await ch.get(q, {}));
  ch.nack(got[2]);
  ch.nack(got[0]);
  ch.nack(got[3]);
  await until(async () => (await counts(ch, q)).messages === 5, 'they are back');
  assert.deepEqual((await drain(ch, q)).map((m) => [text(m), m.fields.redelivered, count(m)]),
    [['2', true, 1], ['0', true, 1], ['3', true, 1], ['4', false, 0], ['5', false, 0]]);
  await ch.deleteQueue(q);
});

for (const limit of [{}, { 'x-delivery-limit': 10 }]) {
  test('quorum ' + JSON.stringify(limit) + ': what a closed channel had comes first, counted', async () => {
    const q = await queue(ch, quorum(limit));
    await put(ch, q, 'a', 'b', 'c', 'd');
    for (let round = 1; round <= 3; ++round) {
      const on = await channel(ch.connection_model);
      await on.prefetch(2);
      const consumer = await consume(on, q);
      await consumer.until(2);
      assert.deepEqual(consumer.got.map((m) => [text(m), count(m)]), [['a', round - 1 || undefined], ['b', round - 1 || undefined]]);
      await on.close();
      await until(async () => (await counts(ch, q)).messages === 4, 'they are back');
    }
    assert.deepEqual((await drain(ch, q)).map((m) => [text(m), count(m)]), [['a', 3], ['b', 3], ['c', 0], ['d', 0]]);
    await ch.deleteQueue(q);
  });
}

test('quorum with a delivery limit: limit + 1 deliveries, then gone; its neighbours are not', async () => {
  const q = await queue(ch, quorum({ 'x-delivery-limit': 2 }));
  const on = await channel();
  await on.prefetch(1);
  const consumer = await consume(on, q);
  consumer.handle = (m) => (text(m) === 'poison' ? on.nack(m) : on.ack(m));
  await put(ch, q, 'poison', 'b');
  await consumer.until(4);
  assert.deepEqual(consumer.got.map((m) => [text(m), count(m), m.fields.redelivered]),
    [['poison', undefined, false], ['poison', 1, true], ['poison', 2, true], ['b', undefined, false]]);
  await on.close();
  assert.equal((await counts(ch, q)).messages, 0);
  await ch.deleteQueue(q);
});

test('a global prefetch is for the channel as a whole', async () => {
  const [a, b] = [await queue(ch, { durable: false }), await queue(ch, { durable: false })];
  for (const q of [a, b]) await put(ch, q, '1', '2', '3');
  const on = await channel();
  await on.prefetch(4, true);
  const [x, y] = [await consume(on, a), await consume(on, b)];
  await until(() => x.got.length + y.got.length === 4, 'four have come');
  await roundTrip(on);
  assert.equal(x.got.length + y.got.length, 4);
  on.ack(x.got[0]);
  await until(() => x.got.length + y.got.length === 5, 'one more');
  on.ackAll();
  await until(() => x.got.length + y.got.length === 6, 'the rest');
  for (const q of [a, b]) await ch.deleteQueue(q);
});

test('quorum: no consumer under a global prefetch', async () => {
  const q = await queue(ch, quorum());
  await refused({ level: 'connection', code: 540, text: `NOT_IMPLEMENTED - queue '${q}' in vhost '${vhost}' does not support global qos` }, async (c) => {
    await c.prefetch(5, true);
    await c.consume(q, () => {});
  });
  await ch.deleteQueue(q);
});

test('a prefetch is for the consumers that come after it; it holds together with the global one', async () => {
  const q = await queue(ch, { durable: false });
  await put(ch, q, ...numbers(0, 12));
  const on = await channel();
  await on.prefetch(2);
  const two = await consume(on, q);
  await on.prefetch(3);
  const three = await consume(on, q);
  await until(() => two.got.length === 2 && three.got.length === 3, 'five have come');
  await on.prefetch(6, true);
  const rest = await consume(on, q);
  await rest.until(1);
  await roundTrip(on);
  assert.deepEqual([two.got.length, three.got.length, rest.got.length], [2, 3, 1]);
  await on.prefetch(3); // this ends the global one
  await rest.until(3);
  await ch.deleteQueue(q);
});

test('without acknowledgements there is no limit', async () => {
  const q = await queue(ch, { durable: false });
  await put(ch, q, ...numbers(0, 50));
  const on = await channel();
  await on.prefetch(1);
  const consumer = await consume(on, q, { noAck: true });
  await consumer.until(50);
  assert.deepEqual(await counts(ch, q), { messages: 0, consumers: 1 });
  await ch.deleteQueue(q);
});

test('basic.get is not bounded by the prefetch', async () => {
  const q = await queue(ch, { durable: false });
  await put(ch, q, 'a', 'b', 'c');
  const on = await channel();
  await on.prefetch(1);
  for (const wanted of ['a', 'b', 'c']) assert.equal(text(await on.get(q, {})), wanted);
  await ch.deleteQueue(q);
});

test('an exclusive consumer is alone; it leaves room when it goes', async () => {
  const q = await queue(ch, { durable: false });
  const wanted = { level: 'channel', code: 403, text: `ACCESS_REFUSED - queue '${q}' in vhost '${vhost}' in exclusive use` };
  const on = await channel();
  const alone = await consume(on, q, { exclusive: true });
  await refused(wanted, (c) => c.consume(q, () => {}));
  await refused(wanted, (c) => c.consume(q, () => {}, { exclusive: true }));
  await put(ch, q, 'a');
  await alone.until(1);
  await on.close();
  await consume(await channel(), q);
  await refused(wanted, (c) => c.consume(q, () => {}, { exclusive: true }));
  await ch.deleteQueue(q);
});

// Of a quorum queue: a classic queue of RabbitMQ 3.10 crashes here, with its messages.
test('single active consumer: a cancelled one hands over, and what it has stays its own', async () => {
  const q = await queue(ch, quorum({ 'x-single-active-consumer': true }));
  const on = await channel();
  await on.prefetch(1);
  const first = await consume(on, q);
  const second = await consume(await channel(), q);
  await put(ch, q, 'a', 'b', 'c');
  await first.until(1);
  await on.cancel(first.tag);
  await second.until(2);
  await put(ch, q, 'd');
  await second.until(3);
  assert.deepEqual(second.texts(), ['b', 'c', 'd']);
  on.nack(first.got[0]);
  await second.until(4);
  assert.deepEqual([text(second.got[3]), second.got[3].fields.redelivered], ['a', true]);
  await ch.deleteQueue(q);
});

test('single active consumer: a priority among those who wait', async () => {
  const q = await queue(ch, { durable: false, arguments: { 'x-single-active-consumer': true } });
  const on = await channel();
  const first = await consume(on, q);
  const low = await consume(await channel(), q);
  const high = await consume(await channel(), q, { priority: 5 });
  await put(ch, q, 'a');
  await first.until(1);
  await on.close();
  await until(() => low.got.length + high.got.length === 1, 'the next one takes over');
  assert.deepEqual([low.got.length, high.got.length], [0, 1]);
  await ch.deleteQueue(q);
});

test('consumer tags: chosen by the broker or the client, unique on their channel', async () => {
  const q = await queue(ch);
  const made = await consume(ch, q);
  assert.match(made.tag, /^amq\.ctag-[A-Za-z0-9_-]{22}$/);
  const on = await channel();
  const other = await queue(on);
  assert.equal((await consume(on, other, { consumerTag: 'mine' })).tag, 'mine');
  const second = await channel(on.connection_model);
  assert.equal((await consume(second, other, { consumerTag: 'mine' })).tag, 'mine');
  await on.cancel('nobody has this tag');
  await refused({ level: 'connection', code: 530, text: "NOT_ALLOWED - attempt to reuse consumer tag 'twice'" }, async (c) => {
    const name = await queue(c);
    await c.consume(name, () => {}, { consumerTag: 'twice' });
    await c.consume(name, () => {}, { consumerTag: 'twice' });
  });
  await ch.cancel(made.tag);
});

test('a consumer that acknowledges while the queue is deleted loses its messages, nothing else', async () => {
  for (let round = 0; round < 5; ++round) {
    const q = await queue(ch, { durable: false });
    const on = await channel();
    await on.prefetch(50);
    const consumer = await consume(on, q);
    consumer.handle = (m) => { if (m) on.ack(m); };
    for (let i = 0; i < 500; ++i) ch.sendToQueue(q, Buffer.from(String(i)));
    await consumer.until(20);
    await ch.deleteQueue(q);
    await until(() => consumer.cancelled, 'the consumer is told');
    await roundTrip(on);
    assert.equal(on.closed, false);
    await ch.waitForConfirms();
  }
});

test('delivery tags are counted by channel, over consumers and gets', async () => {
  const [a, b] = [await queue(ch, { durable: false }), await queue(ch, { durable: false })];
  await put(ch, a, '1', '2');
  await put(ch, b, '3');
  const on = await channel();
  const consumer = await consume(on, a);
  await consumer.until(2);
  const got = await on.get(b, {});
  assert.deepEqual([...consumer.got, got].map((m) => m.fields.deliveryTag), [1, 2, 3]);
  const other = await channel(on.connection_model);
  on.nack(got);
  await until(async () => (await counts(ch, b)).messages === 1, 'it is back');
  assert.equal((await other.get(b, {})).fields.deliveryTag, 1);
  for (const q of [a, b]) await ch.deleteQueue(q);
});

for (const [what, act] of [
  ['twice', (c, m) => { c.ack(m); c.ack(m); }],
  ['never delivered', (c, m) => c.ack({ fields: { deliveryTag: m.fields.deliveryTag + 1 } })],
  ['never delivered, multiple', (c, m) => c.ack({ fields: { deliveryTag: m.fields.deliveryTag + 1 } }, true)],
  ['zero', (c) => c.ack({ fields: { deliveryTag: 0 } })],
  ['nacked after the ack', (c, m) => { c.ack(m); c.nack(m); }],
  ['of an automatic acknowledgement', async (c, m, q) => { await put(ch, q, 'x'); c.ack(m); const free = await c.get(q, { noAck: true }); c.ack(free); }],
]) {
  test('an acknowledgement of what there is not (' + what + '): 406', async () => {
    const q = await queue(ch, { durable: false });
    await put(ch, q, 'a');
    await refused({ level: 'channel', code: 406, text: /^PRECONDITION_FAILED - unknown delivery tag \d+$/ }, async (c) => act(c, await c.get(q, {}), q));
    await ch.deleteQueue(q);
  });
}
