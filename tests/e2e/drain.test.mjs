// An aggregator that is stopped in good order: its clients go to another one, and nobody loses a call.
import assert from 'node:assert/strict';
import { connect as dial, createServer } from 'node:net';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { amqp, broker, closeAll, connect, rawClient, reply, request, serve, until } from './lib.mjs';

after(closeAll);

// One address for several aggregators, as a balancer has it: new connections go to `target`.
async function balancer(target) {
  const sockets = new Set();
  const server = createServer((near) => {
    const far = dial(new URL(self.target).port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => { sockets.delete(one); other.destroy(); });
    }
  });
  const self = { target };
  await once(server.listen(0, '127.0.0.1'), 'listening');
  self.url = 'http://127.0.0.1:' + server.address().port;
  self.close = () => { sockets.forEach((one) => one.destroy()); server.close(); };
  return self;
}

// Answers after a while, many at once.
async function slowWorker(queue, ms) {
  const connection = await amqp();
  const channel = await connection.createChannel();
  await channel.prefetch(2000);
  const self = { hold: false, held: [], stop: () => connection.close() };
  const answer = (message) => {
    reply(channel, message, JSON.parse(message.content));
    channel.ack(message);
  };
  self.release = () => self.held.splice(0).forEach(answer);
  await channel.consume(queue, (message) => {
    if (!message.properties.replyTo) return channel.ack(message); // presence, and what nobody waits for
    if (self.hold) self.held.push(message);
    else setTimeout(answer, ms, message);
  });
  return self;
}

const status = async (url) => (await fetch(url)).status;

for (const channel of ['chat', 'voice']) {
  test('200 stock clients that ask all the time on ' + channel + ': each call is answered through a drain', async () => {
    const [first, second] = await Promise.all([1, 2].map(() => serve()));
    const slow = await slowWorker('IN_' + channel.toUpperCase(), 500);
    const at = await balancer(first.url);
    const clients = await Promise.all(Array.from({ length: 200 }, () => connect(at.url)));
    let asked = 0, answered = 0, over = false;
    const wrong = [];
    const ask = (client) => {
      const number = asked += 1;
      client.primus.writeAndWait(request(channel, { message: { number } }), (data) => {
        answered += 1;
        if (data.event !== 'answer' || data.message.number !== number) wrong.push(data);
        if (!over) ask(client);
      });
    };
    clients.forEach(ask);
    await until(() => answered > 400, 'everybody asks and is answered');
    at.target = second.url;
    await first.stop();
    await until(() => clients.every((one) => one.opened === 2), 'everybody is with the other aggregator', 20);
    const before = answered;
    await until(() => answered > before + 400, 'everybody goes on', 20);
    over = true;
    await until(() => answered === asked, 'each call is answered', 20);
    assert.deepEqual(wrong, []);
    clients.forEach((one) => one.close());
    at.close();
    await second.stop();
    await slow.stop();
  });
}

test('SIGTERM: not ready at once, new sockets for a grace, then none', async () => {
  const foz = await serve(['--admin-listen', '127.0.0.1:0'], broker,
    { FOZ_CLIENT_DRAIN_GRACE_MS: '3000', FOZ_CLIENT_DRAIN_SPREAD_MS: '0' });
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  await until(async () => await status(admin + '/readyz') === 200, 'it is ready');
  assert.equal(await status(foz.url + '/healthz'), 200);
  const early = await rawClient(foz.url);
  foz.child.kill('SIGTERM');
  await until(async () => await status(admin + '/readyz') === 503, 'it is not ready');
  assert.equal(await status(foz.url + '/healthz'), 503);
  const late = await rawClient(foz.url);
  late.send({ packet_action: 'consume', channel: 'chat', id: 'c' });
  assert.equal((await late.next('a consume during the grace')).event, 'consuming');
  assert.equal(early.closed, undefined);
  assert.deepEqual(early.heard, [], 'nobody is told yet');
  await until(() => early.closed && late.closed, 'they are sent away');
  assert.deepEqual([early.closed, late.closed], [1012, 1012]);
  assert.equal(early.heard[0].event, 'drain');
  await until(() => foz.code !== undefined, 'it ends');
  assert.equal(foz.code, 0);
});

test('who waits for an answer is closed last, everybody else at once, and what it writes meanwhile is answered', async () => {
  const foz = await serve([], broker, { FOZ_CLIENT_DRAIN_SPREAD_MS: '0' });
  const slow = await slowWorker('IN_VOICE', 0);
  slow.hold = true;
  const [waits, idle] = await Promise.all([rawClient(foz.url, '&consume=voice'), rawClient(foz.url)]);
  await waits.next('its consume');
  waits.send(request('voice', { id: 'a', ack: 'answer', message: 1 }));
  await until(() => slow.held.length === 1, 'the worker has it');
  foz.child.kill('SIGTERM');
  await until(() => idle.closed, 'the idle one is closed');
  assert.equal((await waits.next('the drain')).event, 'drain');
  // Volatile messages, receipts and answers go on.
  const connection = await amqp();
  const service = await connection.createChannel();
  service.publish('OUTBOUND', 'voice', Buffer.from('"hello"'), { headers: { 'foz-broadcast': true } });
  assert.equal((await waits.next('a message')).message, 'hello');
  waits.send(request('voice', { id: 'r', message: 2 }));
  assert.deepEqual(await waits.next('a receipt'), { event: 'receipt', id: 'r' });
  waits.send(request('voice', { id: 'b', ack: 'answer', message: 3 }));
  await until(() => slow.held.length === 2, 'the worker has them');
  assert.equal(waits.closed, undefined);
  slow.hold = false;
  slow.release();
  assert.deepEqual([await waits.next('a'), await waits.next('b')].map((e) => [e.id, e.message]), [['a', 1], ['b', 3]]);
  await until(() => waits.closed, 'it is closed, too');
  assert.equal(waits.closed, 1012);
  await until(() => foz.code !== undefined, 'it ends');
  assert.equal(foz.code, 0);
  await slow.stop();
});

test('at the limit those who still wait are told, and closed', async () => {
  const foz = await serve([], broker, { FOZ_CLIENT_DRAIN_SPREAD_MS: '0', FOZ_CLIENT_DRAIN_LIMIT_MS: '1000' });
  const slow = await slowWorker('IN_VOICE', 0);
  slow.hold = true;
  const waits = await rawClient(foz.url);
  waits.send(request('voice', { id: 'a', ack: 'answer', message: 1 }));
  await until(() => slow.held.length === 1, 'the worker has it');
  foz.child.kill('SIGTERM');
  assert.equal((await waits.next('the drain')).event, 'drain');
  const { error } = await waits.next('the limit');
  assert.deepEqual([error.code, error.id, error.retryable], ['interrupted', 'a', true]);
  await until(() => waits.closed, 'it is closed');
  assert.equal(waits.closed, 1012);
  await until(() => foz.code !== undefined, 'it ends');
  assert.equal(foz.code, 0);
  assert.match(foz.output, /the drain's limit is over: 1 client/);
  await slow.stop();
});

test('a second SIGTERM ends it at once', async () => {
  const foz = await serve([], broker, { FOZ_CLIENT_DRAIN_GRACE_MS: '600000', FOZ_CLIENT_DRAIN_LIMIT_MS: '600000' });
  const one = await rawClient(foz.url);
  foz.child.kill('SIGTERM');
  await foz.until('stopping: ');
  foz.child.kill('SIGTERM');
  await until(() => foz.code !== undefined, 'it ends');
  await until(() => one.closed, 'its client notices');
});
