// The Foz plugin: what the stock client leaves to the application.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chat, closeAll, connect, plugged, secret, serve, settle, until, worker } from './lib.mjs';

let service;
before(async () => { service = await chat(); });
after(async () => {
  await closeAll();
  await service.stop();
});

const numbers = (client, room) => client.heard.filter((event) => event.topic === 'room.' + room).map((event) => Number(event.message.text));
const range = (size) => Array.from({ length: size }, (_, i) => i);
const room = (name) => name + '-' + Date.now(); // a stream remembers

test('it is served beside the plain library, which stays unmodified', async () => {
  const server = await serve();
  const plain = await (await fetch(server.url + '/primus/primus.js')).text();
  const response = await fetch(server.url + '/primus/foz.js');
  assert.equal(response.headers.get('content-type'), 'text/javascript; charset=utf-8');
  const withFoz = await response.text();
  assert.ok(!plain.includes('ark["foz"]') && withFoz.includes('ark["foz"]'));
  await server.stop();
});

test('publish, request and consume are promises; errors are theirs', async () => {
  const server = await serve();
  const a = plugged(server.url);
  const where = room('hall');
  const set = await a.foz.consume('chat', { topics: ['room.' + where] });
  assert.deepEqual(set.channels.chat.topics, ['room.' + where]);
  assert.match(a.foz.client, /^anon-/);
  assert.deepEqual(await a.foz.request('chat', { n: 1 }, { type: 'echo' }), { n: 1 });
  const receipt = await a.foz.publish('chat', { room: where, text: '0' }, { type: 'say', id: 'mine', colour: 'red' });
  assert.deepEqual(receipt, { event: 'receipt', id: 'mine', warnings: ['colour'] });
  await until(() => numbers(a, where).length === 1, 'the message comes');
  const states = [];
  await a.foz.request('chat', 1, { type: 'echo', onProgress: (event) => states.push(event.state) });
  await until(() => states.includes('done'), 'progress is told');
  await assert.rejects(a.foz.request('chat', {}, { type: 'say' }), { name: 'FozError', code: 'service', service_code: 'bad_message' });
  await assert.rejects(a.foz.publish('nowhere', 1), { code: 'unknown_channel' });
  await assert.rejects(a.foz.publish('chat', 1, { type: 7 }), { code: 'bad_envelope', field: 'type' });
  await assert.rejects(a.foz.consume('nowhere'), { code: 'unknown_channel' });
  await assert.rejects(a.foz.request('tickets', 1, { timeout_ms: 100 }), { code: 'timeout' });
  assert.equal(a.foz.waiting, 0);
  assert.deepEqual(a.errors, []);
  a.close();
  await server.stop();
});

test('the aggregator is killed with messages in flight: each arrives once, in one order for all', async () => {
  let server = await serve();
  const [a, b] = [plugged(server.url), plugged(server.url)];
  const where = room('kill');
  await Promise.all([a, b].map((client) => client.foz.consume('chat', { topics: ['room.' + where], from: 'now' })));
  const size = 300;
  const sent = range(size).map((i) => a.foz.publish('chat', { room: where, text: String(i) }, { type: 'say' }));
  const asked = range(50).map((i) => a.foz.request('chat', i, { type: 'echo' }));
  await Promise.race(sent);
  await server.kill();
  server = await serve(['--listen', new URL(server.url).host]);
  await Promise.all(sent);
  assert.deepEqual(await Promise.all(asked), range(50));
  for (const client of [a, b]) await until(() => numbers(client, where).length >= size, 'everything is heard', 20);
  await settle();
  assert.deepEqual([...numbers(b, where)].sort((x, y) => x - y), range(size));
  assert.deepEqual(numbers(a, where), numbers(b, where));
  assert.deepEqual([a.gaps, b.gaps, a.errors, b.errors], [[], [], [], []]);
  for (const client of [a, b]) client.close();
  await server.stop();
});

test('who has consumed from now and has heard nothing yet comes back to where now was', async () => {
  let server = await serve();
  const listen = new URL(server.url).host;
  const client = plugged(server.url);
  const where = room('quiet');
  const set = await client.foz.consume('chat', { topics: ['room.' + where], from: 'now' });
  assert.ok(set.channels.chat.position);
  await server.kill();
  const other = await serve();
  const speaker = await connect(other.url);
  assert.equal((await speaker.publish('say', { room: where, text: '7' })).event, 'answer');
  server = await serve(['--listen', listen]);
  await until(() => numbers(client, where).length === 1, 'what was said meanwhile is heard');
  assert.deepEqual(client.gaps, []);
  client.close();
  speaker.close();
  await server.stop();
  await other.stop();
});

test('what comes for another socket of the client, which has gone, is none of ours; a request that is cut fails once', async () => {
  const server = await serve();
  const held = [];
  const slow = await worker('IN_TICKETS', (message, body, channel) => {
    const { replyTo, correlationId, messageId } = message.properties;
    held.push(() => channel.publish('', replyTo, Buffer.from('{"code":"no","message":"no"}'),
      { correlationId, messageId: messageId + '/0', headers: { 'foz-error': 'no' } }));
    channel.ack(message);
  });
  const resume = secret();
  const [a, gone] = [plugged(server.url, { resume }), plugged(server.url, { resume })];
  await a.foz.request('chat', 1, { type: 'echo' });
  gone.foz.request('tickets', 1).catch(() => {});
  await until(() => held.length === 1, 'the request is in hand');
  const closed = once(gone.primus.socket, 'close');
  gone.close();
  await closed;
  held[0]();
  const failed = [];
  const asked = a.foz.request('tickets', 2, { onProgress() {} }).catch((error) => failed.push(error.service_code));
  await until(() => held.length === 2, 'the request is in hand');
  a.primus.socket.terminate();
  await once(a.primus, 'open');
  await a.foz.request('chat', 2, { type: 'echo' }); // what was kept has been sent again before it
  held.slice(1).forEach((refuse) => refuse());
  await asked;
  await a.foz.request('chat', 3, { type: 'echo' });
  await settle();
  assert.deepEqual(failed, ['no']);
  assert.deepEqual(a.errors, []);
  assert.equal(held.length, 2, 'what was sent again was not done again');
  a.close();
  await slow.stop();
  await server.stop();
});

test('sockets that are cut again and again lose nothing', async () => {
  const server = await serve();
  const where = room('cut');
  const [a, b] = [plugged(server.url), plugged(server.url)];
  await b.foz.consume('chat', { topics: ['room.' + where] });
  const size = 200;
  const sent = range(size).map((i) => a.foz.publish('chat', { room: where, text: String(i) }, { type: 'say' }));
  for (let cut = 0; cut < 4; cut += 1) {
    const before = numbers(b, where).length;
    for (const client of [a, b]) client.primus.socket.terminate();
    await until(() => numbers(b, where).length === size || numbers(b, where).length > before, 'more is heard');
  }
  await Promise.all(sent);
  await until(() => numbers(b, where).length >= size, 'everything is heard', 20);
  await settle();
  assert.deepEqual([...numbers(b, where)].sort((x, y) => x - y), range(size));
  for (const client of [a, b]) client.close();
  await server.stop();
});

test('what was consumed piece by piece is consumed whole after a reconnect; the client stays the same', async () => {
  const server = await serve();
  const resume = secret();
  const a = plugged(server.url, { resume });
  const [one, two, three] = ['one', 'two', 'three'].map(room);
  await a.foz.consume('chat', { topics: ['room.' + one] });
  await a.foz.consume('chat', { topics: ['room.' + two, 'room.' + three] });
  a.foz.leave('chat', { topics: ['room.' + three] });
  const client = a.foz.client;
  const c = plugged(server.url);
  await c.foz.consume('chat', { distribution: { multicast: ['team'] } });
  await c.foz.consume('chat', { distribution: { multicast: ['crew', 'gang'] } });
  c.foz.leave('chat', { groups: ['gang'] });
  let welcomes = 0;
  for (const one of [a, c]) {
    one.foz.on('welcome', () => { welcomes += 1; });
    one.primus.socket.terminate();
  }
  await until(() => welcomes === 2, 'both are back');
  assert.equal(a.foz.client, client);
  const b = await connect(server.url);
  for (const name of [one, two, three]) await b.publish('say', { room: name, text: '1' });
  for (const group of ['team', 'gang', 'crew']) await b.publish('team', { group, text: '2' });
  for (const one of [c.foz.client, client]) await b.publish('whisper', { to: one, text: '3' });
  await until(() => a.heard.length >= 3 && c.heard.length >= 2, 'all of it is heard');
  await settle();
  assert.deepEqual(a.heard.map((event) => [event.via, event.topic?.replace(/-\d+$/, '')]),
    [['broadcast', 'room.one'], ['broadcast', 'room.two'], ['direct', undefined]]);
  assert.deepEqual(c.heard.map((event) => event.group), ['team', 'crew']);
  c.close();
  a.close();
  b.close();
  await server.stop();
});

test('a drain: the next aggregator takes over, nobody notices', async () => {
  let server = await serve();
  const a = plugged(server.url);
  const where = room('drain');
  await a.foz.consume('chat', { topics: ['room.' + where] });
  const drained = new Promise((resolve) => a.foz.on('drain', resolve));
  const host = new URL(server.url).host;
  const stopping = server.stop();
  assert.ok((await drained).retry_after_ms >= 0);
  const sent = range(20).map((i) => a.foz.publish('chat', { room: where, text: String(i) }, { type: 'say' }));
  await stopping;
  server = await serve(['--listen', host]);
  await Promise.all(sent);
  await until(() => numbers(a, where).length === 20, 'everything is heard');
  assert.deepEqual(a.errors, []);
  a.close();
  await server.stop();
});

test('the outbox is bounded, and keeps what is written before there is a server', async () => {
  const server = await serve();
  const host = new URL(server.url).host;
  await server.stop();
  const a = plugged('http://' + host, { outboxMessages: 3, outboxBytes: 1000 });
  const kept = [1, 2].map((i) => a.foz.request('chat', i, { type: 'echo' }));
  await assert.rejects(a.foz.request('chat', 'x'.repeat(1000), { type: 'echo' }), { code: 'outbox_full' });
  kept.push(a.foz.request('chat', 3, { type: 'echo', id: 'three' }));
  await assert.rejects(a.foz.request('chat', 4, { type: 'echo' }), { code: 'outbox_full', retryable: true });
  const again = await serve(['--listen', host]);
  assert.deepEqual(await Promise.all(kept), [1, 2, 3]);
  const pending = a.foz.request('tickets', 1);
  a.primus.end();
  await assert.rejects(pending, { code: 'closed' });
  await assert.rejects(a.foz.publish('chat', 1), { code: 'closed' });
  await again.stop();
});

test('an answer that comes in parts goes on when the aggregator is killed in between', async () => {
  let server = await serve();
  const asked = [];
  const slow = await worker('IN_TICKETS', (message, body, channel) => {
    if (body !== 'tell me') return channel.ack(message); // an earlier test's
    asked.push((type, more, answer) => channel.publish('', message.properties.replyTo, Buffer.from(JSON.stringify(answer)),
      { correlationId: message.properties.correlationId, type, ...more }));
    asked.id = message.properties.messageId;
    channel.ack(message);
  });
  const part = (seq) => asked[0]('foz.part', { messageId: `${asked.id}/1/${seq}`, headers: { 'foz-attempt': 1, 'foz-seq': seq } }, 'w' + seq);
  const a = plugged(server.url);
  const read = [];
  const stream = a.foz.stream('tickets', 'tell me');
  const reading = (async () => { for await (const one of stream) read.push(one.message); })();
  await until(() => asked.length === 1, 'it is asked');
  [0, 1].forEach(part);
  await until(() => read.length === 2, 'two parts are read');
  await server.kill();
  [2, 3].forEach(part);
  server = await serve(['--listen', new URL(server.url).host]);
  await until(() => read.length === 4, 'what was said meanwhile is read', 20);
  part(4);
  asked[0]('', { messageId: asked.id + '/0' }, 'done');
  await reading;
  assert.deepEqual([read, await stream.answer], [['w0', 'w1', 'w2', 'w3', 'w4'], 'done']);
  assert.deepEqual([a.heard, a.errors], [[], []]);
  a.close();
  await slow.stop();
  await server.stop();
});

test('what a page has written without a server is said once by the page after it', async () => {
  let server = await serve();
  const listen = new URL(server.url).host;
  const where = room('reload');
  const b = plugged(server.url);
  await b.foz.consume('chat', { topics: ['room.' + where] });
  const items = new Map();
  const storage = {
    alive: true,
    get length() { return items.size; },
    key: (i) => [...items.keys()][i],
    getItem: (key) => items.get(key) ?? null,
    setItem(key, value) { if (this.alive) items.set(key, value); },
    removeItem(key) { if (this.alive) items.delete(key); },
  };
  const before = plugged(server.url, { storage, locks: null });
  await before.foz.request('chat', 1, { type: 'echo' });
  await server.kill();
  for (const text of ['0', '1', '2']) before.foz.publish('chat', { room: where, text }, { type: 'say' }).catch(() => {});
  storage.alive = false; // the page ends
  before.close();
  for (const key of items.keys()) if (key.startsWith('foz.box.')) items.set(key, JSON.stringify({ ...JSON.parse(items.get(key)), until: 0 }));
  server = await serve(['--listen', listen]);
  const page = plugged(server.url, { storage: Object.assign(storage, { alive: true }), locks: null });
  const outcomes = [];
  page.foz.on('outcome', (one) => outcomes.push(one.value?.event));
  await until(() => outcomes.length === 3 && numbers(b, where).length === 3, 'they are said', 20);
  await settle();
  // Each once. In order only as far as the server takes each at the first time: it has just begun.
  assert.deepEqual([outcomes, numbers(b, where).sort()], [['receipt', 'receipt', 'receipt'], [0, 1, 2]]);
  assert.equal(page.foz.client, before.foz.client);
  for (const client of [b, page]) client.close();
  await server.stop();
});

test('a connection that is wrong for good is refused: the plugin stops and says why', async () => {
  const server = await serve();
  const a = plugged(server.url + '/?consume=nothing');
  const sent = a.foz.publish('chat', 1);
  await assert.rejects(sent, { code: 'unknown_channel' });
  const { name, reason } = a.foz.state;
  assert.deepEqual([name, reason.code, reason.close_code], ['refused', 'unknown_channel', 4000]);
  assert.equal(a.primus.recovery.reconnecting(), false);
  a.close();
  await server.stop();
});
