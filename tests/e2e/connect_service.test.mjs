// A service decides who comes in without a token: it is asked once, its words reach the client, and nothing hangs on it.
import test, { after, before, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { amqp, chat, closeAll, configFile, connect, handshake, inSeconds, plugged, rawHttp, run, secret, serve, sleep, testIssuer, until, WebSocket,
  worker } from './lib.mjs';

const issuer = testIssuer('test');
const token = (sub) => issuer.token({ sub });

const settings = (service = '', limits = '') => `
[listen]
refresh_notice_ms = 2000
proxies = ["127.0.0.2"]
client_header = "X-User"
hosts = ["app.example"]
origins = ["https://named.example", "*"]
[connect_service]
channel = "door"
headers = ["X-Plan", "Authorization"]
cookies = ["sid"]
leeway_s = 0
${service || 'timeout_ms = 3000'}
[limits]
address_connect_questions = 3
${limits}
[admin]
listen = "127.0.0.1:0"
${issuer.toml}
[channels.chat]
[channels.tickets]
groups = "token"
[channels.door]
delivery = "volatile"
no_service_after_ms = 1000
may_consume = []
may_publish = []
may_request = []
`;

// The service: `decide` may give an answer, text, nothing, or a promise of these.
let asked = [], decide;
const allow = (claims) => ({ allow: true, ...(claims && { claims }) });
const answer = (channel, message, what, headers = {}) => channel.sendToQueue(message.properties.replyTo,
  Buffer.from(typeof what === 'string' ? what : JSON.stringify(what)), { correlationId: message.properties.correlationId, headers });
async function door() {
  const connection = await amqp();
  const channel = await connection.createChannel();
  await channel.prefetch(100);
  connection.on('error', () => {});
  channel.on('error', () => {});
  await channel.consume('IN_DOOR', async (message) => {
    if (!message) return;
    const question = JSON.parse(message.content);
    asked.push({ ...question, properties: message.properties });
    const what = await decide(question, message, channel);
    if (what !== undefined) answer(channel, message, what);
    channel.ack(message);
  });
  return { stop: () => connection.close() };
}
// Whom the query names comes in, with the claims of the query.
const byQuery = ({ query }) => allow({ sub: query.name, ...(query.claims && JSON.parse(query.claims)) });

let server, service, listener;
before(async () => {
  service = await chat();
  server = await serve(['--config', configFile(settings())]);
  await (await (await amqp()).createChannel()).purgeQueue('IN_DOOR');
  listener = await door();
});
after(async () => {
  await closeAll();
  await server.stop();
  await service.stop();
});
beforeEach(() => { asked = []; decide = byQuery; });

const open = (query = '', { url = server.url, ...how } = {}) => handshake(url, 'hello=1' + query, how);
const enter = async (name, claims, how) => {
  const self = await open('&name=' + name + (claims ? '&claims=' + encodeURIComponent(JSON.stringify(claims)) : ''), how);
  assert.ok(self.events('welcome')[0], JSON.stringify(self.heard));
  return Object.assign(self, self.events('welcome')[0]);
};
const refusal = async (query = '', how) => {
  const self = await open(query, how);
  await self.closed();
  const { error } = self.events('error')[0] ?? {};
  return { ...error, close: self.code, stays_away: self.stays_away };
};
async function metric(name, of = server) {
  const text = await (await fetch('http://127.0.0.1:' + of.output.match(/admin: port (\d+)/)[1] + '/metrics')).text();
  return text.split('\n').filter((line) => line.startsWith(name) && ' {'.includes(line[name.length]))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
// The port collects once a second.
const fresh = (name, of) => sleep(1100).then(() => metric(name, of));
const becomes = (name, value, of) => until(async () => await metric(name, of) === value, name + ' is ' + value);
const calm = (of) => until(async () => await metric('foz_connect_open', of) === 0, 'no question is open');

test('who is let in is who the service says, and may what it says', async () => {
  decide = () => allow({ sub: 'alice', foz: { channels: { chat: { consume: ['lobby.#'], publish: false, request: true } },
    groups: ['staff'], limits: { connections: 1 }, meta: { tier: 'gold' } } });
  const alice = await connect(server.url, { query: '&ticket=t1' });
  assert.equal(alice.client, 'alice');
  const ask = (rest) => alice.ask({ packet_action: 'consume', ...rest });
  assert.deepEqual((await ask({ channel: 'chat' })).channels.chat.topics, ['lobby.#']);
  assert.equal((await ask({ channel: 'chat', consume_target: ['other'] })).error.code, 'forbidden');
  assert.equal((await ask({ channel: 'tickets' })).error.code, 'forbidden');
  assert.equal((await alice.publish('say', { room: 'lobby', text: 'x', name: 'A' }, { ack: 'confirmed', id: 'p' })).error.code, 'forbidden');
  const echoed = await alice.publish('echo', 'hello');
  assert.deepEqual([echoed.event, echoed.message], ['answer', 'hello']);
  assert.equal((await ask({ channel: 'chat', distribution: { multicast: ['red'] } })).error.code, 'forbidden');
  assert.equal((await ask({ channel: 'chat', distribution: { multicast: ['staff'] }, consume_target: ['lobby.a'] })).event, 'consuming');
  assert.equal(asked.length, 1);
  assert.equal((await refusal()).code, 'overloaded', 'it may have one socket');
  alice.close();
});

test('the service is told what it may know, and nothing else', async () => {
  const headers = { Origin: 'https://named.example', 'X-Plan': 'pro', 'X-Other': 'secret', Cookie: 'sid=17; other=secret',
    'Accept-Language': 'pt-BR', Authorization: 'Basic c2VjcmV0' };
  const self = await open('&name=bob&resume=' + secret(), { headers, protocols: ['foz.v1'] });
  assert.equal(self.events('welcome')[0].client, 'bob');
  assert.equal(self.socket.protocol, 'foz.v1');
  const { properties, ...question } = asked[0];
  assert.deepEqual(question, { path: '/primus/', host: new URL(server.url).host, address: '127.0.0.1', origin: 'https://named.example',
    language: 'pt-BR', query: { hello: '1', name: 'bob' }, protocols: ['foz.v1'], headers: { 'x-plan': 'pro', authorization: 'Basic c2VjcmV0' }, cookies: { sid: '17' } });
  const { type, contentType, expiration, deliveryMode, replyTo, correlationId, messageId, timestamp } = properties;
  assert.deepEqual([type, contentType, expiration, deliveryMode], ['foz.connect', 'application/json', '3000', 1]);
  assert.match(replyTo, /^CONNECT\./);
  assert.ok(correlationId && messageId.startsWith('foz.connect/') && timestamp > inSeconds(-60));
  assert.ok(properties.headers['foz-deadline'] > Date.now() - 60_000);
  // A page of anywhere brings its user's cookies along: they are not passed on.
  await open('&name=bob', { headers: { ...headers, Origin: 'https://evil.example' } });
  assert.deepEqual([asked[1].cookies, asked[1].headers], [{}, { 'x-plan': 'pro' }]);
  await open('&name=bob', { localAddress: '127.0.0.2', headers: { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Host': 'app.example' } });
  assert.equal(asked.length, 3);
  assert.deepEqual([asked[2].address, asked[2].host], ['203.0.113.9', 'app.example']);
});

test('who has shown who it is, is not asked about; nor is who asks for no socket', async () => {
  assert.equal((await open('&token=' + token('carol'))).events('welcome')[0].client, 'carol');
  assert.equal((await refusal('&token=x')).reason, 'not_a_token');
  assert.equal((await open('', { headers: { 'X-User': 'nina' }, localAddress: '127.0.0.2' })).events('welcome')[0].client, 'nina');
  assert.equal((await rawHttp(server.url, 'GET /primus/?name=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).status, 426);
  assert.equal((await refusal('&channel=nowhere')).code, 'unknown_channel');
  assert.equal((await refusal('&name=x&resume=short')).code, 'bad_query');
  assert.equal((await refusal('&x=%ff')).code, 'bad_query');
  assert.equal(asked.length, 0);
});

test('without a subject the client is nobody in particular, the same one when it comes back', async () => {
  decide = () => allow();
  const resume = secret();
  const [one, again] = [await open('&resume=' + resume), await open('&resume=' + resume)];
  const { client } = one.events('welcome')[0];
  assert.match(client, /^anon-/);
  assert.equal(again.events('welcome')[0].client, client);
  const consuming = await one.ask({ packet_action: 'consume', channel: 'chat' });
  assert.equal(consuming.event, 'consuming', 'the channel says what it may');
  assert.equal((await one.ask({ packet_action: 'publish', channel: 'chat', type: 'echo', message: 1 })).message, 1);
  decide = () => allow({ foz: { channels: { tickets: { request: true } } } });
  const narrow = await open('&resume=' + resume);
  assert.equal((await narrow.ask({ packet_action: 'consume', channel: 'chat' })).error.code, 'forbidden');
});

test('who is denied learns why, in the words of the service, and stays away', async () => {
  decide = () => ({ allow: false, code: 'full', text: 'Sorry, the house is full: à demain.' });
  const told = await refusal();
  assert.deepEqual([told.code, told.message, told.reason, told.retryable, told.close, told.stays_away],
    ['denied', 'Sorry, the house is full: à demain.', 'full', false, 4000, true]);
  decide = () => ({ allow: false });
  const silent = await refusal();
  assert.deepEqual([silent.code, silent.reason, silent.close], ['denied', undefined, 4000]);
  assert.ok(silent.message.length > 0);
  // The plugin.
  decide = () => ({ allow: false, text: 'members only' });
  const never = plugged(server.url);
  await until(() => never.foz.state.name === 'refused', 'it is refused');
  assert.deepEqual([never.foz.state.reason.code, never.foz.state.reason.message], ['denied', 'members only']);
  // Primus as it is, without hello: it reads the error, and does not come again.
  asked = [];
  const stock = await handshake(server.url, 'name=x');
  await stock.closed();
  assert.deepEqual([stock.events('error')[0].error.code, stock.stays_away], ['denied', true]);
  await sleep(500);
  assert.equal(asked.length, 1);
});

test('an answer that is none is counted, and the client may come again', async () => {
  const failures = await fresh('foz_connect_failures_total');
  const cases = ['', 'true', '{"allow":"yes"}', '{"allow":true,"claim":{}}', '{"allow":true,"claims":{"sub":"anon-x"}}',
    '{"allow":true,"claims":{"sub":"a","exp":1}}', '{"allow":true,"claims":{"foz":{"limits":{"everything":1}}}}', '{"allow":false,"text":7}'];
  for (const text of cases) {
    decide = () => text;
    const told = await refusal();
    assert.deepEqual([told.code, told.reason, told.retryable, told.close, told.stays_away], ['unavailable', 'bad_answer', true, 4100, false], text);
    assert.ok(told.retry_after_ms > 0);
  }
  decide = (_, message, channel) => { answer(channel, message, { code: 'x' }, { 'foz-error': 'x' }); };
  assert.deepEqual([(await refusal()).reason, (await refusal()).close], ['failed', 4100]);
  // Without hello=1 it is an HTTP status that makes Primus back off.
  const stock = await handshake(server.url, 'name=x');
  assert.equal(stock.status, 503);
  await becomes('foz_connect_failures_total', failures + cases.length + 3);
  assert.match(server.output, /the connect service's answer can't be understood/);
});

test('a client may stay until the year 9999', async () => {
  const ever = await enter('nemo', { exp: 253402300799 });
  await sleep(200);
  assert.equal((await ever.ask({ packet_action: 'publish', channel: 'chat', type: 'echo', message: 1 })).message, 1);
  assert.deepEqual([ever.code, ever.events('error')], [undefined, []]);
});

test('who is refused for now comes again on another connection, and is counted as such', async () => {
  decide = () => 'no answer';
  const head = 'GET /primus/?name=x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  const told = await rawHttp(server.url, head.repeat(20));
  assert.deepEqual([told.status, told.headers.connection, asked.length], [503, 'close', 1]);
  assert.equal(told.octets.toString('latin1').split('HTTP/1.1 ').length, 2);
});

test('a program that is no browser shows what it likes', async () => {
  const how = { headers: { Cookie: 'sid=17', Authorization: 'Basic YTpi' } };
  assert.equal((await open('&name=app', how)).events('welcome')[0].client, 'app');
  assert.deepEqual([asked[0].origin, asked[0].cookies, asked[0].headers], ['', { sid: '17' }, { authorization: 'Basic YTpi' }]);
});

test('a service that is slow or goes away: the client is told in time, and comes in with the next one', async () => {
  const before = await fresh('foz_connect_late_answers_total');
  decide = (question) => sleep(4500).then(() => byQuery(question));
  const begun = Date.now();
  const told = await refusal('&name=dora');
  assert.deepEqual([told.code, told.reason, told.close], ['unavailable', 'no_answer', 4100]);
  assert.ok(Date.now() - begun < 4400);
  await becomes('foz_connect_late_answers_total', before + 1);

  // Killed with the question in hand: the next worker takes it.
  decide = () => new Promise(() => {});
  asked = [];
  const coming = enter('edna');
  await until(() => asked.length === 1, 'it is asked');
  await listener.stop();
  decide = byQuery;
  listener = await door();
  assert.equal((await coming).client, 'edna');
  assert.equal(asked.length, 2);

  // Nobody: refused, and let in as soon as there is one. With the library as it is.
  await listener.stop();
  await until(async () => (await refusal('&name=fay')).reason === 'no_service', 'it is known that nobody is there', 20);
  const pending = connect(server.url, { query: '&name=fay' });
  await sleep(1000);
  listener = await door();
  const fay = await pending;
  assert.equal(fay.client, 'fay');
  fay.close();
});

test('wherever a client lives, it is asked about once', async () => {
  const before = await fresh('foz_connect_asked_total');
  const names = Array.from({ length: 40 }, (_, i) => 'many-' + i);
  const all = await Promise.all(names.map((name) => enter(name)));
  assert.deepEqual(all.map((one) => one.client), names);
  assert.deepEqual(asked.map(({ query }) => query.name).sort(), [...names].sort());
  await becomes('foz_connect_asked_total', before + names.length);
  for (const shard of [0, 1]) assert.ok(await metric(`foz_sessions{shard="${shard}"}`) > 5, 'some live on shard ' + shard);
  for (const one of all) assert.equal((await one.ask({ packet_action: 'publish', channel: 'chat', type: 'echo', message: 1 })).message, 1);
});

test('a client that leaves while it is asked about is nobody any more', async () => {
  const before = await fresh('foz_sessions');
  let goOn;
  const gate = new Promise((resolve) => { goOn = resolve; });
  decide = (question) => gate.then(() => byQuery(question));
  const leaving = Array.from({ length: 5 }, (_, i) => new WebSocket(server.url.replace('http', 'ws') + '/primus/?name=gone-' + i));
  for (const socket of leaving) socket.on('error', () => {});
  await until(() => asked.length === leaving.length, 'they are asked about');
  for (const socket of leaving) socket.terminate();
  goOn();
  await calm();
  await until(async () => await metric('foz_sessions') <= before, 'nobody stays who has left');
  assert.equal((await enter('here')).client, 'here');
});

test('a socket that ends in time, is refreshed with a token, and is revoked', async () => {
  const brief = await enter('hugo', { exp: inSeconds(4) });
  const told = await until(() => brief.events('auth')[0], 'it is told');
  assert.ok(told.expires_in_ms <= 2000);
  const renewed = await brief.ask({ packet_action: 'refresh', token: token('hugo'), id: 'r' });
  assert.equal(renewed.event, 'auth', JSON.stringify(renewed));
  assert.ok(renewed.expires_in_ms > 500_000);
  assert.equal((await brief.ask({ packet_action: 'refresh', token: token('somebody') })).error.reason, 'other_client');
  const ending = await enter('hugo', { exp: inSeconds(3) });
  await ending.closed();
  const { code, reason, retryable } = ending.events('error')[0].error;
  assert.deepEqual([code, reason, retryable, ending.code, ending.stays_away], ['unavailable', 'time_over', true, 4100, false]);
  assert.equal(brief.code, undefined);
  // By itself, as soon as it is over, and it is asked about again; with the plugin and no page that has a token.
  decide = () => allow({ sub: 'jon', exp: inSeconds(asked.length > 1 ? 600 : 2) });
  asked = [];
  const staying = plugged(server.url);
  await until(() => asked.length >= 2 && staying.foz.state.name === 'connected', 'it comes again', 15);
  decide = byQuery;

  const revoke = async (...args) => {
    const { code, output } = await run(process.env.FOZ, ['token', 'revoke', '--config', configFile(settings()), '--broker', process.env.FOZ_TEST_BROKER, ...args]);
    assert.equal(code, 0, output);
  };
  const gone = async (one) => {
    await one.closed();
    assert.deepEqual([one.events('error')[0].error.code, one.code, one.stays_away], ['revoked', 4003, true]);
  };
  const name = 'ivan-' + Date.now();
  const [first, second, bystander] = [await enter(name), await enter(name, { jti: name }), await enter('bystander')];
  await revoke('--session', first.session);
  await gone(first);
  assert.equal(second.code, undefined);
  await revoke('--token-id', name);
  await gone(second);
  // Once more, and it is asked about again: what was granted before is over, not the client.
  const third = await enter(name);
  await sleep(50);
  await revoke('--client', name, '--issued-before', 'now');
  await gone(third);
  const fourth = await enter(name);
  await revoke('--client', name);
  await gone(fourth);
  assert.equal((await refusal('&name=' + name)).code, 'revoked');
  assert.equal(bystander.code, undefined);
});

test('a crowd that nobody decides about keeps nobody else out, and leaves nothing behind', async () => {
  const crowd = await serve(['--config', configFile(settings('timeout_ms = 6000', 'connect_questions = 200'))]);
  decide = () => new Promise(() => {});
  await listener.stop();
  listener = await worker('IN_DOOR', () => {}); // takes them, and says nothing
  const memory = () => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(crowd.child.pid)])) / 1024;
  await enterWithToken('early', crowd.url);
  const before = memory();
  const refused = () => new Promise((resolve) => {
    let why;
    const socket = new WebSocket(crowd.url.replace('http', 'ws') + '/primus/?hello=1&name=x&filler=' + 'x'.repeat(2000));
    socket.on('message', (data) => { const { event, error } = JSON.parse(data); if (event === 'error') why = error.reason ?? error.code; });
    socket.on('error', (error) => { why ??= error.message; });
    socket.on('close', () => resolve(why));
  });
  const sockets = Array.from({ length: 1000 }, refused);
  await until(async () => await metric('foz_connect_open', crowd) === 200, 'as many are asked about as may be', 20);
  const begun = Date.now();
  await enterWithToken('late', crowd.url);
  assert.ok(Date.now() - begun < 3000, 'who has a token does not wait');
  assert.ok(await metric('foz_connect_open', crowd) <= 200);
  const codes = await Promise.all(sockets);
  assert.equal(codes.filter((code) => code === 'overloaded' || code === 'no_answer').length, 1000, JSON.stringify([...new Set(codes)]));
  assert.ok(codes.filter((code) => code === 'overloaded').length > 0);
  await calm(crowd);
  await becomes('foz_connect_failures_total{reason="too_many"}', codes.filter((code) => code === 'overloaded').length, crowd);
  if (!process.env.FOZ_SANITIZE) assert.ok(memory() < before + 30, before + ' MB before, ' + memory() + ' after');
  await listener.stop();
  decide = byQuery;
  listener = await door();
  await (await (await amqp()).createChannel()).purgeQueue('IN_DOOR').catch(() => {});
  assert.equal((await enter('after', undefined, { url: crowd.url })).client, 'after');
  await crowd.stop();
});
const enterWithToken = async (name, url) => {
  const self = await handshake(url, 'hello=1&token=' + token(name));
  assert.equal(self.events('welcome')[0].client, name);
};

test('one address has a part of the questions', async () => {
  decide = () => new Promise(() => {});
  const from = (address) => ({ localAddress: '127.0.0.2', headers: { 'X-Forwarded-For': address } });
  const told = await Promise.all(Array.from({ length: 6 }, () => refusal('&name=x', from('198.51.100.7'))));
  assert.deepEqual(told.map(({ code, reason }) => reason ?? code).sort(), ['no_answer', 'no_answer', 'no_answer', 'overloaded', 'overloaded', 'overloaded']);
  await calm();
});

test('it starts on any address with it, and needs a channel that there is', async () => {
  const known = await serve(['--config', configFile('[connect_service]\nchannel = "chat"\n'), '--listen', '0.0.0.0:0']);
  await known.stop();
  const wrong = await run(process.env.FOZ, ['config', 'check', configFile('[connect_service]\nchannel = "nowhere"\n')]);
  assert.match(wrong.output, /connect_service\.channel: there is no channel nowhere/);
});
