// The clients' port as an HTTP server: what a target may be, and what of a folder is given away. Raw sockets, since
// clients make targets canonical before they send them.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { closeAll, rawHttp, run, serve, until, WebSocket } from './lib.mjs';

const work = join(process.env.FOZ_OUT, 'http');
const big = 64 * 1024 * 1024;
let foz;
const put = (file, text) => {
  mkdirSync(join(work, file, '..'), { recursive: true });
  writeFileSync(join(work, file), text);
};
before(async () => {
  rmSync(work, { recursive: true, force: true });
  put('web/index.html', 'index');
  put('web/sub/index.html', 'sub');
  put('web/.env', 'secret');
  put('web/.git/config', 'secret');
  put('web.toml', 'secret');
  put('web-private/x', 'secret');
  put('secret', 'secret');
  put('web/big', '');
  truncateSync(join(work, 'web/big'), big);
  execFileSync('mkfifo', [join(work, 'web/fifo')]);
  symlinkSync('../secret', join(work, 'web/link'));
  symlinkSync('/', join(work, 'web/root'));
  foz = await serve(['--web', join(work, 'web')], undefined, { FOZ_LIMITS_QUEUE_BYTES: '1048576' });
});
after(async () => {
  await closeAll();
  await foz.stop();
  rmSync(work, { recursive: true, force: true });
});

const ask = (target, headers = '', method = 'GET') =>
  rawHttp(foz.url, `${method} ${target} HTTP/1.1\r\nHost: ${new URL(foz.url).host}\r\nConnection: close\r\n${headers}\r\n`);

test('a target begins with a slash, names a host, or is refused', async () => {
  for (const target of ['.toml', '-private/x', '%2etoml', '%2dprivate/x', '?x', '*', 'ftp://h/x', 'x/y',
    '/../secret', '/%2e%2e/secret', '/..%2fsecret', '/sub/../../secret', '/%00', '/a\\b', '/a%', 'http://u@h/'])
    assert.equal((await ask(target)).status, 400, target);
  const { host } = new URL(foz.url);
  for (const target of ['/', '/index.html', '/sub/..', '/%69ndex.html', `http://${host}`, `HTTP://${host}/index.html?x`])
    assert.deepEqual([(await ask(target)).status, (await ask(target)).body], [200, 'index'], target);
  assert.equal((await ask('*', '', 'OPTIONS')).status, 405);
});

test('what is hidden, outside or no file is not found, and nothing waits for it', async () => {
  for (const target of ['/.env', '/.git/config', '/%2eenv', '/link', '/root/etc/passwd', '/%5c..%5csecret', '//index.html',
    '/fifo', '/nothing', '/%252e%252e/secret']) {
    const { status, body } = await ask(target);
    assert.deepEqual([status, body], [404, 'not found\n'], target);
  }
  const { status, headers } = await ask('/sub');
  assert.deepEqual([status, headers.location], [301, 'sub/']);
});

test('a large file is given piece by piece: whoever does not read costs little, and nobody waits', async () => {
  const memory = () => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(foz.child.pid)])) * 1024;
  const before = memory();
  const { host, hostname, port } = new URL(foz.url);
  const net = await import('node:net');
  const silent = Array.from({ length: 40 }, () => {
    const socket = net.connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.pause();
    socket.write(`GET /big HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    return socket;
  });
  await until(() => silent.every((socket) => socket.bytesWritten > 0), 'all have asked');
  const whole = await ask('/big');
  assert.deepEqual([whole.status, whole.body.length], [200, big]);
  const begin = Date.now();
  assert.equal((await ask('/index.html')).body, 'index');
  assert.ok(Date.now() - begin < 2000);
  // A sanitizer keeps what was freed.
  if (!process.env.FOZ_SANITIZE) assert.ok(memory() - before < 48 * 1024 * 1024, `${memory() - before} octets more`);
  const head = await ask('/big', '', 'HEAD');
  assert.deepEqual([head.headers['content-length'], head.body], [String(big), '']);
  silent.forEach((socket) => socket.destroy());
});

test('a response has its date and validators, and is compressed for whoever takes that', async () => {
  const index = await ask('/index.html');
  assert.ok(Math.abs(Date.parse(index.headers.date) - Date.now()) < 5000);
  assert.ok(index.headers.etag && index.headers['last-modified'] && index.headers['cache-control']);
  for (const known of [`If-None-Match: ${index.headers.etag}`, `If-Modified-Since: ${index.headers['last-modified']}`]) {
    const { status, body, headers } = await ask('/index.html', known + '\r\n');
    assert.deepEqual([status, body, headers.etag], [304, '', index.headers.etag]);
  }
  for (const path of ['/primus/primus.js', '/primus/foz.js']) {
    const plain = await ask(path);
    const small = await ask(path, 'Accept-Encoding: gzip, deflate, br\r\n');
    assert.equal(small.headers['content-encoding'], 'gzip', path);
    assert.equal(gunzipSync(small.raw).toString(), plain.body);
    assert.ok(small.raw.length < plain.raw.length / 2);
    assert.equal((await ask(path, `If-None-Match: ${plain.headers.etag}\r\n`)).status, 304);
  }
  const head = await ask('/primus/foz.js', '', 'HEAD');
  assert.deepEqual([head.status, head.body], [200, '']);
  assert.ok(Number(head.headers['content-length']) > 10_000);
});

test('versions and empty lines as RFC 9110 and 9112 say', async () => {
  const { host } = new URL(foz.url);
  const first = async (octets) => (await rawHttp(foz.url, octets)).status;
  const rest = `Host: ${host}\r\nConnection: close\r\n\r\n`;
  assert.equal(await first('GET / HTTP/1.2\r\n' + rest), 200);
  assert.equal(await first('\r\nGET / HTTP/1.1\r\n' + rest), 200);
  assert.equal(await first('\r\n\r\nGET / HTTP/1.1\r\n' + rest), 200);
  assert.equal(await first('GET / HTTP/2.0\r\n' + rest), 505);
  assert.equal(await first('GET / HTTP/1.0\r\n\r\n'), 200);
});

test('of the sub-protocols that are offered foz.v1 is answered, and no other', async () => {
  const offered = (protocols) => new Promise((resolve, reject) => {
    const socket = new WebSocket(foz.url.replace('http', 'ws') + '/primus/', protocols);
    socket.on('open', () => { resolve(socket.protocol); socket.close(); });
    socket.on('error', (error) => resolve(error.message));
    setTimeout(() => reject(new Error('neither')), 5000).unref();
  });
  assert.equal(await offered(['foz.v1']), 'foz.v1');
  assert.equal(await offered(['other', 'foz.v1']), 'foz.v1');
  assert.match(await offered(['other', 'foz.v10']), /no subprotocol/);
  assert.equal(await offered([]), '');
});

test('foz does not start when what it keeps lies in the folder that it serves', async () => {
  const { code, output } = await run(process.env.FOZ, ['serve', '--listen', '127.0.0.1:0', '--web', work, '--data', join(work, 'data')]);
  assert.equal(code, 1);
  assert.match(output, /the data of embedded\.data .* would be served to anyone/);
});
