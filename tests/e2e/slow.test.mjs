// Limits of coming back and of not reading: what can't be delivered is told, and nobody else waits for it.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { closeAll, amqplib, broker, connect, onFoz, ownBroker, serve, until, untilServed, worker, rawClient, configFile } from './lib.mjs';

// A broker that keeps little of OUT_TICKETS. The size of a stream's segments is fixed when it is declared.
async function limited() {
  const definition = { 'max-length-bytes': 20000, 'stream-max-segment-size-bytes': 5000 };
  if (onFoz) {
    const file = process.env.FOZ_OUT + '/slow-definitions.json';
    writeFileSync(file, JSON.stringify({ policies: [{ vhost: '/', name: 'short', pattern: '^OUT_TICKETS$', 'apply-to': 'queues',
      priority: 10, definition }] }));
    return (await ownBroker(['--definitions', file])).url;
  }
  execFileSync(process.env.FOZ_ROOT + '/scripts/rabbitmq', ['ctl', process.env.FOZ_TEST_NODE, '-q', 'set_policy',
    '-p', new URL(broker).pathname.slice(1), 'short', '^OUT_TICKETS$', JSON.stringify(definition),
    '--priority', '10', '--apply-to', 'queues']);
  return broker;
}

let foz, connection, channel, url;
before(async () => {
  const file = configFile('[limits]\nresume_entries = 20\nqueue_bytes = 600000\nrecent_bytes = 65536\n');
  url = await limited();
  foz = await serve(['--config', file], url);
  connection = await amqplib.connect(url);
  channel = await connection.createConfirmChannel();
});
after(async () => {
  await connection.close();
  await foz.stop();
  await closeAll(); // the broker too, when it is ours
});

const say = (name, body) => channel.publish('OUTBOUND', name, Buffer.from(JSON.stringify(body)),
  { headers: { 'foz-broadcast': true }, messageId: name + '-' + JSON.stringify(body).slice(0, 40) });
const position = async (client, name) => (await client.ask({ packet_action: 'consume', channel: name })).channels[name].position;

async function raw(name, from) {
  const self = await rawClient(foz.url);
  self.send({ packet_action: 'consume', channel: name, from });
  await until(() => self.heard.length, 'it consumes');
  return self;
}
const messages = (one) => one.heard.filter((e) => e.event === 'message');

test('more than resume_entries behind: a gap (too_far), then from now on', async () => {
  const ann = await connect(foz.url);
  const where = await position(ann, 'chat');
  // More than the recent messages hold, so that the stream has to be read.
  for (let i = 0; i < 40; i += 1) say('chat', { i, fill: 'x'.repeat(4000) });
  await until(() => ann.messages().length === 40, 'all is said');
  const back = await connect(foz.url);
  await back.ask({ packet_action: 'consume', channel: 'chat', from: where });
  const gap = await until(() => back.events('gap')[0], 'the gap is told');
  assert.equal(gap.cause, 'too_far');
  assert.equal(gap.position, ann.events('message').at(-1).position);
  say('chat', { i: 'live' });
  await until(() => back.messages().some((m) => m.i === 'live'), 'it goes on');
  assert.deepEqual(back.messages().map((m) => m.i), [...Array(20).keys(), 'live']);
  ann.close();
  back.close();
});

test('what retention took away is a gap, and what is left comes', async () => {
  const ann = await connect(foz.url);
  const where = await position(ann, 'tickets');
  // Segments roll as chunks are written: one message at a time.
  let said = 0;
  const back = await until(async () => {
    for (let i = 0; i < 60; i += 1) {
      say('tickets', { n: said += 1, fill: 'y'.repeat(1000) });
      await channel.waitForConfirms();
    }
    const one = await connect(foz.url);
    await one.ask({ packet_action: 'consume', channel: 'tickets', from: where });
    await until(() => one.events('gap').length || one.messages().length, 'something comes');
    if (one.events('gap')[0]?.cause === 'retention') return one;
    one.close();
    return undefined;
  }, 'retention has taken the beginning', 40);
  const gap = back.events('gap')[0];
  const first = await until(() => back.events('message')[0], 'what is left comes');
  assert.ok(first.message.n > 1);
  assert.equal(gap.position, first.position, 'where it goes on');
  ann.close();
  back.close();
});

test('who does not read: a volatile channel loses messages and says so; nobody else waits', async () => {
  const slow = await raw('voice');
  const ann = await connect(foz.url);
  await position(ann, 'voice');
  slow.pause();
  const count = 150; // 30 MB: more than the kernel holds for a socket
  for (let i = 0; i < count; i += 1) {
    say('voice', { i, fill: 'z'.repeat(200_000) });
    await until(() => ann.messages().length === i + 1, 'ann hears each at once');
  }
  slow.resume();
  const gap = await until(() => slow.heard.find((e) => e.event === 'gap'), 'the gap is told', 20);
  assert.deepEqual([gap.channel, gap.cause], ['voice', 'slow']);
  assert.ok(messages(slow).length < count);
  assert.equal(slow.closed, undefined);
  slow.socket.close();
  ann.close();
});

test('who does not read: a durable channel closes the socket, and nothing is lost for who comes back', async () => {
  const slow = await raw('chat', 'now');
  const [ann, stock] = [await connect(foz.url), await connect(foz.url)];
  for (const one of [ann, stock]) await position(one, 'chat');
  for (const socket of [slow.socket, stock.primus.socket]) socket._socket.pause();
  let ended = false;
  stock.primus.on('end', () => { ended = true; });
  let said = 0;
  while (slow.closed === undefined && said < 150) {
    say('chat', { said: said += 1, fill: 'z'.repeat(200_000) });
    await until(() => ann.messages().length === said, 'ann hears each at once');
  }
  for (const socket of [slow.socket, stock.primus.socket]) socket._socket.resume();
  await until(() => slow.closed !== undefined, 'the slow one is sent away', 20);
  assert.equal(slow.closed, 1013);
  assert.ok(!slow.heard.includes('primus::server::close'), 'nothing says stay away');
  await until(() => stock.opened === 2, 'a stock client comes back by itself');
  assert.equal(ended, false);
  stock.close();
  const heard = messages(slow);
  // The last that it has; the limit on resumes of this test is 20 entries, so it comes back step by step.
  const got = heard.map((m) => m.message.said);
  let where = heard.at(-1).position;
  for (let rounds = 0; got.at(-1) < said && rounds < 20; rounds += 1) {
    const back = await connect(foz.url);
    await back.ask({ packet_action: 'consume', channel: 'chat', from: where });
    await until(() => back.events('gap').length || back.messages().at(-1)?.said === said, 'as much as it may');
    got.push(...back.messages().map((m) => m.said));
    where = back.events('message').at(-1).position;
    back.close();
  }
  assert.deepEqual(got, Array.from({ length: said }, (_, i) => i + 1));
  ann.close();
});

test('who asks and does not read the answers is slow, too', async () => {
  let answered = 0;
  const node = await worker('IN_CHAT', (message, body, ch) => {
    const { replyTo, correlationId } = message.properties;
    ch.publish('', replyTo, Buffer.from(JSON.stringify('z'.repeat(200_000))), { correlationId });
    ch.ack(message);
    answered += 1;
  }, url);
  await untilServed(foz.url, 'chat');
  answered = 0;
  const slow = await raw('chat', 'now');
  slow.pause();
  const count = 150; // 30 MB: more than the kernel holds for a socket
  for (let i = 0; i < count; i += 1)
    slow.socket.send(JSON.stringify({ packet_action: 'publish', channel: 'chat', id: 'a' + i, ack: 'answer', message: {} }));
  await until(() => answered === count, 'the service has answered', 30);
  // Whoever hears this hears it behind the last answer.
  const ann = await connect(foz.url);
  await position(ann, 'chat');
  say('chat', 'behind');
  await until(() => ann.messages().includes('behind'), 'all answers have come through the stream', 30);
  slow.resume();
  await until(() => slow.closed !== undefined, 'it is sent away', 20);
  assert.equal(slow.closed, 1013);
  assert.ok(slow.heard.filter((e) => e.event === 'answer').length < count);
  ann.close();
  await node.stop();
});
