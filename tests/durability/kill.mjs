// Kills the broker under load, again and again, and audits what it has promised.
//
//   node tests/durability/kill.mjs --kills 300 --seed 1
//
// Every life has publishers with confirms, consumers that acknowledge, and readers of a stream, on connections of their
// own; it ends with SIGKILL at a random moment, now and then while it starts. Timing differs from run to run, the seed
// fixes the rest.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Broker, options, randomFrom, until } from './broker.mjs';
import { Ledger, bodyOf } from './ledger.mjs';

const wish = options({ kills: 300, seed: Date.now() % 1_000_000, data: '', log: 'all' });
const random = randomFrom(wish.seed);
const data = wish.data || mkdtempSync(tmpdir() + '/foz-kill-');
const say = (line) => { if (wish.log === 'all') console.log(line); };
console.log(`seed ${wish.seed}, ${wish.kills} kills`);

const ledgers = {
  quorum: new Ledger('quorum', { ordered: true }),
  classic: new Ledger('classic'),
  slow: new Ledger('slow', { ordered: true }),
  stream: new Ledger('stream'),
  short: new Ledger('short'), // a stream that keeps its newest segments alone
};
const all = Object.values(ledgers);
const publishers = [
  { name: 'quorum-a', exchange: '', key: 'quorum', to: ['quorum'], window: 50 },
  { name: 'quorum-b', exchange: '', key: 'quorum', to: ['quorum'], window: 5 },
  { name: 'classic-a', exchange: '', key: 'classic', to: ['classic'], window: 100, transient: 0.2 },
  { name: 'slow-a', exchange: '', key: 'slow', to: ['slow'], window: 20 },
  { name: 'stream-a', exchange: '', key: 'stream', to: ['stream'], window: 50 },
  { name: 'all-a', exchange: 'all', key: '', to: ['quorum', 'classic', 'slow', 'stream', 'short'], window: 20 },
];
for (const one of publishers) one.next = 0;
const outside = 1 << 20; // a body from here on has a file of its own
const sizeOf = () => (random.chance(0.9) ? 30 + random.below(200) : random.chance(0.9) ? random.below(5_000) + 30
  : random.chance(0.8) ? 30 + random.below(150_000) : outside + random.below(200_000));

let life = 0;
let unconfirmed = 0; // published in this life and not confirmed
let unacked = 0;
let lastOffset = -1;

async function declare(connection) {
  const channel = await connection.createChannel();
  await channel.assertQueue('quorum', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.assertQueue('classic', { durable: true });
  await channel.assertQueue('slow', { durable: true });
  await channel.assertQueue('stream', { durable: true, arguments: { 'x-queue-type': 'stream', 'x-stream-max-segment-size-bytes': 300_000 } });
  await channel.assertQueue('short', { durable: true, arguments: {
    'x-queue-type': 'stream', 'x-stream-max-segment-size-bytes': 200_000, 'x-max-length-bytes': 600_000 } });
  await channel.assertQueue('proof', { durable: true, maxLength: 1 });
  await channel.assertExchange('all', 'fanout', { durable: true });
  for (const name of Object.keys(ledgers)) await channel.bindQueue(name, 'all', '');
}

async function checkCounts(connection) {
  const channel = await connection.createChannel();
  for (const name of ['quorum', 'classic', 'slow']) ledgers[name].check((await channel.checkQueue(name)).messageCount);
}

async function publish(broker, who, state) {
  const connection = await broker.connect();
  state.connections.push(connection);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  let waiting = 0;
  const fill = () => {
    while (!state.over && waiting < who.window) {
      const size = sizeOf();
      const transient = random.chance(who.transient ?? 0);
      const sequence = who.next++;
      const records = who.to.map((queue) => [ledgers[queue], ledgers[queue].published(who.name, sequence, { size, transient })]);
      ++waiting;
      ++unconfirmed;
      channel.publish(who.exchange, who.key, bodyOf(who.name, sequence, size), { persistent: !transient }, (failed) => {
        if (failed) return;
        --waiting;
        --unconfirmed;
        for (const [ledger, record] of records) ledger.confirmed(record);
        fill();
      });
    }
  };
  fill();
}

// Acknowledges some at once, some together, some after a while, and lets a confirm on the same channel prove it.
async function consume(broker, name, state, { prefetch, requeue = 0, hold = 0 }) {
  const ledger = ledgers[name];
  const connection = await broker.connect();
  state.connections.push(connection);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  await channel.prefetch(prefetch);
  const sights = new Map();
  const held = new Set();
  let unproven = [];
  let proving = false;
  const acknowledge = (message, record) => {
    try { channel.ack(message); } catch { return; }
    held.delete(message);
    --unacked;
    ledger.acknowledged(record);
    unproven.push(record);
    prove();
  };
  const prove = () => {
    if (proving || unproven.length === 0) return;
    proving = true;
    const these = unproven;
    unproven = [];
    channel.publish('', 'proof', Buffer.from('proof'), { persistent: true }, (failed) => {
      if (failed) return;
      for (const record of these) ledger.proven(record);
      proving = false;
      prove();
    });
  };
  state.idle.push(() => held.size === 0 && unproven.length === 0 && !proving);
  await channel.consume(name, (message) => {
    if (!message) return;
    const record = ledger.delivered(message.content, message.fields.redelivered, sights);
    if (!record) return;
    held.add(message);
    ++unacked;
    if (!state.draining && random.chance(requeue)) {
      try { channel.nack(message, false, true); } catch { return; }
      held.delete(message);
      --unacked;
    } else if (!state.draining && random.chance(hold)) {
      setTimeout(() => acknowledge(message, record), random.below(60));
    } else {
      acknowledge(message, record);
    }
  });
}

async function readStream(broker, name, state, from) {
  const connection = await broker.connect();
  state.connections.push(connection);
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  await channel.prefetch(200);
  const sights = new Map();
  await channel.consume(name, (message) => {
    if (!message) return;
    const offset = Number(message.properties.headers['x-stream-offset']);
    ledgers[name].read(message.content, offset, sights);
    if (name === 'stream') lastOffset = Math.max(lastOffset, offset);
    try { channel.ack(message); } catch { /* the connection is gone */ }
  }, { arguments: { 'x-stream-offset': from } });
}

async function begin() {
  ++life;
  for (const one of all) one.life = life;
  unconfirmed = unacked = 0;
  const broker = new Broker(data);
  return broker;
}

async function clients(broker, state) {
  const control = await broker.connect();
  state.connections.push(control);
  await declare(control);
  await checkCounts(control);
  await Promise.all([
    consume(broker, 'quorum', state, { prefetch: 50, hold: 0.05 }),
    consume(broker, 'classic', state, { prefetch: 20, requeue: 0.02 }),
    consume(broker, 'classic', state, { prefetch: 20, hold: 0.1 }),
    consume(broker, 'slow', state, { prefetch: 10, hold: 0.9 }),
    readStream(broker, 'stream', state, lastOffset < 0 || random.chance(0.05) ? 'first' : lastOffset),
    readStream(broker, 'short', state, 'first'),
  ]);
  return control;
}

async function lifeUntilKill(number) {
  const broker = await begin();
  if (life > 1 && random.chance(0.08)) {
    const after = random.below(20);
    await new Promise((resolve) => setTimeout(resolve, after));
    const was = broker.port ? 'just ready' : 'starting';
    await broker.kill();
    say(`kill ${number}: life ${life} after ${after} ms, ${was}`);
    return { between: false };
  }
  await broker.ready;
  const state = { over: false, draining: false, connections: [], idle: [] };
  const load = clients(broker, state)
    .then(() => Promise.all(publishers.map((one) => publish(broker, one, state))))
    .catch((error) => { if (!state.over) throw error; });
  const begun = Date.now();
  const length = 20 + random.below(random.chance(0.1) ? 600 : 160);
  await Promise.race([load.then(() => new Promise(() => {})), new Promise((resolve) => setTimeout(resolve, length))]);
  // Between publish and confirm: messages have been written to sockets whose confirms have not come.
  const between = unconfirmed;
  state.over = true;
  await broker.kill();
  await Promise.all(state.connections.map((one) => one.gone));
  await load;
  say(`kill ${number}: life ${life} after ${Date.now() - begun} ms under load, ${between} unconfirmed, ${unacked} not acknowledged`);
  return { between: between > 0 };
}

async function drain() {
  const broker = await begin();
  await broker.ready;
  const state = { over: false, draining: true, connections: [], idle: [] };
  lastOffset = -1;
  const control = await clients(broker, state);
  const confirming = await control.createConfirmChannel();
  const ends = ['stream', 'short'].map((name) => {
    confirming.sendToQueue(name, bodyOf('end', life, 30), { persistent: true });
    return ledgers[name].published('end', life, { size: 30 });
  });
  const channel = await control.createChannel();
  await until(async () => {
    for (const name of ['quorum', 'classic', 'slow']) if ((await channel.checkQueue(name)).messageCount > 0) return false;
    return ends.every((one) => one.offset !== undefined) && state.idle.every((one) => one());
  }, 'the queues are empty', 120);
  for (const name of ['quorum', 'classic', 'slow']) ledgers[name].checkDrained();
  ledgers.stream.checkRead();
  ledgers.short.checkRead({ retained: true });
  state.over = true;
  const code = await broker.kill('SIGTERM');
  if (code !== 0) throw new Error('the broker ended with ' + code + ': ' + broker.output);
}

const begun = Date.now();
let between = 0;
for (let i = 1; i <= wish.kills; ++i) {
  if ((await lifeUntilKill(i)).between) ++between;
  if (all.some((one) => one.wrong.length > 0)) break;
}
await drain();
// And once more: what was acknowledged stays away after an end in good order too.
await drain();
// What is large and in a stream still has its file, once; what has left the queues has none.
const large = [...ledgers.stream.records.values()].flatMap((records) => records)
  .filter((record) => record && record.offset !== undefined && record.size >= outside).length;
const files = readdirSync(data).filter((name) => name.startsWith('body.')).length;
console.log(`${large} large messages in the stream, ${files} files`);
if (files !== large) ledgers.stream.wrong.push(`${files} files for ${large} large messages`);
if (!wish.data) rmSync(data, { recursive: true });

let survived = 0;
let unconfirmedInAll = 0;
for (const one of all) {
  for (const records of one.records.values())
    for (const record of records)
      if (record && !record.confirmed) {
        ++unconfirmedInAll;
        if (record.seen || record.offset !== undefined) ++survived;
      }
  const c = one.counts;
  console.log(`${one.queue}: ${c.published} published, ${c.confirmed} confirmed, ${c.delivered} delivered (${c.again} again), ` +
    `${c.acknowledged} acknowledged, ${c.proven} of these proven`);
}
console.log(`${wish.kills} kills in ${((Date.now() - begun) / 1000).toFixed(1)} s, ${between} between publish and confirm; ` +
  `of ${unconfirmedInAll} unconfirmed messages ${survived} were there all the same`);
const wrong = all.flatMap((one) => one.wrong);
for (const line of wrong.slice(0, 40)) console.log('WRONG ' + line);
if (between < wish.kills / 5) wrong.push('fewer than a fifth of the kills');
console.log(wrong.length === 0 ? 'nothing confirmed was lost, nothing acknowledged came back' : `${wrong.length} violations`);
process.exit(wrong.length === 0 ? 0 : 1);
