// What a client may say and hears in return, with the real client or with raw frames.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeAll, amqp, chat, connect, secret, serve, until, worker, WebSocket, rawClient } from './lib.mjs';

let foz, service;
before(async () => {
  foz = await serve(['--ping-interval', '400', '--request-timeout', '5000']);
  service = await chat();
});
after(async () => {
  await closeAll();
  await foz.stop();
  await service.stop();
});

const raw = (query) => rawClient(foz.url, query);

test('a stock client that breaks the limit is told to stay away, and does', async () => {
  const client = await connect(foz.url);
  let ended = false;
  let again = false;
  client.primus.on('end', () => { ended = true; });
  client.primus.on('reconnect scheduled', () => { again = true; });
  client.primus.write({ packet_action: 'publish', channel: 'chat', message: 'x'.repeat(300_000) });
  await until(() => ended, 'the client gives up');
  assert.equal(again, false);
  assert.equal(client.opened, 1);
});

test('the envelope\'s literal shape works as it stands', async () => {
  const ann = await connect(foz.url);
  const literal = {
    packet_action: 'consume',
    channel: { voice: false, chat: true, tickets: false },
    distribution: { broadcast: true, multicast: ['group-a'], direct: [ann.client] },
    publish_target: 'INBOUND',
    consume_target: [],
    message: {},
  };
  const consuming = await ann.ask(literal);
  assert.match(consuming.channels.chat.position, /^0\.\d+\.[0-9a-f]{8}$/);
  assert.deepEqual({ ...consuming.channels.chat, position: '' }, { topics: [], groups: ['group-a'], position: '' });
  ann.close();
});

test('receipts: by id, by frame, and the fields that nobody knows', async () => {
  const a = await raw();
  a.socket.send(JSON.stringify({ packet_action: 'publish', channel: 'chat', type: 'echo', id: 'm1', message: 1, colour: 'red' }));
  assert.deepEqual(await a.next(), { event: 'receipt', id: 'm1', warnings: ['colour'] });
  a.socket.send(JSON.stringify({ packet_action: 'publish', channel: 'chat', type: 'echo', ack: 'confirmed', message: 1 }));
  assert.deepEqual(await a.next(), { event: 'receipt', frame: 2 });
  a.socket.send(JSON.stringify({ packet_action: 'publish', channel: 'chat', type: 'echo', ack: 'answer', id: 'm3', message: [3] }));
  assert.deepEqual(await a.next(), { event: 'answer', id: 'm3', message: [3] });
  a.socket.close();
});

test('errors name code, field, and the frame', async () => {
  const a = await raw();
  const rows = [
    ['no json', 'bad_json', undefined],
    ['{"packet_action":"consume","channel":"chat"} x', 'bad_json', undefined],
    ['[]', 'bad_envelope', undefined],
    ['{"packet_action":"fly"}', 'unknown_action', 'packet_action'],
    ['{"packet_action":"consume","channel":"nothing"}', 'unknown_channel', 'channel'],
    ['{"packet_action":"consume","channel":{"nothing":false}}', 'bad_envelope', 'channel'],
    ['{"packet_action":"publish","channel":"chat","publish_target":"amq.topic"}', 'forbidden', 'publish_target'],
    ['{"packet_action":"publish","channel":"chat","publish_target":"OUTBOUND"}', 'forbidden', 'publish_target'],
    ['{"packet_action":"publish","channel":"chat","type":"foz.done"}', 'forbidden', 'type'],
    ['{"packet_action":"publish","channel":{"chat":true,"tickets":true},"id":"x","ack":"answer"}', 'ambiguous_channel', 'channel'],
    ['{"packet_action":"publish","channel":"chat","ack":"answer"}', 'bad_envelope', 'id'],
    ['{"packet_action":"publish","channel":"chat","expires_ms":"soon"}', 'bad_envelope', 'expires_ms'],
    ['{"packet_action":"consume","channel":"voice","from":"first"}', 'bad_envelope', 'from'],
    ['{"packet_action":"consume","channel":{"chat":true,"tickets":true},"from":"first"}', 'bad_envelope', 'from'],
    ['{"packet_action":"consume","channel":"chat","from":{"tickets":"first"}}', 'bad_envelope', 'from.tickets'],
    ['{"packet_action":"publish","channel":"chat","progress":true}', 'bad_envelope', 'id'],
    ['{"packet_action":"refresh","token":"x"}', 'unsupported', 'packet_action'],
    ['{"plugin":"primus-responder","requestId":7,"data":{}}', 'bad_request', 'requestId'],
    ['{"plugin":"primus-responder","responseId":"nobody-asked","data":{}}', 'bad_request', 'responseId'],
  ];
  let frame = 0;
  for (const [text, code, field] of rows) {
    a.socket.send(text);
    frame += 1;
    const { event, error } = await a.next();
    assert.equal(event, 'error', text);
    assert.equal(error.code, code, text);
    assert.equal(error.field, field, text);
    if (error.id === undefined) assert.equal(error.frame, frame, text);
    assert.equal(typeof error.message, 'string');
    assert.equal(error.retryable, false, text);
  }
  assert.equal(a.closed, undefined, 'the socket goes on');
  a.socket.close();
});

test('control frames: id, pongs, pings of old clients, unknown ones, a bare null', async () => {
  const a = await raw('&hello=1');
  const { session } = await a.next();
  a.socket.send('"primus::id::"');
  assert.equal(await a.next(), 'primus::id::' + session);
  a.socket.send('"primus::ping::17"');
  assert.equal(await a.next(), 'primus::pong::17');
  for (const text of ['"primus::what"', 'null']) a.socket.send(text);
  a.socket.send(Buffer.from('"primus::id::"')); // binary frames reach the parser too
  assert.equal(await a.next(), 'primus::id::' + session);
  a.socket.close();
});

test('a silent client is dropped after a whole interval, one that answers pings is not', async () => {
  const alive = await raw();
  const silent = await raw();
  silent.mute = true;
  await until(() => silent.closed !== undefined, 'the silent one is dropped');
  assert.equal(silent.closed, 1006, 'no close frame says stay away');
  await until(() => alive.pings >= 3, 'pings go on');
  assert.equal(alive.closed, undefined);
  alive.socket.close();
});

test('the handshake: bound sockets, consume at once', async () => {
  const bound = await raw('&channel=chat&consume=chat');
  assert.deepEqual(Object.keys((await bound.next()).channels), ['chat']);
  bound.socket.send('{"packet_action":"publish","channel":{"tickets":true},"message":1}');
  assert.equal((await bound.next()).error.code, 'channel_mismatch');
  bound.socket.send('{"packet_action":"publish","type":"echo","id":"x","message":1}');
  assert.equal((await bound.next()).event, 'receipt');
  bound.socket.close();
});

test('a bound socket by its path or by what the stock client adds to the URL', async () => {
  const socket = new WebSocket(foz.url.replace('http', 'ws') + '/primus/chat?consume=chat');
  const [first] = await once(socket, 'message');
  assert.deepEqual(Object.keys(JSON.parse(first).channels), ['chat']);
  socket.send('{"packet_action":"publish","type":"echo","id":"p","ack":"answer","message":1}');
  assert.deepEqual(JSON.parse((await once(socket, 'message'))[0]), { event: 'answer', id: 'p', message: 1 });
  socket.send('{"packet_action":"publish","channel":"tickets","message":1}');
  assert.equal(JSON.parse((await once(socket, 'message'))[0]).error.code, 'channel_mismatch');
  socket.terminate();
  const ann = await connect(foz.url, { query: '&channel=chat' });
  ann.primus.on('outgoing::url', (url) => { url.query = url.query.replace('channel=chat', 'channel=tickets'); });
  assert.deepEqual((await ann.ask({ packet_action: 'publish', type: 'echo', message: 2 })).message, 2);
  ann.primus.socket.terminate();
  await until(() => ann.opened === 2, 'it is back');
  assert.equal((await ann.consume()).error.code, 'channel_mismatch', 'the new URL has bound it to tickets');
  ann.close();
});

// Whom the aggregator takes somebody for, and the cookie that it gives.
async function who(headers, query = '') {
  const socket = new WebSocket(foz.url.replace('http', 'ws') + '/primus/?hello=1' + query, { headers });
  const upgraded = once(socket, 'upgrade');
  const [welcome] = await once(socket, 'message');
  const [response] = await upgraded;
  socket.terminate();
  return { client: JSON.parse(welcome).client, cookie: response.headers['set-cookie']?.[0] };
}

test('a browser is known by its cookie, and only to pages of the same origin', async () => {
  const first = await who({ origin: foz.url });
  assert.match(first.cookie, /^foz_resume=[A-Za-z0-9_-]{22,64}; Path=\/primus; HttpOnly; SameSite=Strict$/);
  const cookie = first.cookie.split(';')[0];
  assert.deepEqual(await who({ origin: foz.url, cookie }), { client: first.client, cookie: undefined });
  for (const headers of [{ cookie }, { cookie, origin: 'https://evil.example' }, { origin: foz.url, cookie: 'foz_resume=short' }])
    assert.notEqual((await who(headers)).client, first.client, JSON.stringify(headers));
});

test('the secret of the query is believed before the cookie, and nothing that merely names somebody', async () => {
  const derived = (resume) => {
    const bits = [...createHash('sha256').update(resume).digest()].map((octet) => octet.toString(2).padStart(8, '0')).join('');
    return 'anon-' + bits.slice(0, 26 * 5).match(/.{5}/g).map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(five, 2)]).join('');
  };
  const [query, cookie] = [secret(), secret()];
  const page = { origin: foz.url, cookie: 'foz_resume=' + cookie };
  assert.deepEqual(await who(page), { client: derived(cookie), cookie: undefined });
  assert.deepEqual(await who(page, '&resume=' + query), { client: derived(query), cookie: undefined });
  const victim = derived(query);
  const claims = { 'X-Consumer-ID': victim, 'X-Consumer-Custom-ID': victim, 'X-Consumer-Username': victim,
    'X-Credential-Identifier': victim, 'X-Authenticated-Userid': victim, Authorization: 'Bearer ' + victim };
  assert.equal((await who({ ...page, ...claims })).client, derived(cookie));
  assert.equal((await who({ ...claims }, '&resume=' + cookie)).client, derived(cookie));
  assert.equal((await who({}, '&resume=' + cookie + '&client=' + victim + '&session=' + victim)).client, derived(cookie));
  assert.notEqual((await who(claims, '&client=' + victim)).client, victim);
});

test('secrets of the query are in no log', async () => {
  const own = await serve(['--log-level', 'debug']);
  const resume = secret();
  const ann = await connect(own.url, { resume });
  ann.close();
  for (const query of ['token=tokenthatissecret', 'resume=' + resume + '!', 'channel=no&token=tokenthatissecret'])
    assert.equal((await fetch(own.url + '/primus/?' + query)).status, 426);
  const socket = new WebSocket(own.url.replace('http', 'ws') + '/primus/?token=tokenthatissecret&resume=' + resume);
  socket.on('error', () => {});
  await once(socket, 'close');
  await own.stop();
  assert.ok(own.output.includes('stopping'), own.output);
  for (const word of [resume, 'tokenthatissecret']) assert.ok(!own.output.includes(word), own.output);
});

test('HTTP: the library, the specification, health, the page, and what is not there', async () => {
  const get = async (path, options) => {
    const response = await fetch(foz.url + path, options);
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
  };
  assert.match((await get('/primus/primus.js')).text, /primus-responder/);
  assert.equal(JSON.parse((await get('/primus/spec')).text).transformer, 'websockets');
  assert.equal((await get('/healthz')).status, 200);
  assert.match((await get('/')).text, /Foz/);
  assert.match((await get('/foz.css')).type, /^text\/css/);
  assert.equal((await get('/primus/')).status, 426);
  assert.equal((await get('/%2e%2e/CMakeLists.txt')).status, 404);
  assert.equal((await get('/..%2fCMakeLists.txt')).status, 400);
  assert.equal((await get('/nothing')).status, 404);
  assert.equal((await get('/', { method: 'POST' })).status, 405);
});

test('frames that break RFC 6455 end their own socket and no other', async () => {
  const good = await raw();
  const big = await raw();
  big.socket.send(JSON.stringify({ packet_action: 'publish', channel: 'chat', message: 'x'.repeat(300 * 1024) }));
  await until(() => big.closed !== undefined, 'the large frame is refused');
  assert.equal(big.closed, 1009);
  const broken = await raw();
  broken.socket._socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28])); // not UTF-8
  await until(() => broken.closed !== undefined, 'broken UTF-8 is refused');
  assert.equal(broken.closed, 1007);
  good.socket.send('"primus::id::"');
  assert.match(await good.next(), /^primus::id::/);
  good.socket.close();
});

test('a request that nobody answers times out, and is not run later', async () => {
  const ann = await connect(foz.url);
  const begin = Date.now();
  const late = await ann.ask({ packet_action: 'publish', channel: 'tickets', message: 'late', timeout_ms: 300 });
  assert.equal(late.error.code, 'timeout');
  assert.ok(late.error.retryable && Date.now() - begin >= 300);
  const broker = await (await amqp()).createChannel();
  await until(async () => (await broker.checkQueue('IN_TICKETS')).messageCount === 0, 'it has gone from the queue');
  const ran = [];
  const tickets = await worker('IN_TICKETS', (message, body, channel) => { ran.push(body); channel.ack(message); });
  const receipt = await ann.ask({ packet_action: 'publish', channel: 'tickets', message: 'new', ack: 'confirmed' });
  assert.equal(receipt.event, 'receipt');
  await until(() => ran.length, 'the worker runs');
  assert.deepEqual(ran, ['new']);
  await tickets.stop();
  ann.close();
});

test('a volatile channel is answered through the aggregator\'s own queue', async () => {
  const voice = await worker('IN_VOICE', (message, body, channel) => {
    const { replyTo, correlationId, type } = message.properties;
    if (type === 'foz.opened' || type === 'foz.closed') return channel.ack(message);
    assert.match(replyTo, /^OUT_VOICE\./);
    channel.sendToQueue(replyTo, Buffer.from(JSON.stringify({ ringing: body })), { correlationId });
    channel.publish('OUTBOUND', 'voice', Buffer.from('"ring"'), { headers: { 'foz-multicast': ['floor-1'] } });
    channel.ack(message);
  });
  const ann = await connect(foz.url);
  await ann.ask({ packet_action: 'consume', channel: 'voice', distribution: { multicast: ['floor-1'] } });
  const answer = await ann.ask({ packet_action: 'publish', channel: 'voice', message: 'bob' });
  assert.deepEqual(answer.message, { ringing: 'bob' });
  const ring = await until(() => ann.events('message')[0], 'the floor hears it ring');
  assert.equal(ring.position, undefined);
  await voice.stop();
  ann.close();
});

test('a message that its service can not handle becomes a dead letter, and its caller is told', async () => {
  const picky = await worker('IN_TICKETS', (message, body, channel) => {
    if (body === 'bad') channel.nack(message, false, false);
    else channel.ack(message);
  });
  const ann = await connect(foz.url);
  const dead = await ann.ask({ packet_action: 'publish', channel: 'tickets', message: 'bad' });
  assert.equal(dead.error.code, 'dead_lettered');
  const connection = await amqp();
  const channel = await connection.createChannel();
  const kept = await until(() => channel.get('IN_DEAD', { noAck: true }), 'IN_DEAD keeps it');
  assert.equal(kept.content.toString(), '"bad"');
  assert.equal(dead.error.dead_letter, kept.properties.messageId);
  await connection.close();
  await picky.stop();
  ann.close();
});

test('only the kinds that a distribution names are heard; leaving takes kinds, groups and topics away', async () => {
  const connection = await amqp();
  const channel = await connection.createConfirmChannel();
  const [ann, end] = [await connect(foz.url), await connect(foz.url)];
  await end.consume();
  let round = 0;
  // What ann hears of one message of each kind.
  const hears = async () => {
    const begin = ann.heard.length;
    const say = (kind, headers, topic = 't') => channel.publish('OUTBOUND', 'chat.' + topic, Buffer.from(JSON.stringify(kind)), { headers });
    say('broadcast', { 'foz-broadcast': true });
    say('direct', { 'foz-direct': ann.client });
    say('session', { 'foz-direct': 'session:' + ann.session });
    for (const group of ['g', 'h', ann.client]) say(group === ann.client ? 'own' : group, { 'foz-multicast': group });
    say('elsewhere', { 'foz-broadcast': true }, 'u.v');
    say('end ' + (round += 1), { 'foz-direct': end.client });
    await until(() => end.messages().includes('end ' + round), 'the last message is heard');
    // On another shard than ann's, perhaps: one more turn of hers.
    await ann.ask({ packet_action: 'consume', channel: 'tickets' });
    return ann.heard.slice(begin).map((event) => event.message).join(' ');
  };
  const own = { direct: [ann.client] };
  const rows = [
    ['consume', { distribution: { broadcast: true } }, 'broadcast elsewhere'],
    ['consume', { distribution: { multicast: ['g'] } }, 'broadcast g elsewhere'],
    ['consume', { distribution: { multicast: ['h'], ...own } }, 'broadcast direct session g h elsewhere'],
    ['leave', { distribution: { broadcast: true } }, 'direct session g h'],
    ['leave', { distribution: { multicast: ['g'] } }, 'direct session h'],
    ['leave', { distribution: own }, 'h'],
    ['leave', { distribution: { multicast: ['h'] } }, ''],
    // Absent, all false and empty: everything that is addressed to this client.
    ['consume', { distribution: { broadcast: false, multicast: [], direct: [] }, consume_target: ['t'] }, 'broadcast direct session own'],
    ['consume', { consume_target: 'u.#' }, 'broadcast direct session own elsewhere'],
    ['leave', { consume_target: ['t'] }, 'direct session elsewhere'],
    ['consume', {}, 'broadcast direct session own elsewhere'],
    ['leave', {}, ''],
  ];
  for (const [packet_action, rest, expected] of rows) {
    const set = await ann.ask({ packet_action, channel: 'chat', ...rest });
    assert.equal(set.event, 'consuming');
    assert.equal(await hears(), expected, packet_action + ' ' + JSON.stringify(rest));
  }
  const stranger = await ann.ask({ packet_action: 'leave', channel: 'chat', distribution: { direct: [end.client] } });
  assert.deepEqual([stranger.error.code, stranger.error.field], ['forbidden', 'distribution.direct']);
  await connection.close();
  [ann, end].forEach((one) => one.close());
});

test('leaving ends what was consumed', async () => {
  const ann = await connect(foz.url);
  await ann.consume();
  const left = await ann.ask({ packet_action: 'leave', channel: 'chat' });
  assert.deepEqual(left.channels, {});
  await ann.publish('say', { room: 'lobby', text: 'unheard' });
  await ann.consume();
  await ann.publish('say', { room: 'lobby', text: 'heard' });
  await until(() => ann.messages().length, 'what came after is heard');
  assert.deepEqual(ann.messages().map((m) => m.text), ['heard']);
  ann.close();
});
