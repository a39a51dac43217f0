// Joining groups that a service guards: what is refused has no effect, what is left while it waits is not joined, and
// what waits is bounded.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, closeAll, connect, serve, settle, until, worker, configFile } from './lib.mjs';

const config = `
[client]
request_timeout_ms = 1500

[limits]
requests_per_client = 40
subscriptions_per_session = 60

[channels.chat]

[channels.club]
groups = "service"
no_service_after_ms = 0

[channels.hall]
groups = "service"
no_service_after_ms = 0
`;

let foz, outbound;
// What the worker was asked and has not answered yet, by group. It never answers for those named silent…
const held = new Map();
const asked = [];
const workers = [];
before(async () => {
  foz = await serve(['--config', configFile(config)]);
  outbound = await (await amqp()).createConfirmChannel();
  const node = await worker('IN_CLUB', (message, { group }, channel) => {
    channel.ack(message);
    asked.push(group);
    const say = (allow) => channel.publish('', message.properties.replyTo, Buffer.from(JSON.stringify({ allow })),
      { correlationId: message.properties.correlationId });
    if (group.startsWith('held')) held.set(group, say);
    else if (!group.startsWith('silent')) say(!group.startsWith('bad'));
  });
  workers.push(node);
  await until(async () => {
    const one = await connect(foz.url);
    const { event } = await join(one, ['good']);
    one.close();
    return event === 'consuming';
  }, 'the aggregator knows of the worker');
});
after(async () => {
  for (const node of workers) await node.stop();
  await closeAll();
  await foz.stop();
});

const join = (client, multicast, more = {}) =>
  client.ask({ packet_action: 'consume', channel: 'club', distribution: { multicast, ...more.distribution }, ...more.rest });
const leave = (client, more = {}) => client.ask({ packet_action: 'leave', channel: 'club', ...more });
const kinds = { everyone: { 'foz-broadcast': true } };
for (const group of ['good', 'bad', 'held', 'held2', 'silent']) kinds[group] = { 'foz-multicast': group };

// Says something in every way on the channel; afterwards everything has arrived that will.
let round = 0;
async function hears(client) {
  const before = client.messages().length;
  round += 1;
  for (const [to, headers] of Object.entries({ ...kinds, me: { 'foz-direct': client.client } }))
    outbound.publish('OUTBOUND', 'club', Buffer.from(JSON.stringify(to)), { headers, messageId: round + to });
  const witness = await connect(foz.url);
  await witness.ask({ packet_action: 'consume', channel: 'club', from: 'first' });
  outbound.publish('OUTBOUND', 'club', Buffer.from('"end"'), { headers: { 'foz-direct': witness.client }, messageId: round + 'end' });
  await until(() => witness.messages().includes('end'), 'all has been said');
  witness.close();
  await settle();
  return client.messages().slice(before);
}

test('a first consume that is refused in part has no effect at all', async () => {
  const ann = await connect(foz.url);
  const { error } = await join(ann, ['good', 'bad'], { distribution: { broadcast: true } });
  assert.deepEqual([error.code, error.field], ['forbidden', 'distribution.multicast']);
  assert.deepEqual(await hears(ann), []);
  assert.deepEqual((await leave(ann)).channels, {});
  ann.close();
});

test('nor has one that nobody answers, or that nobody is there to answer', async () => {
  const ann = await connect(foz.url);
  const late = await join(ann, ['good', 'silent'], { distribution: { broadcast: true } });
  assert.equal(late.error.code, 'timeout');
  const none = await ann.ask({ packet_action: 'consume', channel: { chat: true, hall: true }, distribution: { broadcast: true, multicast: ['good'] } });
  assert.equal(none.error.code, 'no_service');
  assert.deepEqual(await hears(ann), []);
  assert.deepEqual((await leave(ann)).channels, {});
  ann.close();
});

test('who leaves while a service thinks about it does not join', async () => {
  const ann = await connect(foz.url);
  const joining = join(ann, ['held'], { distribution: { broadcast: true }, rest: { from: 'first' } });
  await until(() => held.has('held'), 'the worker is asked');
  const left = leave(ann);
  assert.deepEqual((await joining).channels, {}, 'the consume is answered at once, with what has come of it');
  assert.deepEqual((await left).channels, {});
  held.get('held')(true);
  assert.deepEqual(await hears(ann), []);
  assert.deepEqual([ann.events('gap'), ann.events('position'), ann.events('error')], [[], [], []]);
  ann.close();
});

test('who leaves a part of what waits joins the rest; what was left has no say any more', async () => {
  const ann = await connect(foz.url);
  held.clear();
  const joining = join(ann, ['held', 'held2'], { distribution: { broadcast: true } });
  await until(() => held.size === 2, 'the worker is asked');
  assert.deepEqual((await leave(ann, { distribution: { multicast: ['held'] } })).channels, {});
  held.get('held')(false);
  held.get('held2')(true);
  assert.deepEqual((await joining).channels.club.groups, ['held2']);
  assert.deepEqual(await hears(ann), ['everyone', 'held2']);
  ann.close();
});

test('a leave does not touch what is consumed after it', async () => {
  const ann = await connect(foz.url);
  held.clear();
  const first = join(ann, ['held']);
  const left = leave(ann);
  const second = join(ann, ['held']);
  await Promise.all([first, left]);
  await until(() => held.size === 1 && asked.filter((group) => group === 'held').length >= 2, 'asked anew');
  await settle();
  held.get('held')(true);
  assert.deepEqual((await second).channels.club.groups, ['held']);
  ann.close();
});

test('groups that wait count as if they had been joined, and as requests', async () => {
  const before = asked.length;
  const many = (prefix, count) => Array.from({ length: count }, (_, i) => prefix + i);
  const ann = await connect(foz.url);
  const sets = await Promise.all(Array.from({ length: 20 }, (_, k) => join(ann, many('silent' + k + '.', 30))));
  assert.deepEqual(new Set(sets.map((set) => set.error.code)), new Set(['timeout', 'overloaded']));
  assert.equal(sets.filter((set) => set.error.code === 'timeout').length, 1, 'another 30 would be too many requests');
  assert.equal(asked.length - before, 30);
  // A request counts with them.
  const joins = join(ann, many('silent.', 40));
  const { error } = await ann.ask({ packet_action: 'publish', channel: 'club', message: {} });
  assert.deepEqual([error.code, (await joins).error.code], ['overloaded', 'timeout']);
  // Leaving does not make room while the service still has them to answer.
  const again = join(ann, many('silent..', 40));
  await leave(ann);
  assert.deepEqual((await again).channels, {});
  assert.equal((await join(ann, ['good'])).error.code, 'overloaded');
  await until(async () => (await join(ann, ['good'])).event === 'consuming', 'there is room when they have timed out');
  ann.close();
  // And as groups: 30 wait, 35 more would be 65 of 60.
  const bob = await connect(foz.url);
  const waits = join(bob, many('silent', 30));
  const open = await bob.ask({ packet_action: 'consume', channel: 'chat', consume_target: many('t', 35) });
  assert.deepEqual([open.error.code, open.error.field], ['overloaded', 'consume_target']);
  assert.equal((await waits).error.code, 'timeout');
  assert.equal((await bob.ask({ packet_action: 'consume', channel: 'chat', consume_target: many('t', 35) })).event, 'consuming');
  bob.close();
});
