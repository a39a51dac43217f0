// The configurations of docs/production, as they stand there: only addresses, ports and folders are others.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { WebSocket, closeAll, configFile, run, selfSigned, serve, start, until } from './lib.mjs';

const documents = process.env.FOZ_ROOT + '/docs/production/';
const work = process.env.FOZ_OUT + '/proxies';
const host = 'app.example.com';

const path = { PATH: process.env.PATH + ':/usr/sbin' };
const has = (program, flag) => {
  try {
    execFileSync(program, [flag], { stdio: 'ignore', env: { ...process.env, ...path } });
    return true;
  } catch {
    return false;
  }
};
const nginx = { skip: !has('nginx', '-v') && 'nginx is not installed: scripts/install test' };
const haproxy = { skip: !has('haproxy', '-v') && 'haproxy is not installed: scripts/install test' };
const ifThere = { nginx, haproxy };

before(() => {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  renameSync(selfSigned(work + '/chain', [host]).key, work + '/key.pem');
  writeFileSync(work + '/' + host + '.pem', readFileSync(work + '/chain.pem') + readFileSync(work + '/key.pem'));
});
const opened = [];
after(async () => {
  for (const close of opened.reverse()) await close();
  await closeAll();
});

async function freePort() {
  const server = createTcp().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

// A proxy with one of the files, before `backend` (ADDRESS:PORT) and a second one, which is down unless it is said.
let proxies = 0;
async function proxy(file, backend, port, { more = {}, second } = {}) {
  const folder = work + '/' + (proxies += 1);
  mkdirSync(folder);
  second ??= '127.0.0.1:' + (await freePort());
  const own = '127.0.0.1:' + (await freePort());
  let text = readFileSync(documents + file, 'utf8');
  const others = file.endsWith('.conf')
    ? { 'listen 443 ssl': `listen ${own} ssl`, '/run/nginx.pid': folder + '/pid', '/var/log/nginx/': folder + '/', '/etc/nginx/tls/': work + '/' }
    : { 'bind :443': 'bind ' + own, 'maxconn 60000': 'maxconn 200', ...(file === 'haproxy.cfg' && { '/etc/haproxy/': work + '/' }) };
  for (const [theirs, ours] of Object.entries({ ...others, ['10.0.0.11:' + port]: backend, ['10.0.0.12:' + port]: second, ...more })) {
    assert.ok(text.includes(theirs), `${file} has no ${theirs}`);
    text = text.replaceAll(theirs, ours);
  }
  writeFileSync(folder + '/' + file, text);
  const self = file.endsWith('.conf')
    ? await start('nginx', ['-c', folder + '/' + file, '-e', 'stderr', '-g', 'daemon off;'], path)
    : await start('haproxy', ['-db', '-f', folder + '/' + file], path);
  opened.push(() => self.kill('SIGTERM'));
  self.port = Number(own.split(':')[1]);
  self.log = () => (file.endsWith('.conf') ? readFileSync(folder + '/access.log', 'utf8') : self.output);
  await until(async () => {
    assert.equal(self.code, undefined, self.output);
    return status(self.port, '/primus/spec').then((code) => code === 200, () => false);
  }, file + ' passes requests on', 20);
  return self;
}

async function serving(args, env = {}) {
  const foz = await serve(args, undefined, env);
  opened.push(() => foz.kill());
  return foz;
}

// A request over TLS; its status.
const status = (port, path, name = host) => new Promise((resolve, reject) => {
  const socket = connectTls({ host: '127.0.0.1', port, servername: name, rejectUnauthorized: false });
  let head = '';
  socket.on('data', (data) => { head += data; });
  socket.on('error', reject);
  socket.on('close', () => (head ? resolve(Number(head.split(' ')[1])) : reject(new Error('no answer'))));
  socket.on('secureConnect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`));
});

// A WebSocket through a proxy, with these lines of a header, as they stand; from an address of this machine.
function open(port, { path = '/primus/?hello=1', lines = {}, from = '127.0.0.1', origin = 'https://' + host } = {}) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, { servername: host, rejectUnauthorized: false,
    localAddress: from, origin, headers: { Host: host, ...lines } });
  const self = { socket, heard: [], status: undefined, headers: {} };
  opened.push(() => socket.terminate());
  socket.on('error', (error) => { self.status ??= error.message; });
  socket.on('upgrade', (response) => { self.status = 101; self.headers = response.headers; });
  socket.on('unexpected-response', (_, response) => { self.status = response.statusCode; socket.terminate(); });
  socket.on('message', (data) => self.heard.push(JSON.parse(data)));
  self.event = (name) => until(() => self.heard.find((one) => one.event === name), `${name} comes (${JSON.stringify(self.heard)})`);
  return until(() => self.status !== undefined, 'the handshake is answered').then(() => self);
}

// An aggregator's place, with somebody who writes down what the proxy says.
async function recorder() {
  const self = { requests: [] };
  const server = createServer((_, response) => response.end('ready\n'));
  new WebSocket.WebSocketServer({ server }).on('connection', (_, request) => self.requests.push(request));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(() => { server.closeAllConnections(); server.close(); });
  self.at = '127.0.0.1:' + server.address().port;
  return self;
}
const all = (request, name) => request.rawHeaders.flatMap((one, i, list) => (i % 2 === 0 && one.toLowerCase() === name.toLowerCase() ? [list[i + 1]] : []));

const forged = {
  'X-Forwarded-For': '6.6.6.6', 'x-forwarded-FOR': '7.7.7.7', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': 'evil.example',
  Forwarded: 'for=6.6.6.6;proto=http;host=evil.example',
};
const asPublic = { FOZ_LISTEN_HOSTS: host, FOZ_LISTEN_ORIGINS: 'https://' + host, FOZ_LISTEN_PROXIES: '127.0.0.1' };

for (const [kind, file] of Object.entries({ nginx: 'nginx.conf', haproxy: 'haproxy.cfg' })) {
  test(file + ': a page of the public name gets its socket, with a cookie that is for https alone', ifThere[kind], async () => {
    const foz = await serving([], asPublic);
    const front = await proxy(file, new URL(foz.url).host, 8080);
    const own = await open(front.port);
    assert.equal(own.status, 101);
    assert.match(own.headers['set-cookie'][0], /^foz_resume=.*; Secure/);
    own.socket.send(JSON.stringify({ packet_action: 'consume', channel: 'chat' }));
    assert.ok((await own.event('consuming')).channels.chat);
    assert.equal((await open(front.port, { origin: 'https://evil.example' })).status, 403);
    // Believed, these would be another name (421) or another scheme than the page's (403).
    assert.equal((await open(front.port, { lines: forged })).status, 101);
    await foz.stop();
  });

  test(file + ': the aggregator is told the client\'s address, scheme and host, and nothing that the client says of them', ifThere[kind], async () => {
    const backend = await recorder();
    const front = await proxy(file, backend.at, 8080);
    const socket = await open(front.port, { from: '127.0.0.7', lines: forged, path: '/primus/?token=SECRET&resume=SECRET' });
    assert.equal(socket.status, 101);
    const [request] = backend.requests;
    assert.deepEqual(all(request, 'X-Forwarded-For'), ['127.0.0.7']);
    assert.deepEqual(all(request, 'X-Forwarded-Proto'), ['https']);
    assert.deepEqual(all(request, 'X-Forwarded-Host'), [host]);
    assert.deepEqual(all(request, 'Host'), [host]);
    assert.deepEqual(all(request, 'Forwarded'), []);
    assert.equal(request.url, '/primus/?token=SECRET&resume=SECRET');
    // Its log has the path, and no secret.
    socket.socket.terminate();
    await until(() => front.log().includes('/primus/'), 'the socket is in the log');
    assert.ok(!front.log().includes('SECRET'), front.log());
  });

  test(file + ': while an aggregator stops, everybody gets in elsewhere', ifThere[kind], async () => {
    const [one, two] = [await serving([], asPublic), await serving([], asPublic)];
    const front = await proxy(file, new URL(one.url).host, 8080, { second: new URL(two.url).host });
    const sockets = await Promise.all(Array.from({ length: 8 }, () => open(front.port)));
    const closes = [];
    for (const { socket } of sockets) socket.on('close', (code) => closes.push(code));
    one.child.kill('SIGTERM');
    while (one.code === undefined) {
      const late = await open(front.port);
      assert.equal(late.status, 101);
      late.socket.terminate();
    }
    assert.equal(one.code, 0);
    await until(() => closes.length > 0, 'the sockets of one of the two are sent away');
    assert.ok(closes.length < sockets.length && closes.every((code) => code === 1012), String(closes));
    await two.kill('SIGTERM');
  });

  test(file + ': another name is not served', ifThere[kind], async () => {
    const backend = await recorder();
    const front = await proxy(file, backend.at, 8080);
    if (kind === 'nginx') await assert.rejects(status(front.port, '/', 'evil.example'));
    else assert.equal(await status(front.port, '/', 'evil.example'), 421);
  });
}

test('nginx-as-kong.conf: Foz takes its word for who a client is, and nobody else\'s', nginx, async () => {
  const key = 'k'.repeat(64);
  const kongs = {
    'X-Consumer-ID': 'mallory', 'X-Consumer-Custom-ID': 'mallory', 'X-CONSUMER-Username': 'mallory', 'X-Consumer-Groups': 'admins',
    'X-Credential-Identifier': 'mallory', 'x-credential-identifier': 'mallory', 'X-Anonymous-Consumer': 'true', Authorization: 'Bearer of-kong',
  };
  const asDocumented = readFileSync(process.env.FOZ_ROOT + '/docs/kong.md', 'utf8').match(/^```toml\n([^]*?)^```$/m)[1];
  for (const header of ['X-Consumer-Custom-ID', 'X-Credential-Identifier']) {
    const config = configFile(asDocumented.replace('"10.0.0.5"', '"127.0.0.1"').replace('"X-Consumer-Custom-ID"', `"${header}"`));
    const foz = await serving(['--config', config]);
    const front = await proxy('nginx-as-kong.conf', new URL(foz.url).host, 8080, { more: { 'replace-me-with-openssl-rand-hex-32': key } });
    for (const lines of [{}, kongs]) {
      const alice = await open(front.port, { path: '/primus/?hello=1&apikey=' + key, lines });
      assert.equal((await alice.event('welcome')).client, 'alice');
      const join = (group) => alice.socket.send(JSON.stringify({ packet_action: 'consume', channel: 'chat', id: group, distribution: { multicast: [group] } }));
      join('staff');
      assert.deepEqual((await alice.event('consuming')).channels.chat.groups, ['staff']);
      join('admins');
      assert.equal((await alice.event('error')).error.code, 'forbidden');
    }
    for (const path of ['/primus/?hello=1', '/primus/?hello=1&apikey=wrong', '/primus/chat?hello=1', '/primus'])
      assert.equal((await open(front.port, { path, lines: kongs })).status, 401, path);
    assert.equal(await status(front.port, '/primus/spec'), 200);
    // Around the proxy: from an address that is not the proxy's the same headers say nothing.
    const around = new WebSocket(foz.url.replace('http', 'ws') + '/primus/?hello=1', { localAddress: '127.0.0.2', headers: { [header]: 'mallory' } });
    opened.push(() => around.terminate());
    const [said] = await once(around, 'message');
    assert.equal(JSON.parse(said).error.code, 'login_required');
    await foz.stop();
  }
});

test('haproxy-tcp.cfg: the PROXY header names the client, before TLS', haproxy, async () => {
  const heads = [];
  const backend = createTcp((socket) => {
    let all = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      all = Buffer.concat([all, data]);
      if (all.length < 16 || all.length <= 16 + all.readUInt16BE(14)) return;
      heads.push(all);
      socket.destroy();
    });
  });
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  opened.push(() => backend.close());
  // Checks would find nobody who speaks TLS there.
  const front = await proxyWithoutChecks('127.0.0.1:' + backend.address().port);
  const socket = connectTls({ host: '127.0.0.1', port: front, servername: host, localAddress: '127.0.0.7', rejectUnauthorized: false });
  socket.on('error', () => {});
  const [head] = await until(() => heads.length && heads, 'a connection comes');
  assert.equal(head.subarray(0, 12).toString('hex'), '0d0a0d0a000d0a515549540a');
  assert.equal(head[12], 0x21); // version 2, PROXY
  assert.deepEqual([...head.subarray(16, 20)], [127, 0, 0, 7]);
  assert.equal(head[16 + head.readUInt16BE(14)], 0x16); // TLS: a handshake
});
async function proxyWithoutChecks(backend) {
  const port = await freePort();
  const text = readFileSync(documents + 'haproxy-tcp.cfg', 'utf8').replace(' check check-ssl check-send-proxy verify none inter 2s fall 2 rise 1', '')
    .replace('bind :443', 'bind 127.0.0.1:' + port).replace('maxconn 60000', 'maxconn 200').replace('10.0.0.11:8443', backend).replace('10.0.0.12:8443', backend);
  writeFileSync(work + '/unchecked.cfg', text);
  const self = await start('haproxy', ['-db', '-f', work + '/unchecked.cfg'], path);
  opened.push(() => self.kill('SIGTERM'));
  await until(() => new Promise((resolve) => {
    assert.equal(self.code, undefined, self.output);
    const probe = connectTls({ host: '127.0.0.1', port, localAddress: '127.0.0.7' });
    probe.on('error', (error) => resolve(error.code !== 'ECONNREFUSED'));
  }), 'haproxy listens');
  return port;
}

test('haproxy-tcp.cfg: Foz has TLS, and the client\'s address from the header', haproxy, async (t) => {
  if (!(await run(process.env.FOZ, ['config', 'doc'])).output.includes('FOZ_LISTEN_PROXY_PROTOCOL')) return t.skip('foz reads no PROXY headers');
  // Whom listen.proxies names may say that it came by another name: that shows whose address Foz takes for the client's.
  const foz = await serving(['--tls-certificate', work + '/chain.pem', '--tls-key', work + '/key.pem'], {
    FOZ_LISTEN_HOSTS: host + ' other.example', FOZ_LISTEN_ORIGINS: 'https://nowhere.example',
    FOZ_LISTEN_PROXY_PROTOCOL: '127.0.0.1', FOZ_LISTEN_PROXIES: '127.0.0.7' });
  const front = await proxy('haproxy-tcp.cfg', new URL(foz.url).host, 8443);
  const lines = { 'X-Forwarded-Host': 'other.example', 'X-Forwarded-Proto': 'https' };
  assert.equal((await open(front.port, { from: '127.0.0.7', lines, origin: 'https://other.example' })).status, 101);
  assert.equal((await open(front.port, { from: '127.0.0.8', lines, origin: 'https://other.example' })).status, 403);
  assert.equal((await open(front.port, { from: '127.0.0.8' })).status, 101);
  await foz.stop();
});

test('foz.toml is a good configuration', async () => {
  const checked = await run(process.env.FOZ, ['config', 'check', documents + 'foz.toml']);
  assert.equal(checked.code, 0, checked.output);
});
