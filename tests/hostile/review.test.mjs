// What the security review tried (docs/security-review.md): each row is an attack from outside, with what has to come of it.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { WebSocket, amqp, configFile, inSeconds, rawClient, reply, secret, selfSigned, signedBy, sleep, testIssuer, until, worker } from '../e2e/lib.mjs';
import { endAll, serveWatched } from './lib.mjs';

after(endAll);

const issuer = testIssuer('test');
const token = (sub, foz, claims) => issuer.token({ sub, foz }, claims);
const serving = (toml) => serveWatched(['--config', configFile(toml)]);
const adminOf = (foz) => 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];

// Octets on a connection of their own: everything that comes until it closes, or until `done` is there.
const raw = (url, octets, done = /\r\n\r\n[^]*[\n}]$|server::close|"event":"welcome"/) => new Promise((resolve) => {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  let said = '';
  const timer = setTimeout(() => socket.destroy(), 10_000);
  // What would follow follows at once.
  socket.on('data', (data) => { said += data.toString('latin1'); if (done.test(said)) setTimeout(() => socket.destroy(), 50); });
  socket.on('error', () => {});
  socket.on('close', () => { clearTimeout(timer); resolve(said); });
  socket.write(Buffer.from(octets, 'latin1'));
});
const hostOf = (url) => new URL(url).host;
const upgrade = (url, lines = '', query = '') => `GET /primus/?hello=1${query} HTTP/1.1\r\nHost: ${hostOf(url)}\r\nUpgrade: websocket\r\n` +
  `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines}\r\n`;
// The status, or of a socket the client's name or the error's code. '': it was closed without a word.
const outcome = (said) => {
  const event = said.match(/"event":"welcome","client":"([^"]*)"/)?.[1] ?? said.match(/"error":\{"code":"(\w+)"/)?.[1];
  return event?.replace(/^anon-.*/, 'a stranger') ?? said.slice(9, 12);
};

test('a request has one end: what could be read in two ways is refused, and nothing behind it is answered', async () => {
  const foz = await serving('[listen]\nallow_anonymous = true\n[channels.chat]\n');
  const host = hostOf(foz.url);
  const second = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const rows = [
    [413, `Content-Length: ${second.length}`], [400, 'Content-Length: 0\r\nContent-Length: 0'], [400, 'Content-Length: 0, 0'],
    [400, 'Content-Length: +0'], [400, 'Content-Length: -1'], [400, 'Content-Length: 0x0'], [400, 'Content-Length: 0 0'],
    [413, 'Transfer-Encoding: chunked'], [413, 'Transfer-Encoding:\tchunked'], [413, 'Transfer-Encoding: identity'],
    [400, 'Transfer-Encoding: chunked\r\nContent-Length: 5'], [400, 'Transfer-Encoding : chunked'], [400, 'Transfer-Encoding: \x0bchunked'],
    [400, 'X: a\rContent-Length: 5'], [400, 'X: a\0b'], [400, ' X: y'], [400, 'Host: app.example'],
  ];
  for (const [status, lines] of rows) {
    const said = await raw(foz.url, `GET /primus/spec HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n\r\n${second}`);
    assert.equal(outcome(said), String(status), JSON.stringify(lines));
    assert.equal(said.match(/^HTTP\/1\.1 /gm).length, 1, JSON.stringify(lines));
    assert.match(said, /\r\nConnection: close\r\n/, JSON.stringify(lines));
  }
  for (const head of [`GET /primus/spec HTTP/1.1\nHost: ${host}\n\n`, `GET /primus/spec HTTP/1.1\r\nHost : ${host}\r\n\r\n`,
    `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`])
    assert.equal(outcome(await raw(foz.url, head + second)), '400', head);
  await foz.stop();
});

test('a host or an origin of nobody here gets nothing, however it is written', async () => {
  const foz = await serving('[listen]\nallow_anonymous = true\nhosts = ["app.example"]\norigins = ["https://app.example"]\n[channels.chat]\n');
  const host = hostOf(foz.url);
  const get = (line, name) => raw(foz.url, `GET ${line} HTTP/1.1\r\nHost: ${name}\r\n\r\n`).then(outcome);
  for (const [status, line, name] of [
    ['200', '/primus/spec', 'app.example.'], ['421', '/primus/spec', 'app.example..'], ['421', '/primus/spec', 'app.example.evil.example'],
    ['421', '/primus/spec', '127.1'], ['421', 'http://evil.example/primus/spec', host], ['200', `http://${host}/primus/spec`, 'evil.example'],
    ['400', 'http://user@app.example/primus/spec', host], ['400', '/primus/spec', 'user@app.example'], ['400', '/../primus/spec', host],
    ['400', '/%2e%2e/primus/spec', host], ['400', '/primus%2fspec', host], ['400', '/primus\\spec', host],
  ]) assert.equal(await get(line, name), status, line + ' of ' + name);
  for (const [wanted, origin] of [
    ['a stranger', 'https://app.example'], ['a stranger', 'http://' + host], ['403', 'http://app.example'], ['403', 'https://app.example:8443'],
    ['403', 'https://app.example.evil.example'], ['403', 'https://evil.example/https://app.example'], ['403', 'null'],
    ['403', `http://x@${host}`], ['403', 'https://' + host],
  ]) assert.equal(outcome(await raw(foz.url, upgrade(foz.url, `Origin: ${origin}\r\n`))), wanted, origin);
  await foz.stop();
});

test('a proxy names one client, in one header, in one way', async () => {
  const foz = await serving('[listen]\nallow_anonymous = true\nproxies = ["127.0.0.1"]\nclient_header = "X-Consumer"\n[channels.chat]\n');
  for (const [wanted, lines] of [
    ['bob', 'X-Consumer: bob'], ['bob', 'x-CONSUMER: bob'], ['a stranger', 'X_Consumer: eve'], ['a stranger', 'X-Consumer2: eve'],
    ['bad_token', 'X-Consumer: bob\r\nx-consumer: eve'], ['bad_token', 'X-Consumer: \r\nX-Consumer: eve'], ['bad_token', 'X-Consumer: '],
    ['400', 'X-Consumer : eve'], ['400', 'X-Consumer: bob\0'], ['bad_token', 'X-Consumer: \xff'], ['bad_token', 'X-Consumer: a\tb'],
    ['bad_token', 'X-Consumer: anon-aaaaaaaaaaaaaaaaaaaaaaaaaa'], ['bad_token', 'X-Consumer: session:abc'],
    ['unsupported', 'X-Consumer: bob\r\nSec-WebSocket-Protocol: foz.v1, foz.token.x'],
  ]) assert.equal(outcome(await raw(foz.url, upgrade(foz.url, lines + '\r\n'))), wanted, JSON.stringify(lines));
  await foz.stop();
});

test('an address that a client writes itself before that of its proxy changes nothing', async () => {
  const foz = await serving('[listen]\nallow_anonymous = true\nproxies = ["127.0.0.1", "10.0.0.0/8"]\n[limits]\naddress_handshakes = 3\n[channels.chat]\n');
  for (const [i, before] of ['', '198.51.100.1, ', '10.0.0.7, ', '127.0.0.1, ', 'unknown, ', ', , '].entries()) {
    const all = await Promise.all(Array.from({ length: 15 }, () => raw(foz.url, upgrade(foz.url, `X-Forwarded-For: ${before}203.0.113.${i}, 10.0.0.2\r\n`))));
    const taken = all.filter((said) => outcome(said) === 'a stranger').length;
    assert.ok(taken >= 3 && taken < 15, JSON.stringify(before) + ': ' + taken + ' were taken');
    assert.ok(all.every((said) => ['a stranger', '429'].includes(outcome(said))));
  }
  await foz.stop();
});

test('PROXY heads: one, well-formed, from a proxy; the client behind it is no proxy', async () => {
  const foz = await serving('[listen]\nallow_anonymous = true\nproxy_protocol = ["127.0.0.1"]\nproxies = ["10.9.9.9"]\nclient_header = "X-User"\n[channels.chat]\n');
  const binary = '\r\n\r\n\0\r\nQUIT\n';
  for (const [wanted, head] of [
    ['a stranger', 'PROXY TCP4 203.0.113.1 1.1.1.1 1 2\r\n'], ['a stranger', 'PROXY UNKNOWN 10.9.9.9 1.1.1.1 1 2\r\n'], ['a stranger', binary + '\x20\0\0\0'],
    ['', ''], ['', 'PROXY TCP4 203.0.113.2 1.1.1.1 1 2\r\nPROXY TCP4 10.9.9.9 1.1.1.1 1 2\r\n'], ['', 'PROXY TCP4 010.9.9.9 1.1.1.1 1 2\r\n'],
    ['', 'PROXY\tTCP4 10.9.9.9 1.1.1.1 1 2\r\n'], ['', 'PROXY TCP4 10.9.9.9 1.1.1.1 1 2\n'], ['', 'PROXY TCP4 10.9.9.9 1.1.1.1 65536 2\r\n'],
    ['', 'PROXY UNKNOWN ' + 'x'.repeat(200) + '\r\n'], ['', binary + '\x21\x11\xff\xff'], ['', binary + '\x21\x11\0\x04\x0a\x09\x09\x09'],
    ['', binary + '\x21\x11\0\x0f\x0a\x09\x09\x09\x01\x01\x01\x01\0\x01\0\x02\x03\xff\xff'],
  ]) assert.equal(outcome(await raw(foz.url, head + upgrade(foz.url, 'X-User: eve\r\n'))), wanted, JSON.stringify(head));
  await foz.stop();
});

test('a client does what its token grants: no other channel, topic, type, exchange, client, group or past', async () => {
  const foz = await serving(issuer.toml + '[client]\npublish_targets = ["INBOUND", "OUTBOUND"]\n[channels.chat]\ngroups = "token"\n[channels.tickets]\n');
  const narrow = { channels: { chat: { consume: ['pub.*'], publish: ['pub.*'] } }, groups: [] };
  const all = { channels: { chat: true, tickets: true } };
  const bystander = await rawClient(foz.url, '&token=' + token('alice', { channels: { chat: { consume: true, publish: true, request: true } } }));
  bystander.send({ packet_action: 'consume', channel: 'chat' });
  await bystander.next();
  const mallory = await rawClient(foz.url, '&token=' + token('mallory', narrow));
  const publish = (more) => ({ packet_action: 'publish', channel: 'chat', topic: 'pub.a', message: 1, ...more });
  const consume = (more) => ({ packet_action: 'consume', channel: 'chat', ...more });
  for (const [code, frame] of [
    ['forbidden', publish({ channel: 'tickets' })], ['forbidden', publish({ topic: undefined })], ['forbidden', publish({ topic: 'pub.a.b' })],
    ['bad_envelope', publish({ topic: 'pub.*' })], ['forbidden', publish({ id: '1', ack: 'answer' })], ['forbidden', publish({ type: 'foz.join' })],
    ['bad_envelope', publish({ publish_target: '' })], ['forbidden', publish({ publish_target: 'CONTROL' })],
    ['forbidden', publish({ publish_target: 'OUTBOUND', topic: 'secret', distribution: { broadcast: true } })],
    ['forbidden', publish({ channel: { chat: true, tickets: true } })],
    ['forbidden', consume({ distribution: { direct: ['alice'] } })], ['forbidden', consume({ distribution: { multicast: ['alice'] } })],
    ['forbidden', consume({ consume_target: ['#'] })], ['forbidden', consume({ consume_target: ['pub.#'] })],
    ['bad_envelope', consume({ from: { tickets: 'first' } })], ['forbidden', consume({ channel: 'tickets', from: 'first' })],
    ['bad_token', { packet_action: 'refresh', token: token('alice', all) }], ['bad_token', { packet_action: 'refresh', token: token('mallory', all, { iss: 'x' }) }],
    ['bad_request', { plugin: 'primus-responder', responseId: 'YWxpY2U:m.1', data: {} }],
  ]) {
    mallory.heard.length = 0;
    mallory.send(frame);
    assert.equal((await mallory.next()).error?.code, code, JSON.stringify(frame).slice(0, 150));
  }
  assert.deepEqual(bystander.heard, []);
  for (const [wanted, query] of [['forbidden', '&consume=tickets'], ['forbidden', '&channel=tickets'], ['channel_mismatch', '&channel=chat&consume=tickets'],
    ['unknown_channel', '&consume=chat%0a'], ['mallory', '&channel=chat&consume=chat,chat']])
    assert.equal(outcome(await raw(foz.url, upgrade(foz.url, '', query + '&token=' + token('mallory', narrow)))), wanted, query);
  await foz.stop();
});

test('the request of one device is not another device\'s, nor another client\'s, to give up', async () => {
  const foz = await serving(issuer.toml + '[channels.chat]\n');
  let asked;
  const service = await worker('IN_CHAT', (message, body, channel) => { asked = message; channel.ack(message); });
  const [here, there, mallory] = await Promise.all(['alice', 'alice', 'mallory'].map((sub) => rawClient(foz.url, '&token=' + token(sub))));
  here.send({ packet_action: 'publish', channel: 'chat', id: 'q', ack: 'answer', message: 1 });
  await until(() => asked, 'it is asked');
  for (const one of [there, mallory]) {
    one.send({ packet_action: 'cancel', channel: 'chat', id: 'q' });
    assert.equal((await one.next()).error.code, 'cancelled');
    one.heard.length = 0;
  }
  reply(service.channel, asked, 'fine');
  assert.deepEqual(await here.next(), { event: 'answer', id: 'q', message: 'fine' });
  assert.deepEqual([there.heard, mallory.heard], [[], []]);
  await service.stop();
  await foz.stop();
});

test('refused handshakes leave nothing behind: no memory, no descriptor, no word of a secret', async () => {
  const foz = await serving(issuer.toml + '[channels.chat]\n');
  const open = () => readdirSync(`/proc/${foz.child.pid}/fd`).length;
  const attempts = [
    () => upgrade(foz.url, '', '&token=SECRET.' + secret() + '.x'),
    () => upgrade(foz.url, 'Authorization: Bearer SECRET\r\nCookie: foz_token=SECRET\r\nSec-WebSocket-Protocol: foz.v1, foz.token.SECRET2\r\n'),
    () => upgrade(foz.url, '', '&token=' + token('SECRET\n[forged] line', undefined, { exp: inSeconds(-1_000), jti: 'SECRET' })),
    () => upgrade(foz.url, '', '&consume=SECRET%0a[forged]&resume=' + secret()),
  ];
  const round = async (times) => {
    for (let i = 0; i < times; i += 1) await Promise.all(attempts.flatMap((make) => Array.from({ length: 10 }, () => raw(foz.url, make(), /\r\n\r\n/))));
  };
  await round(3);
  const quiet = () => until(async () => await foz.metric('foz_connections') === 0, 'all have gone');
  await quiet();
  const [memory, descriptors] = [foz.resident(), open()];
  await round(25);
  await quiet();
  assert.ok(open() <= descriptors + 2, open() + ' descriptors after ' + descriptors);
  if (!process.env.FOZ_SANITIZE) assert.ok(foz.resident() - memory < 4e6, (foz.resident() - memory) + ' octets more');
  const metrics = await (await fetch(adminOf(foz) + '/metrics')).text();
  for (const text of [foz.output, metrics]) assert.doesNotMatch(text, /SECRET|forged/);
  await foz.stop();
});

test('whatever stands in REVOKED, the aggregator goes on; what is no revocation revokes nobody', async () => {
  const foz = await serving(issuer.toml + '[channels.chat]\n');
  const channel = await (await amqp()).createConfirmChannel();
  const far = Date.now() + 3_600_000;
  for (const text of ['x', '{}', '[]', 'null', '\0', '{"until_ms":1}', '{"client":"bob"}', '{"until_ms":1e300,"client":"bob"}',
    `{"until_ms":${far},"client":""}`, `{"until_ms":${far},"client":5}`, `{"until_ms":${far},"session":null}`, '{"until_ms":-5,"client":"bob"}',
    '{"until_ms":99999999999999999999,"client":"bob"}', 'x'.repeat(1 << 20), '['.repeat(100_000), `{"until_ms":${far},"client":"gone"}`])
    await new Promise((done) => { channel.sendToQueue('REVOKED', Buffer.from(text), { deliveryMode: 2, userId: 'guest' }, done); });
  const come = async (sub) => outcome(await raw(foz.url, upgrade(foz.url, '', '&token=' + token(sub))));
  await until(async () => await come('gone') === 'revoked', 'the last entry is read');
  assert.equal(await come('bob'), 'bob');
  assert.equal((await fetch(foz.url + '/healthz')).status, 200);
  await foz.stop();
});

test('the admin port: no way around its login, its roles or its forms, and one line for each in the audit log', async () => {
  const [act, view, audit] = ['act', 'view', 'audit'].map((name) => process.env.FOZ_OUT + '/review-' + name);
  writeFileSync(act, 'a'.repeat(40));
  writeFileSync(view, 'v'.repeat(40));
  writeFileSync(audit, '');
  const foz = await serving(`[admin]\naudit_log = ${JSON.stringify(audit)}\n[admin_users.robot]\nrole = "act"\ntoken_file = ${JSON.stringify(act)}\n` +
    `[admin_users.looker]\ntoken_file = ${JSON.stringify(view)}\n` + issuer.toml + '[channels.chat]\n');
  const url = adminOf(foz);
  const robot = 'Authorization: Bearer ' + 'a'.repeat(40) + '\r\n', looker = 'Authorization: Bearer ' + 'v'.repeat(40) + '\r\n';
  const json = robot + 'Content-Type: application/json\r\n', where = '/api/clients/disconnect', one = '{"client":"x"}';
  for (const [status, method, path, lines, body = '', host = hostOf(url)] of [
    [401, 'GET', '/metrics', ''], [401, 'GET', '//api/overview', ''], [401, 'GET', '/healthz/../api/overview', ''], [401, 'GET', '/%61pi/overview', ''],
    [401, 'GET', '/api/overview', 'Authorization: Bearer \r\n'], [401, 'GET', '/api/overview', robot + 'Authorization: Basic eDp4\r\n'],
    [401, 'GET', '/api/overview', 'Authorization: Basic ' + Buffer.from('robot:' + 'a'.repeat(40)).toString('base64') + '\r\n'],
    [404, 'POST', where, json, one], [403, 'POST', where, looker + 'Content-Type: application/json\r\n', one], [403, 'POST', where, robot, one],
    [403, 'POST', where, robot + 'Content-Type: text/plain; application/json\r\n', one],
    [403, 'POST', where, json + 'Content-Type: text/plain\r\n', one], [403, 'POST', where, json + 'Origin: http://evil.example\r\n', one],
    [403, 'POST', where, json + 'Origin: null\r\n', one], [403, 'POST', where, json + 'Sec-Fetch-Site: same-site\r\n', one],
    [421, 'POST', where, json, one, 'evil.example'], [405, 'GET', where, robot], [405, 'POST', where + '/', json, one], [405, 'PUT', where, json, one],
    [400, 'POST', where, json, '{"client":"x","\\u0063lient":"y"}'], [400, 'POST', where, json, '['.repeat(5_000)], [400, 'POST', where, json, one + '{}'],
    [413, 'POST', where, json, '"' + 'x'.repeat(100_000) + '"'], [411, 'POST', where, json + 'Transfer-Encoding: chunked\r\n'],
    [400, 'GET', '/api/overview', robot, '{}'], [404, 'POST', where, json, JSON.stringify({ client: 'a\n{"user":"robot"}\r\n\u001b[2J' })],
  ]) {
    const length = body || (method !== 'GET' && !lines.includes('Transfer')) ? `Content-Length: ${Buffer.byteLength(body)}\r\n` : '';
    const said = await raw(url, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}${length}\r\n${body}`);
    assert.equal(outcome(said), String(status), `${method} ${path} ${JSON.stringify(lines)} ${body.slice(0, 60)}`);
  }
  await until(() => readFileSync(audit, 'utf8').includes('2J'), 'the last one is written down');
  const lines = readFileSync(audit, 'utf8').trimEnd().split('\n');
  for (const line of lines) {
    assert.deepEqual(Object.keys(JSON.parse(line)), ['time', 'user', 'address', 'action', 'target', 'outcome']);
    assert.doesNotMatch(line, /[\0-\x1f]|aaaa|vvvv/);
  }
  await foz.stop();
});

test('a quote that a client leaves open swallows nothing of what its proxy says', async () => {
  for (const [forwarding, line] of [
    ['x-forwarded', (address) => `X-Forwarded-For: ", ${address}`],
    ['forwarded', (address, i) => `Forwarded: for=198.51.100.${i};proto=http;host=127.0.0.1;x=", for=${address};proto=https;host=app.example`],
  ]) {
    const foz = await serving(`[listen]\nallow_anonymous = true\nproxies = ["127.0.0.1"]\nforwarding = "${forwarding}"\nhosts = ["app.example"]\n` +
      'origins = ["https://app.example"]\n[limits]\naddress_handshakes = 3\n[channels.chat]\n');
    const all = await Promise.all(Array.from({ length: 15 }, (_, i) => raw(foz.url, upgrade(foz.url, line('203.0.113.9', i) + '\r\n'))));
    assert.ok(all.some((said) => outcome(said) === '429'), forwarding + ': the address counts');
    assert.equal(outcome(await raw(foz.url, upgrade(foz.url, line('203.0.113.10', 1) + '\r\nOrigin: http://127.0.0.1\r\n'))), '403');
    await foz.stop();
  }
});

test('handshakes that are refused behind a proxy count for their address', async () => {
  const foz = await serving('[listen]\nproxies = ["127.0.0.1"]\n[limits]\naddress_handshakes = 3\n' + issuer.toml + '[channels.chat]\n');
  for (const [i, query] of ['&token=x.y.z', '&consume=nothing', ''].entries()) {
    const all = await Promise.all(Array.from({ length: 15 }, () => raw(foz.url, upgrade(foz.url, `X-Forwarded-For: 203.0.113.${i}\r\n`, query))));
    const codes = all.map(outcome);
    assert.ok(codes.includes('429') && codes.some((code) => code !== '429'), query + ': ' + codes);
  }
  await foz.stop();
});

test('what a browser adds by itself, a certificate or a proxy\'s login, is not for pages of other origins', async () => {
  const ca = selfSigned('ca', []), own = selfSigned('localhost'), alice = signedBy(ca, 'alice');
  const listen = `[listen]\nproxies = ["127.0.0.2"]\nclient_header = "X-User"\norigins = ["*", "https://app.example"]\n`;
  const foz = await serving(`${listen}tls_certificate = "${own.certificate}"\ntls_key = "${own.key}"\n` +
    `tls_client_ca = "${ca.certificate}"\ntls_client_certificates = "optional"\n[channels.chat]\n`);
  const files = { cert: readFileSync(alice.certificate), key: readFileSync(alice.key) };
  const come = (headers, options) => new Promise((resolve) => {
    const socket = new WebSocket(foz.url.replace('https', 'wss') + '/primus/?hello=1', { rejectUnauthorized: false, headers, ...options });
    socket.on('error', () => {});
    socket.once('message', (data) => { resolve(outcome(String(data))); socket.terminate(); });
  });
  const proxy = { localAddress: '127.0.0.2' };
  for (const [wanted, headers, options] of [
    ['alice', {}, files], ['alice', { Origin: foz.url }, files], ['alice', { Origin: 'https://app.example' }, files],
    ['forbidden', { Origin: 'https://evil.example' }, files], ['forbidden', { Origin: 'null' }, files], ['forbidden', { Origin: '*' }, files],
    ['bob', { 'X-User': 'bob' }, proxy], ['bob', { 'X-User': 'bob', Origin: 'https://app.example' }, proxy],
    ['forbidden', { 'X-User': 'bob', Origin: 'https://evil.example' }, proxy], ['bob', { 'X-User': 'bob' }, { ...proxy, ...files }],
  ]) assert.equal(await come(headers, options), wanted, JSON.stringify(headers) + Object.keys(options));
  await foz.stop();
});

test('a group that a token granted is left when it no longer does, and its past with it', async () => {
  const foz = await serving(issuer.toml + '[channels.chat]\ngroups = "service"\n[channels.tickets]\ngroups = "token"\ngroup_past = false\n');
  const service = await worker('IN_CHAT', (message, body, channel) => {
    if (message.properties.type === 'foz.join') reply(channel, message, { allow: body.group === 'asked' });
    channel.ack(message);
  });
  const channel = await (await amqp()).createConfirmChannel();
  const say = (key, group) => channel.publish('OUTBOUND', key, Buffer.from(JSON.stringify(group)), { contentType: 'application/json', messageId: secret(),
    timestamp: inSeconds(0), headers: { 'foz-multicast': group } });
  const ann = await rawClient(foz.url, '&token=' + token('ann', { groups: ['vip'] }));
  const refresh = async (groups) => {
    ann.send({ packet_action: 'refresh', token: token('ann', { groups }) });
    await until(() => ann.heard.some((event) => event.event === 'auth'), 'it is refreshed');
  };
  ann.send({ packet_action: 'consume', channel: 'chat', distribution: { multicast: ['vip', 'asked'] } });
  ann.send({ packet_action: 'consume', channel: 'tickets', distribution: { multicast: ['vip'], broadcast: true } });
  await until(() => ann.heard.filter((event) => event.event === 'consuming').length === 2, 'both are consumed');
  const { position } = ann.heard.find((event) => event.channels?.tickets).channels.tickets;
  await refresh([]);
  for (const group of ['vip', 'asked']) for (const key of ['chat', 'tickets']) say(key, group);
  await until(() => ann.heard.some((event) => event.message === 'asked'), 'what the service let it into goes on');
  assert.deepEqual(ann.heard.filter((event) => event.message === 'vip'), []);
  await sleep(1_100); // times are told in seconds
  ann.heard.length = 0;
  await refresh(['vip']);
  ann.send({ packet_action: 'consume', channel: 'tickets', distribution: { multicast: ['vip'] }, from: position });
  await until(() => ann.heard.some((event) => event.event === 'position'), 'it is up to date');
  assert.deepEqual(ann.heard.filter((event) => event.message === 'vip'), []);
  await service.stop();
  await foz.stop();
});

test('cancels, questions who may join and presence are bounded as publishes are', async () => {
  const foz = await serving(issuer.toml + '[limits]\nclient_publishes = 5\nclient_burst_ms = 1000\n[channels.chat]\ngroups = "service"\npresence = true\n[channels.tickets]\n');
  const counts = { cancels: 0, joins: 0, presence: 0 };
  const control = await (await amqp()).createChannel();
  const { queue } = await control.assertQueue('', { exclusive: true });
  await control.bindQueue(queue, 'CONTROL', '#');
  await control.consume(queue, (message) => { counts.cancels += /cancel/.test(message.fields.routingKey); }, { noAck: true });
  const service = await worker('IN_CHAT', (message, body, channel) => {
    counts[message.properties.type === 'foz.join' ? 'joins' : 'presence'] += 1;
    if (message.properties.replyTo) reply(channel, message, { allow: false });
    channel.ack(message);
  });
  await service.channel.prefetch(100);
  const nobody = await rawClient(foz.url, '&token=' + token('nobody', { channels: { chat: { consume: true } } }));
  for (let i = 0; i < 50; i += 1) nobody.send({ packet_action: 'cancel', channel: 'tickets', id: 'x' + i });
  await until(() => nobody.heard.length === 50, 'all are answered');
  assert.ok(nobody.heard.every((event) => event.error.code === 'forbidden'));
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((sub) => rawClient(foz.url, '&token=' + token(sub))));
  for (let i = 0; i < 50; i += 1) {
    one.send({ packet_action: 'cancel', channel: 'tickets', id: 'x' + i });
    two.send({ packet_action: 'consume', channel: 'chat', distribution: { multicast: ['a' + i, 'b' + i] } });
    three.send({ packet_action: 'consume', channel: 'chat' });
    three.send({ packet_action: 'leave', channel: 'chat' });
  }
  for (const client of [one, two, three]) await until(() => client.heard.some((event) => event.error?.code === 'rate_limited'), 'it is too fast');
  await sleep(1_000);
  assert.ok(counts.cancels >= 5 && counts.cancels <= 20, counts.cancels + ' cancels');
  assert.ok(counts.joins >= 2 && counts.joins <= 30, counts.joins + ' joins');
  assert.ok(counts.presence >= 2 && counts.presence <= 40, counts.presence + ' presence');
  await service.stop();
  await foz.stop();
});

test('joining and leaving for ever costs no memory', { skip: process.env.FOZ_SANITIZE ? 'memory is counted' : false }, async () => {
  const foz = await serving('[limits]\nclient_octets = 0\nclient_frames = 0\n[channels.chat]\ngroup_past = false\n');
  const ann = await rawClient(foz.url);
  const round = async (from, to) => {
    for (let r = from; r < to; r += 1) {
      ann.send({ packet_action: 'consume', channel: 'chat', distribution: { multicast: Array.from({ length: 900 }, (_, i) => `${r}-${i}-${'x'.repeat(50)}`) } });
      ann.send({ packet_action: 'leave', channel: 'chat' });
      if (r % 10 === 9) await until(() => ann.heard.length >= 20, 'all is answered');
      if (r % 10 === 9) ann.heard.length = 0;
    }
  };
  await round(0, 20);
  const before = foz.resident();
  await round(20, 170);
  assert.ok(foz.resident() - before < 5e6, (foz.resident() - before) / 1e6 + ' MB more');
  await foz.stop();
});

test('a revocation until the year 9999 holds; one of nobody is none', async () => {
  const act = process.env.FOZ_OUT + '/review-act2';
  writeFileSync(act, 'a'.repeat(40));
  const foz = await serving(`[admin_users.robot]\nrole = "act"\ntoken_file = ${JSON.stringify(act)}\n` + issuer.toml + '[channels.chat]\n');
  const revoke = (body) => fetch(adminOf(foz) + '/api/tokens/revoke', { method: 'POST', body: JSON.stringify(body),
    headers: { Authorization: 'Bearer ' + 'a'.repeat(40), 'Content-Type': 'application/json' } }).then((response) => response.status);
  assert.equal(await revoke({ client: 'far', issued_before_ms: 253402300800000 }), 400);
  assert.equal(await revoke({ client: '', issued_before_ms: Date.now() + 60_000 }), 400);
  const channel = await (await amqp()).createConfirmChannel();
  await new Promise((done) => { channel.sendToQueue('REVOKED', Buffer.from('{"until_ms":253402300800000,"client":"far"}'), { deliveryMode: 2, userId: 'guest' }, done); });
  const come = async (sub) => outcome(await raw(foz.url, upgrade(foz.url, '', '&token=' + token(sub))));
  await until(async () => await come('far') === 'revoked', 'it is read');
  assert.equal(await come('near'), 'near');
  await foz.stop();
});
