// Coming back: what was missed comes first, in order, once; what can't be had is told.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, amqp, broker, chat, connect, inSeconds, secret, serve as serveWith, settle, until, worker } from './lib.mjs';

// One clock for all, so that what has expired can be told at once.
const serve = (args = []) => serveWith(args, broker, { FOZ_LIMITS_CLOCK_TOLERANCE_MS: '0' });

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

const texts = (client) => client.messages().map((m) => m.text);
const say = (client, text, room = 'lobby') => client.publish('say', { room, text });
const last = (client) => client.events('message').at(-1).position;

async function sayAll(client, prefix, count) {
  for (let i = 0; i < count; i += 1) assert.equal((await say(client, prefix + i)).event, 'answer');
}
const numbered = (prefix, from, to) => Array.from({ length: to - from }, (_, i) => prefix + (from + i));

test('from a position: what was missed, in order, then live, nothing twice', async () => {
  const resume = secret();
  const ann = await connect(foz.url);
  const bob = await connect(foz.url, { resume });
  await bob.consume();
  await sayAll(ann, 'a', 5);
  await until(() => texts(bob).length === 5, 'bob hears five');
  const where = bob.events('message')[2].position;
  bob.close();
  await sayAll(ann, 'b', 3);
  const back = await connect(foz.url, { resume });
  const set = await back.consume({ from: where });
  assert.equal(set.event, 'consuming');
  await say(ann, 'live');
  await until(() => texts(back).includes('live'), 'live again');
  assert.deepEqual(texts(back), ['a3', 'a4', 'b0', 'b1', 'b2', 'live']);
  assert.deepEqual(back.events('gap'), []);
  ann.close();
  back.close();
});

test('the position of a consume on a quiet channel is one to come back to', async () => {
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  const { channels } = await bob.consume();
  assert.match(channels.chat.position, /^0\.\d+\.[0-9a-f]{8}$/);
  bob.close();
  await say(ann, 'while away');
  const back = await connect(foz.url);
  await back.consume({ from: { chat: channels.chat.position } });
  await until(() => texts(back).length, 'what was said while away comes');
  assert.deepEqual(texts(back), ['while away']);
  ann.close();
  back.close();
});

test('the outcome of a consume never names a place beyond what is still to come', async () => {
  const ann = await connect(foz.url);
  const { channels } = await ann.consume();
  for (const text of ['p', 'q', 'r']) await say(ann, text);
  await until(() => texts(ann).length === 3, 'all is said');
  const offset = (position) => Number(position.split('.')[1]);
  const [first, , third] = ann.events('message').map((m) => m.position);
  const back = await connect(foz.url);
  const place = (set) => set.channels.chat.position;
  assert.equal(place(await back.consume({ from: first })), first, 'its socket may die before the next message comes');
  await until(() => texts(back).length === 2, 'what was missed comes');
  assert.ok(offset(place(await back.consume({ consume_target: ['x'] }))) >= offset(third), 'up to date');
  const all = await connect(foz.url);
  for (const from of ['first', { since_ms: 0 }]) assert.equal(place(await all.consume({ from })), undefined);
  assert.notEqual(channels.chat.position, first);
  [ann, back, all].forEach((one) => one.close());
});

test('on another aggregator, which was not there then, many at once and each from its own place', async () => {
  const ann = await connect(foz.url);
  const bob = await connect(foz.url);
  await bob.consume();
  await sayAll(ann, 'm', 60);
  await until(() => texts(bob).length === 60, 'bob hears all');
  const heard = bob.events('message');
  const other = await serve();
  const back = await Promise.all(Array.from({ length: 20 }, () => connect(other.url)));
  await Promise.all(back.map((one, i) => one.consume({ from: heard[i * 3].position })));
  await say(ann, 'live');
  await until(() => back.every((one) => texts(one).includes('live')), 'all are live again', 20);
  back.forEach((one, i) => assert.deepEqual(texts(one), [...numbered('m', i * 3 + 1, 60), 'live']));
  [ann, bob, ...back].forEach((one) => one.close());
  await other.stop();
});

test('from the first, and since a time', async () => {
  const ann = await connect(foz.url);
  const other = await serve();
  const early = Date.now() - 3600_000;
  await say(ann, 'the last of all');
  for (const from of ['first', { since_ms: early }, { chat: { since_ms: early } }]) {
    const reader = await connect(other.url);
    await reader.consume({ from });
    await until(() => texts(reader).includes('the last of all'), 'everything is read');
    assert.equal(texts(reader)[0], 'a0', JSON.stringify(from));
    assert.equal(new Set(reader.events('message').map((m) => m.position)).size, texts(reader).length, 'nothing twice');
    reader.close();
  }
  // Nothing has been said since then: nothing comes, but the next message does.
  const late = await connect(other.url);
  await late.consume({ from: { since_ms: Date.now() + 3600_000 } });
  await until(async () => {
    await say(ann, 'later');
    return texts(late).includes('later');
  }, 'the channel is live');
  assert.ok(!texts(late).includes('the last of all'));
  late.close();
  ann.close();
  await other.stop();
});

test('only what is addressed to this client and about its topics', async () => {
  const resume = secret();
  const ann = await connect(foz.url);
  const bob = await connect(foz.url, { resume });
  const { channels } = await bob.consume({ consume_target: ['room.red'] });
  bob.close();
  for (const room of ['red', 'blue', 'red']) await say(ann, room, room);
  await ann.publish('whisper', { to: bob.client, text: 'psst' });
  await ann.publish('whisper', { to: ann.client, text: 'not for bob' });
  const back = await connect(foz.url, { resume });
  await back.consume({ consume_target: ['room.red'], from: channels.chat.position });
  await until(() => texts(back).includes('psst'), 'the whisper comes');
  assert.deepEqual(texts(back), ['red', 'red', 'psst']);
  ann.close();
  back.close();
});

test('a position of another stream is a gap, and the channel goes on from now', async () => {
  const ann = await connect(foz.url);
  const good = (await ann.consume()).channels.chat.position;
  const other = good.replace(/[0-9a-f]{8}$/, (check) => (check[0] === '0' ? '1' : '0') + check.slice(1));
  const beyond = '0.' + (BigInt(good.split('.')[1]) + 1000n) + '.00000000';
  for (const from of [other, beyond, '0.0.00000000']) {
    const back = await connect(foz.url);
    await back.consume({ from });
    const gap = await until(() => back.events('gap')[0], 'the gap is told for ' + from);
    assert.equal(gap.cause, 'recreated');
    assert.equal(gap.channel, 'chat');
    assert.equal(typeof gap.position, 'string');
    await say(ann, 'after ' + from);
    await until(() => texts(back).length, 'it goes on');
    assert.deepEqual(texts(back), ['after ' + from]);
    back.close();
  }
  ann.close();
});

test('an answer that came while the socket was away reaches its request', async () => {
  const resume = secret();
  let answer;
  const slow = await worker('IN_TICKETS', (message, body, channel) => {
    answer = () => {
      const { replyTo, correlationId } = message.properties;
      channel.publish('', replyTo, Buffer.from('"here it is"'), { correlationId, messageId: 'late-answer' });
      channel.ack(message);
    };
  });
  const ann = await connect(foz.url, { resume });
  const { channels } = await ann.consume({ channel: 'tickets' });
  const asked = ann.ask({ packet_action: 'publish', channel: 'tickets', message: 1 });
  await until(() => answer, 'the worker has the request');
  // The socket dies under the client, and so does its aggregator: Primus comes back by itself to another one.
  const port = new URL(foz.url).port;
  await foz.kill();
  answer();
  foz = await serve(['--listen', '127.0.0.1:' + port]);
  await until(() => ann.opened === 2, 'the client is back', 20);
  await ann.consume({ channel: 'tickets', from: channels.tickets.position });
  assert.deepEqual((await asked).message, 'here it is');
  ann.close();
  await slow.stop();
});

test('what has expired is not replayed, neither from memory nor from the stream', async () => {
  const channel = await (await amqp()).createConfirmChannel();
  const ann = await connect(foz.url);
  const from = (await ann.consume()).channels.chat.position;
  const say_raw = (text, options) => channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify({ text })),
    { messageId: from + text, headers: { 'foz-broadcast': true }, ...options });
  const said = inSeconds(0);
  say_raw('lasting', { timestamp: said });
  say_raw('short', { timestamp: said, expiration: '500' });
  say_raw('long', { timestamp: said, expiration: '60000' });
  say_raw('untimed', { expiration: '500' }); // nobody knows when that was said
  say_raw('old', { timestamp: said - 60, expiration: '500' });
  say_raw('end', { timestamp: said });
  const kept = ['lasting', 'long', 'untimed', 'end'];
  await until(() => texts(ann).includes('end'), 'all is said');
  assert.deepEqual(texts(ann), ['lasting', 'short', 'long', 'untimed', 'old', 'end'], 'live, whatever the clocks say');
  await until(() => Date.now() > said * 1000 + 1500, 'the short one has expired');
  const other = await serve();
  for (const [url, place] of [[foz.url, from], [other.url, from], [other.url, { since_ms: said * 1000 }], [other.url, 'first']]) {
    const back = await connect(url);
    await back.consume({ from: place });
    await until(() => texts(back).includes('end'), 'all that is kept comes');
    assert.deepEqual(texts(back).slice(-4), kept, JSON.stringify([url === foz.url, place]));
    assert.ok(!texts(back).includes('short') && !texts(back).includes('old'));
    assert.deepEqual(back.events('gap'), []);
    back.close();
  }
  ann.close();
  await other.stop();
});

test('who comes back is asked what is still open, and not what nobody waits for any more', async () => {
  const channel = await (await amqp()).createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const answers = [];
  await channel.consume(queue, (m) => answers.push([m.properties.correlationId, JSON.parse(m.content)]), { noAck: true });
  const resume = secret();
  const bob = await connect(foz.url, { resume });
  const from = (await bob.consume()).channels.chat.position;
  bob.close();
  const said = inSeconds(0);
  const ask = (correlationId, expiration) => channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify({ ask: correlationId })),
    { replyTo: queue, correlationId, expiration, timestamp: said, messageId: from + correlationId, headers: { 'foz-direct': bob.client } });
  ask('brief', '3000');
  ask('open', '60000');
  channel.publish('OUTBOUND', 'chat', Buffer.from('{"text":"end"}'), { messageId: from + 'end', headers: { 'foz-broadcast': true } });
  await channel.waitForConfirms();
  // Comes back and says what it was asked before the last message; `answer`: what it answers to everything.
  const back = async (url, answer) => {
    const one = await connect(url, { resume });
    const asked = [];
    one.primus.on('request', (data, done) => {
      asked.push(data.message.ask);
      if (answer) done(answer);
    });
    await one.consume({ from });
    await until(() => texts(one).includes('end'), 'everything has come');
    one.close();
    return asked;
  };
  const soon = await back(foz.url);
  assert.ok(Date.now() < said * 1000 + 3000, 'the test was too slow to see this');
  assert.deepEqual(soon, ['brief', 'open']);
  const other = await serve();
  await until(() => Date.now() > said * 1000 + 4000, 'nobody waits for the brief one any more');
  assert.deepEqual(await back(foz.url), ['open']);
  assert.deepEqual(await back(other.url, { yes: 'from the other' }), ['open']);
  await until(() => answers.length, 'the answer comes');
  await settle();
  assert.deepEqual(answers, [['open', { yes: 'from the other' }]]);
  await other.stop();
});

test('a stream that is made anew is told to those who hear it', async () => {
  const ann = await connect(foz.url);
  await ann.consume({ channel: 'tickets' });
  const connection = await amqp();
  const channel = await connection.createChannel();
  await channel.deleteQueue('OUT_TICKETS');
  const gap = await until(() => ann.events('gap')[0], 'the gap is told', 30);
  assert.deepEqual([gap.channel, gap.cause], ['tickets', 'recreated']);
  await until(async () => {
    channel.publish('OUTBOUND', 'tickets', Buffer.from('"after"'), { headers: { 'foz-broadcast': true } });
    await settle();
    return ann.messages().includes('after');
  }, 'the new stream is heard');
  await connection.close();
  ann.close();
});
