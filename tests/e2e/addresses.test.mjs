// Limits for each client address, seen through the PROXY protocol, X-Forwarded-For and TLS; and connections that are
// opened and say nothing.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { closeAll, selfSigned, serve, sleep, until } from './lib.mjs';

const sockets = [];
after(async () => {
  sockets.forEach((one) => one.destroy());
  await closeAll();
});

const { certificate, key } = selfSigned('addresses');

const portOf = (foz) => Number(new URL(foz.url).port);
const line = (from) => `PROXY ${from.includes(':') ? 'TCP6' : 'TCP4'} ${from} ${from.includes(':') ? '::1' : '10.0.0.1'} 56789 443\r\n`;
const upgrade = (more = '') => 'GET /primus/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

function open(port, octets = '') {
  const socket = net.connect({ host: '127.0.0.1', port });
  sockets.push(socket);
  socket.heard = '';
  socket.ended = false;
  socket.on('error', () => {});
  socket.on('data', (data) => { socket.heard += data.toString('latin1'); });
  socket.on('close', () => { socket.ended = true; });
  socket.write(octets);
  return socket;
}
// Of the answer.
async function status(socket) {
  await until(() => socket.heard.includes('\r\n') || socket.ended, 'there is an answer', 10);
  return Number(socket.heard.split(' ')[1] ?? 0);
}
const metric = async (foz, name) => {
  const text = await (await fetch('http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1] + '/metrics')).text();
  return [...text.matchAll(new RegExp('^' + name + '[{ ][^\\n]* (\\d+)$', 'gm'))].reduce((sum, one) => sum + Number(one[1]), 0);
};

test('connections of one address are bounded; an IPv6 network counts as one; others are served', async () => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0'], undefined,
    { FOZ_LISTEN_PROXY_PROTOCOL: '127.0.0.1', FOZ_LIMITS_ADDRESS_CONNECTIONS: '2' });
  const come = (from) => open(portOf(foz), line(from) + upgrade());
  const first = [come('192.0.2.7'), come('192.0.2.7')];
  for (const one of first) assert.equal(await status(one), 101);
  const third = come('192.0.2.7');
  assert.equal(await status(third), 429);
  assert.match(third.heard, /Retry-After: 5\r\n/);
  for (const host of ['1', 'ffff:2']) assert.equal(await status(come('2001:db8:0:1::' + host)), 101);
  assert.equal(await status(come('2001:db8:0:1::3')), 429);
  assert.equal(await status(come('2001:db8:0:2::1')), 101);
  assert.equal(await status(come('192.0.2.8')), 101);
  first[0].destroy();
  await until(async () => await status(come('192.0.2.7')) === 101, 'there is room again', 5);
  await until(async () => await metric(foz, 'foz_connections_refused_by_address_total') >= 2, 'the metric counts them', 5);
  assert.match(foz.output, /refused for too many from one address \(limits.address_connections\), \d+ connections, the last one from 192.0.2.7/);
  await foz.stop();
});

test('under TLS they are closed without a word', async () => {
  const foz = await serve(['--tls-certificate', certificate, '--tls-key', key], undefined,
    { FOZ_LISTEN_PROXY_PROTOCOL: '127.0.0.1', FOZ_LIMITS_ADDRESS_CONNECTIONS: '1' });
  const come = async (from) => {
    const socket = open(portOf(foz), line(from));
    socket.removeAllListeners('data');
    const secure = tls.connect({ socket, rejectUnauthorized: false });
    sockets.push(secure);
    return Promise.race([once(secure, 'secureConnect').then(() => 'taken'),
      new Promise((resolve) => { secure.on('error', () => resolve('closed')); secure.on('close', () => resolve('closed')); })]);
  };
  assert.equal(await come('192.0.2.7'), 'taken');
  assert.equal(await come('192.0.2.7'), 'closed');
  assert.equal(await come('192.0.2.8'), 'taken');
  await foz.stop();
});

test('behind a proxy that is believed it is the client\'s address that counts, and nobody else\'s word', async () => {
  const env = { FOZ_LIMITS_ADDRESS_CONNECTIONS: '2' };
  const foz = await serve([], undefined, { ...env, FOZ_LISTEN_PROXIES: '127.0.0.1 10.0.0.0/8' });
  const come = (said) => open(portOf(foz), upgrade(`X-Forwarded-For: ${said}\r\n`));
  const first = [come('192.0.2.7'), come('198.51.100.1, 192.0.2.7, 10.0.0.2')];
  for (const one of first) assert.equal(await status(one), 101);
  assert.equal(await status(come('192.0.2.7:4711')), 429);
  assert.equal(await status(come('192.0.2.7, 192.0.2.8')), 101);
  // No client is known: the proxy's own connections are not counted.
  for (let i = 0; i < 4; ++i) assert.equal(await status(come('192.0.2.7, unknown')), 101);
  first[1].destroy();
  await until(async () => await status(come('192.0.2.7')) === 101, 'there is room again', 5);
  await foz.stop();
  const alone = await serve([], undefined, env);
  for (let i = 0; i < 4; ++i)
    assert.equal(await status(open(portOf(alone), upgrade('X-Forwarded-For: 192.0.2.7\r\n'))), 101);
  await alone.stop();
});

test('whoever says nothing makes room for others, and is closed in any case', async () => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0', '--threads', '1'], undefined, { FOZ_LIMITS_HALF_OPEN: '10' });
  const silent = [];
  for (let i = 0; i < 10; ++i) silent.push(open(portOf(foz), i % 2 ? 'GET / HT' : ''));
  await until(async () => await metric(foz, 'foz_half_open') === 10, 'they are counted', 5);
  await sleep(1_500);
  const client = open(portOf(foz), upgrade());
  assert.equal(await status(client), 101);
  for (let i = 0; i < 10; ++i) silent.push(open(portOf(foz)));
  await until(() => silent.slice(0, 10).every((one) => one.ended), 'the oldest ones are closed', 5);
  assert.ok(!client.ended);
  await until(async () => await metric(foz, 'foz_half_open_closed_total') >= 10, 'they are counted', 5);
  await until(() => silent.every((one) => one.ended), 'all are closed in time', 20);
  assert.ok(!client.ended);
  await foz.stop();
});

test('when nearly everybody comes from one address, it is said once what to configure', async () => {
  const foz = await serve();
  const crowd = [];
  for (let i = 0; i < 1_100; ++i) crowd.push(open(portOf(foz), upgrade()));
  for (const one of crowd) assert.equal(await status(one), 101);
  await foz.until('if that is a proxy, name it in listen.proxies', 25);
  assert.match(foz.output, /nearly all connections come from 127\.0\.0\.1, 1\d\d\d of 1\d\d\d: if that is a proxy/);
  crowd.forEach((one) => one.destroy());
  await foz.stop();
});
