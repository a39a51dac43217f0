// The protocol in single frames: handshake, negotiation, heartbeats, and what breaks it.
import { after, describe, test } from 'node:test';
import { assert, closeAll, confirmChannel, counts, defs, drain, fresh, kind, queue, quorum, sleep, until } from './lib.mjs';
import { body, contentHeader, dial, frame, header, heartbeat, login, method, open, startOk } from './wire.mjs';

const opened = [];
const keep = (wire) => { opened.push(wire); return wire; };
after(() => { for (const wire of opened) wire.close(); return closeAll(); });
const openWire = (options) => open(options).then(keep);
const dialWire = () => dial().then(keep);

const publish = (fields = {}) => method(1, defs.BasicPublish, { ticket: 0, exchange: '', routingKey: 'x', mandatory: false, immediate: false, ...fields });
const declare = (queue, rest = {}) => method(1, defs.QueueDeclare, { ticket: 0, queue, passive: false, durable: false, exclusive: true, autoDelete: false, nowait: false, arguments: {}, ...rest });

// At once: RabbitMQ takes seconds for some of its answers.
describe('single frames', { concurrency: 16 }, () => {

test('a protocol header that is none, or of another version: ours, and the end', async () => {
  for (const wrong of ['AMQP\0\x01\0\0', 'AMQP\0\0\x09\x02', 'HTTP/1.1', 'GET / HT']) {
    const wire = await dialWire();
    wire.send(Buffer.from(wrong, 'latin1'));
    assert.deepEqual(await wire.octets(8), header, JSON.stringify(wrong));
    await until(() => wire.ended, 'the socket is closed');
    assert.equal(wire.raw.length, 8);
  }
});

test('connection.start: version, mechanisms, locale, capabilities', async () => {
  const wire = await dialWire();
  wire.send(header);
  const start = await wire.method(defs.ConnectionStart);
  assert.deepEqual([start.versionMajor, start.versionMinor], [0, 9]);
  const mechanisms = start.mechanisms.toString().split(' ');
  for (const mechanism of ['PLAIN', 'AMQPLAIN']) assert.ok(mechanisms.includes(mechanism));
  assert.equal(start.locales.toString(), 'en_US');
  const can = start.serverProperties.capabilities;
  for (const name of ['publisher_confirms', 'exchange_exchange_bindings', 'basic.nack', 'consumer_cancel_notify', 'connection.blocked',
    'consumer_priorities', 'authentication_failure_close', 'per_consumer_qos', 'direct_reply_to']) assert.equal(can[name], true, name);
  for (const name of ['product', 'version', 'platform']) assert.equal(typeof start.serverProperties[name], 'string');
});

test('the same header in pieces, an octet at a time', async () => {
  const wire = await dialWire();
  for (const octet of header) { wire.send(Buffer.from([octet])); await sleep(1); }
  await wire.method(defs.ConnectionStart);
  for (const octet of startOk()) wire.send(Buffer.from([octet]));
  await wire.method(defs.ConnectionTune);
});

test('AMQPLAIN, with its table', async () => {
  const wire = await dialWire();
  wire.send(header);
  await wire.method(defs.ConnectionStart);
  const entry = (name, value) => { const size = Buffer.alloc(4); size.writeUInt32BE(value.length); return Buffer.concat([Buffer.from([name.length]), Buffer.from(name + 'S'), size, Buffer.from(value)]); };
  wire.send(startOk({ mechanism: 'AMQPLAIN', response: Buffer.concat([entry('LOGIN', 'guest'), entry('PASSWORD', 'guest')]) }));
  await wire.method(defs.ConnectionTune);
});

test('headers of 0-9 and 0-8 are answered', async () => {
  for (const [version, major, minor] of [['\x01\x01\0\x09', 0, 9], ['\x01\x01\x08\0', 8, 0], ['\x01\x01\x09\x01', 8, 0]]) {
    const wire = await dialWire();
    wire.send(Buffer.from('AMQP' + version, 'latin1'));
    const { versionMajor, versionMinor } = await wire.method(defs.ConnectionStart);
    assert.deepEqual([versionMajor, versionMinor], [major, minor]);
  }
});

test('a wrong password: with authentication_failure_close a close, without it the end', async () => {
  const first = await dialWire();
  first.send(header);
  await first.method(defs.ConnectionStart);
  first.send(startOk({ response: login('guest', 'wrong'), clientProperties: { capabilities: { authentication_failure_close: true } } }));
  const close = await first.method(defs.ConnectionClose);
  assert.deepEqual([close.replyCode, close.replyText, close.classId, close.methodId],
    [403, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.', 0, 0]);
  const second = await dialWire();
  second.send(header);
  await second.method(defs.ConnectionStart);
  second.send(startOk({ response: login('guest', 'wrong') }));
  assert.equal(await second.next(), undefined);
});

test('an unknown mechanism', async () => {
  const wire = await dialWire();
  wire.send(header);
  await wire.method(defs.ConnectionStart);
  wire.send(startOk({ mechanism: 'TELEPATHY', clientProperties: { capabilities: { authentication_failure_close: true } } }));
  const close = await wire.next();
  if (close) assert.ok([403, 504, 530, 541].includes(close.fields.replyCode), JSON.stringify(close.fields));
  wire.send(method(0, defs.ConnectionCloseOk, {}));
  await until(() => wire.ended, 'the socket is closed');
});

test('a virtual host that nobody knows', async () => {
  const wire = await dialWire();
  wire.send(header);
  await wire.method(defs.ConnectionStart);
  wire.send(startOk());
  const tune = await wire.method(defs.ConnectionTune);
  wire.send(method(0, defs.ConnectionTuneOk, { channelMax: tune.channelMax, frameMax: tune.frameMax, heartbeat: 0 }),
    method(0, defs.ConnectionOpen, { virtualHost: 'nowhere', capabilities: '', insist: false }));
  const close = await wire.method(defs.ConnectionClose);
  assert.deepEqual([close.replyCode, close.replyText, close.classId, close.methodId], [530, 'NOT_ALLOWED - vhost nowhere not found', 10, 40]);
});

test('tune: the client may ask for less, not for more, and not for less than frames need', async () => {
  const tuned = async (options) => {
    const wire = await dialWire();
    wire.send(header);
    await wire.method(defs.ConnectionStart);
    wire.send(startOk());
    const tune = await wire.method(defs.ConnectionTune);
    wire.send(method(0, defs.ConnectionTuneOk, { channelMax: tune.channelMax, frameMax: tune.frameMax, heartbeat: 0, ...options(tune) }));
    const { pathname } = new URL(process.env.FOZ_TEST_BROKER);
    wire.send(method(0, defs.ConnectionOpen, { virtualHost: pathname.slice(1), capabilities: '', insist: false }));
    return wire.next();
  };
  await Promise.all([
    [() => ({ frameMax: 8192, channelMax: 5 }), defs.ConnectionOpenOk],
    [(tune) => ({ frameMax: tune.frameMax + 1 }), [530, /negotiated frame_max = \d+ is higher than the maximum allowed value \(\d+\)/]],
    [(tune) => ({ channelMax: tune.channelMax + 1 }), [530, /negotiated channel_max = \d+ is higher than the maximum allowed value \(\d+\)/]],
    [() => ({ frameMax: 4095 }), [530, /negotiated frame_max = 4095 is lower than the minimum allowed value \(4096\)/]],
    [() => ({ channelMax: 0 }), [530, /negotiated channel_max = 0 \(no limit\) is higher than the maximum allowed value \(\d+\)/]],
    [() => ({ frameMax: 0 }), [530, /negotiated frame_max = 0 \(no limit\) is higher than the maximum allowed value \(\d+\)/]],
  ].map(async ([options, wanted]) => {
    const answer = await tuned(options);
    if (typeof wanted === 'number') assert.equal(answer.id, wanted);
    else if (answer) { // RabbitMQ ends some of them without a word
      assert.equal(answer.id, defs.ConnectionClose);
      assert.equal(answer.fields.replyCode, wanted[0]);
      assert.match(answer.fields.replyText, wanted[1]);
    }
  }));
});

test('frame_max is kept: no frame from the broker is larger, and a larger one from the client is an error', async () => {
  const wire = await openWire({ frameMax: 4096 });
  const q = fresh('q');
  wire.send(declare(q));
  await wire.method(defs.QueueDeclareOk);
  const sender = await confirmChannel();
  sender.sendToQueue(q, Buffer.alloc(10_000, 'x'));
  await sender.waitForConfirms();
  wire.send(method(1, defs.BasicGet, { ticket: 0, queue: q, noAck: true }));
  await wire.method(defs.BasicGetOk);
  const head = await wire.next();
  assert.equal(head.type, 2);
  const sizes = [];
  for (let got = 0; got < 10_000; got += sizes.at(-1)) sizes.push((await wire.next()).payload.length);
  assert.deepEqual(sizes, [4088, 4088, 1824]);
  wire.send(publish(), contentHeader(1, 5000), body(1, Buffer.alloc(5000)));
  const close = await wire.method(defs.ConnectionClose);
  assert.equal(close.replyCode, 501);
  assert.match(close.replyText, /^FRAME_ERROR - /);
});

test('bodies in frames of any size, the smallest included; other channels in between', async () => {
  const wire = await openWire();
  const q = fresh('q');
  wire.send(declare(q));
  await wire.method(defs.QueueDeclareOk);
  wire.send(method(2, defs.ChannelOpen, { outOfBand: '' }));
  await wire.method(defs.ChannelOpenOk);
  const octets = Buffer.from('hello, world');
  wire.send(publish({ routingKey: q }), contentHeader(1, octets.length));
  for (const octet of octets) wire.send(body(1, [octet]), heartbeat);
  const on2 = (m) => { const copy = Buffer.from(m); copy.writeUInt16BE(2, 1); return copy; };
  wire.send(publish({ routingKey: q }), on2(publish({ routingKey: q })), contentHeader(2, 3), contentHeader(1, 3), body(2, 'two'), body(1, 'one'));
  wire.send(method(1, defs.BasicQos, { prefetchSize: 0, prefetchCount: 0, global: false }));
  await wire.method(defs.BasicQosOk);
  const seen = [];
  for (let i = 0; i < 3; ++i) {
    wire.send(method(1, defs.BasicGet, { ticket: 0, queue: q, noAck: true }));
    await wire.method(defs.BasicGetOk);
    await wire.next();
    seen.push((await wire.next()).payload.toString());
  }
  assert.deepEqual(seen.sort(), ['hello, world', 'one', 'two']); // the channels have no order between them
});

// RabbitMQ drops what a channel has not looked at yet when its socket ends; we take what has come.
for (const [how, last] of [
  ['a close in good order', (wire) => wire.send(method(0, defs.ConnectionClose, { replyCode: 200, replyText: '', classId: 0, methodId: 0 }))],
  ...(kind === 'foz' ? [['the end of its socket', (wire) => wire.socket.end()]] : [])])
  test('a large message whose publisher says nothing more but ' + how + ' is there, and what came behind it', async () => {
    const ch = await confirmChannel();
    const q = await queue(ch, quorum());
    const wire = await openWire();
    const pieces = Array.from({ length: 2_000 }, () => body(1, Buffer.alloc(4_000, 'x')));
    wire.send(publish({ routingKey: q }), contentHeader(1, 8_000_000), ...pieces,
      publish({ routingKey: q }), contentHeader(1, 6), body(1, 'behind'));
    last(wire);
    await until(async () => (await counts(ch, q)).messages === 2, 'both are there');
    assert.deepEqual((await drain(ch, q)).map((m) => m.content.length), [8_000_000, 6]);
    await ch.deleteQueue(q);
  });

const broken = [
  ['a frame that does not end with 206', (w) => { const f = Buffer.from(heartbeat); f[7] = 0; w.send(f); }, [501]],
  ['a frame of an unknown type', (w) => w.send(frame(9, 1, Buffer.from('x'))), [501]],
  ['a method that nobody knows', (w) => w.send(frame(1, 1, Buffer.from([0, 60, 0, 200]))), [501, 503, 540]],
  ['a class that nobody knows', (w) => w.send(frame(1, 1, Buffer.from([3, 231, 0, 10]))), [undefined, 501, 503, 540]],
  ['a method that is too short', (w) => w.send(frame(1, 1, declare('some queue').subarray(7, 20))), [501, 502, 541]],
  ['a method of a channel that is not open', (w) => w.send(method(7, defs.BasicQos, { prefetchSize: 0, prefetchCount: 0, global: false })), [504]],
  ['a header without its method', (w) => w.send(contentHeader(1, 5)), [505]],
  ['a body without its method', (w) => w.send(body(1, 'x')), [505]],
  ['a method where a header is due', (w) => w.send(publish(), publish()), [505]],
  ['a body where a header is due', (w) => w.send(publish(), body(1, 'x')), [505]],
  ['a second header', (w) => w.send(publish(), contentHeader(1, 5), contentHeader(1, 5)), [505]],
  ['a method where the body is due', (w) => w.send(publish(), contentHeader(1, 5), publish()), [505]],
  ['a header of another class', (w) => w.send(publish(), contentHeader(1, 5, { classId: 50 })), [505, 501, 502]],
  ['a method of the server’s', (w) => w.send(method(1, defs.QueueDeclareOk, { queue: 'q', messageCount: 0, consumerCount: 0 })), [503, 504, 540, 541]],
  ['connection.open again', (w) => w.send(method(0, defs.ConnectionOpen, { virtualHost: '/', capabilities: '', insist: false })), [503, 504, 540]],
];
for (const [what, act, codes] of broken) {
  test('broken: ' + what, async () => {
    const wire = await openWire();
    act(wire);
    let got;
    do got = await wire.next(); while (got && got.id !== defs.ConnectionClose);
    assert.ok(codes.includes(got?.fields.replyCode), got?.fields.replyCode + ' ' + got?.fields.replyText);
    if (!got) return;
    // What comes before close-ok is dropped; then the socket is closed.
    wire.send(declare(fresh('late')), method(0, defs.ConnectionCloseOk, {}));
    assert.equal(await wire.next(), undefined);
  });
}

test('a close tells which method was at fault', async () => {
  const wire = await openWire();
  wire.send(declare(fresh('q'), { passive: true }));
  const close = await wire.method(defs.ChannelClose);
  assert.deepEqual([close.replyCode, close.classId, close.methodId], [404, 50, 10]);
  wire.send(method(1, defs.ChannelCloseOk, {}), method(1, defs.ChannelOpen, { outOfBand: '' }), publish({ exchange: 'nowhere' }), contentHeader(1, 0));
  await wire.method(defs.ChannelOpenOk);
  const second = await wire.method(defs.ChannelClose);
  assert.deepEqual([second.replyCode, second.classId, second.methodId], [404, 60, 40]);
});

test('nowait: nothing is answered, everything is done', async () => {
  const wire = await openWire();
  const q = fresh('q');
  wire.send(declare(q, { nowait: true }), method(1, defs.QueueBind, { ticket: 0, queue: q, exchange: 'amq.fanout', routingKey: '', nowait: true, arguments: {} }),
    method(1, defs.ConfirmSelect, { nowait: true }), method(1, defs.BasicConsume, { ticket: 0, queue: q, consumerTag: 'c', noLocal: false, noAck: true, exclusive: false, nowait: true, arguments: {} }),
    publish({ routingKey: q }), contentHeader(1, 2), body(1, 'hi'));
  const seen = new Set();
  for (let i = 0; i < 4; ++i) {
    const got = await wire.next();
    seen.add(got.id ? defs.info(got.id).name : got.type);
  }
  assert.deepEqual([...seen].sort(), [2, 3, 'BasicAck', 'BasicDeliver'].sort());
});

test('heartbeats: the broker sends them, and ends a connection that is silent', async () => {
  const wire = await openWire({ heartbeat: 1 });
  const begin = Date.now();
  let beats = 0;
  for (;;) {
    const got = await wire.next(15);
    if (!got) break;
    assert.equal(got.type, 8);
    beats += 1;
  }
  const passed = Date.now() - begin;
  assert.ok(beats >= 1, beats + ' heartbeats');
  assert.ok(passed >= 1000 && passed < 10_000, 'silent for ' + passed + ' ms');
});

test('heartbeats: a client that sends them stays', async () => {
  const wire = await openWire({ heartbeat: 1 });
  for (let i = 0; i < 8; ++i) {
    wire.send(heartbeat);
    await sleep(500);
  }
  wire.send(declare(fresh('q')));
  await wire.method(defs.QueueDeclareOk);
});

test('a client that closes gets close-ok; channels close in between', async () => {
  const wire = await openWire();
  wire.send(method(1, defs.ChannelClose, { replyCode: 200, replyText: 'bye', classId: 0, methodId: 0 }));
  await wire.method(defs.ChannelCloseOk);
  wire.send(method(0, defs.ConnectionClose, { replyCode: 200, replyText: 'bye', classId: 0, methodId: 0 }));
  await wire.method(defs.ConnectionCloseOk);
});

test('a consumer that did not ask for it hears nothing of the end of its queue; one that did is told', async () => {
  for (const wanted of [false, true]) {
    const wire = await openWire({ clientProperties: { capabilities: { consumer_cancel_notify: wanted } } });
    const q = fresh('q');
    wire.send(declare(q), method(1, defs.BasicConsume, { ticket: 0, queue: q, consumerTag: 'c', noLocal: false, noAck: false, exclusive: false, nowait: false, arguments: {} }));
    await wire.method(defs.QueueDeclareOk);
    await wire.method(defs.BasicConsumeOk);
    wire.send(method(1, defs.QueueDelete, { ticket: 0, queue: q, ifUnused: false, ifEmpty: false, nowait: false }));
    const heard = new Set();
    heard.add((await wire.next()).id);
    if (wanted) heard.add((await wire.next()).id);
    assert.deepEqual(heard, new Set(wanted ? [defs.BasicCancel, defs.QueueDeleteOk] : [defs.QueueDeleteOk]));
  }
});

});
