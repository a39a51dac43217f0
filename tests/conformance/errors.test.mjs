// What is refused: with which code, in which words, and whether the channel or the whole connection ends.
import test, { after, beforeEach } from 'node:test';
import { assert, amqplib, broker, channel, closeAll, confirmChannel, usable, connect, consume, defs, fresh, put, queue, quorum, refused, roundTrip, until, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

const on = (code, text) => ({ level: 'channel', code, text });
const whole = (code, text) => ({ level: 'connection', code, text });
const nowhere = fresh('nowhere');
const noQueue = on(404, `NOT_FOUND - no queue '${nowhere}' in vhost '${vhost}'`);
const noExchange = on(404, `NOT_FOUND - no exchange '${nowhere}' in vhost '${vhost}'`);
const defaultExchange = on(403, 'ACCESS_REFUSED - operation not permitted on the default exchange');
const reserved = (kind, name) => on(403, `ACCESS_REFUSED - ${kind} name '${name}' contains reserved prefix 'amq.*'`);
const rpc = (c, method, fields, ok) => c.rpc(method, fields, ok);

const refusals = [
  ['consume: no such queue', noQueue, (c) => c.consume(nowhere, () => {})],
  ['get: no such queue', noQueue, (c) => c.get(nowhere, {})],
  ['purge: no such queue', noQueue, (c) => c.purgeQueue(nowhere)],
  ['bind: no such queue', noQueue, (c) => c.bindQueue(nowhere, 'amq.direct', 'k')],
  ['bind: no such exchange', noExchange, async (c) => c.bindQueue(await queue(c), nowhere, 'k')],
  ['bind exchange: no such source', noExchange, (c) => c.bindExchange('amq.direct', nowhere, 'k')],
  ['bind exchange: no such destination', noExchange, (c) => c.bindExchange(nowhere, 'amq.direct', 'k')],
  ['check exchange: it is not there', noExchange, (c) => c.checkExchange(nowhere)],
  ['publish: no such exchange', noExchange, (c) => { c.publish(nowhere, 'k', Buffer.from('m')); }],
  ['default exchange: bind', defaultExchange, async (c) => c.bindQueue(await queue(c), '', 'k')],
  ['default exchange: unbind', defaultExchange, async (c) => c.unbindQueue(await queue(c), '', 'k')],
  ['default exchange: bind exchange, source', defaultExchange, (c) => c.bindExchange('amq.direct', '', 'k')],
  ['default exchange: bind exchange, destination', defaultExchange, (c) => c.bindExchange('', 'amq.direct', 'k')],
  ['default exchange: declare', defaultExchange, (c) => c.assertExchange('', 'direct')],
  ['default exchange: delete', defaultExchange, (c) => c.deleteExchange('')],
  ['default exchange: check', defaultExchange, (c) => c.checkExchange('')],
  ['amq.*: a queue', reserved('queue', 'amq.mine'), (c) => c.assertQueue('amq.mine')],
  ['amq.*: an exchange', reserved('exchange', 'amq.mine'), (c) => c.assertExchange('amq.mine', 'direct')],
  ['amq.*: deleting a predeclared exchange', on(403, `ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '${vhost}' not allowed`), (c) => c.deleteExchange('amq.direct')],
  ['a predeclared exchange of another type', on(406, `PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '${vhost}': received 'fanout' but current is 'direct'`), (c) => c.assertExchange('amq.direct', 'fanout')],
  ['an exchange type that nobody knows', whole(503, "COMMAND_INVALID - unknown exchange type 'teleport'"), (c) => c.assertExchange(fresh('x'), 'teleport')],
  ['an exchange with another alternate exchange', on(406, /^PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x-[0-9a-f]+' in vhost '.*': received none but current is the value 'a' of type 'longstr'$/), async (c) => {
    const x = fresh('x');
    await c.assertExchange(x, 'direct', { durable: false, autoDelete: true, alternateExchange: 'a' });
    await c.assertExchange(x, 'direct', { durable: false, autoDelete: true });
  }],
  ['an alternate exchange of another type', on(406, /^PRECONDITION_FAILED - invalid type 'byte' for arg 'alternate-exchange' in exchange '.*'$/), (c) => c.assertExchange(fresh('x'), 'direct', { durable: false, arguments: { 'alternate-exchange': 5 } })],
  ['an exchange that is more durable', on(406, /inequivalent arg 'durable' for exchange .*: received 'true' but current is 'false'$/), async (c) => {
    const x = fresh('x');
    await c.assertExchange(x, 'direct', { durable: false, autoDelete: true });
    await c.assertExchange(x, 'direct', { durable: true, autoDelete: true });
  }],
  ['an exchange that is internal now', on(406, /inequivalent arg 'internal' for exchange .*: received 'true' but current is 'false'$/), async (c) => {
    const x = fresh('x');
    await c.assertExchange(x, 'direct', { durable: false });
    await c.assertExchange(x, 'direct', { durable: false, internal: true });
  }],
  ['an exchange that deletes itself now', on(406, /inequivalent arg 'auto_delete' for exchange .*: received 'true' but current is 'false'$/), async (c) => {
    const x = fresh('x');
    await c.assertExchange(x, 'direct', { durable: false });
    await c.assertExchange(x, 'direct', { durable: false, autoDelete: true });
  }],
  ['deleting an exchange in use', on(406, /^PRECONDITION_FAILED - exchange 'x-[0-9a-f]+' in vhost '.*' in use$/), async (c) => {
    const x = fresh('x');
    await c.assertExchange(x, 'direct', { durable: false, autoDelete: true });
    await c.bindQueue(await queue(c), x, 'k');
    await c.deleteExchange(x, { ifUnused: true });
  }],
  ['headers binding: an x-match that nobody knows', on(406, /^PRECONDITION_FAILED - Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x$/), async (c) => c.bindQueue(await queue(c), 'amq.headers', '', { 'x-match': 'some' })],
  ['headers binding: an x-match of another type', on(406, /^PRECONDITION_FAILED - Invalid x-match field type byte \(value 1\); expected longstr$/), async (c) => c.bindQueue(await queue(c), 'amq.headers', '', { 'x-match': 1 })],
  ['a prefetch in octets', whole(540, 'NOT_IMPLEMENTED - prefetch_size!=0 (5)'), (c) => rpc(c, defs.BasicQos, { prefetchCount: 0, prefetchSize: 5, global: false }, defs.BasicQosOk)],
  ['basic.recover without requeue', whole(540, 'NOT_IMPLEMENTED - requeue=false'), (c) => rpc(c, defs.BasicRecover, { requeue: false }, defs.BasicRecoverOk)],
  ['channel.flow off', whole(540, 'NOT_IMPLEMENTED - active=false'), (c) => rpc(c, defs.ChannelFlow, { active: false }, defs.ChannelFlowOk)],
  ['a consumer priority that is no number', on(406, /^PRECONDITION_FAILED - invalid arg 'x-priority' for /), async (c) => c.consume(await queue(c), () => {}, { arguments: { 'x-priority': 'high' } })],
  ['a second channel.open', whole(504, "CHANNEL_ERROR - second 'channel.open' seen"), (c) => rpc(c, defs.ChannelOpen, { outOfBand: '' }, defs.ChannelOpenOk)],
];
for (const [what, wanted, act] of refusals) test(what, () => refused(wanted, act));

test('what is refused on one channel leaves the others alone, and its number can be used again', async () => {
  const connection = await connect();
  const other = await channel(connection);
  const q = await queue(other);
  const consumer = await consume(other, q);
  for (let round = 0; round < 5; ++round) {
    const failing = await channel(connection);
    assert.equal(failing.ch, 2);
    await assert.rejects(failing.checkQueue(nowhere), { code: 404 });
  }
  const again = await confirmChannel(connection);
  assert.equal(again.ch, 2);
  await put(again, q, 'm');
  await consumer.until(1);
});

test('what a client sends on a channel after its failure is ignored', async () => {
  const connection = await connect();
  const q = await queue(ch, { durable: false });
  const failing = await channel(connection);
  failing.publish(nowhere, 'k', Buffer.from('m'));
  // All of it is on its way before an answer can come: amqplib says close-ok before what it has still to send.
  for (let i = 0; i < 50; ++i) failing.sendToQueue(q, Buffer.alloc(500));
  await until(() => failing.closed, 'the channel is closed');
  assert.equal((await ch.checkQueue(q)).messageCount, 0);
  const next = await confirmChannel(connection);
  await put(next, q, 'm');
  assert.equal((await ch.checkQueue(q)).messageCount, 1);
  await ch.deleteQueue(q);
});

test('a wrong password, an unknown user', async () => {
  const refusedLogin = async (change, text) => {
    const wrong = new URL(broker);
    change(wrong);
    await assert.rejects(connect(wrong.href), (error) => {
      assert.match(error.message, text);
      return true;
    });
  };
  const login = /Handshake terminated by server: 403 \(ACCESS-REFUSED\) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN\. For details see the broker logfile\."/;
  await refusedLogin((u) => { u.username = 'guest'; u.password = 'wrong'; }, login);
  await refusedLogin((u) => { u.username = 'nobody'; u.password = 'guest'; }, login);
  await refusedLogin((u) => { u.username = 'guest'; u.password = ''; }, login);
});

test('channels beyond channel_max', async () => {
  const connection = await connect(broker + '?channelMax=3');
  for (let i = 0; i < 3; ++i) await connection.createChannel();
  await assert.rejects(connection.createChannel(), /No channels left/); // the client keeps to it
});
