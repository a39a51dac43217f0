// What a client that sends too much meets: an error for each message that is refused, slower reading, a close. Its
// sockets count together, and coming back changes nothing.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { configFile, connect, plugged, rawClient, secret, sleep, until, worker, reply } from '../e2e/lib.mjs';
import { endAll, flood, serveWatched } from './lib.mjs';

after(endAll);

const narrow = (more = '', burst = 1000) => ['--config', configFile(`
[limits]
client_publishes = 10
client_burst_ms = ${burst}
${more}
[channels.chat]
[channels.voice]
delivery = "volatile"
publish_rate = 2
`)];
const say = (id, channel = 'chat') => ({ packet_action: 'publish', channel, id, message: 1 });
const errors = (one) => one.heard.filter((event) => event.event === 'error').map((event) => event.error);
const receipts = (one) => one.heard.filter((event) => event.event === 'receipt').length;

test('what is published too fast is refused with the time to wait, and accepted after it', async () => {
  const foz = await serveWatched(narrow());
  const ann = await rawClient(foz.url);
  for (let i = 0; i < 11; i += 1) ann.send(say('m' + i));
  const error = await until(() => errors(ann)[0], 'the eleventh is refused');
  assert.deepEqual([error.code, error.retryable, error.id], ['rate_limited', true, 'm10']);
  assert.ok(error.retry_after_ms > 300 && error.retry_after_ms <= 500, error.retry_after_ms);
  await sleep(error.retry_after_ms + 100);
  ann.send(say('m10'));
  await until(() => receipts(ann) === 11, 'it is published when its time has come');
  await until(async () => await foz.metric('foz_rate_limited_total') === 1, 'it is counted');
  await foz.stop();
});

test('a channel may allow less; the others are not concerned', async () => {
  const foz = await serveWatched(narrow());
  const ann = await rawClient(foz.url);
  for (let i = 0; i < 3; i += 1) ann.send(say('v' + i, 'voice'));
  const error = await until(() => errors(ann)[0], 'the third is refused');
  assert.equal(error.id, 'v2');
  ann.send(say('m'));
  await until(() => ann.heard.some((event) => event.event === 'receipt' && event.id === 'm'), 'another channel takes its own');
  await foz.stop();
});

test('a second socket, and a new one, have what the first one has left', async () => {
  const foz = await serveWatched(narrow('client_patience_ms = 0\n'));
  const resume = secret();
  const one = await connect(foz.url, { resume }), two = await connect(foz.url, { resume });
  assert.equal(one.client, two.client);
  for (let i = 0; i < 10; i += 1) one.primus.write(say('m' + i));
  await until(() => one.events('receipt').length === 10, 'ten are taken');
  two.primus.write(say('other'));
  await until(() => two.events('error')[0]?.error.code === 'rate_limited', 'the other tab has none left');
  one.close();
  two.close();
  const three = await connect(foz.url, { resume });
  for (let i = 0; i < 12; i += 1) three.primus.write(say('c' + i));
  await until(() => three.events('error')[0]?.error.code === 'rate_limited', 'a new socket fills nothing');
  await foz.stop();
});

test('a flood is told of once in a while, and then read more slowly', async () => {
  const foz = await serveWatched(narrow('client_patience_ms = 0\nclient_frames = 100\n'));
  const flooded = await flood(foz.url, 'publishes', { frames: 20_000, seconds: 3 });
  await sleep(1_200); // the metrics are a second old at most
  const frames = await foz.metric('foz_frames_total');
  assert.ok(frames >= 200 && frames <= 600, frames + ' frames were read in four seconds, at 100 a second and as many at once');
  assert.ok(await foz.metric('foz_rate_limited_total') > 150);
  assert.ok(flooded.errors >= 2 && flooded.errors <= 8, flooded.errors + ' errors for what nobody can tell apart');
  assert.ok(await foz.metric('foz_reading_slowed_total') > 5);
  await foz.stop();
});

test('who goes on for too long is closed with 4101, and again when it comes back at once', async () => {
  const foz = await serveWatched(narrow('client_patience_ms = 1500\n', 30_000));
  const resume = secret();
  const first = await flood(foz.url, 'publishes', { frames: 1_000, seconds: 10, resume });
  assert.equal(first.closed, 4101);
  const began = Date.now();
  const second = await flood(foz.url, 'publishes', { frames: 1_000, seconds: 10, resume });
  assert.equal(second.closed, 4101);
  assert.ok(second.errors <= 3 && Date.now() - began < 5_000, 'it has no patience left');
  await until(async () => await foz.metric('foz_flooders_closed_total') === 2, 'they are counted');
  await foz.stop();
});

test('the plugin sends what was refused when its time has come, in order', async () => {
  const foz = await serveWatched(narrow());
  const got = [];
  const service = await worker('IN_CHAT', (message, body, channel) => {
    if (message.properties.type === 'count') got.push(body);
    if (message.properties.replyTo) reply(channel, message, { ok: true });
    channel.ack(message);
  });
  const page = plugged(foz.url);
  const all = Array.from({ length: 25 }, (_, i) => i);
  await Promise.all(all.map((i) => page.foz.publish('chat', i, { type: 'count' })));
  await until(() => got.length >= all.length, 'all are handled', 20);
  assert.deepEqual(got, all);
  await service.stop();
  await foz.stop();
});

test('a client has so many sockets; a further one is refused for now', async () => {
  const foz = await serveWatched(narrow('client_connections = 2\n'));
  const resume = secret();
  const one = await connect(foz.url, { resume });
  await connect(foz.url, { resume });
  const handshake = async (more) => {
    const { hostname, port, host } = new URL(foz.url);
    const socket = net.connect(Number(port), hostname);
    let said = '';
    socket.on('data', (data) => { said += data.toString('latin1'); });
    socket.write(`GET /primus/?resume=${resume}${more} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\n` +
      'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    await until(() => /too many sockets/.test(said), 'it is refused');
    socket.destroy();
    return said;
  };
  const refused = await handshake('');
  assert.match(refused, /^HTTP\/1\.1 503 /);
  assert.match(refused, /\r\nRetry-After: 5\r\n/);
  const told = await handshake('&hello=1');
  assert.match(told, /^HTTP\/1\.1 101 /);
  assert.match(told, /"code":"overloaded","message":"this client has too many sockets","retryable":true,"retry_after_ms":5000/);
  await until(async () => await foz.metric('foz_client_sockets_refused_total') === 2, 'they are counted');
  await connect(foz.url); // somebody else
  one.close();
  await until(async () => await foz.metric('foz_sessions') === 2, 'its socket has gone');
  await connect(foz.url, { resume });
  await foz.stop();
});
