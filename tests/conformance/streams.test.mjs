// Streams: where readers begin, what is kept, and what they refuse.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, connect, consume, counts, drop, fresh, put, queue, refused, roundTrip, sleep, streamQueue, text, until, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => String(from + i));
const offset = (m) => m.properties.headers['x-stream-offset'];
const described = (name) => `queue '${name}' in vhost '${vhost}'`;

// A reader that acknowledges as it reads.
async function read(from, where, { prefetch = 100, on } = {}) {
  const c = on ?? await channel();
  await c.prefetch(prefetch);
  const reader = await consume(c, from, where === undefined ? {} : { arguments: { 'x-stream-offset': where } });
  for (const m of reader.got) c.ack(m);
  reader.handle = (m) => { if (m) c.ack(m); };
  reader.channel = c;
  return reader;
}
async function filled(count, args) {
  const s = await queue(ch, streamQueue(args));
  await put(ch, s, ...numbers(0, count));
  return s;
}

test('every reader gets everything, in order, with its offset; nothing is taken away', async () => {
  const s = await filled(300);
  const readers = [await read(s, 'first'), await read(s, 'first', { prefetch: 1 }), await read(s, 'first', { prefetch: 7 })];
  for (const reader of readers) {
    await reader.until(300);
    assert.deepEqual(reader.texts(), numbers(0, 300));
    assert.deepEqual(reader.got.map(offset), reader.got.map((_, i) => i));
    assert.ok(reader.got.every((m) => m.fields.redelivered === false));
  }
  await put(ch, s, 'live');
  for (const reader of readers) await reader.until(301);
  await ch.deleteQueue(s);
});

test('next: what comes after consume-ok, nothing before; so it is without an offset', async () => {
  const s = await filled(10);
  const [next, none] = [await read(s, 'next'), await read(s)];
  await put(ch, s, 'a', 'b');
  for (const reader of [next, none]) {
    await reader.until(2);
    assert.deepEqual(reader.texts(), ['a', 'b']);
  }
  await ch.deleteQueue(s);
});

test('a number: that entry is the first one', async () => {
  const s = await filled(100);
  for (const from of [0, 1, 57, 99]) {
    const reader = await read(s, from);
    await reader.until(100 - from);
    assert.deepEqual([offset(reader.got[0]), reader.texts()], [from, numbers(from, 100)]);
    await reader.channel.close();
  }
  const beyond = await read(s, 1000);
  await put(ch, s, 'not yet');
  await roundTrip(beyond.channel);
  await ch.deleteQueue(s);
});

test('last: from the last chunk on, so the last entry is among them', async () => {
  const s = await filled(20);
  const reader = await read(s, 'last');
  await until(() => reader.texts().includes('19'), 'the last one comes');
  assert.deepEqual(reader.texts(), numbers(20 - reader.got.length, 20));
  await put(ch, s, 'live');
  await until(() => reader.texts().includes('live'), 'and what follows');
  await ch.deleteQueue(s);
});

test('a timestamp and an interval: nothing that came later is missed', async () => {
  const s = await filled(5);
  await sleep(2100); // timestamps count in seconds
  const middle = Math.floor(Date.now() / 1000);
  await put(ch, s, ...numbers(5, 10));
  for (const where of [{ '!': 'timestamp', value: middle }, '1s']) {
    const reader = await read(s, where);
    await until(() => reader.texts().includes('9'), 'the last one comes');
    const first = Number(reader.texts()[0]);
    assert.ok(first > 0 && first <= 5, 'it begins with ' + first);
    assert.deepEqual(reader.texts(), numbers(first, 10));
    await reader.channel.close();
  }
  for (const where of [{ '!': 'timestamp', value: 1 }, '1h', '2D', '1Y']) {
    const reader = await read(s, where);
    await reader.until(10);
    assert.equal(text(reader.got[0]), '0');
    await reader.channel.close();
  }
  const future = await read(s, { '!': 'timestamp', value: middle + 1000 });
  await put(ch, s, 'now');
  await until(() => future.texts().includes('now'), 'what comes now is read');
  assert.ok(!future.texts().includes('0'));
  await ch.deleteQueue(s);
});

test('a reader goes on from its own place after its connection has dropped', async () => {
  const s = await filled(50);
  const first = await read(s, 'first', { prefetch: 5 });
  await first.until(20);
  drop(first.channel.connection_model);
  const from = offset(first.got.at(-1)) + 1;
  const second = await read(s, from);
  await second.until(50 - from);
  assert.deepEqual([...first.texts(), ...second.texts()], numbers(0, 50));
  await ch.deleteQueue(s);
});

test('acknowledging makes room; what is not acknowledged ends the flow', async () => {
  const s = await filled(1000);
  const on = await channel();
  await on.prefetch(10);
  const reader = await consume(on, s, { arguments: { 'x-stream-offset': 'first' } });
  await reader.until(10);
  await roundTrip(on);
  assert.ok(reader.got.length < 1000, 'all have come'); // RabbitMQ finishes the chunk that it has begun
  while (reader.got.length < 1000) {
    const before = reader.got.length;
    on.ack(reader.got.at(-1), true);
    await reader.until(before + 1);
  }
  assert.deepEqual(reader.texts(), numbers(0, 1000));
  await ch.deleteQueue(s);
});

test('readers of one stream on one channel, and many streams', async () => {
  const s = await filled(100);
  const on = await channel();
  const readers = [];
  for (let i = 0; i < 10; ++i) readers.push(await read(s, i * 10, { on, prefetch: 5 }));
  for (const [i, reader] of readers.entries()) {
    await reader.until(100 - i * 10);
    assert.deepEqual(reader.texts(), numbers(i * 10, 100));
  }
  await on.cancel(readers[0].tag);
  await put(ch, s, 'more');
  await readers[1].until(91);
  assert.equal(readers[0].got.length, 100);
  await ch.deleteQueue(s);
  await until(() => readers.slice(1).every((reader) => reader.cancelled), 'all readers are told that it is gone');
});

test('properties, headers and large bodies are kept', async () => {
  const s = await queue(ch, streamQueue());
  const body = Buffer.alloc(300_000, 'b');
  ch.sendToQueue(s, body, { messageId: 'm', type: 't', correlationId: 'c', headers: { a: 1, b: 'c', d: true }, persistent: true });
  ch.sendToQueue(s, Buffer.alloc(0));
  await ch.waitForConfirms();
  const reader = await read(s, 'first');
  await reader.until(2);
  const [m, empty] = reader.got;
  assert.ok(m.content.equals(body));
  assert.deepEqual([m.properties.messageId, m.properties.type, m.properties.correlationId, m.properties.headers],
    ['m', 't', 'c', { a: 1, b: 'c', d: true, 'x-stream-offset': 0 }]);
  assert.deepEqual([m.fields.exchange, m.fields.routingKey, empty.content.length], ['', s, 0]);
  await ch.deleteQueue(s);
});

test('retention by bytes drops whole segments from the beginning; offsets stay', async () => {
  const s = await queue(ch, streamQueue({ 'x-max-length-bytes': 60_000, 'x-stream-max-segment-size-bytes': 20_000 }));
  for (let i = 0; i < 40; ++i) await put(ch, s, String(i).padEnd(5000, '.'));
  let seen;
  await until(async () => {
    const reader = await read(s, 'first');
    await until(() => reader.texts().some((t) => t.startsWith('39')), 'the last one comes');
    await reader.channel.close();
    seen = reader.got;
    return seen.length < 40;
  }, 'something has gone');
  const kept = seen.map((m) => parseInt(text(m), 10));
  assert.deepEqual(kept, Array.from({ length: kept.length }, (_, i) => 40 - kept.length + i)); // the newest, without holes
  assert.ok(kept.length >= 4 && kept.length <= 25, kept.length + ' are kept');
  const early = await read(s, 0); // retention has passed it: later, in silence
  await until(() => early.got.length, 'something comes');
  // RabbitMQ may have dropped another segment since.
  const first = parseInt(text(early.got[0]), 10);
  assert.ok(first >= kept[0] && first < 40, first + ' is the first, after ' + kept[0]);
  await ch.deleteQueue(s);
});

test('passive declare shows no messages and no consumers', async () => {
  const s = await filled(5);
  await read(s, 'first');
  assert.deepEqual(await ch.checkQueue(s), { queue: s, messageCount: 0, consumerCount: 0 });
  await ch.deleteQueue(s);
});

const refusals = [
  ['basic.get', { level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - basic.get not supported by stream queues QUEUE' }, (c, s) => c.get(s, {})],
  ['purge', { level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - queue.purge not supported by stream queues QUEUE' }, (c, s) => c.purgeQueue(s)],
  ['no-ack', { level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queues QUEUE' },
    (c, s) => c.prefetch(5).then(() => c.consume(s, () => {}, { noAck: true }))],
  ['no prefetch', { level: 'channel', code: 406, text: 'PRECONDITION_FAILED - consumer prefetch count is not set for \'QUEUE\'' }, (c, s) => c.consume(s, () => {})],
  ['a global prefetch', { level: 'channel', code: 406, text: 'PRECONDITION_FAILED - consumer prefetch count is not set for \'QUEUE\'' }, (c, s) => c.prefetch(5, true).then(() => c.consume(s, () => {}))],
  ['a global prefetch and one of its own', { level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - QUEUE does not support global qos' }, (c, s) => c.prefetch(5).then(() => c.prefetch(5, true)).then(() => c.consume(s, () => {}))],
  ['a word that is no offset', { level: 'connection', code: 541 }, (c, s) => c.prefetch(5).then(() => c.consume(s, () => {}, { arguments: { 'x-stream-offset': 'middle' } }))],
  ['an offset of another type', { level: 'connection', code: 541 }, (c, s) => c.prefetch(5).then(() => c.consume(s, () => {}, { arguments: { 'x-stream-offset': { a: 1 } } }))],
  ['nack with requeue', { level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - basic.nack and basic.reject not supported by stream queues QUEUE' }, (c, s) => c.prefetch(5).then(() => new Promise((resolve) => c.consume(s, (m) => { c.nack(m); resolve(); }, { arguments: { 'x-stream-offset': 'first' } })))],
  ['reject', { level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - basic.nack and basic.reject not supported by stream queues QUEUE' }, (c, s) => c.prefetch(5).then(() => new Promise((resolve) => c.consume(s, (m) => { c.reject(m, false); resolve(); }, { arguments: { 'x-stream-offset': 'first' } })))],
];
for (const [what, wanted, act] of refusals) {
  test('refused: ' + what, async () => {
    const s = await filled(3);
    await refused({ ...wanted, text: typeof wanted.text === 'string' ? wanted.text.replace('QUEUE', described(s)) : wanted.text }, (c) => act(c, s));
    await ch.deleteQueue(s);
  });
}

test('a stream is never empty nor in use, and no reader is alone', async () => {
  const s = await filled(3);
  const on = await channel();
  await on.prefetch(5);
  await consume(on, s, { exclusive: true });
  const other = await read(s, 'first');
  await other.until(3);
  await other.channel.close();
  await on.close();
  await ch.deleteQueue(s, { ifEmpty: true, ifUnused: true });
});

test('a reader on a channel with others that work on queues', async () => {
  const s = await filled(20);
  const q = await queue(ch, { durable: false });
  await put(ch, q, ...numbers(0, 20));
  const on = await channel();
  await on.prefetch(4);
  const reader = await read(s, 'first', { on, prefetch: 4 });
  const worker = await consume(on, q);
  worker.handle = (m) => on.ack(m);
  for (const m of worker.got) on.ack(m);
  await reader.until(20);
  await worker.until(20);
  assert.deepEqual([reader.texts(), worker.texts()], [numbers(0, 20), numbers(0, 20)]);
  for (const name of [s, q]) await ch.deleteQueue(name);
});

test('hundreds of readers on one channel', async () => {
  const s = await filled(20);
  const on = await channel();
  const readers = [];
  for (let i = 0; i < 300; ++i) readers.push(await read(s, 'first', { on, prefetch: 10 }).catch((error) => { throw on.errors[0] ?? on.connection_model.errors[0] ?? error; }));
  await until(() => readers.every((reader) => reader.got.length === 20), 'all have everything', 20);
  await put(ch, s, 'live');
  await until(() => readers.every((reader) => reader.got.length === 21), 'all have the new one');
  await ch.deleteQueue(s);
});
