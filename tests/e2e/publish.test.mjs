// What is published, property by property and receiver by receiver.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { amqp, closeAll, connect, inSeconds, secret, serve, until, WebSocket, configFile } from './lib.mjs';

let foz, channel;
before(async () => {
  const file = configFile('[client]\npublish_targets = ["INBOUND", "OUTBOUND"]\n' +
    '[channels.chat]\n[channels.tickets]\n[channels.forum]\n[channels.voice]\ndelivery = "volatile"\n');
  foz = await serve(['--config', file]);
  channel = await (await amqp()).createConfirmChannel();
});
after(async () => {
  await closeAll();
  await foz.stop();
});

const take = (queue) => channel.get(queue, { noAck: true });
const headers = (message) => {
  const { 'x-delivery-count': ours, ...theirs } = message.properties.headers; // the queue adds that one
  return theirs;
};
const bodies = async (queue) => {
  const all = [];
  for (let message; (message = await take(queue));) all.push(JSON.parse(message.content));
  return all;
};

test('what a service receives of the literal envelope, property by property', async () => {
  const resume = secret();
  const socket = new WebSocket(foz.url.replace('http', 'ws') + '/primus/?hello=1&resume=' + resume);
  const heard = [];
  socket.on('message', (data) => heard.push(JSON.parse(data)));
  await once(socket, 'open');
  const { client, session } = await until(() => heard.shift(), 'it is welcomed');
  const message = '{ "text" :\t"caf\\u00e9 \u2028 é",\r\n  "n":[1.50e1 , -0,18446744073709551615 ], "n" : {} }';
  const begin = inSeconds(0);
  socket.send(`{
    "packet_action": "publish",
    "channel":       { "voice": false, "chat": true, "tickets": false },
    "distribution":  { "broadcast": true, "multicast": ["group-a", "b"], "direct": ["client-7"] },
    "publish_target": "INBOUND",
    "consume_target": [],
    "message":  ${message}  ,
    "topic": "room.lobby", "type": "say", "id": "m1"
  }`);
  assert.deepEqual(await until(() => heard.shift(), 'the receipt comes'), { event: 'receipt', id: 'm1' });
  const end = inSeconds(0);
  const got = await take('IN_CHAT');
  assert.deepEqual([got.fields.exchange, got.fields.routingKey, got.fields.redelivered], ['INBOUND', 'chat.room.lobby', false]);
  assert.equal(got.content.toString(), message);
  const { timestamp, ...properties } = got.properties;
  assert.ok(begin <= timestamp && timestamp <= end, timestamp + ' is no time between ' + begin + ' and ' + end);
  const named = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
  assert.deepEqual({ ...named, headers: headers(got) }, {
    contentType: 'application/json', deliveryMode: 2, messageId: client + '/m1', type: 'say',
    headers: { 'foz-client': client, 'foz-session': session, 'foz-topic': 'room.lobby',
      'foz-distribution': { broadcast: true, multicast: ['group-a', 'b'], direct: ['client-7'] } },
  });
  for (const queue of ['IN_CHAT', 'IN_TICKETS', 'IN_VOICE']) assert.deepEqual(await bodies(queue), [], queue);
  // The least that one can write.
  socket.send('{"packet_action":"publish","channel":"chat"}');
  const bare = await until(() => take('IN_CHAT'), 'it is there');
  assert.deepEqual([bare.fields.routingKey, bare.content.toString(), headers(bare), bare.properties.type],
    ['chat', 'null', { 'foz-client': client, 'foz-session': session }, undefined]);
  assert.ok(bare.properties.messageId.startsWith(client + '/'));
  socket.terminate();
});

test('several channels at once: each service gets it, and one receipt comes after all, or one error', async () => {
  const ann = await connect(foz.url);
  const queues = ['IN_FORUM', 'IN_CHAT', 'IN_TICKETS'];
  const publish = (id) => ({ packet_action: 'publish', channel: { forum: true, chat: true, tickets: true }, id, message: id });
  assert.deepEqual(await ann.ask({ ...publish('all'), ack: 'confirmed' }), { event: 'receipt', id: 'all' });
  for (const queue of queues) assert.deepEqual(await bodies(queue), ['all'], queue);
  // primus-responder forgets a request with its first answer; a plain write hears everything.
  const write = (id) => ann.primus.write(publish(id));
  for (const [queue, name] of [['IN_FORUM', 'forum'], ['IN_TICKETS', 'tickets']]) {
    await channel.unbindQueue(queue, 'INBOUND', name + '.#');
    write('without ' + name);
    const { error } = await until(() => ann.events('error').find((e) => e.error.id === 'without ' + name), 'the error comes');
    assert.equal(error.code, 'unroutable');
    await channel.bindQueue(queue, 'INBOUND', name + '.#');
    write('after ' + name);
    await until(() => ann.events('receipt').some((e) => e.id === 'after ' + name), 'all is well again');
    for (const each of queues)
      assert.deepEqual(await bodies(each), [...(each === queue ? [] : ['without ' + name]), 'after ' + name], each);
  }
  assert.deepEqual(ann.events('receipt').map((e) => e.id), ['after forum', 'after tickets']);
  assert.deepEqual(ann.events('error').map((e) => e.error.id), ['without forum', 'without tickets']);
  ann.close();
});

test('straight to clients, where the configuration lets them: the distribution selects who hears', async () => {
  const resume = secret();
  const [ann, bob, eve] = [await connect(foz.url), await connect(foz.url, { resume }), await connect(foz.url)];
  const tab = await connect(foz.url, { resume });
  await ann.consume();
  await eve.consume({ consume_target: ['room.*'] });
  for (const one of [bob, tab]) {
    await one.consume();
    await one.consume({ distribution: { multicast: ['group-a'] } });
  }
  let said = 0;
  const say = async (distribution, rest = {}) => assert.deepEqual(
    await ann.ask({ packet_action: 'publish', channel: 'chat', publish_target: 'OUTBOUND', ack: 'confirmed', type: 'said',
      id: 's' + (said += 1), message: said, distribution, ...rest }), { event: 'receipt', id: 's' + said });
  await say({ multicast: ['group-a', 'nobody'] });
  await say({ direct: [eve.client] });
  await say({ direct: ['session:' + tab.session] });
  await say({ multicast: [bob.client] });
  await say({ broadcast: true }, { topic: 'hall' });
  await say({ broadcast: true }, { topic: 'room.lobby' });
  await say({ direct: ['client-7'] });
  await say({ broadcast: true, direct: [eve.client] }, { topic: 'end' });
  const people = { ann, bob, tab, eve };
  for (const [name, expected] of Object.entries({
    ann: '5 broadcast, 6 broadcast, 8 broadcast',
    bob: '1 multicast, 4 multicast, 5 broadcast, 6 broadcast, 8 broadcast',
    tab: '1 multicast, 3 direct, 4 multicast, 5 broadcast, 6 broadcast, 8 broadcast',
    eve: '2 direct, 6 broadcast, 8 direct',
  })) {
    await until(() => people[name].messages().includes(said), name + ' hears the last');
    assert.equal(people[name].events('message').map((m) => m.message + ' ' + m.via).join(', '), expected, name);
  }
  const { position, ...first } = bob.events('message')[0];
  assert.equal(typeof position, 'string');
  assert.deepEqual(first, { event: 'message', channel: 'chat', via: 'multicast', group: 'group-a', type: 'said',
    id: ann.client + '/s1', message: 1 });
  assert.equal(eve.events('message')[1].topic, 'room.lobby');
  assert.deepEqual(await bodies('IN_CHAT'), [], 'no service is troubled');
  [ann, bob, tab, eve].forEach((one) => one.close());
});

test('nobody answers what goes straight to clients', async () => {
  const ann = await connect(foz.url);
  await ann.consume();
  const straight = { packet_action: 'publish', channel: 'chat', publish_target: 'OUTBOUND', distribution: { broadcast: true } };
  for (const rest of [{ ack: 'answer' }, {}, { ack: 'confirmed', progress: true, id: 'p' }]) {
    const { error } = await ann.ask({ ...straight, ...rest, message: 'unheard' });
    assert.deepEqual([error.code, error.field], ['bad_envelope', 'publish_target']);
  }
  for (const distribution of [undefined, {}, { broadcast: false, multicast: [] }]) {
    const { error } = await ann.ask({ ...straight, distribution, ack: 'confirmed', message: 'for nobody' });
    assert.deepEqual([error.code, error.field], ['bad_envelope', 'distribution']);
  }
  ann.primus.write({ ...straight, message: 'heard' });
  await until(() => ann.messages().length, 'the last one is heard');
  assert.deepEqual(ann.messages(), ['heard']);
  assert.equal((await ann.ask({ ...straight, publish_target: 'amq.topic', ack: 'confirmed' })).error.code, 'forbidden');
  ann.close();
});

test('repetitions are known by channel and message id: another channel\'s is another message', async () => {
  const ann = await connect(foz.url);
  for (const name of ['chat', 'tickets']) await ann.consume({ channel: name });
  const say = (name, text, messageId) => channel.publish('OUTBOUND', name, Buffer.from(JSON.stringify(text)),
    { headers: { 'foz-broadcast': true }, messageId });
  for (const name of ['chat', 'tickets']) {
    say(name, 'one', 'same');
    say(name, 'repeated', 'same');
    say(name, 'end', 'end');
  }
  await until(() => ann.messages().filter((m) => m === 'end').length === 2, 'both have gone by');
  for (const name of ['chat', 'tickets'])
    assert.deepEqual(ann.events('message').filter((m) => m.channel === name).map((m) => m.message), ['one', 'end'], name);
  ann.close();
});
