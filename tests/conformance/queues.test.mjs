// Queues: what they are, who sees them, when they go.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, connect, consume, counts, drainTexts, drop, fresh, put, queue, quorum, refused, streamQueue, until, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

const described = (name) => `queue '${name}' in vhost '${vhost}'`;
const locked = (name) => ({
  level: 'channel', code: 405,
  text: `RESOURCE_LOCKED - cannot obtain exclusive access to locked ${described(name)}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
});
const gone = async (name) => {
  const probe = await channel();
  await assert.rejects(probe.checkQueue(name), { code: 404 });
};

test('declare-ok says name, messages and consumers', async () => {
  const name = fresh('q');
  assert.deepEqual(await ch.assertQueue(name, { durable: true }), { queue: name, messageCount: 0, consumerCount: 0 });
  await put(ch, name, 'a', 'b', 'c');
  assert.equal((await ch.checkQueue(name)).messageCount, 3);
  const consumer = await consume(await channel(), name);
  await consumer.until(3);
  assert.deepEqual(await counts(ch, name), { messages: 0, consumers: 1 }); // ready ones alone are counted
  assert.deepEqual(await ch.assertQueue(name, { durable: true }), { queue: name, messageCount: 0, consumerCount: 1 });
  assert.deepEqual(await ch.deleteQueue(name), { messageCount: 0 });
});

test('the broker makes a name; an empty one means the last that was declared on the channel', async () => {
  const { queue: name } = await ch.assertQueue('', { exclusive: true });
  assert.match(name, /^amq\.gen-[A-Za-z0-9_-]{22}$/);
  const { queue: other } = await ch.assertQueue('', { exclusive: true });
  assert.notEqual(other, name);
  await ch.bindQueue('', 'amq.direct', 'k-' + other);
  ch.publish('amq.direct', 'k-' + other, Buffer.from('m'));
  await ch.waitForConfirms();
  assert.deepEqual(await drainTexts(ch, other), ['m']);
  await ch.purgeQueue('');
  await ch.deleteQueue('');
  await gone(other);
  await ch.checkQueue(name);
});

test('binding without queue and key: the key is the name of the queue', async () => {
  const { queue: name } = await ch.assertQueue('', { exclusive: true });
  await ch.bindQueue('', 'amq.direct', '');
  ch.publish('amq.direct', name, Buffer.from('m'));
  await ch.waitForConfirms();
  assert.deepEqual(await drainTexts(ch, name), ['m']);
});

test('an empty name on a channel that has declared none', async () => {
  for (const use of [(c) => c.bindQueue('', 'amq.direct', 'k'), (c) => c.consume('', () => {}), (c) => c.get('', {}),
    (c) => c.purgeQueue(''), (c) => c.deleteQueue(''), (c) => c.unbindQueue('', 'amq.direct', 'k')])
    await refused({ level: 'channel', code: 404, text: `NOT_FOUND - no previously declared queue` }, use);
  await refused({ level: 'channel', code: 404, text: `NOT_FOUND - no queue '' in vhost '${vhost}'` }, (c) => c.checkQueue(''));
});

test('exclusive: other connections get 405 for everything, the own one shares it between channels', async () => {
  const owner = await connect();
  const own = await channel(owner);
  const name = await queue(own, { exclusive: true });
  await own.bindQueue(name, 'amq.direct', 'own');
  const second = await channel(owner);
  await second.checkQueue(name);
  const consumer = await consume(second, name);
  await put(ch, name, 'anyone may publish');
  await consumer.until(1);
  for (const use of [(c) => c.checkQueue(name), (c) => c.assertQueue(name, { exclusive: true, durable: false }),
    (c) => c.assertQueue(name, { durable: false }), (c) => c.consume(name, () => {}), (c) => c.get(name, {}),
    (c) => c.purgeQueue(name), (c) => c.deleteQueue(name), (c) => c.bindQueue(name, 'amq.direct', 'k'),
    (c) => c.unbindQueue(name, 'amq.direct', 'own')]) await refused(locked(name), use);
  await owner.close();
  await gone(name);
});

test('exclusive: gone when its connection drops without a word, also a durable one', async () => {
  for (const durable of [false, true]) {
    const owner = await connect();
    const name = await queue(await channel(owner), { exclusive: true, durable });
    await ch.bindQueue(name, 'amq.fanout', '').then(() => assert.fail('it is locked'), () => {});
    ch = await confirmChannel();
    drop(owner);
    await until(async () => {
      const probe = await channel();
      return probe.checkQueue(name).then(() => false, (error) => error.code === 404);
    }, 'the queue is gone');
  }
});

test('a queue that is not exclusive can not be declared as if it were', async () => {
  const name = await queue(ch, { durable: true });
  await refused(locked(name), (c) => c.assertQueue(name, { durable: true, exclusive: true }));
  const own = await channel();
  const other = await queue(own, { exclusive: true });
  await assert.rejects(own.assertQueue(other, { durable: false }), { code: 405 });
  await ch.deleteQueue(name);
});

test('auto-delete: gone with its last consumer, not before its first', async () => {
  const name = await queue(ch, { autoDelete: true });
  await counts(ch, name);
  const other = await connect();
  const a = await channel(other);
  const b = await channel();
  const [one] = [await consume(a, name), await consume(b, name)];
  await a.cancel(one.tag);
  assert.equal((await counts(ch, name)).consumers, 1);
  await b.close();
  await gone(name);
});

test('auto-delete: the connection of its last consumer drops', async () => {
  const name = await queue(ch, { autoDelete: true });
  const other = await connect();
  await consume(await channel(other), name);
  drop(other);
  await until(() => channel().then((probe) => probe.checkQueue(name).then(() => false, (error) => error.code === 404)), 'the queue is gone');
});

test('passive declare looks at nothing but the name', async () => {
  const name = await queue(ch, { autoDelete: true, arguments: { 'x-max-length': 3 } });
  assert.equal((await ch.checkQueue(name)).queue, name);
  await refused({ level: 'channel', code: 404, text: `NOT_FOUND - no ${described(name + '?')}` }, (c) => c.checkQueue(name + '?'));
  await ch.deleteQueue(name);
});

const inequivalent = (name, argument, received, current) => ({
  level: 'channel', code: 406,
  text: `PRECONDITION_FAILED - inequivalent arg '${argument}' for ${described(name)}: received ${received} but current is ${current}`,
});
// Declared, declared again, which argument differs, and how the two values are told.
const typed = (value, type) => `the value '${value}' of type '${type}'`;
const redeclared = [
  [{ durable: true }, { durable: false }, 'durable', "'false'", "'true'"],
  [{ durable: false }, { durable: true }, 'durable', "'true'", "'false'"],
  [{ autoDelete: true }, {}, 'auto_delete', "'false'", "'true'"],
  [{ arguments: { 'x-message-ttl': 1000 } }, {}, 'x-message-ttl', 'none', typed(1000, 'short')],
  [{}, { arguments: { 'x-message-ttl': 1000 } }, 'x-message-ttl', typed(1000, 'short'), 'none'],
  [{ arguments: { 'x-max-length': 5 } }, { arguments: { 'x-max-length': 6 } }, 'x-max-length', "'6'", "'5'"],
  [{ arguments: { 'x-dead-letter-exchange': 'a' } }, { arguments: { 'x-dead-letter-exchange': 'b' } }, 'x-dead-letter-exchange', "'b'", "'a'"],
  [{ durable: true, arguments: { 'x-queue-type': 'quorum' } }, { durable: true }, 'x-queue-type', 'none', typed('quorum', 'longstr')],
  [{ durable: true }, { durable: true, arguments: { 'x-queue-type': 'stream' } }, 'x-queue-type', typed('stream', 'longstr'), 'none'],
];
for (const [first, second, argument, received, current] of redeclared) {
  test('declared again otherwise: ' + JSON.stringify(first) + ' → ' + JSON.stringify(second), async () => {
    const name = await queue(ch, { durable: false, ...first });
    await refused(inequivalent(name, argument, received, current), (c) => c.assertQueue(name, { durable: false, ...second }));
    await ch.deleteQueue(name);
  });
}

test('declared again with equal arguments, of whatever integer width, and with arguments that nobody knows', async () => {
  const wide = (value) => ({ '!': 'int64', value });
  const name = await queue(ch, { arguments: { 'x-message-ttl': 60_000, 'x-max-length': 5, 'x-dead-letter-exchange': 'd' } });
  await ch.assertQueue(name, { durable: false, arguments: { 'x-max-length': wide(5), 'x-message-ttl': wide(60_000), 'x-dead-letter-exchange': 'd' } });
  await ch.assertQueue(name, { durable: false, arguments: { 'x-max-length': 5, 'x-message-ttl': 60_000, 'x-dead-letter-exchange': 'd', 'x-mine': 1 } });
  await ch.deleteQueue(name);
  const plain = await queue(ch, { durable: true });
  await ch.assertQueue(plain, { durable: true, arguments: { 'x-queue-type': 'classic' } });
  await ch.deleteQueue(plain);
});

// Arguments that other types of queues have.
const notTaken = (type, ...names) => names.map((name) => [{ 'x-queue-type': type, [name]: 1 }, `invalid arg '${name}' for QUEUE of queue type rabbit_${type}_queue`]);
// A wrong argument, and the text without the queue's name.
const wrongArguments = [
  [{ 'x-message-ttl': -1 }, "invalid arg 'x-message-ttl' for QUEUE: {value_negative,-1}"],
  [{ 'x-message-ttl': 'soon' }, 'invalid arg \'x-message-ttl\' for QUEUE: "expected integer, got longstr"'],
  [{ 'x-message-ttl': { '!': 'int64', value: 2 ** 40 } }, "invalid arg 'x-message-ttl' for QUEUE: {value_too_large,1099511627776}"],
  [{ 'x-expires': 0 }, "invalid arg 'x-expires' for QUEUE: {value_zero,0}"],
  [{ 'x-expires': -5 }, "invalid arg 'x-expires' for QUEUE: {value_negative,-5}"],
  [{ 'x-max-length': -1 }, "invalid arg 'x-max-length' for QUEUE: {value_negative,-1}"],
  [{ 'x-max-length-bytes': 'many' }, 'invalid arg \'x-max-length-bytes\' for QUEUE: "expected integer, got longstr"'],
  [{ 'x-overflow': 'explode' }, "invalid arg 'x-overflow' for QUEUE: invalid_overflow"],
  [{ 'x-overflow': 7 }, "invalid arg 'x-overflow' for QUEUE: {unacceptable_type,byte}"],
  [{ 'x-dead-letter-exchange': 7 }, "invalid type 'byte' for arg 'x-dead-letter-exchange' in QUEUE"],
  [{ 'x-dead-letter-routing-key': 'k' }, "invalid arg 'x-dead-letter-routing-key' for QUEUE: routing_key_but_no_dlx_defined"],
  [{ 'x-dead-letter-exchange': 'd', 'x-dead-letter-routing-key': 7 }, "invalid arg 'x-dead-letter-routing-key' for QUEUE: {unacceptable_type,byte}"],
  [{ 'x-single-active-consumer': 'yes' }, "invalid arg 'x-single-active-consumer' for QUEUE: {unacceptable_type,longstr}"],
  [{ 'x-queue-type': 'heap' }, 'invalid arg \'x-queue-type\' for QUEUE: "unsupported queue type \'heap\'"'],
  [{ 'x-queue-type': 7 }, "invalid arg 'x-queue-type' for QUEUE: {unacceptable_type,byte}"],
  [{ 'x-max-priority': -1 }, "invalid arg 'x-max-priority' for QUEUE: {value_negative,-1}"],
  [{ 'x-max-priority': 256 }, "invalid arg 'x-max-priority' for QUEUE: {max_value_exceeded,256}"],
  [{ 'x-queue-mode': 'bad' }, 'invalid arg \'x-queue-mode\' for QUEUE: "unsupported queue mode \'bad\'"'],
  [{ 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'never' }, "invalid arg 'x-dead-letter-strategy' for QUEUE: invalid_dlx_strategy"],
  [{ 'x-queue-type': 'quorum', 'x-quorum-initial-group-size': 0 }, "invalid arg 'x-quorum-initial-group-size' for QUEUE: {value_zero,0}"],
  [{ 'x-queue-type': 'stream', 'x-max-age': 5 }, "invalid arg 'x-max-age' for QUEUE: {unacceptable_type,byte}"],
  [{ 'x-queue-type': 'stream', 'x-stream-max-segment-size-bytes': 4e9 }, 'Exceeded max value for x-stream-max-segment-size-bytes'],
  [{ 'x-queue-type': 'stream', 'x-initial-cluster-size': 0 }, "invalid arg 'x-initial-cluster-size' for QUEUE: {value_zero,0}"],
  ...notTaken('classic', 'x-dead-letter-strategy', 'x-delivery-limit', 'x-max-age', 'x-stream-max-segment-size-bytes', 'x-max-in-memory-length', 'x-quorum-initial-group-size'),
  ...notTaken('quorum', 'x-max-priority', 'x-max-age', 'x-queue-mode', 'x-queue-version', 'x-initial-cluster-size'),
  ...notTaken('stream', 'x-message-ttl', 'x-expires', 'x-overflow', 'x-max-length', 'x-delivery-limit', 'x-single-active-consumer', 'x-max-priority'),
];
for (const [args, wanted] of wrongArguments) {
  test('wrong arguments: ' + JSON.stringify(args), async () => {
    const name = fresh('q');
    await refused({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - ' + wanted.replace('QUEUE', described(name)) },
      (c) => c.assertQueue(name, { arguments: args, durable: 'x-queue-type' in args }));
    await gone(name);
  });
}

test('arguments that RabbitMQ takes although they mean little', async () => {
  for (const args of [{ 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish-dlx' }, { 'x-queue-type': 'quorum', 'x-delivery-limit': -1 },
    { 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'at-least-once' }, { 'x-queue-mode': 'lazy', 'x-queue-version': 1 },
    { 'x-queue-type': 'stream', 'x-max-age': '1Y', 'x-queue-leader-locator': 'client-local' }]) {
    const name = fresh('q');
    await ch.assertQueue(name, { durable: true, arguments: args });
    await ch.deleteQueue(name);
  }
});

test('quorum queues and streams are durable, shared and stay', async () => {
  for (const type of ['quorum', 'stream']) {
    for (const [options, property] of [[{ durable: false }, 'non-durable'], [{ exclusive: true }, 'exclusive-owner'], [{ autoDelete: true }, 'auto-delete']]) {
      const name = fresh('q');
      await refused({ level: 'channel', code: 406, text: `PRECONDITION_FAILED - invalid property '${property}' for ${described(name)}` },
        (c) => c.assertQueue(name, { durable: true, ...options, arguments: { 'x-queue-type': type } }));
    }
  }
});

test('purge removes what waits, not what is being worked on', async () => {
  const name = await queue(ch, { durable: false });
  await put(ch, name, 'taken', 'b', 'c');
  const taken = await ch.get(name, {});
  assert.deepEqual(await ch.purgeQueue(name), { messageCount: 2 });
  ch.nack(taken);
  assert.deepEqual(await drainTexts(ch, name), ['taken']);
  assert.deepEqual(await ch.purgeQueue(name), { messageCount: 0 });
  await ch.deleteQueue(name);
});

test('delete: how many messages; if-unused; if-empty; what is not there', async () => {
  const name = await queue(ch, { durable: false });
  await put(ch, name, 'a', 'b');
  await refused({ level: 'channel', code: 406, text: `PRECONDITION_FAILED - ${described(name)} not empty` }, (c) => c.deleteQueue(name, { ifEmpty: true }));
  assert.deepEqual(await ch.deleteQueue(name, { ifUnused: true }), { messageCount: 2 });
  assert.deepEqual(await ch.deleteQueue(name), { messageCount: 0 });
  const used = await queue(ch, { durable: false });
  const consumer = await consume(ch, used);
  await refused({ level: 'channel', code: 406, text: `PRECONDITION_FAILED - ${described(used)} in use` }, (c) => c.deleteQueue(used, { ifUnused: true }));
  await ch.cancel(consumer.tag);
  await ch.deleteQueue(used, { ifUnused: true, ifEmpty: true });
});

test('x-expires: an unused queue goes; consumers, gets and declarations are use', async () => {
  const name = await queue(ch, { arguments: { 'x-expires': 300 } });
  const used = await queue(ch, { arguments: { 'x-expires': 300 } });
  const kept = await queue(ch, { arguments: { 'x-expires': 300 } });
  await consume(ch, used);
  const begin = Date.now();
  await until(async () => {
    await ch.get(kept, { noAck: true });
    ch.sendToQueue(name, Buffer.from('is it there?'), { mandatory: true });
    await ch.waitForConfirms();
    return ch.returned.length;
  }, 'the queue expires');
  assert.ok(Date.now() - begin >= 250, 'it went after ' + (Date.now() - begin) + ' ms');
  await ch.checkQueue(used);
  await ch.checkQueue(kept);
});

test('a durable queue of any type can be bound, and its bindings go with it', async () => {
  for (const options of [{ durable: true }, quorum(), streamQueue()]) {
    const name = await queue(ch, options);
    await ch.bindQueue(name, 'amq.topic', name + '.#');
    await ch.deleteQueue(name);
    ch.publish('amq.topic', name + '.x', Buffer.from('m'), { mandatory: true });
    await ch.waitForConfirms();
    assert.equal(ch.returned.pop()?.fields.replyCode, 312);
  }
});
