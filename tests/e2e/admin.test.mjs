// What operators see of the embedded broker: queues, consumers, rates; as JSON and as metrics.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { amqplib, closeAll, start, until } from './lib.mjs';

const folder = mkdtempSync(tmpdir() + '/foz-admin-');
let foz, url, connection, channel;
before(async () => {
  foz = await start(process.env.FOZ, ['serve', '--data', folder, '--listen', '127.0.0.1:0', '--amqp-listen', '127.0.0.1:0',
    '--admin-listen', '127.0.0.1:0']);
  await foz.until('ready: ');
  url = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  connection = await amqplib.connect('amqp://' + foz.output.match(/broker: amqp:\/\/([^,]+),/)[1],
    { clientProperties: { connection_name: 'the test "ü"' } });
  channel = await connection.createConfirmChannel();
});
after(async () => {
  await connection.close();
  await closeAll();
  await foz.stop();
  rmSync(folder, { recursive: true, force: true });
});

const get = async (name) => {
  const response = await fetch(url + '/api/' + name);
  assert.equal(response.status, 200, name);
  assert.equal(response.headers.get('content-type'), 'application/json');
  return response.json();
};
const queue = async (name) => (await get('queues')).find((one) => one.name === name);

test('a queue is shown with its messages, its consumer and its rates', async () => {
  await channel.assertQueue('work', { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 } });
  for (let i = 0; i < 50; i += 1) channel.sendToQueue('work', Buffer.from('12345'));
  await channel.waitForConfirms();
  const full = await until(async () => { const q = await queue('work'); return q?.messages_ready === 50 && q; }, '50 are ready');
  assert.equal(full.type, 'quorum');
  assert.deepEqual(full.arguments, { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 });
  assert.equal(full.message_bytes, 250);
  assert.equal(full.consumers, 0);
  assert.ok(full.message_stats.publish_details.rate > 0 || full.message_stats.publish === 50);

  await channel.prefetch(20);
  const taken = [];
  const { consumerTag } = await channel.consume('work', (message) => taken.push(message), { consumerTag: 'me' });
  const busy = await until(async () => { const q = await queue('work'); return q.messages_unacknowledged === 20 && q; }, '20 are out');
  assert.equal(busy.messages_ready, 30);
  const consumer = (await get('consumers')).find((one) => one.consumer_tag === consumerTag);
  assert.deepEqual({ ...consumer, connection_name: '' }, { vhost: '/', queue: 'work', consumer_tag: 'me', connection_name: '', channel: 1,
    prefetch_count: 20, messages_unacknowledged: 20, ack_required: true, exclusive: false, priority: 0 });
  const own = (await get('connections')).find((one) => one.name === consumer.connection_name);
  assert.equal(own.user_provided_name, 'the test "ü"');
  assert.equal(own.user, 'guest');

  const timer = setInterval(() => { for (const message of taken.splice(0)) channel.ack(message); }, 5);
  const done = await until(async () => { const q = await queue('work'); return q.message_stats.ack === 50 && q; }, 'all are acknowledged');
  clearInterval(timer);
  assert.equal(done.messages, 0);
  await channel.cancel('me');
  await channel.deleteQueue('work');
  await until(async () => !(await queue('work')), 'the queue is gone');
});

test('rates follow what happens', async () => {
  await channel.assertQueue('flow', { durable: false });
  const timer = setInterval(() => { for (let i = 0; i < 10; i += 1) channel.sendToQueue('flow', Buffer.from('x')); }, 10);
  const busy = await until(async () => { const q = await queue('flow'); return q?.message_stats.publish_details.rate > 100 && q; }, 'a rate is shown');
  assert.ok(busy.message_stats.publish_details.rate < 5000);
  const overview = await get('overview');
  assert.ok(overview.broker.message_stats.publish_details.rate > 100);
  assert.ok(overview.broker.object_totals.queues >= 2);
  clearInterval(timer);
  await until(async () => (await queue('flow')).message_stats.publish_details.rate === 0, 'it has stopped');
  await channel.deleteQueue('flow');
});

test('exchanges, bindings, virtual hosts; names that are no UTF-8 disturb nobody', async () => {
  await channel.assertExchange('there', 'topic', { durable: false });
  await channel.assertQueue('bound', { durable: false });
  await channel.bindQueue('bound', 'there', 'a.#', { n: 1, list: ['x', true, null] });
  await until(async () => (await get('exchanges')).some((one) => one.name === 'there' && one.type === 'topic'), 'the exchange is there');
  const binding = (await get('bindings')).find((one) => one.source === 'there');
  assert.deepEqual(binding, { vhost: '/', source: 'there', destination: 'bound', destination_type: 'queue', routing_key: 'a.#',
    arguments: { n: 1, list: ['x', true, null] } });
  assert.deepEqual(await get('vhosts'), [{ name: '/' }]);
  assert.equal((await fetch(url + '/api/nothing')).status, 404);
  const metrics = await (await fetch(url + '/metrics')).text();
  assert.match(metrics, /^foz_embedded_queue_consumers\{vhost="\/",queue="IN_CHAT"\} 0$/m);
  assert.match(metrics, /^foz_ready 1$/m);
  await channel.deleteQueue('bound');
  await channel.deleteExchange('there');
});
