// Clients chat through the aggregator, the broker and a service; FOZ_CHAT_KIND says in which language it is written.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, broker, closeAll, chat, chatProgram, connect, notUtf8, poison, run, secret, serve, settle, until, withoutStream, worker } from './lib.mjs';

let foz, service;
before(async () => {
  foz = await serve();
  service = await chat();
});
after(async () => {
  await closeAll();
  await foz.stop();
  await service.stop();
});

async function people(...names) {
  const all = [];
  for (const name of names) all.push(Object.assign(await connect(foz.url), { name }));
  return all;
}
const close = (...all) => all.forEach((one) => one.close());

test('two clients chat', async () => {
  const [ann, bob] = await people('ann', 'bob');
  await ann.consume();
  await bob.consume();
  const answer = await ann.publish('say', { room: 'lobby', text: 'hello', name: 'Ann' }, { id: 'first' });
  assert.deepEqual(answer, { event: 'answer', id: 'first', message: { ok: true } });
  await until(() => bob.messages().length, 'bob hears ann');
  const heard = bob.events('message')[0];
  assert.equal(heard.channel, 'chat');
  assert.equal(heard.via, 'broadcast');
  assert.equal(heard.topic, 'room.lobby');
  assert.equal(heard.type, 'said');
  assert.equal(heard.id, ann.client + '/first/0', 'an id that is the same when the work is done again');
  assert.match(heard.position, /^0\.\d+\.[0-9a-f]{8}$/);
  assert.deepEqual(heard.message, { from: ann.client, name: 'Ann', text: 'hello', room: 'lobby' });
  await bob.publish('say', { room: 'lobby', text: 'hi Ann' });
  await until(() => ann.messages().length === 2, 'ann hears both');
  assert.deepEqual(ann.messages().map((m) => m.text), ['hello', 'hi Ann']);
  close(ann, bob);
});

test('what is said while no queue takes it is said when one does', async () => {
  const [ann] = await people('ann');
  await ann.consume();
  const said = await withoutStream('chat', () => ann.publish('say', { room: 'lobby', text: 'late' }));
  assert.deepEqual(said, { event: 'answer', message: { ok: true } });
  await until(() => ann.messages().length, 'ann hears it');
  assert.deepEqual(ann.messages().map((m) => m.text), ['late']);
  close(ann);
});

test('a direct message reaches its receiver, on every socket, and nobody else', async () => {
  const resume = secret();
  const [ann, eve] = await people('ann', 'eve');
  const bob = await connect(foz.url, { resume });
  const bob2 = await connect(foz.url, { resume });
  assert.equal(bob.client, bob2.client);
  assert.notEqual(bob.session, bob2.session);
  for (const one of [ann, bob, bob2, eve]) await one.consume();
  await ann.publish('whisper', { to: bob.client, text: 'psst' });
  await until(() => bob.messages().length && bob2.messages().length, 'both of bob\'s sockets hear it');
  // Something later that everyone hears: what has not arrived by then will not.
  await ann.publish('say', { room: 'lobby', text: 'public' });
  await until(() => eve.messages().length, 'eve hears the public message');
  await settle();
  assert.deepEqual(eve.messages().map((m) => m.text), ['public']);
  assert.equal(bob.events('message')[0].via, 'direct');
  close(ann, bob, bob2, eve);
});

test('a third client can not claim another one\'s id', async () => {
  const [bob, eve] = await people('bob', 'eve');
  for (const direct of [[bob.client], ['session:' + bob.session], [eve.client, bob.client]]) {
    const refused = await eve.consume({ distribution: { direct } });
    assert.equal(refused.event, 'error');
    assert.equal(refused.error.code, 'forbidden');
    assert.equal(refused.error.field, 'distribution.direct');
  }
  // One's own is fine, and a client id is no secret that one could come back with.
  assert.equal((await eve.consume({ distribution: { direct: [eve.client, 'session:' + eve.session] } })).event, 'consuming');
  const impostor = await connect(foz.url, { resume: bob.client.slice(5).padEnd(26, 'a') });
  assert.notEqual(impostor.client, bob.client);
  close(bob, eve, impostor);
});

test('a multicast reaches its group', async () => {
  const [ann, bob, eve] = await people('ann', 'bob', 'eve');
  await bob.consume({ distribution: { multicast: ['team-1', 'team-2'] } });
  await eve.consume({ distribution: { multicast: ['team-3'] } });
  await ann.publish('team', { group: 'team-2', text: 'for two' });
  await until(() => bob.messages().length, 'bob hears his group');
  assert.equal(bob.events('message')[0].group, 'team-2');
  assert.equal(bob.events('message')[0].via, 'multicast');
  await ann.publish('team', { group: 'team-3', text: 'for three' });
  await until(() => eve.messages().length, 'eve hears hers');
  await settle();
  assert.deepEqual(bob.messages().map((m) => m.text), ['for two']);
  assert.deepEqual(eve.messages().map((m) => m.text), ['for three']);
  close(ann, bob, eve);
});

test('consume_target filters by topic', async () => {
  const [ann, bob, eve] = await people('ann', 'bob', 'eve');
  await bob.consume({ consume_target: ['room.red'] });
  const set = await eve.consume({ consume_target: ['room.*'] });
  assert.deepEqual(set.channels.chat.topics, ['room.*']);
  for (const room of ['blue', 'red']) await ann.publish('say', { room, text: room });
  await until(() => bob.messages().length && eve.messages().length === 2, 'both rooms are heard');
  await settle();
  assert.deepEqual(bob.messages().map((m) => m.room), ['red']);
  assert.deepEqual(eve.messages().map((m) => m.room), ['blue', 'red']);
  close(ann, bob, eve);
});

test('writeAndWait is answered: value, error, unknown type', async () => {
  const [ann] = await people('ann');
  const odd = { text: '\u2028 "quoted" \u{1F600}', list: [1, [2, { three: null }]] };
  assert.deepEqual((await ann.publish('echo', odd)).message, odd);
  const refused = await ann.publish('say', { room: 'NOT A ROOM', text: 'x' });
  assert.equal(refused.error.code, 'service');
  assert.equal(refused.error.service_code, 'bad_message');
  assert.match(refused.error.service.message, /^room: /);
  for (const type of ['fly', 'demo.crash']) assert.equal((await ann.publish(type, {})).error.service_code, 'unknown_type', type);
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => ann.publish('echo', { i })));
  assert.deepEqual(all.map((a) => a.message.i), Array.from({ length: 50 }, (_, i) => i));
  close(ann);
});

test('what is wrong with a message is said in the same words in every language', async () => {
  const [ann] = await people('ann');
  const long = (bytes) => 'é'.repeat(bytes / 2);
  for (const [type, message, words] of [
    ['say', [], 'an object is expected'],
    ['whisper', null, 'an object is expected'],
    ['say', { text: 'x' }, 'room: a string is expected'],
    ['say', { room: 'Lobby', text: 'x' }, "room: a-z, 0-9, '-' and '_' are expected"],
    ['say', { room: 'lobby\n', text: 'x' }, "room: a-z, 0-9, '-' and '_' are expected"],
    ['say', { room: 'x'.repeat(65), text: 'x' }, 'room: 1 to 64 bytes are expected'],
    ['say', { room: 'lobby', text: '' }, 'text: 1 to 4000 bytes are expected'],
    ['say', { room: 'lobby', text: long(4002) }, 'text: 1 to 4000 bytes are expected'],
    ['say', { room: 'lobby', text: 'x', name: null }, 'name: a string is expected'],
    ['whisper', { text: 'x' }, 'to: a string is expected'],
    ['whisper', { to: long(130), text: 'x' }, 'to: 1 to 128 bytes are expected'],
    ['team', { group: ['x'], text: 'x' }, 'group: a string is expected'],
    ['history', { room: 5 }, 'room: a string is expected'],
  ]) {
    const { error } = await ann.publish(type, message);
    assert.equal(error?.service_code, 'bad_message', words);
    assert.deepEqual(error.service, { code: 'bad_message', message: words });
  }
  assert.deepEqual((await ann.publish('say', { room: 'lobby', text: long(4000) })).message, { ok: true });
  close(ann);
});

test('a newcomer asks for the history of a room, also after a restart of the service', async () => {
  const [ann, bob] = await people('ann', 'bob');
  const said = ['one', 'two', 'three'].map((text) => ({ from: ann.client, name: 'Ann', text, room: 'attic' }));
  for (const [i, { name, text, room }] of said.entries()) await ann.publish('say', { room, text, name }, { id: 'a' + i });
  await ann.publish('say', { room: 'cellar', text: 'elsewhere' });
  await ann.publish('team', { group: 'attic', text: 'to a group' });
  const history = async (message) => (await bob.publish('history', message)).message;
  // The service hears what it says as everybody does, from the stream.
  await until(async () => (await history({ room: 'cellar' })).messages?.length, 'what was said last is history');
  const ids = said.map((_, i) => ann.client + '/a' + i + '/0'); // under which everybody has heard them
  const all = { room: 'attic', messages: said, ids };
  assert.deepEqual(await history({ room: 'attic' }), all);
  assert.deepEqual(await history({ room: 'attic', limit: 2 }), { room: 'attic', messages: said.slice(1), ids: ids.slice(1) });
  assert.deepEqual(await history({ room: 'nobody-was-here' }), { room: 'nobody-was-here', messages: [], ids: [] });
  for (const limit of [0, 51, 1.5, '5', null, true])
    assert.match((await bob.publish('history', { room: 'attic', limit })).error?.service.message, /^limit: /);

  await service.stop();
  service = await chat();
  assert.deepEqual(await history({ room: 'attic' }), all);
  for (let i = 0; i < 60; ++i) await ann.publish('say', { room: 'attic', text: 'more ' + i });
  await until(async () => (await history({ room: 'attic', limit: 1 })).messages[0].text === 'more 59', 'all are history');
  const texts = (messages) => messages.map((m) => m.text);
  const more = (n) => Array.from({ length: n }, (_, i) => 'more ' + (60 - n + i));
  assert.deepEqual(texts((await history({ room: 'attic' })).messages), more(20));
  assert.deepEqual(texts((await history({ room: 'attic', limit: 50 })).messages), more(50));
  close(ann, bob);
});

test('two aggregators on one broker serve clients of both', async () => {
  const other = await serve();
  const ann = await connect(foz.url);
  const bob = await connect(other.url);
  await ann.consume();
  await bob.consume();
  await ann.publish('say', { room: 'lobby', text: 'to the other side' });
  await bob.publish('whisper', { to: ann.client, text: 'and back' });
  await until(() => bob.messages().length === 1 && ann.messages().length === 2, 'both hear');
  assert.deepEqual(bob.messages().map((m) => m.text), ['to the other side']);
  assert.deepEqual(ann.messages().map((m) => m.text), ['to the other side', 'and back']);
  close(ann, bob);
  await other.stop();
});

test('the work of a killed service goes to the next one, and the answer comes', async () => {
  const own = await chat(['--concurrency', '1']);
  const [ann] = await people('ann');
  const answers = Promise.all(Array.from({ length: 200 }, (_, i) => ann.publish('echo', { i })));
  await own.kill();
  assert.equal((await answers).length, 200);
  close(ann);
});

test('a service that is told to stop finishes what it has in hand, and ends', async () => {
  await service.stop(); // the exit code is 0
  service = await chat(['--concurrency', '10']);
  const [ann] = await people('ann');
  const say = (i) => ann.publish('say', { room: 'lobby', text: 'number ' + i });
  const answers = Promise.all(Array.from({ length: 200 }, (_, i) => say(i)));
  await service.stop();
  service = await chat();
  for (const answer of await answers) assert.deepEqual(answer.message, { ok: true });
  close(ann);
});

// Properties of a request that no aggregator would publish.
const odd = [
  ['no headers', {}],
  ['foz-client and foz-session as numbers', { headers: { 'foz-client': 5, 'foz-session': 6 } }],
  ['foz-client as a list', { headers: { 'foz-client': ['ann'] } }],
  ['foz-client as a table', { headers: { 'foz-client': { ann: true } } }],
  ['foz-client that is not UTF-8', { headers: { 'foz-client': notUtf8 } }],
  ['foz-deadline and foz-progress as text', { headers: { 'foz-deadline': 'soon', 'foz-progress': 'yes' } }],
  ['foz-deadline before 1970', { headers: { 'foz-deadline': -1 } }],
  ['foz-topic and foz-distribution as numbers', { headers: { 'foz-topic': 1, 'foz-distribution': 2 } }],
  ['no message id', { messageId: undefined }],
];

test('a request whose headers have the wrong type, or are missing, is handled as one of nobody\'s', async () => {
  const connection = await amqp();
  const channel = await connection.createChannel();
  poison(connection.connection.stream);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const answers = new Map();
  await channel.consume(queue, ({ properties, content }) => answers.set(properties.correlationId, JSON.parse(content)), { noAck: true });
  const [ann] = await people('ann');
  await ann.consume();
  for (const [name, options] of odd) {
    channel.publish('INBOUND', 'chat', Buffer.from(JSON.stringify({ room: 'odd', text: name })),
      { type: 'say', replyTo: queue, correlationId: name, messageId: secret(), ...options });
    await until(() => answers.has(name), name + ': answered');
    assert.deepEqual(answers.get(name), { ok: true }, name);
    await until(() => ann.messages().some(({ text }) => text === name), name + ': heard');
    // Some libraries put U+FFFD in place of what is not UTF-8, before anyone sees it.
    assert.match(ann.messages().find(({ text }) => text === name).from, /^(caf\ufffd+)?$/, name);
  }
  close(ann);
  await connection.close();
});

test('the service\'s flags', async () => {
  const [program, ...first] = chatProgram;
  const help = await run(program, [...first, '--help']);
  assert.equal(help.code, 0);
  assert.match(help.output, /--broker[^]*--concurrency/);
  for (const wrong of [['--brokr', broker], ['--concurrency', '0'], ['--concurrency', 'many']])
    assert.equal((await run(program, [...first, ...wrong])).code, 2, wrong[0]);
});

test('what another worker says: lists and single names in headers, repetitions, what is no JSON', async () => {
  await service.stop();
  const node = await worker('IN_CHAT', (message, body, channel) => {
    const { replyTo, correlationId, messageId, headers } = message.properties;
    channel.publish('', replyTo, Buffer.from(JSON.stringify({ echo: body, client: headers['foz-client'] })),
      { correlationId, messageId: messageId + '/0' });
    channel.publish('OUTBOUND', 'chat', Buffer.from('"direct"'),
      { headers: { 'foz-direct': JSON.stringify([headers['foz-client']]) }, messageId: messageId + '/1' });
    // A repetition, as after a recovery: heard once.
    channel.publish('OUTBOUND', 'chat', Buffer.from('"direct"'),
      { headers: { 'foz-direct': headers['foz-client'] }, messageId: messageId + '/1' });
    channel.publish('OUTBOUND', 'chat.news', Buffer.from('"group"'), { headers: { 'foz-multicast': '["g1","g2"]' } });
    channel.publish('OUTBOUND', 'chat', Buffer.from('no json'), { headers: { 'foz-broadcast': true } });
    channel.publish('OUTBOUND', 'chat', Buffer.from('"all"'), { headers: { 'foz-broadcast': true } });
    channel.ack(message);
  });
  const [ann] = await people('ann');
  await ann.consume();
  await ann.consume({ distribution: { multicast: ['g2'] } });
  const answer = await ann.publish('anything', { a: 1 });
  assert.deepEqual(answer.message, { echo: { a: 1 }, client: ann.client });
  await until(() => ann.messages().includes('all'), 'the broadcast is heard');
  assert.deepEqual(ann.messages(), ['direct', 'group', 'all']);
  await foz.until('the body is not a JSON value');
  close(ann);
  await node.stop();
  service = await chat();
});
