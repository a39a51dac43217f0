// What connections may cost that are no clients yet: TLS handshakes that never end, answers that nobody reads.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { closeAll, rawHttp, selfSigned, serve, until } from './lib.mjs';

const sockets = [];
after(async () => {
  sockets.forEach((one) => one.destroy());
  await closeAll();
});

const open = (url, write) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port) }, () => resolve(socket));
  sockets.push(socket);
  socket.closed_by_peer = false;
  socket.on('error', reject);
  socket.on('close', () => { socket.closed_by_peer = true; });
  if (write) {
    socket.pause();
    socket.write(write);
  } else socket.resume();
});
const metric = async (foz, name) => {
  const text = await (await fetch('http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1] + '/metrics')).text();
  return [...text.matchAll(new RegExp('^' + name + '[{ ][^\\n]* (\\d+)$', 'gm'))].reduce((sum, one) => sum + Number(one[1]), 0);
};

test('TLS handshakes under way are bounded; whoever comes beyond is closed, counted and told of', async () => {
  const { certificate, key } = selfSigned('bounds');
  const foz = await serve(['--tls-certificate', certificate, '--tls-key', key, '--admin-listen', '127.0.0.1:0'], undefined,
    { FOZ_LIMITS_HANDSHAKES: '5' });
  // Any of the loops may accept any of them, in any order; after some seconds newer ones take the place of the oldest.
  const silent = await Promise.all(Array.from({ length: 12 }, () => open(foz.url)));
  const closed = () => silent.filter((one) => one.closed_by_peer).length;
  await until(() => closed() >= 7, 'those beyond are closed');
  const counted = async () => Promise.all(['refused', 'given_up'].map((one) => metric(foz, `foz_tls_handshakes_${one}_total`)));
  await until(async () => (await counted()).reduce((a, b) => a + b) === 7, 'each of them is counted');
  assert.equal(closed(), 7);
  if ((await counted())[0] > 0) await foz.until('too many TLS handshakes under way');
  silent.forEach((one) => one.destroy());
  const { hostname, port } = new URL(foz.url);
  await until(() => new Promise((resolve) => {
    const socket = tls.connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  }), 'there is room again');
  await foz.stop();
});

test('answers that nobody reads are bounded over all sockets; a request beyond is told 503', async () => {
  const foz = await serve(['--threads', '1', '--admin-listen', '127.0.0.1:0'], undefined, { FOZ_LIMITS_ANSWER_BYTES: '1048576' });
  const { host } = new URL(foz.url);
  const many = `GET /primus/primus.js HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(200);
  const readers = [];
  for (let i = 0; i < 12; i += 1) readers.push(await open(foz.url, many));
  await until(async () => await metric(foz, 'foz_http_answers_refused_total') > 0, 'one is refused', 20);
  await foz.until('too many unread answers');
  // A head and a 503 for each beyond the bound.
  assert.ok(await metric(foz, 'foz_queued_octets') < 1048576 + 12 * 1024);
  const told = await Promise.all(readers.map((one) => new Promise((resolve) => {
    let last = '';
    one.on('data', (data) => { last = (last + data.toString('latin1')).slice(-400); });
    one.on('end', () => resolve(last.includes('HTTP/1.1 503 ')));
    setTimeout(() => resolve(false), 10_000).unref();
    one.resume();
  })));
  assert.ok(told.includes(true), 'whoever reads at last finds the 503');
  readers.forEach((one) => one.destroy());
  await until(async () => (await rawHttp(foz.url, `GET /primus/primus.js HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).status === 200,
    'there is room again');
  await foz.stop();
});
