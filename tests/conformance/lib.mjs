// What the conformance tests share: connections to the broker under test, and what it says when it refuses something.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

// The packages of clients/js.
const require = createRequire(process.env.FOZ_ROOT + '/clients/js/package.json');
export const amqplib = require('amqplib');
export const defs = require('amqplib/lib/defs');

export const broker = process.env.FOZ_TEST_BROKER;
// rabbitmq or foz: only for the differences that docs/broker.md lists.
export const kind = process.env.FOZ_TEST_BROKER_KIND;
export const vhost = decodeURIComponent(new URL(broker).pathname.slice(1));

// A name that no other test, file or run uses.
export const fresh = (what = 't') => what + '-' + randomBytes(6).toString('hex');

// Waits until the function returns something true; fails with the text after some seconds.
export async function until(what, text, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await what();
    if (value) return value;
    if (Date.now() > end) throw new Error('in vain waited ' + seconds + ' s until ' + text);
    await sleep(2);
  }
}

// Everything that a test opens is closed at its end, also when it fails.
const open = new Set();
export async function closeAll() {
  await Promise.all([...open].map((close) => Promise.race([close().catch(() => {}), sleep(2000, undefined, { ref: false })])));
  open.clear();
}

export async function connect(url = broker, options = {}) {
  const connection = await amqplib.connect(url, { noDelay: true, timeout: 10_000, ...options });
  connection.errors = [];
  connection.closed = false;
  connection.on('error', (error) => connection.errors.push(error));
  connection.on('close', () => { connection.closed = true; });
  open.add(async () => { if (!connection.closed) await connection.close(); });
  return connection;
}

// The client dies: no close, just the end of its socket.
export function drop(connection) {
  connection.closed = true;
  connection.connection.stream.destroy(new Error('dropped')); // an error: amqplib's timers end too
}

function watched(channel, connection) {
  channel.connection_model = connection;
  channel.errors = [];
  channel.returned = [];
  channel.closed = false;
  channel.on('error', (error) => channel.errors.push(error));
  channel.on('close', () => { channel.closed = true; });
  channel.on('return', (message) => channel.returned.push(message));
  return channel;
}

// A channel, on a connection of its own unless one is given.
export async function channel(connection) {
  const on = connection ?? await connect();
  return watched(await on.createChannel(), on);
}
export async function confirmChannel(connection) {
  const on = connection ?? await connect();
  return watched(await on.createConfirmChannel(), on);
}

// The confirming channel that the tests of a file share; a new one when an earlier test has lost it.
export const usable = async (shared) => (shared && !shared.closed && !shared.connection_model.closed ? shared : confirmChannel());

// A queue that goes with its connection unless the options say otherwise; its name.
export async function queue(ch, options = { exclusive: true }, name = fresh('q')) {
  await ch.assertQueue(name, { durable: false, ...options });
  return name;
}
export const quorum = (rest = {}) => ({ durable: true, arguments: { 'x-queue-type': 'quorum', ...rest } });
export const streamQueue = (rest = {}) => ({ durable: true, arguments: { 'x-queue-type': 'stream', ...rest } });

// Publishes texts to a queue and waits until the broker has all of them.
export async function put(confirming, to, ...texts) {
  for (const text of texts) confirming.sendToQueue(to, Buffer.from(text), { persistent: true });
  await confirming.waitForConfirms();
}

export const text = (message) => message.content.toString();

// All that a queue holds, in order, taken away.
export async function drain(ch, from) {
  const out = [];
  for (;;) {
    const message = await ch.get(from, { noAck: true });
    if (!message) return out;
    out.push(message);
  }
}
export const drainTexts = async (ch, from) => (await drain(ch, from)).map(text);

// A consumer that keeps what it gets.
export async function consume(ch, from, options = {}) {
  const self = { got: [], cancelled: false };
  const { consumerTag } = await ch.consume(from, (message) => {
    if (!message) self.cancelled = true;
    else self.got.push(message);
    self.handle?.(message);
  }, options);
  self.tag = consumerTag;
  self.texts = () => self.got.map(text);
  self.until = (count, seconds) => until(() => self.got.length >= count, 'a consumer has got ' + count + ' messages', seconds);
  return self;
}

// When this has come back, all that the broker sent before on this channel's connection has been read.
export async function roundTrip(ch) {
  const on = await ch.connection_model.createChannel();
  await on.close();
}

// Messages that wait, and consumers.
export async function counts(ch, name) {
  const { messageCount, consumerCount } = await ch.checkQueue(name);
  return { messages: messageCount, consumers: consumerCount };
}

// Does something on a channel of a new connection that the broker answers with channel.close or connection.close, and
// checks which of the two, with what code and text (a string: exactly; a regular expression: it matches).
export async function refused(wish, action) {
  const connection = await connect();
  const ch = watched(await connection.createChannel(), connection);
  await Promise.resolve().then(() => action(ch, connection)).catch(() => {}); // the close says more
  await until(() => ch.closed || connection.closed, 'the broker closes something: ' + action + JSON.stringify(wish), 3);
  checkRefusal(wish, ch, connection);
  if (!connection.closed) { // the connection goes on
    const next = await connection.createChannel();
    await next.close();
    await connection.close();
  }
}

export function checkRefusal({ level, code, text: wanted }, ch, connection) {
  const found = connection.errors[0] ?? ch.errors[0];
  assert.ok(found, 'something was closed without an error');
  const [, got] = found.message.match(/with message "(.*)"$/s) ?? [undefined, found.message];
  assert.deepEqual({ level: connection.errors.length ? 'connection' : 'channel', code: found.code }, { level, code }, got);
  if (wanted instanceof RegExp) assert.match(got, wanted);
  else if (wanted !== undefined) assert.equal(got, wanted);
}

export { assert, once, sleep };
