// A backlog that waits on disk: memory stays bounded, a start does not depend on it, and it comes back in order.
//
//   node tests/durability/backlog.mjs --messages 1000000 --size 100
//
// Prints what it has measured; --rss-max (MB), --start-max and --confirm-max (ms) make it a test.
import { mkdtempSync, rmSync, readFileSync, statSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Broker, options, until } from './broker.mjs';

const wish = options({ messages: 1_000_000, size: 100, connections: 2, 'rss-max': 0, 'start-max': 0, 'confirm-max': 0, data: '' });
const data = wish.data || mkdtempSync(tmpdir() + '/foz-backlog-');
const wrong = [];
const status = (broker, name) => Number(new RegExp(name + ':\\s+(\\d+)').exec(readFileSync(`/proc/${broker.child.pid}/status`, 'latin1'))[1]) / 1000;
const bytes = () => readdirSync(data).reduce((sum, name) => sum + statSync(`${data}/${name}`).size, 0) / 1e6;
function bound(value, most, what) {
  // A sanitizer's memory is its own.
  if (most > 0 && value > most && !process.env.FOZ_SANITIZE) wrong.push(`${what}: ${value.toFixed(1)}, more than ${most}`);
}

// Messages through confirm channels, so many at once in flight; over when all are confirmed.
async function publish(broker, queue, count) {
  const each = Math.ceil(count / wish.connections);
  await Promise.all(Array.from({ length: wish.connections }, async () => {
    const connection = await broker.connect();
    const channel = await connection.createConfirmChannel();
    const body = Buffer.alloc(wish.size, 'x');
    let sent = 0;
    let confirmed = 0;
    await new Promise((resolve) => {
      const fill = () => {
        for (let i = 0; i < 500 && sent < each; ++i, ++sent) {
          body.writeUInt32BE(sent, 0);
          channel.publish('', queue, Buffer.from(body), { persistent: true }, () => {
            if (++confirmed === each) resolve();
            else if (confirmed % 500 === 0) fill();
          });
        }
      };
      fill();
      fill();
      fill();
      fill();
    });
    await connection.close();
  }));
}

// The time until a message is confirmed by a broker that was not there before.
async function start(queue) {
  const begun = performance.now();
  const broker = new Broker(data);
  await broker.ready;
  const ready = performance.now() - begun;
  const connection = await broker.connect();
  const channel = await connection.createConfirmChannel();
  await new Promise((resolve) => channel.publish('', queue, Buffer.from('first'), { persistent: true }, resolve));
  const confirmed = performance.now() - begun;
  await connection.close();
  return { broker, ready, confirmed };
}

async function consumeAll(broker, queue, count, args) {
  const connection = await broker.connect();
  const channel = await connection.createChannel();
  await channel.prefetch(1000);
  const begun = performance.now();
  let seen = 0;
  await new Promise((resolve) => {
    channel.consume(queue, (message) => {
      ++seen;
      if (seen % 200 === 0 || seen === count) channel.ack(message, true);
      if (seen === count) resolve();
    }, { arguments: args });
  });
  // The last acknowledgement has reached the broker.
  await channel.checkQueue(queue);
  await connection.close();
  return (seen / (performance.now() - begun)) * 1000;
}

// From empty: three starts, the best of them; the first one makes the files.
async function empty() {
  const first = new Broker(data);
  await first.ready;
  const connection = await first.connect();
  const channel = await connection.createChannel();
  await channel.assertQueue('work', { durable: true });
  await channel.assertQueue('stream', { durable: true, arguments: { 'x-queue-type': 'stream' } });
  const idle = status(first, 'VmRSS');
  await connection.close();
  await first.kill('SIGTERM');
  return idle;
}

const idle = await empty();
console.log(`idle: ${idle.toFixed(1)} MB resident`);
let { broker, ready, confirmed } = await start('work');
console.log(`empty: ready after ${ready.toFixed(0)} ms, first confirm after ${confirmed.toFixed(0)} ms`);
for (const queue of ['work', 'stream']) {
  const begun = performance.now();
  await publish(broker, queue, wish.messages);
  const rate = wish.messages / (performance.now() - begun);
  console.log(`${queue}: ${wish.messages} messages of ${wish.size} octets in, ${rate.toFixed(0)},000 a second; ` +
    `resident ${status(broker, 'VmRSS').toFixed(1)} MB (at most ${status(broker, 'VmHWM').toFixed(1)}), ${bytes().toFixed(0)} MB on disk`);
  bound(status(broker, 'VmHWM'), wish['rss-max'], 'resident MB with the backlog in ' + queue);
}
for (const signal of ['SIGKILL', 'SIGTERM']) {
  await broker.kill(signal);
  ({ broker, ready, confirmed } = await start('work'));
  console.log(`after ${signal}: ready after ${ready.toFixed(0)} ms, first confirm after ${confirmed.toFixed(0)} ms, ` +
    `resident ${status(broker, 'VmRSS').toFixed(1)} MB`);
  bound(ready, wish['start-max'], 'ms until ready after ' + signal);
  bound(confirmed, wish['confirm-max'], 'ms until the first confirm after ' + signal);
}
const connection = await broker.connect();
const channel = await connection.createChannel();
const { messageCount } = await channel.checkQueue('work');
const each = Math.ceil(wish.messages / wish.connections) * wish.connections;
if (messageCount !== each + 3) wrong.push(`${messageCount} messages in the queue, not ${each + 3}`);
console.log(`stream: ${((await consumeAll(broker, 'stream', each, { 'x-stream-offset': 'first' })) / 1000).toFixed(0)},000 a second out`);
console.log(`work: ${((await consumeAll(broker, 'work', messageCount)) / 1000).toFixed(0)},000 a second out; ` +
  `resident at most ${status(broker, 'VmHWM').toFixed(1)} MB`);
bound(status(broker, 'VmHWM'), wish['rss-max'], 'resident MB after all');
await until(async () => (await channel.checkQueue('work')).messageCount === 0, 'the queue is empty');
await channel.deleteQueue('stream');
await connection.close();
await broker.kill('SIGTERM');
console.log(`drained: ${bytes().toFixed(0)} MB on disk`);
if (!wish.data) rmSync(data, { recursive: true });
for (const line of wrong) console.log('WRONG ' + line);
process.exit(wrong.length === 0 ? 0 : 1);
