// What bounds a queue: time to live, length, octets, and what happens beyond.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, consume, counts, drain, drainTexts, put, queue, quorum, refused, text, until } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

const kinds = [['classic', { durable: false }], ['quorum', quorum()]];
const withArguments = (options, args) => ({ ...options, arguments: { ...options.arguments, ...args } });
// Publishes one by one; which of them were confirmed.
async function outcomes(q, ...bodies) {
  const out = [];
  for (const body of bodies)
    out.push(await new Promise((resolve) => ch.sendToQueue(q, Buffer.from(body), { persistent: true }, (error) => resolve(error === null))));
  return out;
}

for (const [kind, options] of kinds) {
  test(kind + ': message TTL of the queue and of the message; the shorter one counts', async () => {
    const q = await queue(ch, withArguments(options, { 'x-message-ttl': 150 }));
    ch.sendToQueue(q, Buffer.from('short'), { expiration: '30' });
    ch.sendToQueue(q, Buffer.from('long'), { expiration: '60000' });
    await put(ch, q, 'none');
    assert.equal((await counts(ch, q)).messages, 3);
    const begin = Date.now();
    await until(async () => (await counts(ch, q)).messages === 2, 'the first is gone');
    await until(async () => (await counts(ch, q)).messages === 0, 'all are gone');
    assert.ok(Date.now() - begin >= 100, 'after ' + (Date.now() - begin) + ' ms');
    await ch.deleteQueue(q);
  });

  test(kind + ': what expires behind others goes when it comes to the head', async () => {
    const q = await queue(ch, options);
    ch.sendToQueue(q, Buffer.from('stays'));
    ch.sendToQueue(q, Buffer.from('goes'), { expiration: '20' });
    await put(ch, q, 'stays too');
    await new Promise((resolve) => setTimeout(resolve, 60)); // the time is what is tested
    assert.deepEqual(await drainTexts(ch, q), ['stays', 'stays too']);
    await ch.deleteQueue(q);
  });

  test(kind + ': an expired message is never delivered, also when it was returned', async () => {
    const q = await queue(ch, options);
    ch.sendToQueue(q, Buffer.from('m'), { expiration: '60' });
    await ch.waitForConfirms();
    const got = await ch.get(q, {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    ch.nack(got);
    await until(async () => (await counts(ch, q)).messages === 0, 'it is gone');
    assert.equal(await ch.get(q, {}), false);
    await ch.deleteQueue(q);
  });

  test(kind + ': TTL 0: to a consumer that is there, or gone', async () => {
    const q = await queue(ch, withArguments(options, { 'x-message-ttl': 0 }));
    await put(ch, q, 'nobody is there');
    await until(async () => (await counts(ch, q)).messages === 0, 'it is gone');
    const on = await channel();
    const consumer = await consume(on, q, { noAck: true });
    await put(ch, q, 'somebody is there');
    await consumer.until(1);
    assert.deepEqual(consumer.texts(), ['somebody is there']);
    await ch.deleteQueue(q);
  });

  test(kind + ': x-max-length: the oldest goes; what is unacknowledged does not count', async () => {
    const q = await queue(ch, withArguments(options, { 'x-max-length': 3 }));
    await put(ch, q, 'a', 'b');
    const [a, b] = [await ch.get(q, {}), await ch.get(q, {})];
    assert.deepEqual(await outcomes(q, 'c', 'd', 'e', 'f'), [true, true, true, true]);
    assert.deepEqual((await counts(ch, q)).messages, 3);
    ch.ack(a);
    ch.ack(b);
    assert.deepEqual(await drainTexts(ch, q), ['d', 'e', 'f']);
    await ch.deleteQueue(q);
  });

  test(kind + ': x-max-length-bytes counts bodies', async () => {
    const q = await queue(ch, withArguments(options, { 'x-max-length-bytes': 10 }));
    await put(ch, q, '1234', '5678', '90', 'x');
    await until(async () => (await counts(ch, q)).messages === 3, 'one is gone');
    assert.deepEqual(await drainTexts(ch, q), ['5678', '90', 'x']);
    await put(ch, q, 'more than ten of them');
    await until(async () => (await counts(ch, q)).messages === 0, 'nothing is left');
    await ch.deleteQueue(q);
  });

  test(kind + ': reject-publish: the newest is refused, with a nack', async () => {
    const q = await queue(ch, withArguments(options, { 'x-max-length': 2, 'x-overflow': 'reject-publish' }));
    const first = await outcomes(q, 'a', 'b', 'c', 'd');
    // A quorum queue may take one more before it says no.
    assert.deepEqual([first[0], first[1], first[3]], [true, true, false]);
    const held = await drainTexts(ch, q);
    assert.deepEqual(held, first[2] ? ['a', 'b', 'c'] : ['a', 'b']);
    await until(async () => (await outcomes(q, 'e'))[0], 'there is room again');
    assert.deepEqual(await drainTexts(ch, q), ['e']);
    await ch.deleteQueue(q);
  });
}

test('classic: x-max-length 0 takes what is consumed at once', async () => {
  const q = await queue(ch, { durable: false, arguments: { 'x-max-length': 0 } });
  await put(ch, q, 'gone');
  assert.equal((await counts(ch, q)).messages, 0);
  const consumer = await consume(await channel(), q);
  await put(ch, q, 'taken');
  await consumer.until(1);
  await ch.deleteQueue(q);
});

test('classic: reject-publish-dlx: refused, and a dead letter', async () => {
  const dead = await queue(ch);
  const q = await queue(ch, { durable: false, arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx', 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead } });
  assert.deepEqual(await outcomes(q, 'a', 'b', 'c'), [true, false, false]);
  assert.deepEqual(await drainTexts(ch, q), ['a']);
  await until(async () => (await counts(ch, dead)).messages === 2, 'both are dead letters');
  const got = await drain(ch, dead);
  assert.deepEqual(got.map((m) => [text(m), m.properties.headers['x-death'][0].reason, m.properties.headers['x-death'][0].queue]), [['b', 'maxlen', q], ['c', 'maxlen', q]]);
  await ch.deleteQueue(q);
});

test('one queue of several is full: the message is in the others, the publisher is told no', async () => {
  const full = await queue(ch, { durable: false, arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
  const roomy = await queue(ch);
  const key = full;
  for (const q of [full, roomy]) await ch.bindQueue(q, 'amq.direct', key);
  const publish = (body) => new Promise((resolve) => ch.publish('amq.direct', key, Buffer.from(body), {}, (error) => resolve(error === null)));
  assert.deepEqual([await publish('a'), await publish('b')], [true, false]);
  assert.deepEqual(await drainTexts(ch, roomy), ['a', 'b']);
  assert.deepEqual(await drainTexts(ch, full), ['a']);
  await ch.deleteQueue(full);
});

test('a wrong expiration closes the channel; a very long one does not', async () => {
  const q = await queue(ch, { durable: false });
  for (const [expiration, why] of [['soon', 'no_integer'], ['', 'no_integer'], [' 5', 'no_integer'], ['-1', '{value_negative,-1}'],
    ['1.5', '{leftover_string,".5"}'], ['5 ', '{leftover_string," "}']])
    await refused({ level: 'channel', code: 406, text: `PRECONDITION_FAILED - invalid expiration '${expiration}': ${why}` },
      (c) => { c.sendToQueue(q, Buffer.from('m'), { expiration }); });
  for (const expiration of ['4294967296', '99999999999']) ch.sendToQueue(q, Buffer.from('m'), { expiration });
  await ch.waitForConfirms();
  assert.equal((await counts(ch, q)).messages, 2);
  await ch.deleteQueue(q);
});
