// Every malformed thing that a client, a worker or an operator can send: a row for each. It gets its code and the name of
// what is wrong, and disturbs nobody else: a bystander on the same aggregator chats through all of it.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { closeAll, amqp, broker, chat, connect, notUtf8, poison, secret, serve, until, WebSocket, rawClient } from './lib.mjs';

let foz, service, bystander;
before(async () => {
  foz = await serve();
  service = await chat();
  bystander = await connect(foz.url);
  await bystander.consume();
});
after(async () => {
  await closeAll();
  await foz.stop();
  await service.stop();
});

let turns = 0;
async function undisturbed(row) {
  const text = 'turn ' + (turns += 1);
  assert.equal((await bystander.publish('say', { room: 'x', text })).event, 'answer', row);
  await until(() => bystander.messages().some((m) => m.text === text), 'the bystander hears itself after ' + row);
  assert.equal(bystander.opened, 1, row);
}

const raw = () => rawClient(foz.url);

// Envelopes and frames: text, code, field. The socket goes on.
const publish = (rest) => JSON.stringify({ packet_action: 'publish', channel: 'chat', ...rest });
const consume = (rest) => JSON.stringify({ packet_action: 'consume', channel: 'chat', ...rest });
const long = (n) => 'x'.repeat(n);
const envelopes = [
  ['', 'bad_json'], ['{', 'bad_json'], ['{"a":1,}', 'bad_json'], ['{} {}', 'bad_json'], ['nul', 'bad_json'],
  ['"\\ud800"', 'bad_json'], ['['.repeat(2000), 'bad_json'], ['\u0000', 'bad_json'],
  ['5', 'bad_envelope'], ['"hello"', 'bad_envelope'], ['[]', 'bad_envelope'], ['true', 'bad_envelope'],
  ['{}', 'bad_envelope', 'packet_action'], ['{"packet_action":5}', 'bad_envelope', 'packet_action'],
  ['{"packet_action":null}', 'bad_envelope', 'packet_action'],
  ['{"packet_action":"CONSUME","channel":"chat"}', 'unknown_action', 'packet_action'],
  ['{"packet_action":"publish","packet_action":"publish"}', 'bad_envelope', 'packet_action'],
  ['{"packet_action":"publish"}', 'bad_envelope', 'channel'],
  [publish({ channel: 5 }), 'bad_envelope', 'channel'], [publish({ channel: [] }), 'bad_envelope', 'channel'],
  [publish({ channel: '' }), 'bad_envelope', 'channel'], [publish({ channel: {} }), 'bad_envelope', 'channel'],
  [publish({ channel: { chat: 1 } }), 'bad_envelope', 'channel.chat'],
  [publish({ channel: 'nothing' }), 'unknown_channel', 'channel'],
  [publish({ channel: { nothing: true } }), 'unknown_channel', 'channel'],
  [publish({ distribution: [] }), 'bad_envelope', 'distribution'],
  [publish({ distribution: { broadcast: 'yes' } }), 'bad_envelope', 'distribution.broadcast'],
  [publish({ distribution: { multicast: 'g' } }), 'bad_envelope', 'distribution.multicast'],
  [publish({ distribution: { multicast: [5] } }), 'bad_envelope', 'distribution.multicast'],
  [publish({ distribution: { direct: [''] } }), 'bad_envelope', 'distribution.direct'],
  [publish({ distribution: { direct: [long(129)] } }), 'bad_envelope', 'distribution.direct'],
  [publish({ distribution: { multicast: Array(1001).fill('g') } }), 'bad_envelope', 'distribution.multicast'],
  [consume({ distribution: { direct: ['anon-somebody'] } }), 'forbidden', 'distribution.direct'],
  [publish({ publish_target: '' }), 'bad_envelope', 'publish_target'],
  [publish({ publish_target: 5 }), 'bad_envelope', 'publish_target'],
  [publish({ publish_target: 'amq.direct' }), 'forbidden', 'publish_target'],
  [publish({ publish_target: 'INBOUND.DEAD' }), 'forbidden', 'publish_target'],
  [consume({ consume_target: 5 }), 'bad_envelope', 'consume_target'],
  [consume({ consume_target: [5] }), 'bad_envelope', 'consume_target'],
  [consume({ consume_target: ['a..b'] }), 'bad_envelope', 'consume_target'],
  [consume({ consume_target: Array.from({ length: 65 }, (_, i) => 't' + i) }), 'bad_envelope', 'consume_target'],
  [publish({ id: 5 }), 'bad_envelope', 'id'], [publish({ id: '' }), 'bad_envelope', 'id'],
  [publish({ id: long(65) }), 'bad_envelope', 'id'], [publish({ id: 'a\nb' }), 'bad_envelope', 'id'],
  [publish({ type: {} }), 'bad_envelope', 'type'], [publish({ type: long(256) }), 'bad_envelope', 'type'],
  [publish({ type: 'foz.opened' }), 'forbidden', 'type'],
  [publish({ topic: 'a b..' }), 'bad_envelope', 'topic'], [publish({ topic: '#' }), 'bad_envelope', 'topic'],
  [publish({ topic: 7 }), 'bad_envelope', 'topic'],
  [publish({ expires_ms: -1 }), 'bad_envelope', 'expires_ms'], [publish({ expires_ms: 1.5 }), 'bad_envelope', 'expires_ms'],
  [publish({ timeout_ms: '5' }), 'bad_envelope', 'timeout_ms'], [publish({ timeout_ms: 1e12 }), 'bad_envelope', 'timeout_ms'],
  [publish({ ack: 'maybe' }), 'bad_envelope', 'ack'], [publish({ ack: true }), 'bad_envelope', 'ack'],
  [publish({ ack: 'answer' }), 'bad_envelope', 'id'], [publish({ progress: 1 }), 'bad_envelope', 'progress'],
  [publish({ progress: true }), 'bad_envelope', 'id'], [publish({ fail_fast: 'no' }), 'bad_envelope', 'fail_fast'],
  [publish({ channel: { chat: true, tickets: true }, ack: 'answer', id: 'x' }), 'ambiguous_channel', 'channel'],
  [consume({ from: 5 }), 'bad_envelope', 'from'], [consume({ from: 'yesterday' }), 'bad_envelope', 'from'],
  [consume({ from: '0.1' }), 'bad_envelope', 'from'], [consume({ from: { since_ms: 'x' } }), 'bad_envelope', 'from.since_ms'],
  [consume({ from: '0.99999999999999999999999.00000000' }), 'bad_envelope', 'from'],
  [consume({ from: { tickets: 'now' } }), 'bad_envelope', 'from.tickets'],
  [JSON.stringify({ packet_action: 'consume', channel: 'voice', from: 'first' }), 'bad_envelope', 'from'],
  ['{"packet_action":"refresh"}', 'bad_envelope', 'token'], ['{"packet_action":"refresh","token":5}', 'bad_envelope', 'token'],
  ['{"packet_action":"refresh","token":null}', 'bad_envelope', 'token'], ['{"packet_action":"refresh","token":"x"}', 'unsupported', 'packet_action'],
  ['{"plugin":"primus-responder","data":{}}', 'bad_request', 'requestId'],
  ['{"plugin":"primus-responder","requestId":5,"data":{}}', 'bad_request', 'requestId'],
  ['{"plugin":"primus-responder","requestId":"","data":{}}', 'bad_request', 'requestId'],
  [JSON.stringify({ plugin: 'primus-responder', requestId: long(65), data: {} }), 'bad_request', 'requestId'],
  ['{"plugin":"primus-responder","responseId":"foz-guess","data":{}}', 'bad_request', 'responseId'],
];

test('envelopes: code, field, and the socket goes on', async () => {
  const one = await raw();
  let frame = 0;
  for (const [text, code, field] of envelopes) {
    const name = text.slice(0, 120);
    one.socket.send(text);
    frame += 1;
    const { event, error } = await one.next(name);
    assert.equal(event, 'error', name);
    assert.deepEqual([error.code, error.field], [code, field], name);
    assert.ok(error.message.length > 5, name);
    if (error.id === undefined && !text.includes('"requestId":"')) assert.equal(error.frame, frame, name);
  }
  one.socket.send(JSON.stringify('primus::id::'));
  assert.match(await one.next('an id'), /^primus::id::/);
  await undisturbed('the envelopes');
  one.socket.close();
});

// RFC 6455: octets (masked with zeros), the close code. The socket ends.
const mask = [0, 0, 0, 0];
const frames = [
  ['a text that is not UTF-8', [0x81, 0x82, ...mask, 0xc3, 0x28], 1007],
  ['half a character at the end of a fragmented text', [0x01, 0x81, ...mask, 0xc3, 0x80, 0x80, ...mask], 1007],
  ['a frame without a mask', [0x81, 0x01, 0x31], 1002],
  ['a reserved bit', [0xc1, 0x81, ...mask, 0x31], 1002],
  ['an unknown opcode', [0x83, 0x81, ...mask, 0x31], 1002],
  ['a fragmented ping', [0x09, 0x80, ...mask], 1002],
  ['a ping of 126 octets', [0x89, 0xfe, 0, 126, ...mask, ...Array(126).fill(0x31)], 1002],
  ['a continuation of nothing', [0x80, 0x81, ...mask, 0x31], 1002],
  ['a new text inside a fragmented one', [0x01, 0x81, ...mask, 0x31, 0x81, 0x81, ...mask, 0x31], 1002],
  ['a length that is not minimal', [0x81, 0xfe, 0, 5, ...mask, 0x31, 0x31, 0x31, 0x31, 0x31], 1002],
  ['a close frame of one octet', [0x88, 0x81, ...mask, 3], 1002],
  ['a close code that nobody may send', [0x88, 0x82, ...mask, 0x03, 0xed], 1002],
  ['a message over the limit, announced', [0x81, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, ...mask], 1009],
];

test('frames that break RFC 6455 end their own socket, with the right code', async () => {
  for (const [name, octets, code] of frames) {
    const one = await raw();
    one.bytes(...octets);
    await until(() => one.closed !== undefined, name + ' ends the socket');
    assert.equal(one.closed, code, name);
    assert.equal(one.heard.at(-1), 'primus::server::close', name + ': stay away');
  }
  // In many fragments, each small: the sum counts.
  const big = await raw();
  const part = [0x00, 0xfe, 0xff, 0xff, ...mask, ...Array(0xffff).fill(0x20)];
  big.bytes(0x01, 0x80, ...mask);
  for (let i = 0; i < 6 && big.closed === undefined; i += 1) big.bytes(...part);
  await until(() => big.closed !== undefined, 'too much in fragments ends the socket');
  assert.equal(big.closed, 1009);
  await undisturbed('broken frames');
});

// HTTP: the request, the status.
const host = () => new URL(foz.url).host;
const upgrade = (more = '', path = '/primus/') => () => `GET ${path} HTTP/1.1\r\nHost: ${host()}\r\nConnection: Upgrade\r\n`
  + `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${more}\r\n`;
const requests = [
  ['no HTTP', () => 'hello\r\n\r\n', 400],
  ['no Host', () => 'GET / HTTP/1.1\r\n\r\n', 400],
  ['a body', () => `GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello`, 413],
  ['an endless head', () => `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${long(20_000)}\r\n\r\n`, 431],
  ['a method', () => `DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n`, 405],
  ['a path outside', () => `GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n`, 400],
  ['an old version', () => upgrade()().replace('Version: 13', 'Version: 8'), 426],
  ['a key of the wrong length', () => upgrade()().replace('AAAAAAAAAAAAAAAAAAAAAA==', 'AAAA'), 400],
  ['no upgrade', () => `GET /primus/ HTTP/1.1\r\nHost: localhost\r\n\r\n`, 426],
  // Refused in the socket: a browser hides the status of a handshake from its page.
  ['an unknown channel', upgrade('', '/primus/nothing'), 101],
  ['a channel that is no UTF-8', upgrade('', '/primus/?channel=%ff%fe'), 101],
  ['a token', upgrade('', '/primus/?token=abc'), 101],
];

test('HTTP requests get their status', async () => {
  for (const [name, text, status] of requests) {
    const socket = net.connect(new URL(foz.url).port, '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => { answer += data; });
    socket.on('error', () => {});
    socket.write(text());
    await until(() => answer.includes('\r\n\r\n'), name + ' is answered');
    assert.equal(Number(answer.split(' ')[1]), status, name + ': ' + answer.split('\r\n')[0]);
    assert.ok(!answer.includes('token=abc'));
    socket.destroy();
  }
  await undisturbed('HTTP');
});

test('pages of other origins, when the configuration names those that may', async () => {
  const strict = await serve([], broker, { FOZ_LISTEN_ORIGINS: 'https://good.example' });
  for (const [origin, status] of [['https://good.example', 101], ['https://evil.example', 403], ['null', 403],
    [strict.url, 101], [undefined, 101]]) {
    const socket = new WebSocket(strict.url.replace('http', 'ws') + '/primus/', origin ? { origin } : {});
    const got = await Promise.race([once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(([, response]) => response.statusCode)]);
    assert.equal(got, status, String(origin));
    socket.on('error', () => {});
    socket.terminate();
    const { headers } = await fetch(strict.url + '/primus/primus.js', { headers: origin ? { origin } : {} });
    assert.equal(headers.get('access-control-allow-origin'), status === 101 && origin ? origin : null, String(origin));
  }
  await strict.stop();
});

// Workers: what they publish to OUTBOUND, and what the log says of it. Nobody hears it.
const direct = { 'foz-direct': 'someone' };
const outbound = [
  ['a body that is no JSON', 'hello', { headers: { 'foz-broadcast': true } }, 'the body is not a JSON value'],
  ['an empty body', '', { headers: { 'foz-broadcast': true } }, 'the body is not a JSON value'],
  ['a body that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), { headers: { 'foz-broadcast': true } }, 'the body is not a JSON value'],
  ['foz-broadcast as text', '1', { headers: { 'foz-broadcast': 'yes' } }, 'a foz-* header has the wrong type'],
  ['foz-multicast as a number', '1', { headers: { 'foz-multicast': 5 } }, 'a foz-* header has the wrong type'],
  ['foz-multicast as broken JSON', '1', { headers: { 'foz-multicast': '["a"' } }, 'a foz-* header has the wrong type'],
  ['foz-direct as a list of numbers', '1', { headers: { 'foz-direct': '[1]' } }, 'a foz-* header has the wrong type'],
  ['a type that is not UTF-8', '1', { type: notUtf8, headers: { 'foz-broadcast': true } }, 'is not UTF-8'],
  ['a topic that is not UTF-8', '1', { topic: notUtf8, headers: { 'foz-broadcast': true } }, 'is not UTF-8'],
  ['a group that is not UTF-8', '1', { headers: { 'foz-multicast': notUtf8 } }, 'is not UTF-8'],
  ['foz-error as a number', '1', { correlationId: 'Yw:r.socket.011', headers: { 'foz-error': 5 } }, 'a foz-* header has the wrong type'],
  ['too many receivers', '1', { headers: { 'foz-direct': JSON.stringify(Array(1001).fill('a')) } }, 'a foz-* header has the wrong type'],
  ['no receiver', '1', {}, 'neither foz-* headers nor a correlation_id of ours'],
  ['somebody else\'s correlation', '1', { correlationId: 'abc' }, 'neither foz-* headers nor a correlation_id of ours'],
  ['a broken correlation', '1', { correlationId: '!!!:r.1' }, 'neither foz-* headers nor a correlation_id of ours'],
  ['a question to everyone', '1', { replyTo: 'q', correlationId: 'c', headers: { 'foz-broadcast': true } }, 'a question to a client'],
  ['a question without an end', '1', { replyTo: 'q', correlationId: 'c', headers: direct }, 'a question to a client'],
];

test('what workers get wrong is dropped, counted and logged, and the channel goes on', async () => {
  const connection = await amqp();
  const channel = await connection.createChannel();
  poison(connection.connection.stream);
  const heard = bystander.events('message').length;
  // Of each reason the first one is logged at once, and the last one after a while, with a count of those in between.
  const reason = (said) => said.replace('a question to a client', 'a foz-* header has the wrong type');
  const last = new Map();
  for (const [i, [name, body, { topic, ...options }, said]] of outbound.entries()) {
    const messageId = 'bad-' + i;
    channel.publish('OUTBOUND', topic ? 'chat.' + topic : 'chat', Buffer.from(body), { ...options, messageId });
    if (!last.has(reason(said))) {
      await foz.until('message id ' + messageId);
      assert.ok(foz.output.split('\n').find((line) => line.includes('message id ' + messageId)).includes(said), name);
    }
    last.set(reason(said), messageId);
  }
  for (const messageId of last.values()) await foz.until('message id ' + messageId, 25);
  assert.equal(bystander.events('message').length, heard);
  await undisturbed('workers');
  await connection.close();
});

// Answers: what is wrong with them; the caller hears of it at once, and the channel's base64 is not asked for.
const answers = [
  ['a body that is no JSON', 'hello', {}, 'the body is not a JSON value'],
  ['no body', '', {}, 'the body is not a JSON value'],
  ['foz-error as a number', '1', { headers: { 'foz-error': 5 } }, 'a foz-* header has the wrong type'],
  ['foz-error that is not UTF-8', '1', { headers: { 'foz-error': notUtf8 } }, 'is not UTF-8'],
];

test('who asked is told that an answer is wrong, and so is the log', async () => {
  const connection = await amqp();
  const channel = await connection.createChannel();
  poison(connection.connection.stream);
  await channel.consume('IN_TICKETS', (m) => {
    const { replyTo, correlationId } = m.properties;
    const [, body, options] = answers[JSON.parse(m.content)];
    // What tells how the work goes on, and is wrong itself, leaves the request open.
    for (const [type, headers] of [['foz.taken', { 'foz-attempt': 'first' }], ['foz.extend', { 'foz-deadline': true }]])
      channel.publish('', replyTo, Buffer.from('null'), { correlationId, type, headers, messageId: 'bad-' + type + m.content });
    channel.publish('', replyTo, Buffer.from(body), { correlationId, messageId: 'bad-answer-' + m.content, ...options });
    channel.ack(m);
  });
  await until(async () => (await bystander.ask({ packet_action: 'publish', channel: 'tickets', message: 0 })).error?.code !== 'no_service',
    'the consumer, a moment old, is noticed');
  for (const [i, [name, , , said]] of answers.entries()) {
    for (const ask of [{}, { id: 'm' + i, progress: true }]) {
      const { event, error } = await bystander.ask({ packet_action: 'publish', channel: 'tickets', message: i, ...ask });
      assert.deepEqual([event, error.code, error.retryable, error.id], ['error', 'bad_answer', false, ask.id], name);
      assert.ok(error.message.includes(said), name + ': ' + error.message);
    }
  }
  await foz.until('message id bad-foz.extend' + (answers.length - 1), 25);
  assert.ok(!bystander.events('progress').some(({ state }) => state === 'dead_lettered'));
  await undisturbed('answers');
  await connection.close();
});
