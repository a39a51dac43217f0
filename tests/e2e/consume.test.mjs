// Beginning to hear: at the handshake, piece by piece, several channels at once, and how much one socket may ask for.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, closeAll, connect, serve, settle, until, worker } from './lib.mjs';

let foz, channel;
before(async () => {
  foz = await serve();
  channel = await (await amqp()).createConfirmChannel();
});
after(async () => {
  await closeAll();
  await foz.stop();
});

const both = { chat: true, tickets: true };
const say = (name, body, topic) => channel.publish('OUTBOUND', topic ? name + '.' + topic : name,
  Buffer.from(JSON.stringify(body)), { headers: { 'foz-broadcast': true } });

test('a channel that there is not is nothing when it is flagged false, beside one that is true', async () => {
  const ann = await connect(foz.url);
  const flags = { channel: { nothing: false, chat: true, 'NOT EVEN A NAME': false } };
  assert.deepEqual(Object.keys((await ann.consume(flags)).channels), ['chat']);
  assert.equal((await ann.ask({ packet_action: 'publish', ...flags, ack: 'confirmed' })).event, 'receipt');
  assert.deepEqual((await ann.ask({ packet_action: 'leave', ...flags })).channels, {});
  const { error } = await ann.consume({ channel: { nothing: true, chat: true } });
  assert.deepEqual([error.code, error.field], ['unknown_channel', 'channel']);
  assert.deepEqual(Object.keys((await ann.consume({ channel: 'tickets' })).channels), ['tickets'], 'nothing of that took effect');
  ann.close();
});

test('consume=chat,tickets: what the stock client writes before it is open comes back to it on both', async () => {
  const echo = (name) => worker('IN_' + name.toUpperCase(), (message, body, on) => {
    on.publish('OUTBOUND', name, message.content, { headers: { 'foz-broadcast': true } });
    on.ack(message);
  });
  const nodes = [await echo('chat'), await echo('tickets')];
  const ann = await connect(foz.url, { query: '&consume=chat,tickets',
    first: ['chat', 'tickets'].map((name) => ({ packet_action: 'publish', channel: name, message: 'early ' + name })) });
  const early = () => ann.events('message').filter((m) => String(m.message).startsWith('early'));
  await until(() => early().length === 2, 'both are heard');
  assert.deepEqual(early().map((m) => m.channel + ' ' + m.message).sort(), ['chat early chat', 'tickets early tickets']);
  const [consuming, ...more] = ann.events('consuming');
  assert.deepEqual(more, []);
  for (const { topics, groups } of [consuming.channels.chat, consuming.channels.tickets])
    assert.deepEqual([topics, groups], [[], [ann.client]]);
  assert.deepEqual(Object.keys(consuming.channels).sort(), ['chat', 'tickets']);
  ann.close();
  for (const node of nodes) await node.stop();
});

test('repeated consumes are a union, and the answer names all of it; unknown fields are named, too', async () => {
  const ann = await connect(foz.url);
  const sets = [];
  for (const rest of [{ consume_target: ['a'], id: 'c1' }, { consume_target: ['b', 'a'], distribution: { broadcast: true, multicast: ['g'] } },
    { channel: 'tickets', consume_target: 'c.#', colour: 'red', shape: {} }]) sets.push(await ann.consume(rest));
  assert.deepEqual([sets[0].id, sets[1].id], ['c1', undefined]);
  const named = sets.map(({ channels, warnings }) => [Object.entries(channels).map(([name, { topics, groups }]) =>
    [name, topics, groups.map((group) => (group === ann.client ? 'own' : group)).sort()]), warnings]);
  const chat = ['chat', ['a', 'b'], ['g', 'own']];
  assert.deepEqual(named, [[[['chat', ['a'], ['own']]], undefined], [[chat], undefined],
    [[chat, ['tickets', ['c.#'], ['own']]], ['colour', 'shape']]]);
  for (const topic of ['a', 'b', 'c', 'a.b']) say('chat', 'chat ' + topic, topic);
  for (const topic of ['a', 'c', 'c.d']) say('tickets', 'tickets ' + topic, topic);
  await until(() => ann.messages().includes('tickets c.d') && ann.messages().includes('chat b'), 'the last ones are heard');
  await settle();
  assert.deepEqual(ann.messages().sort(), ['chat a', 'chat b', 'tickets c', 'tickets c.d']);
  ann.close();
});

test('two channels are resumed with one consume, each from its own place', async () => {
  const [ann, witness] = [await connect(foz.url), await connect(foz.url)];
  for (const one of [ann, witness]) await one.consume({ channel: both });
  const heard = (one, name) => one.events('message').filter((m) => m.channel === name).map((m) => m.message);
  for (const [name, body] of [['chat', 'c1'], ['tickets', 't1'], ['tickets', 't2']]) say(name, body);
  await until(() => ann.messages().length === 3, 'ann hears three');
  const from = Object.fromEntries(ann.events('message').map((m) => [m.channel, m.position]));
  from.tickets = ann.events('message').find((m) => m.message === 't1').position;
  ann.close();
  for (const [name, body] of [['chat', 'c2'], ['tickets', 't3'], ['chat', 'c3']]) say(name, body);
  await until(() => witness.messages().length === 6, 'all is said');
  const back = await connect(foz.url);
  const set = await back.consume({ channel: both, from });
  assert.deepEqual(Object.keys(set.channels).sort(), ['chat', 'tickets']);
  say('chat', 'c4');
  say('tickets', 't4');
  await until(() => back.messages().length === 6, 'what was missed, and what is new');
  assert.deepEqual([heard(back, 'chat'), heard(back, 'tickets')], [['c2', 'c3', 'c4'], ['t2', 't3', 't4']]);
  assert.deepEqual(back.events('gap'), []);
  [back, witness].forEach((one) => one.close());
});

test('a socket holds a thousand groups and topics, of all consumes together', async () => {
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  const consume = (consume_target, rest) => ann.consume({ consume_target, distribution: { broadcast: true }, ...rest });
  const topics = Array.from({ length: 998 }, (_, i) => 't.' + i);
  for (let i = 0; i < topics.length; i += 64)
    assert.equal((await consume(topics.slice(i, i + 64), { channel: i % 128 ? 'chat' : 'tickets' })).event, 'consuming');
  assert.equal((await consume(['last.one'], { distribution: { multicast: ['group'] } })).event, 'consuming');
  assert.equal((await consume(topics.slice(64, 128))).event, 'consuming', 'what it has takes no room again');
  const { error } = await consume(['one.more']);
  assert.deepEqual([error.code, error.retryable], ['overloaded', true]);
  assert.equal((await bob.consume({ consume_target: ['one.more'] })).event, 'consuming', 'another socket has its own');
  for (const topic of ['one.more', 't.64', 'last.one']) say('chat', topic, topic);
  await until(() => ann.messages().includes('last.one'), 'what it had goes on');
  assert.deepEqual(ann.messages(), ['t.64', 'last.one']);
  assert.equal((await ann.ask({ packet_action: 'leave', channel: 'chat', consume_target: ['t.64'] })).event, 'consuming');
  assert.equal((await consume(['one.more'])).event, 'consuming', 'there is room again');
  [ann, bob].forEach((one) => one.close());
});
