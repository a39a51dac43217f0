// What operators give the embedded broker: users, permissions, policies, queues; and moving to RabbitMQ and back.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amqplib, run, start, until } from './lib.mjs';

const foz = process.env.FOZ;
const folder = mkdtempSync(join(tmpdir(), 'foz-definitions-'));
const connections = [];
after(async () => {
  for (const one of connections) await one.close().catch(() => {});
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
function file(definitions) {
  const path = join(folder, 'definitions-' + (files += 1) + '.json');
  writeFileSync(path, typeof definitions === 'string' ? definitions : JSON.stringify(definitions));
  return path;
}

async function broker(data, ...args) {
  const self = await start(foz, ['broker', '--data', join(folder, data), '--listen', '127.0.0.1:0', ...args]);
  await self.until('ready: ', 30);
  self.port = Number(self.output.match(/ready: amqp:\/\/[^/]*:(\d+)\//)[1]);
  return self;
}

async function connect(port, username, password, vhost = '/') {
  const one = await amqplib.connect({ hostname: '127.0.0.1', port, username, password, vhost }, { noDelay: true });
  one.on('error', () => {});
  connections.push(one);
  return one;
}

// On a channel of its own, which a refusal closes.
async function onChannel(connection, use) {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  const value = await use(channel);
  await channel.close();
  return value;
}

const exported = async (data) => {
  const { code, output } = await run(foz, ['broker', 'export', '--data', join(folder, data)]);
  assert.equal(code, 0, output);
  return JSON.parse(output);
};

test('users get in with their own password, into their virtual hosts, guest no more', async () => {
  const self = await broker('users', '--definitions', file({
    vhosts: [{ name: '/' }, { name: 'shop' }],
    users: [
      { name: 'anna', password: 'secret of anna', tags: ['monitoring'] },
      // Of "guest", by RabbitMQ 3.10.
      { name: 'old', password_hash: 'xcnO0cXA2Kayzpe3jIkd/jergdzetGJVXFflnM9CtCMOAxyw',
        hashing_algorithm: 'rabbit_password_hashing_sha256', tags: 'administrator' },
    ],
    permissions: [{ user: 'anna', vhost: 'shop', configure: '^anna\\.', write: '^(anna\\.|amq\\.default$)', read: 'anna' },
      { user: 'old', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
  }));
  await connect(self.port, 'old', 'guest');
  await assert.rejects(connect(self.port, 'guest', 'guest'), /ACCESS.REFUSED/);
  await assert.rejects(connect(self.port, 'anna', 'guest', 'shop'), /ACCESS.REFUSED/);
  await assert.rejects(connect(self.port, 'anna', 'secret of anna', '/'), /ConnectionClose/);
  const anna = await connect(self.port, 'anna', 'secret of anna', 'shop');
  await onChannel(anna, async (channel) => {
    await channel.assertQueue('anna.work');
    channel.sendToQueue('anna.work', Buffer.from('1'));
    await channel.waitForConfirms();
    assert.equal((await channel.get('anna.work', { noAck: true })).content.toString(), '1');
  });
  const refused = [
    (channel) => channel.assertQueue('work'),
    (channel) => channel.assertQueue('anna.other', { deadLetterExchange: 'amq.topic' }),
    (channel) => channel.bindQueue('anna.work', 'amq.topic', 'k'),
    (channel) => channel.assertQueue('', { exclusive: true }),
  ];
  for (const [index, use] of refused.entries())
    await assert.rejects(onChannel(anna, use), /ACCESS.REFUSED/, 'refusal ' + index);
  await self.stop();

  // Kept, with their tags, hashes alone.
  const kept = await exported('users');
  assert.deepEqual(kept.users.map((one) => [one.name, one.tags]), [['anna', ['monitoring']], ['old', ['administrator']]]);
  assert.ok(!JSON.stringify(kept).includes('secret'));
  const again = await broker('users');
  await connect(again.port, 'anna', 'secret of anna', 'shop');
  await again.stop();
});

test('a policy of a later start acts on queues that are there; the next start takes it back', async () => {
  let self = await broker('policies');
  await onChannel(await connect(self.port, 'guest', 'guest'), async (channel) => {
    await channel.assertQueue('limited');
    await channel.assertQueue('rest');
    await channel.assertExchange('lonely', 'direct');
    for (const text of ['1', '2', '3', '4']) channel.sendToQueue('limited', Buffer.from(text), { persistent: true });
    await channel.waitForConfirms();
  });
  await self.stop();
  const policies = [
    { vhost: '/', name: 'weak', pattern: '.*', 'apply-to': 'queues', priority: 0, definition: { 'max-length': 1 } },
    { vhost: '/', name: 'limit', pattern: '^lim', 'apply-to': 'queues', priority: 5,
      definition: { 'max-length': 2, 'dead-letter-exchange': '', 'dead-letter-routing-key': 'rest' } },
    { vhost: '/', name: 'keep', pattern: '^rest$', 'apply-to': 'queues', priority: 5, definition: {} },
    { vhost: '/', name: 'alternate', pattern: '^lonely$', 'apply-to': 'exchanges', priority: 1,
      definition: { 'alternate-exchange': 'amq.fanout' } },
  ];
  self = await broker('policies', '--definitions', file({ policies }));
  const connection = await connect(self.port, 'guest', 'guest');
  await onChannel(connection, async (channel) => {
    await until(async () => (await channel.checkQueue('rest')).messageCount === 2, 'two have died');
    const dead = await channel.get('rest', { noAck: true });
    assert.equal(dead.content.toString(), '1');
    assert.equal(dead.properties.headers['x-first-death-reason'], 'maxlen');
    assert.equal((await channel.checkQueue('limited')).messageCount, 2);
    await channel.assertQueue('limited'); // it was not declared otherwise
    await channel.bindQueue('rest', 'amq.fanout', '');
    channel.publish('lonely', 'nobody', Buffer.from('found'));
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue('rest')).messageCount, 2);
  });
  await self.stop();
  self = await broker('policies', '--definitions', file({ policies: [] }));
  await onChannel(await connect(self.port, 'guest', 'guest'), async (channel) => {
    for (const text of ['5', '6', '7']) channel.sendToQueue('limited', Buffer.from(text));
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue('limited')).messageCount, 5);
  });
  await self.stop();
});

test('what can not be is one line with file and path, and nothing starts', async () => {
  const queue = (max) => ({ queues: [{ name: 'q', vhost: '/', arguments: { 'x-max-length': max } }] });
  const self = await broker('conflict', '--definitions', file(queue(1)));
  await self.stop();
  for (const [definitions, expected] of [
    [queue(2), "queues[0].arguments.x-max-length: inequivalent arg 'x-max-length' for queue 'q' in vhost '/'"],
    [{ users: [{ name: 'a' }] }, 'users[0].password_hash: is missing'],
    [{ permissions: [{ user: 'b', vhost: '/', configure: '', write: '', read: '' }] }, "there is no user 'b'"],
    ['{"queues": [', 'not valid JSON'],
  ]) {
    const path = file(definitions);
    const { code, output } = await run(foz, ['broker', '--data', join(folder, 'conflict'), '--listen', '127.0.0.1:0',
      '--definitions', path]);
    assert.equal(code, 1, output);
    assert.ok(output.startsWith('foz: ' + path + ': ') && output.includes(expected), output);
    assert.equal(output.trim().split('\n').length, 1, output);
  }
});

test('what foz topology export prints is taken, twice too', async () => {
  const { code, output } = await run(foz, ['topology', 'export']);
  assert.equal(code, 0, output);
  for (let i = 0; i < 2; i += 1) await (await broker('topology', '--definitions', file(output))).stop();
  const kept = await exported('topology');
  assert.deepEqual(kept.queues.map((one) => one.name), JSON.parse(output).queues.map((one) => one.name).sort());
  assert.equal(kept.bindings.length, JSON.parse(output).bindings.length);
});

// Without what differs by nature: order, and what each broker adds of its own.
function comparable(definitions) {
  const plain = (value) => JSON.stringify(value, (key, held) => (held && typeof held === 'object' && !Array.isArray(held)
    ? Object.fromEntries(Object.entries(held).sort(([a], [b]) => (a < b ? -1 : 1))) : held));
  const pick = (section, keys) => definitions[section]
    .map((one) => plain(Object.fromEntries(keys.map((key) => [key, one[key]])))).sort();
  return {
    vhosts: pick('vhosts', ['name']),
    users: pick('users', ['name', 'password_hash', 'hashing_algorithm', 'tags']),
    permissions: pick('permissions', ['user', 'vhost', 'configure', 'write', 'read']),
    policies: pick('policies', ['vhost', 'name', 'pattern', 'apply-to', 'priority', 'definition']),
    exchanges: pick('exchanges', ['vhost', 'name', 'type', 'durable', 'auto_delete', 'arguments']),
    queues: pick('queues', ['vhost', 'name', 'durable', 'auto_delete', 'arguments']),
    bindings: pick('bindings', ['vhost', 'source', 'destination', 'destination_type', 'routing_key', 'arguments']),
  };
}

test('definitions move to RabbitMQ and back, and are the same', { timeout: 170_000 }, async (t) => {
  const node = join(folder, 'node');
  const rabbitmq = (...args) => execFileSync(process.env.FOZ_ROOT + '/scripts/rabbitmq', args, { stdio: 'pipe' }).toString();
  t.after(() => rabbitmq('kill', node));
  rabbitmq('start', node);
  // What scripts/rabbitmq defines goes: the comparison is of ours.
  rabbitmq('ctl', node, 'clear_policy', '-p', '/', 'streams');
  const everywhere = { configure: '.*', write: '.*', read: '.*' };
  const ours = await broker('move', '--definitions', file({
    vhosts: [{ name: '/' }, { name: 'shop' }],
    users: [{ name: 'guest', password: 'guest', tags: ['administrator'] }, { name: 'anna', password: 'a', tags: [] }],
    permissions: [{ user: 'guest', vhost: '/', ...everywhere }, { user: 'guest', vhost: 'shop', ...everywhere },
      { user: 'anna', vhost: 'shop', configure: '', write: '^x$', read: '' }],
    policies: [{ vhost: 'shop', name: 'p', pattern: '^q', 'apply-to': 'queues', priority: 7,
      definition: { 'max-length': 9, overflow: 'reject-publish', 'dead-letter-exchange': 'x', 'message-ttl': 60000 } }],
  }));
  await onChannel(await connect(ours.port, 'guest', 'guest', 'shop'), async (channel) => {
    await channel.assertExchange('x', 'headers', { alternateExchange: 'amq.topic' });
    await channel.assertExchange('y', 'topic');
    await channel.assertQueue('q', { maxLength: 5, messageTtl: 1000, deadLetterExchange: 'x', expires: 900000 });
    await channel.assertQueue('quorum', { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 4 } });
    await channel.assertQueue('stream', { arguments: { 'x-queue-type': 'stream', 'x-max-age': '7D' } });
    await channel.bindQueue('q', 'x', '', { 'x-match': 'any', kind: 'a', n: 3, flag: true });
    await channel.bindQueue('quorum', 'y', 'a.#');
    await channel.bindExchange('x', 'y', 'b.*');
  });
  await ours.stop();
  const moved = await exported('move');
  rabbitmq('ctl', node, 'import_definitions', file(moved));
  const there = join(folder, 'there.json');
  const expected = comparable(moved);
  let got;
  await until(() => { // the import goes on after the command has ended
    rabbitmq('ctl', node, 'export_definitions', there);
    got = comparable(JSON.parse(readFileSync(there, 'utf8')));
    return got.bindings.length === expected.bindings.length;
  }, 'RabbitMQ has imported it', 60);
  assert.deepEqual(got, expected);
  // A queue of RabbitMQ's that was imported behaves as declared: the same client declares it again.
  const port = Number(new URL(readFileSync(node + '/url', 'utf8').trim()).port);
  await onChannel(await connect(port, 'guest', 'guest', 'shop'), async (channel) => {
    await channel.assertQueue('q', { maxLength: 5, messageTtl: 1000, deadLetterExchange: 'x', expires: 900000 });
  });

  await (await broker('back', '--definitions', there)).stop();
  assert.deepEqual(comparable(await exported('back')), expected);
});
