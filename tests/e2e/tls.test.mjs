// TLS of the clients' port and of the embedded broker: certificates that change while clients are there, several of them
// by name, what is not spoken any more, and clients that a certificate vouches for.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { closeAll, rawHttp, run, selfSigned, serve, signedBy, sleep, start, until } from './lib.mjs';

const folder = mkdtempSync(join(tmpdir(), 'foz-tls-'));
const at = (name) => join(folder, name);
const sockets = [];
after(async () => {
  sockets.forEach((one) => one.destroy());
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});

// In place of what is there, at once.
function put(from, to) {
  copyFileSync(at(from), at(to + '.new'));
  renameSync(at(to + '.new'), at(to));
}

// The common name of the certificate that is shown.
function shown(port, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
const portOf = (foz) => Number(new URL(foz.url).port);
const get = (more = '') => `GET /primus/spec HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`;

selfSigned(at('first'));
selfSigned(at('second'));

test('a certificate is read again when its files change, and on SIGHUP; open sockets stay', async () => {
  put('first.pem', 'live.pem');
  put('first.key', 'live.key');
  const foz = await serve(['--tls-certificate', at('live.pem'), '--tls-key', at('live.key')]);
  const port = portOf(foz);
  assert.equal(await shown(port), 'first');
  const stays = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  sockets.push(stays);
  let heard = '';
  stays.on('data', (data) => { heard += data; });
  stays.write('GET /primus/spec HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => heard.includes('200 OK'), 'a request is answered');
  // Key and certificate that do not fit each other: said once, by name, and the old pair stays.
  put('second.pem', 'live.pem');
  await foz.until('what was read before stays in force', 10);
  assert.match(foz.output, /\[warning\] TLS: .*live\.key: .*; what was read before stays in force/);
  assert.equal(await shown(port), 'first');
  await sleep(4_500);
  assert.equal(foz.output.match(/stays in force/g).length, 1);
  put('second.key', 'live.key');
  await until(async () => await shown(port) === 'second', 'the other certificate is shown', 10);
  await foz.until('TLS: read again: ' + at('live.pem') + ' ' + at('live.key'), 5);
  // At once on SIGHUP, and said although nothing has changed.
  put('first.key', 'live.key');
  put('first.pem', 'live.pem');
  foz.child.kill('SIGHUP');
  await until(async () => await shown(port) === 'first', 'SIGHUP', 1.5);
  heard = '';
  stays.write('GET /primus/spec HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => heard.includes('200 OK'), 'the socket that was open is answered');
  stays.destroy();
  await foz.stop();
});

test('a folder behind a symbolic link is swapped, as Kubernetes and certbot do', async () => {
  for (const name of ['first', 'second']) {
    mkdirSync(at('..' + name));
    copyFileSync(at(name + '.pem'), at('..' + name + '/tls.crt'));
    copyFileSync(at(name + '.key'), at('..' + name + '/tls.key'));
  }
  symlinkSync('..first', at('..data'));
  mkdirSync(at('mounted'));
  for (const file of ['tls.crt', 'tls.key']) symlinkSync('../..data/' + file, at('mounted/' + file));
  const foz = await serve(['--tls-certificate', at('mounted/tls.crt'), '--tls-key', at('mounted/tls.key')]);
  assert.equal(await shown(portOf(foz)), 'first');
  symlinkSync('..second', at('..next'));
  renameSync(at('..next'), at('..data'));
  await until(async () => await shown(portOf(foz)) === 'second', 'the other certificate is shown', 10);
  await foz.stop();
});

test('SIGHUP ends nobody', async () => {
  const foz = await serve();
  foz.child.kill('SIGHUP');
  await foz.until('SIGHUP', 5);
  foz.child.kill('SIGHUP');
  assert.equal((await rawHttp(foz.url, get())).status, 200);
  await foz.stop();
  const broker = await start(process.env.FOZ, ['broker', '--data', at('quiet'), '--listen', '127.0.0.1:0']);
  await broker.until('ready: ', 30);
  for (let i = 1; i <= 3; ++i) {
    broker.child.kill('SIGHUP');
    await until(() => (broker.output.match(/SIGHUP/g) ?? []).length === i, 'SIGHUP is said', 5);
  }
  await broker.stop();
});

test('the amqps port, and the CA by which foz serve knows its broker, are read again', async () => {
  put('first.pem', 'amqps.pem');
  put('first.key', 'amqps.key');
  put('first.pem', 'ca.pem');
  const args = ['broker', '--data', at('amqps'), '--tls-certificate', at('amqps.pem'), '--tls-key', at('amqps.key')];
  const first = await start(process.env.FOZ, [...args, '--listen', '127.0.0.1:0', '--tls-listen', '127.0.0.1:0']);
  await first.until('ready: ', 30);
  const tlsPort = Number(first.output.match(/tls: amqps:\/\/[^/]*:(\d+)\//)[1]);
  const foz = await serve(['--broker-ca', at('ca.pem')], `amqps://guest:guest@127.0.0.1:${tlsPort}/%2f`);
  assert.equal(await shown(tlsPort), 'first');
  put('second.pem', 'amqps.pem');
  put('second.key', 'amqps.key');
  first.child.kill('SIGHUP');
  await until(async () => await shown(tlsPort) === 'second', 'the other certificate is shown', 10);
  // A CA file that can't be used keeps the old one.
  writeFileSync(at('ca.pem.new'), 'nonsense');
  renameSync(at('ca.pem.new'), at('ca.pem'));
  await foz.until('stays in force', 10);
  assert.match(foz.output, /\[warning\] TLS: .*ca\.pem: .*; what was read before stays in force/);
  put('second.pem', 'ca.pem');
  await foz.until('TLS: read again: ' + at('ca.pem'), 10);
  await first.stop();
  const second = await start(process.env.FOZ, [...args, '--listen', '127.0.0.1:0', '--tls-listen', '127.0.0.1:' + tlsPort]);
  await second.until('ready: ', 30);
  await until(async () => (await rawHttp(foz.url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).status === 200 &&
    second.output !== '', 'foz serve is back', 30);
  await until(() => (foz.output.match(/connected to/g) ?? []).length >= 2, 'it has connected again', 30);
  await foz.stop();
  await second.stop();
});

test('RSA key exchange, CBC, finite-field Diffie-Hellman and TLS 1.1 are refused; ECDHE with AEAD is taken', async () => {
  selfSigned(at('rsa'), [], ['rsa:2048']);
  // What a client that offers nothing else comes to: the cipher, or nothing.
  const agreed = (port, ...offer) => run('/bin/sh', ['-c', `echo | openssl s_client -connect 127.0.0.1:${port} ${offer.join(' ')} 2>&1`])
    .then(({ output }) => output.match(/(?:Cipher is|New, TLSv1\.\d, Cipher is) ([\w-]+)/)?.[1] ?? 'nothing');
  const none = /^(nothing|NONE)$|\(NONE\)/;
  for (const name of ['rsa', 'first']) {
    const kind = name === 'rsa' ? 'RSA' : 'ECDSA';
    const foz = await serve(['--tls-certificate', at(name + '.pem'), '--tls-key', at(name + '.key')]);
    const port = portOf(foz);
    const refused = async (...offer) => assert.match(await agreed(port, ...offer), none, offer.join(' '));
    for (const cipher of ['AES128-GCM-SHA256', 'AES256-SHA', `ECDHE-${kind}-AES128-SHA`, `ECDHE-${kind}-AES256-SHA384`,
      `ECDHE-${kind}-AES128-SHA256`, 'DHE-RSA-AES128-GCM-SHA256', 'AECDH-AES128-SHA', 'PSK-AES128-GCM-SHA256'])
      await refused('-tls1_2', '-cipher', cipher + ':@SECLEVEL=0');
    await refused('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
    await refused('-tls1', '-cipher', 'ALL:@SECLEVEL=0');
    await refused('-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256');
    for (const cipher of ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'])
      assert.equal(await agreed(port, '-tls1_2', '-cipher', `ECDHE-${kind}-${cipher}`), `ECDHE-${kind}-${cipher}`);
    for (const suite of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])
      assert.equal(await agreed(port, '-tls1_3', '-ciphersuites', suite), suite);
    // The server's order, unless the client wants ChaCha20 most.
    const all = ['AES256-GCM-SHA384', 'AES128-GCM-SHA256', 'CHACHA20-POLY1305'].map((one) => `ECDHE-${kind}-${one}`);
    assert.equal(await agreed(port, '-tls1_2', '-cipher', all.join(':')), `ECDHE-${kind}-AES128-GCM-SHA256`);
    assert.equal(await agreed(port, '-tls1_2', '-cipher', all.reverse().join(':')), `ECDHE-${kind}-CHACHA20-POLY1305`);
    // A renegotiation is refused (s_client asks for one with R).
    const again = await run('/bin/sh', ['-c', `(sleep 0.5; echo R; sleep 0.5; echo Q) | openssl s_client -connect 127.0.0.1:${port} -tls1_2 2>&1`]);
    assert.match(again.output, /no renegotiation/);
    await foz.stop();
  }
});

test('several certificates: the one whose name a client asks for', async () => {
  selfSigned(at('shop'), ['shop.example', '*.shop.example']);
  put('second.pem', 'more.pem');
  put('second.key', 'more.key');
  const pairs = ['shop', 'more'].map((name) => at(name + '.pem') + ':' + at(name + '.key')).join(' ');
  const foz = await serve(['--tls-certificate', at('first.pem'), '--tls-key', at('first.key')], undefined, { FOZ_LISTEN_TLS_MORE: pairs });
  const port = portOf(foz);
  assert.equal(await shown(port, { servername: 'shop.example' }), 'shop');
  assert.equal(await shown(port, { servername: 'eu.shop.example' }), 'shop');
  assert.equal(await shown(port, { servername: 'a.eu.shop.example' }), 'first');
  assert.equal(await shown(port, { servername: 'elsewhere.example' }), 'first');
  assert.equal(await shown(port), 'first');
  // They are read again, too.
  selfSigned(at('new'), ['new.example']);
  put('new.pem', 'more.pem');
  put('new.key', 'more.key');
  foz.child.kill('SIGHUP');
  await until(async () => await shown(port, { servername: 'new.example' }) === 'new', 'the other certificate is shown', 10);
  assert.equal(await shown(port, { servername: 'shop.example' }), 'shop');
  await foz.stop();
  const wrong = await run(process.env.FOZ, ['config', 'check'], { env: { FOZ_LISTEN_TLS_MORE: at('shop.pem') } });
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.output, /FOZ_LISTEN_TLS_MORE: CERTIFICATE:KEY, two files, is expected/);
});

test('clients show a certificate when they may or must; one of another signer is refused', async () => {
  const authority = selfSigned(at('authority'));
  signedBy(authority, at('anna'), 'extendedKeyUsage=clientAuth\nsubjectAltName=email:anna@example.org');
  signedBy(selfSigned(at('stranger')), at('forged'), 'extendedKeyUsage=clientAuth');
  const by = (name) => ({ certificate: at(name + '.pem'), key: at(name + '.key') });
  // The status of an answer, or 0 when there is none.
  const status = async (port, who) => {
    const files = who ? `--cert ${by(who).certificate} --key ${by(who).key}` : '';
    const { output } = await run('/bin/sh', ['-c',
      `curl -sk -o /dev/null -w '%{http_code}' ${files} https://127.0.0.1:${port}/primus/spec`]);
    return Number(output);
  };
  const serving = (kind) => serve(['--tls-certificate', at('first.pem'), '--tls-key', at('first.key')], undefined,
    { FOZ_LISTEN_TLS_CLIENT_CA: authority.certificate, FOZ_LISTEN_TLS_CLIENT_CERTIFICATES: kind, FOZ_LISTEN_TLS_CLIENT_NAME: 'email' });
  const optional = await serving('optional');
  assert.equal(await status(portOf(optional)), 200);
  assert.equal(await status(portOf(optional), 'anna'), 200);
  assert.equal(await status(portOf(optional), 'forged'), 0);
  await optional.stop();
  const required = await serving('required');
  assert.equal(await status(portOf(required)), 0);
  assert.equal(await status(portOf(required), 'anna'), 200);
  assert.equal(await status(portOf(required), 'forged'), 0);
  // Another CA, read while it runs.
  put('stranger.pem', 'authority.pem');
  required.child.kill('SIGHUP');
  await until(async () => await status(portOf(required), 'forged') === 200, 'the other CA counts', 10);
  assert.equal(await status(portOf(required), 'anna'), 0);
  await required.stop();
  const wrong = await run(process.env.FOZ, ['config', 'check'], { env: { FOZ_LISTEN_TLS_CLIENT_CERTIFICATES: 'required' } });
  assert.match(wrong.output, /without tls_certificate there is no TLS to show one in/);
});
