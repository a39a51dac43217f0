// Refusals that a browser can read: it hides the status of a failed handshake from its page.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket, broker, closeAll, connect, playwright, plugged, serve, settle, start, until } from './lib.mjs';

let foz, early;
before(async () => {
  foz = await serve(['--admin-listen', '127.0.0.1:0']);
  // Its broker is not there: it is never ready.
  early = await start(process.env.FOZ, ['serve', '--broker', 'amqp://127.0.0.1:1', '--listen', '127.0.0.1:0', '--threads', '1']);
  await early.until('listening: ');
  early.url = early.output.match(/listening: (https?:\/\/[^/]+)\//)[1];
});
after(async () => {
  await closeAll();
  await early.kill();
  await foz.stop();
});

// Everything that a socket says until it is closed, with a request that is written as soon as it is open.
async function heard(url, path) {
  const socket = new WebSocket(url.replace('http', 'ws') + path);
  const frames = [];
  socket.on('message', (data) => frames.push(JSON.parse(data)));
  socket.on('open', () => socket.send('{"packet_action":"publish","channel":"chat","id":"m","message":1}'));
  const [code, reason] = await once(socket, 'close');
  return { frames, code, reason: String(reason) };
}

const cases = [
  ['/primus/?channel=nothing', 'unknown_channel', 'channel'],
  ['/primus/nothing', 'unknown_channel', 'channel'],
  ['/primus/?channel=%ff', 'unknown_channel', 'channel'],
  ['/primus/?consume=chat,nothing', 'unknown_channel', 'consume'],
  ['/primus/chat?consume=tickets', 'channel_mismatch', 'consume'],
  ['/primus/?resume=short', 'bad_query', 'resume'],
  ['/primus/?token=x', 'unsupported', 'token'],
];

test('for good: an error, primus::server::close, 4000; nothing that is written counts', async () => {
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  for (const [path, code, field] of cases) {
    const { frames, ...end } = await heard(foz.url, path);
    assert.equal(frames.length, 2, path);
    const [{ event, error }, stay] = frames;
    assert.deepEqual([event, error.code, error.field, error.retryable], ['error', code, field, false], path);
    assert.equal('frame' in error || 'id' in error || 'retry_after_ms' in error, false, path);
    assert.equal(stay, 'primus::server::close', path);
    assert.deepEqual(end, { code: 4000, reason: code }, path);
  }
  const sum = (text, name) => [...text.matchAll(new RegExp('^' + name + '.* (\\d+)$', 'gm'))].reduce((all, [, n]) => all + Number(n), 0);
  const metrics = await until(async () => {
    const text = await (await fetch(admin + '/metrics')).text();
    return sum(text, 'foz_sockets_refused_total\\{.*for="good"\\}') === cases.length && text;
  }, 'the refusals are counted');
  assert.equal(sum(metrics, 'foz_frames_total'), 0);
});

test('the stock client is told, and stays away', async () => {
  const { primus } = await connect(foz.url);
  const Primus = primus.constructor;
  const one = new Primus(foz.url + '/?channel=nothing', { reconnect: { min: 50, max: 100, retries: Infinity } });
  const seen = [];
  one.on('data', (data) => seen.push(data.error.code));
  one.on('reconnect', () => seen.push('reconnect'));
  one.on('end', () => seen.push('end'));
  one.on('error', () => {});
  one.write({ packet_action: 'publish', channel: 'chat', message: 1 });
  await until(() => seen.includes('end'), 'it has ended');
  await settle();
  assert.deepEqual(seen, ['unknown_channel', 'end']);
});

test('the plugin stops, and says why', async () => {
  const one = plugged(foz.url + '/?channel=nothing');
  await assert.rejects(one.foz.publish('chat', 1), { code: 'unknown_channel' });
  assert.deepEqual([one.foz.state.name, one.foz.state.reason.code], ['refused', 'unknown_channel']);
  await assert.rejects(one.foz.request('chat', 1), { code: 'unknown_channel' });
});

test('a page of a wrong origin is a 403, as ever', async () => {
  const strict = await serve([], broker, { FOZ_LISTEN_ORIGINS: 'https://good.example' });
  const socket = new WebSocket(strict.url.replace('http', 'ws') + '/primus/?channel=nothing', { origin: 'https://evil.example' });
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  assert.equal(response.statusCode, 403);
  socket.terminate();
  await strict.stop();
});

test('for now: 503 with Retry-After; told in the socket to those who say hello', async () => {
  const socket = new WebSocket(early.url.replace('http', 'ws') + '/primus/');
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  assert.deepEqual([response.statusCode, response.headers['retry-after']], [503, '1']);
  socket.terminate();
  // What would be refused for good is refused for now first: nobody knows yet.
  for (const path of ['/primus/?hello=1', '/primus/?hello=1&consume=nothing']) {
    const { frames, code } = await heard(early.url, path);
    assert.equal(frames.length, 1, 'nothing says stay away');
    const { error } = frames[0];
    assert.deepEqual([error.code, error.retryable, error.retry_after_ms], ['unavailable', true, 1000]);
    assert.equal(code, 4100);
  }
});

test('the stock client backs off from a 503 and keeps what it has written', async () => {
  // Where it will listen is known before it is ready.
  const { primus } = await connect(foz.url);
  const Primus = primus.constructor;
  const one = new Primus(early.url, { reconnect: { min: 20, max: 40, retries: Infinity } });
  one.on('error', () => {});
  let opened = 0, tries = 0;
  one.on('open', () => { opened += 1; });
  one.on('reconnect', () => { tries += 1; });
  one.write({ packet_action: 'consume', channel: 'chat' });
  await until(() => tries > 2, 'it tries again and again');
  assert.equal(opened, 0);
  assert.equal(one.buffer.length, 1);
  one.destroy();
});

test('Chromium: the page reads why', async () => {
  const browser = await playwright().chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'] });
  try {
    const page = await browser.newPage();
    await page.goto(foz.url);
    const seen = await page.evaluate(() => new Promise((resolve) => {
      const frames = [];
      const socket = new WebSocket(location.origin.replace('http', 'ws') + '/primus/?consume=nothing');
      socket.onmessage = ({ data }) => frames.push(JSON.parse(data));
      socket.onclose = ({ code, reason }) => resolve({ frames, code, reason });
    }));
    assert.equal(seen.frames[0].error.code, 'unknown_channel');
    assert.deepEqual([seen.frames[1], seen.code, seen.reason], ['primus::server::close', 4000, 'unknown_channel']);
  } finally {
    await browser.close();
  }
});
