// Storms: a process that was stopped, a burst, a flood, too many clients, a log that nobody reads. Whoever did nothing
// wrong notices nothing.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { amqp, broker, closeAll, configFile, connect, rawClient, serve, sleep, start, until } from './lib.mjs';

after(closeAll);

const metric = async (foz, name) => {
  const text = await (await fetch(foz.admin + '/metrics')).text();
  return text.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};
async function withAdmin(args = []) {
  const foz = await serve(['--admin-listen', '127.0.0.1:0', ...args]);
  return admin(foz);
}
function admin(foz) {
  foz.admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  return foz;
}
// foz serve, started by a line of shell that ends in "$@".
const shell = (line, args) => start('bash', ['-c', line, 'bash', process.env.FOZ, 'serve', '--broker', broker, ...args]);

test('a process that was stopped for several ping intervals drops nobody when it goes on', async () => {
  const foz = await withAdmin(['--ping-interval', '1000']);
  const clients = await Promise.all(Array.from({ length: 32 }, () => rawClient(foz.url)));
  await until(() => clients.every((one) => one.pings > 0), 'everybody was pinged');
  foz.child.kill('SIGSTOP');
  await sleep(4500);
  foz.child.kill('SIGCONT');
  const before = clients.map((one) => one.pings);
  await until(() => clients.every((one, i) => one.closed !== undefined || one.pings >= before[i] + 3), 'they are pinged again');
  assert.deepEqual(clients.map((one) => one.closed), clients.map(() => undefined));
  assert.equal(await metric(foz, 'foz_silent_closed_total'), 0);
  await foz.stop();
});

test('clients that read are never slow, however much comes at once', async () => {
  const foz = await withAdmin();
  const connection = await amqp();
  const channel = await connection.createConfirmChannel();
  for (const [count, bytes] of [[100, 50_000], [3000, 1500]]) {
    const clients = await Promise.all(Array.from({ length: 30 }, () => rawClient(foz.url, '&consume=chat')));
    await until(() => clients.every((one) => one.heard.length > 0), 'they consume');
    const fill = 'x'.repeat(bytes);
    for (let i = 0; i < count; i += 1)
      channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify({ i, fill })), { headers: { 'foz-broadcast': true } });
    const got = (one) => one.heard.filter((e) => e.event === 'message').map((e) => e.message.i);
    await until(() => clients.every((one) => one.closed !== undefined || got(one).length === count), 'all is heard', 60);
    for (const one of clients) {
      assert.equal(one.closed, undefined);
      assert.deepEqual(got(one), Array.from({ length: count }, (_, i) => i));
      one.socket.terminate();
    }
  }
  assert.equal(await metric(foz, 'foz_slow_closed_total'), 0);
  await foz.stop();
});

// RFC 6455 §5.2: a client's text frame of less than 64 KB, with a mask of zeros.
function frame(text) {
  const payload = Buffer.from(text);
  const size = payload.length < 126 ? Buffer.from([0x80 | payload.length])
    : Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([Buffer.from([0x81]), size, Buffer.alloc(4), payload]);
}

test('one client that floods leaves the others their answers', async () => {
  const foz = await withAdmin(['--threads', '1']);
  const connection = await amqp();
  const channel = await connection.createConfirmChannel();
  const flooder = await rawClient(foz.url);
  const bystander = await connect(foz.url);
  flooder.send({ packet_action: 'consume', channel: 'chat' });
  const consuming = await flooder.next('consume');
  for (let i = 0; i < 12000; i += 1)
    channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify({ i, fill: 'x'.repeat(100) })), { headers: { 'foz-direct': '["nobody"]' } });
  await channel.waitForConfirms();
  // Frames that are dear to take: each goes through everything since then again. All of them in one write.
  const one = frame(JSON.stringify({ packet_action: 'consume', channel: 'chat', from: consuming.channels.chat.position }));
  flooder.socket._socket.write(Buffer.concat(Array(1100).fill(one)));
  const waits = [];
  for (let i = 0; i < 20; i += 1) {
    const began = performance.now();
    await bystander.ask({ packet_action: 'leave', channel: 'chat' });
    waits.push(performance.now() - began);
  }
  flooder.socket.terminate();
  // It was a third of a second before frames were taken in turns; the figures are measured elsewhere.
  assert.ok(Math.max(...waits) < 150, 'the bystander waited ' + waits.map((ms) => ms.toFixed(0)).join(' '));
  await foz.stop();
});

// A socket of our own: fetch and WebSocket hide what a refused handshake says.
async function handshake(url) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  socket.on('error', () => {});
  let answer = '';
  socket.on('data', (data) => { answer += data; });
  socket.write('GET /primus/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  await until(() => answer.includes('\r\n\r\n') || socket.closed, 'the handshake is answered');
  return { socket, status: answer.slice(9, 12), answer };
}

test('over the limit of connections a client is told 503, and taken again when there is room', async () => {
  const foz = await withAdmin(['--config', configFile('[limits]\nconnections = 5\n')]);
  const taken = [];
  for (let i = 0; i < 5; i += 1) taken.push(await handshake(foz.url));
  assert.deepEqual(taken.map((one) => one.status), Array(5).fill('101'));
  const refused = await handshake(foz.url);
  assert.equal(refused.status, '503');
  assert.match(refused.answer, /\r\nRetry-After: \d+\r\n/);
  await foz.until('refused for the limit of connections');
  await until(async () => (await metric(foz, 'foz_connections_refused_total')) === 1, 'it is counted');
  taken[0].socket.destroy();
  await until(async () => (await handshake(foz.url)).status === '101', 'there is room again');
  taken.forEach((one) => one.socket.destroy());
  await foz.stop();
});

test('clients do not get the last descriptors', async () => {
  const foz = admin(await shell('ulimit -n 256; exec "$@"',
    ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--threads', '1']).then(async (self) => {
    await self.until('ready: ', 60);
    self.url = self.output.match(/ready: (http:\/\/[^/]+)\//)[1];
    return self;
  }));
  assert.match(foz.output, /descriptors: 256; for clients: 168/);
  const clients = [];
  for (let i = 0; i < 200; i += 1) clients.push(await handshake(foz.url));
  const told = clients.filter((one) => one.status === '503').length;
  assert.ok(told > 20, told + ' were refused');
  await foz.until('refused for too few descriptors');
  // The admin port lives on the reserve.
  await until(async () => (await metric(foz, 'foz_connections_refused_total')) >= told, 'they are counted');
  clients.forEach((one) => one.socket.destroy());
  await until(async () => (await handshake(foz.url)).status === '101', 'there is room again');
  await foz.stop();
});

test('the limit of descriptors is raised at start', async () => {
  const foz = await shell('ulimit -Sn 256; exec "$@"', ['--listen', '127.0.0.1:0', '--threads', '1']);
  await foz.until('ready: ', 60);
  assert.match(foz.output, /descriptors: \d+, raised from 256/);
  await foz.stop();
});

test('a log that nobody reads stops nothing', async () => {
  const foz = await withAdmin();
  foz.child.stderr.pause(); // the pipe fills
  const ann = await connect(foz.url, { query: '&consume=chat' });
  const connection = await amqp();
  const channel = await connection.createConfirmChannel();
  for (let i = 0; i < 5000; i += 1)
    channel.publish('OUTBOUND', 'chat', Buffer.from('not JSON ' + i), { headers: { 'foz-broadcast': true }, messageId: 'm' + i });
  channel.publish('OUTBOUND', 'chat', Buffer.from('"after"'), { headers: { 'foz-broadcast': true } });
  await until(() => ann.messages().includes('after'), 'what came behind is heard', 20);
  ann.close();
  foz.child.stderr.resume();
  await foz.stop();
  const said = foz.output.split('\n').filter((line) => line.includes('not JSON') || line.includes('dropped:')).length;
  assert.ok(said >= 1 && said < 20, said + ' lines about it');
});

test('a reader of the log that goes away does not take the process along', async () => {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const url = 'http://127.0.0.1:' + probe.address().port;
  await new Promise((resolve) => { probe.close(resolve); });
  const foz = await shell('exec "$@" 2> >(head -1)', ['--listen', url.slice(7)]);
  const answers = () => fetch(url + '/primus/spec').then(() => true, () => false);
  await until(answers, 'it serves', 60);
  const ann = await connect(url);
  assert.equal((await ann.ask({ packet_action: 'leave', channel: 'chat' })).status ?? 'answered', 'answered');
  ann.close();
  assert.equal(foz.output.split('\n').filter(Boolean).length, 1);
  await foz.stop();
});

// RFC 6455 §5.2: a text frame of 40,000 octets, of which the client sends so many a second.
async function dribble(url, rate, seconds) {
  const one = await handshake(url);
  const size = 40_000;
  const octets = Buffer.concat([Buffer.from([0x81, 0x80 | 126, size >> 8, size & 255]), Buffer.alloc(4), Buffer.alloc(size, '1')]);
  let ended = false;
  one.socket.on('close', () => { ended = true; });
  let sent = 0;
  for (const end = Date.now() + seconds * 1000; Date.now() < end && !ended;) {
    one.socket.write(octets.subarray(sent, sent += Math.max(1, rate / 10)));
    await sleep(100);
  }
  one.socket.destroy();
  return ended;
}

test('a message on a slow uplink has its time, and one that is dribbled has not', async () => {
  const foz = await withAdmin(['--ping-interval', '1000', '--config', configFile('[limits]\nreceive_rate = 1000\n')]);
  const [slow, dribbled] = await Promise.all([dribble(foz.url, 4_000, 6), dribble(foz.url, 10, 6)]);
  assert.equal(slow, false, 'slower than a modem, and alive');
  assert.equal(dribbled, true, 'an octet now and then is not enough');
  await until(async () => (await metric(foz, 'foz_connections_too_slow_total')) === 1, 'it is counted');
  await foz.stop();
});

test('a request that is dribbled ends in ten seconds', async () => {
  const foz = await withAdmin();
  const { hostname, port } = new URL(foz.url);
  const socket = net.connect(Number(port), hostname);
  socket.on('error', () => {});
  let answer = '';
  socket.on('data', (data) => { answer += data; });
  const began = Date.now();
  while (!answer && Date.now() - began < 20_000) {
    socket.write(answer ? '' : 'G');
    await sleep(200);
  }
  assert.match(answer, /^HTTP\/1.1 408 /);
  assert.ok(Date.now() - began < 13_000);
  socket.destroy();
  await foz.stop();
});

// A client that reads at most 300 KB a second has 4 MB before it: the pings stand behind.
test('a ping behind what is still being read is not unanswered', async () => {
  const foz = await withAdmin(['--ping-interval', '2000']);
  const channel = await (await amqp()).createConfirmChannel();
  const { hostname, port } = new URL(foz.url);
  const reader = await start('/usr/bin/python3', ['-c', `
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(b'GET /primus/?consume=chat HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
          b'Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n')
print('consumes', flush=True)
total = 0
while True:
    got = s.recv(30000)
    if not got: break
    total += len(got)
    if b'"the end"' in got:
        print('has read', total, flush=True)
        break
    time.sleep(0.1)
else: pass
if not got: print('was closed after', total, flush=True)
time.sleep(60)
`, hostname, port]);
  await reader.until('consumes');
  await until(async () => (await metric(foz, 'foz_sessions')) === 1, 'it is there');
  for (let i = 0; i < 40; i += 1)
    channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify('x'.repeat(100_000))), { headers: { 'foz-broadcast': true } });
  channel.publish('OUTBOUND', 'chat', Buffer.from('"the end"'), { headers: { 'foz-broadcast': true } });
  await until(() => /has read|was closed/.test(reader.output), 'it has read all, or was sent away', 90);
  assert.match(reader.output, /has read \d{7}/);
  // It answers no ping, and has nothing more to read: now it is silent.
  await until(async () => (await metric(foz, 'foz_silent_closed_total')) === 1, 'it is gone', 15);
  await reader.kill();
  await foz.stop();
});
