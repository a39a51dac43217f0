// Behind a proxy that says by the PROXY protocol whose connections it brings: the clients' port and the AMQP ports, plain
// and TLS, version 1 and 2.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amqplib, closeAll, rawHttp, selfSigned, serve, sleep, start, until } from './lib.mjs';

const folder = mkdtempSync(join(tmpdir(), 'foz-proxied-'));
const at = (name) => join(folder, name);
const proxies = [];
const connections = [];
after(async () => {
  for (const one of connections) await one.close().catch(() => {});
  proxies.forEach((one) => one.close());
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});
const { certificate, key } = selfSigned(at('proxied'));

const line = (from) => Buffer.from(`PROXY TCP4 ${from} 10.0.0.1 56789 443\r\n`);
const binary = (command, family, block) => Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
  Buffer.from([command, family, block.length >> 8, block.length & 255]), block]);
const four = (from) => binary(0x21, 0x11, Buffer.from([...from.split('.').map(Number), 10, 0, 0, 1, 0xdd, 0xd5, 1, 0xbb]));
const local = binary(0x20, 0x00, Buffer.alloc(0));

// A proxy to this port; answers with its own. `pieces`: so is its head written.
async function proxy(port, ...pieces) {
  const server = net.createServer(async (client) => {
    client.on('error', () => {});
    client.pause();
    const upstream = net.connect({ host: '127.0.0.1', port, noDelay: true });
    upstream.on('error', () => client.destroy());
    for (const piece of pieces) {
      upstream.write(piece);
      await new Promise((resolve) => { setTimeout(resolve, pieces.length > 1 ? 5 : 0); });
    }
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxies.push(server);
  return server.address().port;
}
const octetsOf = (head) => [...head].map((one) => Buffer.from([one]));

const get = 'GET /primus/spec HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
// The cookie of a page that is the same origin only when X-Forwarded-Proto is believed.
const asked = 'GET /primus/ HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nX-Forwarded-Proto: https\r\n' +
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
async function statusOf(port, localAddress) {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress });
  socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
  socket.write(asked);
  const [data] = await once(socket, 'data');
  socket.destroy();
  return Number(data.toString().split(' ')[1]);
}
const metric = async (foz, name) => {
  const text = await (await fetch('http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1] + '/metrics')).text();
  return [...text.matchAll(new RegExp('^' + name + '[{ ][^\\n]* (\\d+)$', 'gm'))].reduce((sum, one) => sum + Number(one[1]), 0);
};
// Nothing is answered to these octets; TCP resets what has not been read.
async function closedSilently(url, octets) {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port) });
  let heard = '';
  socket.setTimeout(15_000, () => socket.destroy(new Error('it is not closed')));
  socket.on('data', (data) => { heard += data; });
  socket.write(octets);
  await new Promise((resolve, reject) => {
    socket.on('error', (error) => (error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve() : reject(error)));
    socket.on('close', resolve);
  });
  assert.equal(heard, '');
}

test('the address that a proxy names is the client\'s', async () => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0'], undefined,
    { FOZ_LISTEN_PROXY_PROTOCOL: '127.0.0.0/8', FOZ_LISTEN_PROXIES: '192.0.2.7', FOZ_LISTEN_ORIGINS: 'https://elsewhere.example' });
  const port = Number(new URL(foz.url).port);
  for (const head of [line, four]) {
    assert.equal(await statusOf(await proxy(port, head('192.0.2.7'))), 101);
    assert.equal(await statusOf(await proxy(port, ...octetsOf(head('192.0.2.7')))), 101);
    assert.equal(await statusOf(await proxy(port, head('192.0.2.8'))), 403);
  }
  assert.equal(await statusOf(await proxy(port, local)), 403);
  assert.equal(await statusOf(await proxy(port, 'PROXY UNKNOWN\r\n')), 403);
  // Without one, with a bad one, with half a one.
  await closedSilently(foz.url, get);
  await closedSilently(foz.url, 'PROXY TCP4 somewhere\r\n' + get);
  await closedSilently(foz.url, 'PROXY TCP4 192.0.2.7');
  await until(async () => await metric(foz, 'foz_proxy_headers_failed_total') === 3, 'the metric counts them', 15);
  assert.match(foz.output, /closed without a good PROXY header, which listen.proxy_protocol expects, 1 connections, the last one from 127.0.0.1/);
  await foz.stop();
});

test('under TLS, the head comes before the handshake', async () => {
  const foz = await serve(['--tls-certificate', certificate, '--tls-key', key], undefined,
    { FOZ_LISTEN_PROXY_PROTOCOL: '127.0.0.1' });
  const port = Number(new URL(foz.url).port);
  for (const head of [line('192.0.2.7'), four('192.0.2.7')])
    for (const pieces of [[head], octetsOf(head)])
      assert.equal((await rawHttp('https://127.0.0.1:' + await proxy(port, ...pieces), get, { tls: true })).status, 200);
  await assert.rejects(rawHttp(foz.url, get, { tls: true }));
  await foz.stop();
});

test('who sends a head that nobody expects is closed, counted and told of', async () => {
  for (const tls of [false, true]) {
    const foz = await serve(['--admin-listen', '127.0.0.1:0',
      ...(tls ? ['--tls-certificate', certificate, '--tls-key', key] : [])]);
    const plain = foz.url.replace('https', 'http');
    for (const head of [line('192.0.2.7'), four('192.0.2.7')]) await closedSilently(plain, Buffer.concat([head, Buffer.from(get)]));
    assert.equal((await rawHttp(foz.url, get, { tls })).status, 200);
    await until(async () => await metric(foz, 'foz_proxy_headers_stray_total') === 2, 'the metric counts them', 5);
    assert.match(foz.output, /closed for a PROXY header that is not expected, 1 connections, the last one from 127.0.0.1: is it a proxy that listen.proxy_protocol should name\?/);
    await foz.stop();
  }
});

test('the AMQP ports of the embedded broker', async () => {
  const definitions = at('definitions.json');
  writeFileSync(definitions, JSON.stringify({
    vhosts: [{ name: '/' }], users: [{ name: 'bert', password: 'b', tags: [] }],
    permissions: [{ user: 'bert', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
  }));
  const run = async (data, env, ...args) => {
    const self = await start(process.env.FOZ, ['broker', '--data', at(data), '--listen', '127.0.0.1:0', '--tls-listen', '127.0.0.1:0',
      '--tls-certificate', certificate, '--tls-key', key, ...args], env);
    await self.until('ready: ', 30);
    self.port = Number(self.output.match(/ready: amqp:\/\/[^/]*:(\d+)\//)[1]);
    self.tlsPort = Number(self.output.match(/tls: amqps:\/\/[^/]*:(\d+)\//)[1]);
    return self;
  };
  const connect = async (protocol, port, user = 'bert', password = 'b') => {
    const one = await amqplib.connect({ protocol, hostname: '127.0.0.1', port, username: user, password, vhost: '/' },
      { ca: [readFileSync(certificate)] });
    one.on('error', () => {});
    connections.push(one);
    await (await one.createChannel()).assertQueue('', { exclusive: true });
    return one;
  };
  const expecting = { FOZ_EMBEDDED_PROXY_PROTOCOL: '127.0.0.0/8' };
  const self = await run('users', expecting, '--definitions', definitions);
  for (const head of [line('192.0.2.7'), four('192.0.2.7')])
    for (const pieces of [[head], octetsOf(head)]) {
      await connect('amqp', await proxy(self.port, ...pieces));
      await connect('amqps', await proxy(self.tlsPort, ...pieces));
    }
  await assert.rejects(connect('amqp', self.port));
  await assert.rejects(connect('amqps', self.tlsPort));
  assert.match(self.output, /closed without a good PROXY header, which embedded.proxy_protocol expects, 1 connections, the last one from 127.0.0.1: no PROXY header/);
  await self.stop();
  // A guest from this machine is one by the address that the proxy names.
  const guests = await run('guest', expecting);
  await connect('amqp', await proxy(guests.port, line('127.0.0.1')), 'guest', 'guest');
  await assert.rejects(connect('amqp', await proxy(guests.port, line('192.0.2.7')), 'guest', 'guest'), /ACCESS.REFUSED/);
  await guests.stop();
  const plain = await run('plain', {});
  await assert.rejects(connect('amqp', await proxy(plain.port, line('192.0.2.7')), 'guest', 'guest'));
  await assert.rejects(connect('amqps', await proxy(plain.tlsPort, four('192.0.2.7')), 'guest', 'guest'));
  await connect('amqps', plain.tlsPort, 'guest', 'guest');
  assert.match(plain.output, /closed for a PROXY header that is not expected, 1 connections, the last one from 127.0.0.1: is it a proxy that embedded.proxy_protocol should name\?/);
  await plain.stop();
});

const haproxy = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'].find(existsSync);
const freePort = async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
};

test('haproxy, with headers of version 1 and 2 and its health checks', { skip: haproxy ? false : 'haproxy is not installed' }, async () => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0'], undefined,
    { FOZ_LISTEN_PROXY_PROTOCOL: '127.0.0.1', FOZ_LISTEN_PROXIES: '127.0.0.9', FOZ_LISTEN_ORIGINS: 'https://elsewhere.example' });
  const port = Number(new URL(foz.url).port);
  const kinds = ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c'];
  const ports = [];
  for (const kind of kinds) ports.push(await freePort());
  writeFileSync(at('haproxy.cfg'), 'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n' +
    kinds.map((kind, i) => `listen proxy${i}\n  bind 127.0.0.1:${ports[i]}\n  server foz 127.0.0.1:${port} ${kind} check inter 100 check-send-proxy\n`).join(''));
  const running = await start(haproxy, ['-db', '-f', at('haproxy.cfg')]);
  const answers = (one, from) => statusOf(one, from).catch(() => 0);
  for (const one of ports) {
    await until(async () => await answers(one, '127.0.0.9') === 101, 'the client is known behind haproxy', 10);
    assert.equal(await statusOf(one, '127.0.0.8'), 403);
  }
  await sleep(1_000); // some health checks
  for (const one of ports) assert.equal(await statusOf(one, '127.0.0.9'), 101);
  await running.kill();
  assert.equal(await metric(foz, 'foz_proxy_headers_failed_total'), 0);
  await foz.stop();
});

test('foz serve says that it can not reach its own broker', async () => {
  const self = await start(process.env.FOZ, ['serve', '--listen', '127.0.0.1:0', '--amqp-listen', '127.0.0.1:0', '--data', at('own')],
    { FOZ_EMBEDDED_PROXY_PROTOCOL: '127.0.0.1' });
  await until(() => self.code !== undefined, 'it ends');
  assert.equal(self.code, 1);
  assert.match(self.output, /foz: embedded.proxy_protocol contains 127.0.0.1, from where foz serve itself comes/);
});
