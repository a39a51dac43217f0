// Whose pages reach the clients' port and the admin port, and what they are remembered by: names that are bound to our
// address later (DNS rebinding), origins, the cookie.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, rawHttp, selfSigned, serve } from './lib.mjs';

after(closeAll);

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const get = (path, host, headers = '') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${headers}\r\n`;
const statusOf = async (url, path, host) => (await rawHttp(url, get(path, host))).status;

// The head of the answer to a handshake.
async function handshake(url, host, headers, options = {}) {
  const { connect } = await import(options.tls ? 'node:tls' : 'node:net');
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    socket.setTimeout(10_000, () => reject(new Error('no answer')));
    socket.on('error', reject);
    let head = '';
    socket.on('data', (data) => {
      head += data.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.destroy();
      resolve({ status: Number(head.split(' ')[1]), cookie: head.match(/set-cookie: (.*)\r\n/i)?.[1] });
    });
    socket.write(`GET /primus/ HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${headers}\r\n`);
  });
}

test('foz answers to this machine, to addresses and to the names of listen.hosts; the admin port too', async () => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0'], undefined, { FOZ_LISTEN_HOSTS: 'chat.example.org *.example.net' });
  const { port } = new URL(foz.url);
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  for (const host of ['localhost', `LOCALHOST:${port}`, '127.0.0.1', '10.1.2.3:80', `[::1]:${port}`, 'Chat.Example.Org:443', 'a.example.net']) {
    assert.equal(await statusOf(foz.url, '/primus/spec', host), 200, host);
    assert.equal(await statusOf(admin, '/healthz', host), 200, host);
    assert.equal((await handshake(foz.url, host, '')).status, 101, host);
  }
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'example.net']) {
    for (const path of ['/', '/primus/spec', '/primus/foz.js']) assert.equal(await statusOf(foz.url, path, host), 421, host + path);
    for (const path of ['/metrics', '/api/overview', '/readyz']) assert.equal(await statusOf(admin, path, host), 421, host + path);
    assert.equal((await handshake(foz.url, host, `Origin: http://${host}\r\n`)).status, 421, host);
  }
  // The absolute form's host counts, not the header's.
  assert.equal((await rawHttp(foz.url, get('http://evil.example/primus/spec', 'localhost'))).status, 421);
  await foz.stop();
});

test('a cookie is for pages of the same scheme, host and port', async () => {
  const foz = await serve([], undefined, { FOZ_LISTEN_ORIGINS: 'https://other.example' });
  const { port } = new URL(foz.url);
  const asked = async (origin, host = `localhost:${port}`) => {
    const { status, cookie } = await handshake(foz.url, host, `Origin: ${origin}\r\n`);
    return `${status} ${cookie ? 'cookie' : '-'}`;
  };
  assert.equal(await asked(`http://localhost:${port}`), '101 cookie');
  assert.equal(await asked(`http://LocalHost:${port}`), '101 cookie');
  assert.equal(await asked('http://localhost:80', 'localhost'), '101 cookie');
  assert.equal(await asked('http://localhost', 'localhost:80'), '101 cookie');
  assert.equal(await asked(`https://localhost:${port}`), '403 -');
  assert.equal(await asked('http://localhost'), '403 -');
  assert.equal(await asked('null'), '403 -');
  assert.equal(await asked('https://other.example'), '101 -');
  const { cookie } = await handshake(foz.url, 'localhost', 'Origin: http://localhost\r\n');
  assert.match(cookie, /^foz_resume=[\w-]{22,}; Path=\/primus; HttpOnly; SameSite=Strict$/);
  await foz.stop();
});

test('a proxy that is believed says by which scheme and name the client came; nobody else does', async () => {
  const said = 'Origin: https://chat.example.org\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: chat.example.org\r\n';
  const hosts = { FOZ_LISTEN_HOSTS: 'chat.example.org', FOZ_LISTEN_ORIGINS: 'https://elsewhere.example' };
  const believing = await serve([], undefined, { ...hosts, FOZ_LISTEN_PROXIES: '127.0.0.0/8' });
  assert.match((await handshake(believing.url, 'localhost', said)).cookie, /; Secure$/);
  assert.equal((await handshake(believing.url, 'localhost', said.replaceAll('chat.', 'evil.'))).status, 421);
  // The other kind of header passes through a proxy that does not know it.
  assert.equal((await handshake(believing.url, 'chat.example.org',
    'Origin: https://chat.example.org\r\nForwarded: proto=https\r\n')).status, 403);
  await believing.stop();
  const rfc = await serve([], undefined, { ...hosts, FOZ_LISTEN_PROXIES: '127.0.0.1', FOZ_LISTEN_FORWARDING: 'forwarded' });
  assert.match((await handshake(rfc.url, 'localhost',
    'Origin: https://chat.example.org\r\nForwarded: for=192.0.2.1;proto=https;host="chat.example.org"\r\n')).cookie, /; Secure$/);
  await rfc.stop();
  const alone = await serve([], undefined, { ...hosts, FOZ_LISTEN_PROXIES: '192.0.2.0/24' });
  assert.equal((await handshake(alone.url, 'localhost', said)).status, 403);
  assert.equal((await handshake(alone.url, 'chat.example.org', said)).status, 403);
  await alone.stop();
});

test('over TLS the cookie is Secure', async () => {
  const files = selfSigned('origin');
  const foz = await serve(['--tls-certificate', files.certificate, '--tls-key', files.key]);
  const { port } = new URL(foz.url);
  const asked = (origin, host) => handshake(foz.url, host, `Origin: ${origin}\r\n`, { tls: true });
  assert.match((await asked(`https://localhost:${port}`, `localhost:${port}`)).cookie, /; Secure$/);
  assert.match((await asked('https://localhost', 'localhost:443')).cookie, /; Secure$/);
  assert.equal((await asked(`http://localhost:${port}`, `localhost:${port}`)).cookie, undefined);
  await foz.stop();
});
