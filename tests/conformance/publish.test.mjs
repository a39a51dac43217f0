// Publishing: what is confirmed, what comes back, transactions, properties, sizes.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, connect, consume, counts, defs, drain, drainTexts, fresh, kind, put, queue, quorum, refused, roundTrip, streamQueue, text, until, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

// The confirms that the broker sends, as they come.
function watchConfirms(on) {
  const seen = [];
  on.on('ack', (f) => seen.push({ ack: f.deliveryTag, multiple: f.multiple }));
  on.on('nack', (f) => seen.push({ nack: f.deliveryTag, multiple: f.multiple }));
  return seen;
}

for (const [type, options] of [['classic', { durable: true }], ['quorum', quorum()], ['stream', streamQueue()], ['transient', { durable: false }]]) {
  test('confirms, ' + type + ': each publish once, alone or as part of a multiple one', async () => {
    const q = await queue(ch, options);
    const on = await confirmChannel();
    const seen = watchConfirms(on);
    for (let i = 0; i < 500; ++i) on.sendToQueue(q, Buffer.from(String(i)), { persistent: i % 2 === 0 });
    await on.waitForConfirms();
    const confirmed = new Set();
    for (const { ack, multiple } of seen) {
      if (!multiple) assert.ok(!confirmed.has(ack), ack + ' twice');
      for (let tag = multiple ? 1 : ack; tag <= ack; ++tag) confirmed.add(tag);
    }
    assert.equal(confirmed.size, 500);
    await ch.deleteQueue(q);
  });
}

test('confirms: what no queue takes is confirmed, too', async () => {
  await put(ch, fresh('nowhere'), 'm');
  ch.publish('amq.fanout', fresh('k'), Buffer.from('m'));
  await ch.waitForConfirms();
});

test('confirms: a refused publish is nacked, its neighbours are not', async () => {
  const full = await queue(ch, { durable: false, arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' } });
  const roomy = await queue(ch);
  const on = await confirmChannel();
  const outcome = [];
  for (const [q, i] of [[roomy, 0], [full, 1], [roomy, 2], [full, 3], [full, 4], [roomy, 5]])
    on.sendToQueue(q, Buffer.from('m'), {}, (error) => { outcome[i] = error ? 'nack' : 'ack'; });
  await until(() => outcome.filter(Boolean).length === 6, 'all are settled');
  assert.deepEqual(outcome, ['ack', 'nack', 'ack', 'nack', 'nack', 'ack']);
  await ch.deleteQueue(full);
});

test('confirm.select again is no error; publishes before it are not counted', async () => {
  const on = await channel();
  const seen = watchConfirms(on);
  on.sendToQueue(fresh('q'), Buffer.from('m'));
  await on.rpc(defs.ConfirmSelect, { nowait: false }, defs.ConfirmSelectOk);
  await on.rpc(defs.ConfirmSelect, { nowait: false }, defs.ConfirmSelectOk);
  on.sendToQueue(fresh('q'), Buffer.from('m'));
  await until(() => seen.length === 1, 'a confirm comes');
  assert.deepEqual(seen, [{ ack: 1, multiple: false }]);
});

test('mandatory: back with 312 NO_ROUTE, whole, before its confirm', async () => {
  const on = await confirmChannel();
  const order = [];
  on.on('return', () => order.push('return'));
  on.on('ack', () => order.push('ack'));
  const key = fresh('k');
  on.publish('amq.direct', key, Buffer.from('back'), { mandatory: true, messageId: 'm1', headers: { a: 1 } });
  await on.waitForConfirms();
  assert.deepEqual(order, ['return', 'ack']);
  const [m] = on.returned;
  assert.deepEqual(m.fields, { replyCode: 312, replyText: 'NO_ROUTE', exchange: 'amq.direct', routingKey: key });
  assert.deepEqual([text(m), m.properties.messageId, m.properties.headers], ['back', 'm1', { a: 1 }]);
});

test('mandatory and routed: nothing comes back', async () => {
  const q = await queue(ch);
  ch.returned.length = 0;
  ch.sendToQueue(q, Buffer.from('m'), { mandatory: true });
  await ch.waitForConfirms();
  assert.deepEqual([ch.returned.length, await drainTexts(ch, q)], [0, ['m']]);
});

test('immediate is not implemented', async () => {
  const fields = { ticket: 0, exchange: '', routingKey: 'x', mandatory: false, immediate: true };
  await refused({ level: 'connection', code: 540, text: 'NOT_IMPLEMENTED - immediate=true' },
    (c) => { c.sendMessage(fields, { headers: {} }, Buffer.from('m')); });
});

test('user_id: only the own one', async () => {
  const q = await queue(ch);
  ch.sendToQueue(q, Buffer.from('m'), { userId: 'guest' });
  await ch.waitForConfirms();
  const [got] = await drain(ch, q);
  assert.equal(got.properties.userId, 'guest');
  await refused({ level: 'channel', code: 406, text: "PRECONDITION_FAILED - user_id property set to 'mallory' but authenticated user was 'guest'" },
    (c) => { c.sendToQueue('x', Buffer.from('m'), { userId: 'mallory' }); });
});

test('CC that is no array', async () => {
  for (const name of ['CC', 'BCC'])
    await refused({ level: 'channel', code: 406, text: /^PRECONDITION_FAILED - invalid / }, (c) => {
      c.publish('amq.direct', 'k', Buffer.from('m'), { headers: { [name]: 'k' } });
    });
});

test('every property arrives as it was sent', async () => {
  const q = await queue(ch);
  const sent = { contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 9, correlationId: 'c', replyTo: 'r',
    expiration: '60000', messageId: 'm', timestamp: 1_700_000_000, type: 't', appId: 'a', headers: { h: 'v' } };
  ch.sendToQueue(q, Buffer.from('m'), sent);
  ch.sendToQueue(q, Buffer.from(''), {});
  await ch.waitForConfirms();
  const [all, none] = await drain(ch, q);
  for (const [name, value] of Object.entries(sent)) assert.deepEqual(all.properties[name], value, name);
  for (const [name, value] of Object.entries(none.properties)) assert.deepEqual(value, name === 'headers' ? {} : undefined, name);
});

test('field tables: every type goes round in headers and in bindings', async () => {
  const headers = {
    yes: true, no: false, nothing: null, text: 'ü', empty: '', byte: -5, short: -300, int: 70_000, long: 2 ** 40,
    negative: -(2 ** 40), double: 1.25, float: { '!': 'float', value: 0.5 }, decimal: { '!': 'decimal', value: { digits: 12345, places: 2 } },
    time: { '!': 'timestamp', value: 1_700_000_000 }, octets: Buffer.from([0, 255, 7]),
    list: [1, 'two', [3], { four: 4 }, null], table: { deep: { deeper: { deepest: [true] } }, empty: {} },
    ['k'.repeat(255)]: 'the longest name',
  };
  const x = fresh('x');
  await ch.assertExchange(x, 'headers', { durable: false });
  const q = await queue(ch);
  await ch.bindQueue(q, x, '', headers);
  ch.publish(x, '', Buffer.from('m'), { headers });
  await ch.waitForConfirms();
  const [got] = await drain(ch, q);
  assert.ok(got, 'the binding matches');
  assert.deepEqual(got.properties.headers, { ...headers, float: 0.5, octets: Buffer.from([0, 255, 7]) });
  await ch.deleteExchange(x);
});

test('bodies of every size around the frames, and none at all', async () => {
  const q = await queue(ch);
  const connection = await connect(undefined, {});
  const on = await confirmChannel(connection);
  const frame = connection.connection.frameMax - 8;
  const sizes = [0, 1, frame - 1, frame, frame + 1, 2 * frame, 2 * frame + 1, 1_000_000];
  for (const size of sizes) on.sendToQueue(q, Buffer.alloc(size, size % 251));
  await on.waitForConfirms();
  const consumer = await consume(ch, q, { noAck: true });
  await consumer.until(sizes.length);
  assert.deepEqual(consumer.got.map((m) => m.content.length), sizes);
  for (const m of consumer.got) assert.ok(m.content.every((octet) => octet === m.content.length % 251));
});

test('a message of 20 MB, and many of different sizes at once on several channels', async () => {
  const q = await queue(ch, { durable: true });
  const large = Buffer.alloc(20_000_000, 'x');
  ch.sendToQueue(q, large, { persistent: true });
  await ch.waitForConfirms();
  const got = await ch.get(q, { noAck: true });
  assert.ok(got.content.equals(large));
  const connection = await connect();
  const channels = [];
  for (let i = 0; i < 4; ++i) channels.push(await confirmChannel(connection));
  for (let i = 0; i < 200; ++i) channels[i % 4].sendToQueue(q, Buffer.alloc((i * 7919) % 300_000, i), { headers: { n: i } });
  await Promise.all(channels.map((c) => c.waitForConfirms()));
  const all = await drain(ch, q);
  for (let c = 0; c < 4; ++c) { // in order within each channel
    const own = all.filter((m) => m.properties.headers.n % 4 === c).map((m) => m.properties.headers.n);
    assert.deepEqual(own, Array.from({ length: 50 }, (_, i) => i * 4 + c));
  }
  for (const m of all) assert.equal(m.content.length, (m.properties.headers.n * 7919) % 300_000);
  await ch.deleteQueue(q);
});

for (const [type, options] of [['classic', { durable: true }], ['quorum', quorum()], ['stream', streamQueue()]]) {
  test('large messages among small ones, ' + type + ': in order, confirmed each, on two channels of a connection', async () => {
    const q = await queue(ch, options);
    const connection = await connect();
    const [one, two] = [await confirmChannel(connection), await confirmChannel(connection)];
    const sizes = [10, 3_000_000, 11, 12, 1_100_000, 5_000_000, 13];
    const sent = { one: [], two: [] };
    for (const [i, size] of sizes.entries())
      for (const [name, on] of [['one', one], ['two', two]]) {
        sent[name].push(size + i);
        on.sendToQueue(q, Buffer.alloc(size + i, i + 1), { persistent: true, type: name });
      }
    await Promise.all([one.waitForConfirms(), two.waitForConfirms()]);
    const reading = await channel();
    await reading.prefetch(100);
    const consumer = await consume(reading, q, type === 'stream' ? { arguments: { 'x-stream-offset': 'first' } } : { noAck: true });
    await consumer.until(2 * sizes.length);
    for (const name of ['one', 'two'])
      assert.deepEqual(consumer.got.filter((m) => m.properties.type === name).map((m) => m.content.length), sent[name]);
    for (const m of consumer.got) assert.ok(m.content.every((octet) => octet === m.content[0]));
    await reading.close();
    await ch.deleteQueue(q);
  });
}

test('a large message to several queues, and as a dead letter', async () => {
  const dead = await queue(ch, quorum());
  const first = await queue(ch, quorum({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead }));
  const second = await queue(ch, { durable: true });
  const exchange = fresh('x');
  await ch.assertExchange(exchange, 'fanout', { durable: false });
  for (const one of [first, second]) await ch.bindQueue(one, exchange, '');
  const body = Buffer.alloc(2_500_000, 'y');
  ch.publish(exchange, '', body, { persistent: true, headers: { n: 1 } });
  await ch.waitForConfirms();
  let got;
  await until(async () => (got = await ch.get(first)), 'it has come');
  ch.nack(got, false, false);
  await until(async () => (await counts(ch, dead)).messages === 1, 'it is a dead letter');
  const letter = await ch.get(dead, { noAck: true });
  assert.ok(letter.content.equals(body));
  assert.equal(letter.properties.headers['x-death'][0].reason, 'rejected');
  assert.ok((await ch.get(second, { noAck: true })).content.equals(body));
  for (const one of [dead, first, second]) await ch.deleteQueue(one);
  await ch.deleteExchange(exchange);
});

test('an exchange that is not there closes the channel; what came before is there', async () => {
  const q = await queue(ch, { durable: false });
  const on = await confirmChannel();
  on.sendToQueue(q, Buffer.from('before'));
  on.publish(fresh('nowhere'), 'k', Buffer.from('lost'));
  on.sendToQueue(q, Buffer.from('after'));
  await until(() => on.closed, 'the channel is closed');
  assert.equal(on.errors[0].code, 404);
  assert.deepEqual(await drainTexts(ch, q), ['before']);
  await ch.deleteQueue(q);
});

async function transaction(connection) {
  const on = await channel(connection);
  await on.rpc(defs.TxSelect, {}, defs.TxSelectOk);
  on.commit = () => on.rpc(defs.TxCommit, {}, defs.TxCommitOk);
  on.rollback = () => on.rpc(defs.TxRollback, {}, defs.TxRollbackOk);
  return on;
}

test('tx: publishes are there after the commit, not before, and never after a rollback', async () => {
  const q = await queue(ch, { durable: true });
  const on = await transaction();
  for (const body of ['a', 'b']) on.sendToQueue(q, Buffer.from(body), { persistent: true });
  await roundTrip(on);
  assert.equal((await counts(ch, q)).messages, 0);
  await on.commit();
  assert.deepEqual(await drainTexts(ch, q), ['a', 'b']);
  on.sendToQueue(q, Buffer.from('c'));
  await on.rollback();
  await on.commit();
  on.sendToQueue(q, Buffer.from('d'));
  await on.close(); // a rollback
  assert.equal((await counts(ch, q)).messages, 0);
  await ch.deleteQueue(q);
});

test('tx: acknowledgements count after the commit; a rollback keeps the messages with the client', async () => {
  const q = await queue(ch, { durable: true });
  await put(ch, q, 'a', 'b', 'c');
  const on = await transaction();
  const [a, b, c] = [await on.get(q, {}), await on.get(q, {}), await on.get(q, {})];
  on.ack(a);
  on.nack(b, false, true);
  await roundTrip(on);
  assert.equal((await counts(ch, q)).messages, 0);
  await on.commit();
  await until(async () => (await counts(ch, q)).messages === 1, 'b is back');
  on.ack(c);
  await on.rollback();
  on.ack(c); // it is still unacknowledged
  await on.commit();
  await on.close();
  assert.deepEqual(await drainTexts(ch, q), ['b']);
  await ch.deleteQueue(q);
});

test('tx: a mandatory message comes back at the commit', async () => {
  const on = await transaction();
  on.publish('amq.direct', fresh('k'), Buffer.from('m'), { mandatory: true });
  await roundTrip(on);
  assert.equal(on.returned.length, 0);
  await on.commit();
  await until(() => on.returned.length === 1, 'it comes back');
});

test('tx: an acknowledgement of an unknown tag', async () => {
  await refused({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - unknown delivery tag 7' }, async (c) => {
    await c.rpc(defs.TxSelect, {}, defs.TxSelectOk);
    c.ack({ fields: { deliveryTag: 7 } });
  });
});

test('tx: the same message acknowledged twice before the commit', async () => {
  const q = await queue(ch, { durable: false });
  await put(ch, q, 'a');
  await refused({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - unknown delivery tag 1' }, async (c) => {
    await c.rpc(defs.TxSelect, {}, defs.TxSelectOk);
    const m = await c.get(q, {});
    c.ack(m);
    c.ack(m);
  });
  await until(async () => (await counts(ch, q)).messages === 1, 'it is back');
  await ch.deleteQueue(q);
});

test('tx and confirms exclude each other; commit and rollback need tx.select', async () => {
  await refused({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - cannot switch from confirm to tx mode' }, async (c) => {
    await c.rpc(defs.ConfirmSelect, { nowait: false }, defs.ConfirmSelectOk);
    await c.rpc(defs.TxSelect, {}, defs.TxSelectOk);
  });
  await refused({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - cannot switch from tx to confirm mode' }, async (c) => {
    await c.rpc(defs.TxSelect, {}, defs.TxSelectOk);
    await c.rpc(defs.ConfirmSelect, { nowait: false }, defs.ConfirmSelectOk);
  });
  for (const [method, ok] of [[defs.TxCommit, defs.TxCommitOk], [defs.TxRollback, defs.TxRollbackOk]])
    await refused({ level: 'channel', code: 406, text: 'PRECONDITION_FAILED - channel is not transactional' }, (c) => c.rpc(method, {}, ok));
});
