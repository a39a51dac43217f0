// Disks that are full, that refuse, that change what they were given.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, test } from 'node:test';
import { Broker, randomFrom, until } from './broker.mjs';
import { bodyOf } from './ledger.mjs';

const cleanups = [];
afterEach(async () => {
  for (const one of cleanups.splice(0).reverse()) await one();
});

function folder() {
  const made = mkdtempSync(tmpdir() + '/foz-disk-');
  cleanups.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function begin(data, settings) {
  const broker = new Broker(data, settings);
  cleanups.push(() => broker.kill());
  await broker.ready;
  return broker;
}

// Publishes without end until told to stop; knows what was confirmed.
async function publisher(broker, queue, { size = 2_000, window = 50, persistent = true } = {}) {
  const connection = await broker.connect();
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  const self = { connection, sent: 0, confirmed: 0, blocked: false, over: false, unblocked: 0 };
  connection.on('blocked', (reason) => { self.blocked = reason; });
  connection.on('unblocked', () => { self.blocked = false; ++self.unblocked; });
  self.fill = () => {
    while (!self.over && self.sent - self.confirmed < window) {
      channel.publish('', queue, bodyOf('p', self.sent++, size), { persistent }, (failed) => {
        if (failed) return;
        ++self.confirmed;
        self.fill();
      });
    }
  };
  self.fill();
  return self;
}

async function declare(broker, name, options = { durable: true }) {
  const connection = await broker.connect();
  const channel = await connection.createChannel();
  const { messageCount } = await channel.assertQueue(name, options);
  await connection.close();
  return messageCount;
}

// All that the queue gives, acknowledged; sequence numbers. Ends when the queue or the broker does.
async function drain(broker, queue, size) {
  const connection = await broker.connect();
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  await channel.prefetch(100);
  const out = [];
  await channel.consume(queue, (message) => {
    if (!message) return;
    const sequence = Number(message.content.toString('latin1', 0, 30).split(' ')[1]);
    assert.ok(message.content.equals(bodyOf('p', sequence, size)), 'a body that nobody sent');
    out.push(sequence);
    try { channel.ack(message); } catch { /* it is gone */ }
  });
  await Promise.race([broker.ended, until(async () => {
    const { messageCount } = await channel.checkQueue(queue);
    return messageCount === 0;
  }, 'the queue is empty', 30).catch((error) => { if (broker.end === undefined) throw error; })]);
  if (broker.end === undefined) {
    await channel.checkQueue(queue);
    await connection.close();
  }
  return out;
}

function checkOrder(sequences) {
  for (let i = 1; i < sequences.length; ++i) assert.ok(sequences[i] > sequences[i - 1], 'out of order');
}

// Publishers are blocked, told, and go on when `makeRoom` has run; nothing confirmed is lost, also over a kill.
async function fillAndGoOn(broker, data, makeRoom) {
  await declare(broker, 'q');
  const work = await publisher(broker, 'q');
  await until(() => work.blocked, 'the publisher is blocked', 60);
  assert.match(work.blocked, /can't be written/);
  await until(() => broker.said.some((line) => /can't be written, publishers wait: /.test(line)), 'it is said');
  const stuck = work.confirmed;
  assert.ok(stuck > 100, 'some were confirmed before');

  // Others are not held up: a consumer gets what there is, and acknowledges.
  const reader = await broker.connect();
  const channel = await reader.createChannel();
  for (let i = 0; i < 20; ++i) {
    const got = await channel.get('q', { noAck: false });
    assert.ok(got.content.equals(bodyOf('p', i, 2_000)));
    assert.equal(got.fields.redelivered, false);
    channel.ack(got);
  }
  await channel.checkQueue('q');
  assert.equal(work.confirmed, stuck, 'nothing is confirmed while nothing can be written');

  await makeRoom();
  await until(() => work.unblocked > 0 && work.confirmed > stuck + 200, 'it goes on', 30);
  assert.ok(broker.said.some((line) => /can be written again/.test(line)), 'it is said');
  work.over = true;
  await until(() => work.confirmed === work.sent, 'all are confirmed');
  await broker.kill();

  const next = await begin(data);
  const sequences = await drain(next, 'q', 2_000);
  checkOrder(sequences);
  assert.equal(sequences.length, work.confirmed - 20);
  assert.equal(sequences[0], 20);
  assert.equal(await next.kill('SIGTERM'), 0);
}

// Why not, or false.
const unmountable = (() => {
  if (process.getuid() !== 0) return 'only root can mount a small disk';
  const where = mkdtempSync(tmpdir() + '/foz-mount-');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', where], { stdio: 'pipe' });
    execFileSync('umount', [where]);
    return false;
  } catch (error) {
    return 'no disk can be mounted here: ' + String(error.stderr).trim();
  } finally {
    rmSync(where, { recursive: true });
  }
})();

test('a full disk blocks publishers, says so, and all goes on when there is room', { skip: unmountable, timeout: 120_000 }, async () => {
  const disk = folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk]);
  cleanups.push(() => execFileSync('umount', [disk]));
  writeFileSync(disk + '/filler', Buffer.alloc(30 << 20));
  mkdirSync(disk + '/data');
  const broker = await begin(disk + '/data');
  await fillAndGoOn(broker, disk + '/data', async () => unlinkSync(disk + '/filler'));
});

test('a disk below its watermark blocks publishers before anything fails', { skip: unmountable, timeout: 60_000 }, async () => {
  const disk = folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk]);
  cleanups.push(() => execFileSync('umount', [disk]));
  writeFileSync(disk + '/filler', Buffer.alloc(30 << 20));
  mkdirSync(disk + '/data');
  const broker = await begin(disk + '/data', { watermark: 20 << 20 });
  const connection = await broker.connect();
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('q', { durable: true });
  const say = () => new Promise((resolve) => channel.sendToQueue('q', Buffer.from('x'), { persistent: true }, resolve));
  await say(); // who publishes is known by its first message
  const asked = say();
  await until(() => broker.said.some((line) => /low on disk: publishers wait/.test(line)), 'it is said');
  unlinkSync(disk + '/filler');
  await asked;
  await until(() => broker.said.some((line) => /room again/.test(line)), 'that is said too');
  await connection.close();
});

test('a write that fails blocks publishers until it does not', { timeout: 120_000 }, async () => {
  const data = folder();
  const broker = await begin(data, { wrap: ['prlimit', '--fsize=6000000:unlimited'] });
  await fillAndGoOn(broker, data, async () =>
    execFileSync('prlimit', ['--pid', String(broker.child.pid), '--fsize=unlimited:unlimited']));
});

test('a disk that is full at the start is one line', { skip: unmountable }, async () => {
  const disk = folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
  cleanups.push(() => execFileSync('umount', [disk]));
  mkdirSync(disk + '/data');
  try {
    for (;;) appendFileSync(disk + '/filler', Buffer.alloc(4096));
  } catch { /* full */ }
  const broker = new Broker(disk + '/data');
  await assert.rejects(broker.ready);
  assert.equal(broker.end, 1);
  assert.equal(broker.said.length, 1);
  assert.match(broker.said[0], /disk is full/);
});

test('a copy of the folder from the middle of writing, its last write torn', { timeout: 120_000 }, async () => {
  const data = folder();
  const random = randomFrom(5);
  const broker = await begin(data);
  await declare(broker, 'q');
  const work = await publisher(broker, 'q', { size: 300 });
  await until(() => work.confirmed > 500, 'messages are confirmed');
  for (let round = 0; round < 6; ++round) {
    const copy = folder();
    await new Promise((resolve) => setTimeout(resolve, random.below(40)));
    broker.child.kill('SIGSTOP'); // wherever it is
    await new Promise((resolve) => setTimeout(resolve, 20)); // confirms that it has sent arrive
    const confirmed = work.confirmed;
    const sent = work.sent;
    cpSync(data, copy, { recursive: true });
    broker.child.kill('SIGCONT');
    rmSync(copy + '/foz.db-shm', { force: true });
    const wal = copy + '/foz.db-wal';
    const torn = round % 3;
    if (torn === 1) truncateSync(wal, statSync(wal).size - 1 - random.below(8_000));
    if (torn === 2) appendFileSync(wal, Buffer.alloc(20_000, 0x5a));
    const next = await begin(copy);
    const sequences = await drain(next, 'q', 300);
    checkOrder(sequences);
    // The end of the file may have been that of a commit, which was the last one then: at most a window.
    assert.ok(sequences.length >= confirmed - (torn === 1 ? 50 : 0), `${sequences.length} of ${confirmed} confirmed, torn ${torn}`);
    assert.ok(sequences.length <= sent);
    assert.equal(await next.kill('SIGTERM'), 0);
  }
  work.over = true;
});

test('changed bits are said, never delivered, and never crash it', { timeout: 120_000 }, async () => {
  const data = folder();
  const random = randomFrom(6);
  const broker = await begin(data);
  await declare(broker, 'q');
  await declare(broker, 's', { durable: true, arguments: { 'x-queue-type': 'stream' } });
  const work = await publisher(broker, 'q', { size: 500 });
  await until(() => work.confirmed > 2_000, 'messages are confirmed');
  work.over = true;
  await until(() => work.confirmed === work.sent, 'all are confirmed');
  assert.equal(await broker.kill('SIGTERM'), 0);
  const whole = readFileSync(data + '/foz.db');
  let said = 0;
  for (let round = 0; round < 40; ++round) {
    const copy = folder();
    const changed = Buffer.from(whole);
    const at = random.below(whole.length);
    for (let i = at; i < Math.min(at + 16, whole.length); ++i) changed[i] ^= 1 + random.below(255);
    writeFileSync(copy + '/foz.db', changed);
    const next = new Broker(copy);
    cleanups.push(() => next.kill());
    const began = await next.ready.then(() => true, () => false);
    let there = 0;
    if (began) {
      const look = async () => ((await declare(next, 'q')) > 0 ? (await drain(next, 'q', 500)).length : 0);
      // It may end when it meets the damage: then with a line, as is seen below.
      there = await look().catch(async (error) => {
        if ((await Promise.race([next.ended, new Promise((resolve) => setTimeout(resolve, 5_000))])) === undefined) throw error;
        return 0;
      });
    }
    const lines = next.said.length;
    if (next.end === undefined) assert.equal(await next.kill('SIGTERM'), 0);
    else assert.equal(next.end, 1, 'octet ' + at + ': ' + next.output);
    assert.ok(there === work.confirmed || lines > 0, `octet ${at}: ${there} of ${work.confirmed} messages and not a word`);
    if (lines > 0) ++said;
  }
  assert.ok(said > 20, `${said} of 40`);
});

test('transient messages that were paged out are gone after a start', { timeout: 60_000 }, async () => {
  const data = folder();
  let broker = await begin(data);
  await declare(broker, 'q');
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    const connection = await broker.connect();
    const channel = await connection.createConfirmChannel();
    for (let i = 0; i < 6_000; ++i) channel.sendToQueue('q', bodyOf('p', i, 2_000), { persistent: i % 3 === 0 });
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue('q')).messageCount, 6_000);
    connection.on('error', () => {});
    await broker.kill(signal);
    broker = await begin(data);
    assert.equal(await declare(broker, 'q'), 2_000);
    const sequences = await drain(broker, 'q', 2_000);
    assert.equal(sequences.length, 2_000);
    assert.ok(sequences.every((one) => one % 3 === 0));
    checkOrder(sequences);
  }
});

test('publishers that are faster than the disk wait; memory is bounded, and others are served', { timeout: 120_000 }, async () => {
  const data = folder();
  const broker = await begin(data);
  await declare(broker, 'big');
  await declare(broker, 'small');
  const size = 32_000;
  const works = await Promise.all([1, 2, 3].map(() => publisher(broker, 'big', { size, window: 4_000 })));
  const other = await broker.connect();
  const channel = await other.createChannel();
  let longest = 0;
  await until(async () => {
    const begun = performance.now();
    await channel.checkQueue('small');
    longest = Math.max(longest, performance.now() - begun);
    return works.every((one) => one.confirmed > 3_000);
  }, 'much is written', 100);
  for (const one of works) one.over = true;
  const most = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${broker.child.pid}/status`, 'latin1'))[1]) / 1000;
  if (!process.env.FOZ_SANITIZE) assert.ok(most < 130, `resident ${most} MB`);
  console.log(`resident at most ${most.toFixed(0)} MB, others waited ${longest.toFixed(0)} ms at most`);
});

test('many queues with a backlog share the memory', { timeout: 120_000 }, async () => {
  const data = folder();
  const broker = await begin(data);
  const connection = await broker.connect();
  const channel = await connection.createConfirmChannel();
  const queues = 150;
  const each = 100;
  const size = 10_000;
  for (let q = 0; q < queues; ++q) await channel.assertQueue('q' + q, { durable: q % 2 === 0 });
  for (let i = 0; i < each; ++i) {
    for (let q = 0; q < queues; ++q) channel.sendToQueue('q' + q, bodyOf('p', i, size), { persistent: true });
    await channel.waitForConfirms();
  }
  const most = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${broker.child.pid}/status`, 'latin1'))[1]) / 1000;
  if (!process.env.FOZ_SANITIZE) assert.ok(most < 130, `resident ${most} MB`);
  console.log(`${(queues * each * size / 1e6).toFixed(0)} MB in ${queues} queues, resident at most ${most.toFixed(0)} MB`);
  for (const q of [0, 1, queues - 1]) checkOrder(await drain(broker, 'q' + q, size));
});
