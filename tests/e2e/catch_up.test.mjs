// Coming back after long, when others do too: whoever does not read costs nobody else anything, and a broker that is
// slow is waited for.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { configFile, amqp, broker, closeAll, connect, inSeconds, serve, sleep, until, rawClient } from './lib.mjs';

const count = 1200; // of 20 KB: more than the recent messages hold, and than the kernel holds for a socket
let foz, proxy, first;
const numbers = (from = 0) => Array.from({ length: count - from }, (_, i) => from + i);

// Between an aggregator and its broker: `hold` octets from the broker pass, and then nothing until release().
async function slowBroker() {
  const self = { hold: Infinity, held: false };
  const { hostname, port } = new URL(broker);
  const releases = [];
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), hostname);
    near.pipe(far);
    far.on('data', (data) => {
      near.write(data);
      if ((self.hold -= data.length) > 0) return;
      self.held = true;
      far.pause();
      releases.push(() => far.resume());
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  self.url = broker.replace(hostname + ':' + port, '127.0.0.1:' + server.address().port);
  self.release = () => {
    self.hold = Infinity;
    for (const release of releases.splice(0)) release();
  };
  self.close = () => server.close();
  return self;
}

before(async () => {
  proxy = await slowBroker();
  foz = await serve(['--config', configFile('[client]\nposition_entries = 1000\n')], proxy.url);
  const ann = await connect(foz.url);
  first = (await ann.consume()).channels.chat.position;
  ann.close();
  const channel = await (await amqp()).createConfirmChannel();
  for (let i = 0; i < count; i += 1) {
    channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify({ i, fill: 'x'.repeat(20_000) })),
      { headers: { 'foz-broadcast': true }, messageId: 'n' + i, timestamp: inSeconds(0) });
    if (i % 100 === 99) await channel.waitForConfirms();
  }
  const late = await connect(foz.url);
  await late.consume({ from: first });
  await until(() => late.messages().at(-1)?.i === count - 1, 'the aggregator has read all', 20);
  late.close();
});
after(async () => {
  await foz.stop();
  proxy.close();
  await closeAll();
});

// A socket that asks for what it missed and does not read until it is told to.
async function deaf(from, channel = 'chat', where = foz) {
  const self = await rawClient(where.url);
  self.pause();
  self.send({ packet_action: 'consume', channel, from });
  return self;
}
const said = (one) => one.heard.filter((e) => e.event === 'message').map((e) => e.message.i);
const all = (one) => said(one).at(-1) === count - 1;

// Everything and nothing else comes to who begins after entry `n`, within a few seconds.
async function hears(client, from, n) {
  await client.consume({ from });
  await until(() => all(client) || client.events('gap').length, 'what was missed comes', 8);
  assert.deepEqual([client.events('gap'), said(client)], [[], numbers(n)]);
}

for (const [name, from] of [['first', () => 'first'], ['a position', () => first], ['a time', () => ({ since_ms: 0 })]])
  test('from ' + name + ': eight that do not read hold nobody up, and get all when they read', async () => {
    const slow = await Promise.all(Array.from({ length: 8 }, () => deaf(from())));
    const clients = await Promise.all(Array.from({ length: 3 }, () => connect(foz.url)));
    await Promise.all([hears(clients[0], first, 0), hears(clients[1], 'first', 0), hears(clients[2], { since_ms: 0 }, 0)]);
    // The others' places are further on.
    const middle = clients[0].events('message')[400].position;
    const late = await connect(foz.url);
    await hears(late, middle, 401);
    for (const one of slow) one.resume();
    await until(() => slow.every(all), 'who reads at last has all', 20);
    for (const one of slow) {
      assert.deepEqual(said(one), numbers());
      assert.deepEqual([one.closed, one.heard.filter((e) => e.event === 'gap')], [undefined, []]);
      one.socket.close();
    }
    [late, ...clients].forEach((one) => one.close());
  });

test('who asks for hundreds of places at once holds nobody up', async () => {
  const wide = await connect(foz.url);
  await hears(wide, first, 0);
  const places = wide.events('message').map((e) => e.position);
  const greedy = await deaf(first);
  for (let i = 0; i < 600; i += 1)
    greedy.socket.send(JSON.stringify({ packet_action: 'consume', channel: 'chat',
      from: i % 2 ? places[(i * 7) % 400] : { since_ms: Date.now() * 2 + i * 3_600_000 } }));
  const ann = await connect(foz.url);
  await hears(ann, first, 0);
  greedy.socket.terminate();
  [ann, wide].forEach((one) => one.close());
});

test('who asks again while its socket is full hears the latest of what it asked for', async () => {
  const slow = await deaf('first');
  slow.socket.send(JSON.stringify({ packet_action: 'consume', channel: 'chat', from: first, id: 'again' }));
  const ann = await connect(foz.url);
  await hears(ann, first, 0);
  slow.resume();
  await until(() => all(slow), 'all comes', 20);
  const again = slow.heard.findIndex((e) => e.id === 'again');
  assert.deepEqual(slow.heard.slice(again + 1).filter((e) => e.event === 'message').map((e) => e.message.i), numbers());
  slow.socket.close();
  ann.close();
});

const offset = (event) => Number(event.position.split('.')[1]);

test('leaving a channel ends its past: no place of it is told any more', async () => {
  const slow = await deaf(first);
  const write = (frame) => slow.socket.send(JSON.stringify({ channel: 'chat', ...frame }));
  // Part of what is heard: what is left still comes, past and all.
  write({ packet_action: 'leave', consume_target: ['nothing.of.that'], id: 'part' });
  const ann = await connect(foz.url);
  await hears(ann, first, 0);
  write({ packet_action: 'leave', id: 'whole' });
  const late = await connect(foz.url);
  await hears(late, first, 0);
  slow.resume();
  await until(() => slow.heard.some((e) => e.id === 'whole'), 'it has left', 20);
  // More than the number of entries after which who has resumed is told its place.
  const channel = await (await amqp()).createConfirmChannel();
  for (let i = 0; i < 1100; i += 1)
    channel.publish('OUTBOUND', 'chat', Buffer.from('{}'), { headers: { 'foz-direct': 'nobody' }, messageId: 'quiet' + i });
  await channel.waitForConfirms();
  const end = offset(late.events('message').at(-1));
  await until(() => late.events('position').some((e) => offset(e) > end + 100), 'its place is told to who has not left');
  const left = slow.heard.findIndex((e) => e.id === 'whole');
  assert.deepEqual(slow.heard.slice(left + 1), []);
  assert.ok(slow.heard.some((e) => e.id === 'part'));
  const places = slow.heard.filter((e) => e.event === 'message' || e.event === 'position');
  assert.ok(places.every((e) => e.event === 'message'), 'no place beyond what was heard');
  // Coming back from there nothing is missing.
  const heard = said(slow);
  assert.ok(heard.length > 0 && heard.length < count, heard.length + ' of the past before it left');
  assert.deepEqual(heard, numbers().slice(0, heard.length));
  write({ packet_action: 'consume', from: places.at(-1).position, id: 'back' });
  await until(() => all(slow), 'the rest comes', 20);
  assert.deepEqual(said(slow), numbers());
  assert.deepEqual(slow.heard.filter((e) => e.event === 'gap'), []);
  slow.socket.close();
  [ann, late].forEach((one) => one.close());
});

test('a stream that is made anew ends the past of who is still behind, and says so', async () => {
  const channel = await (await amqp()).createConfirmChannel();
  const tell = (n, fill = 0) => channel.publish('OUTBOUND', 'tickets', Buffer.from(JSON.stringify({ i: n, fill: 'x'.repeat(fill) })),
    { headers: { 'foz-broadcast': true } });
  for (let i = 0; i < count; i += 1) tell(i, 20_000);
  await channel.waitForConfirms();
  // One that was not there then, so that all of it comes from the stream.
  const other = await serve();
  const ann = await connect(other.url);
  const slow = await deaf('first', 'tickets', other);
  await ann.consume({ channel: 'tickets', from: 'first' });
  await until(() => all(ann), 'who reads hears all', 20);
  await channel.deleteQueue('OUT_TICKETS');
  const gap = await until(() => ann.events('gap')[0], 'the gap is told', 30);
  assert.equal(gap.cause, 'recreated');
  await until(() => {
    tell('after');
    return said(ann).includes('after');
  }, 'the new stream is heard');
  slow.resume();
  await until(() => slow.heard.some((e) => e.event === 'gap'), 'it is told too', 20);
  await until(() => {
    tell('after');
    return said(slow).includes('after');
  }, 'and is live');
  const past = said(slow).filter((i) => i !== 'after');
  assert.deepEqual(past, [...Array(past.length).keys()]);
  assert.ok(past.length < count, 'it was behind');
  assert.deepEqual(slow.heard.filter((e) => e.event === 'gap').map((e) => e.cause), ['recreated']);
  slow.socket.close();
  ann.close();
  await other.stop();
});

test('a broker that stops in the middle of the past is waited for: no gap, nothing lost', async () => {
  const ann = await connect(foz.url);
  proxy.hold = 3_000_000;
  const heard = ann.consume({ from: first });
  await until(() => proxy.held, 'the broker says nothing any more');
  await heard;
  // Longer than a stream that has ended is silent.
  await sleep(3500);
  assert.ok(!all(ann));
  proxy.release();
  await until(() => all(ann) || ann.events('gap').length, 'the rest comes', 20);
  assert.deepEqual([ann.events('gap'), said(ann)], [[], numbers()]);
  ann.close();
});
