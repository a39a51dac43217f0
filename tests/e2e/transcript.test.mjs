// One socket for all services, or one for each: the same is said and heard. The same play is recorded both ways; what may
// differ (ids, times, positions) is replaced by the order in which it first appears.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, closeAll, chat, connect, inSeconds, secret, serve, tickets, until, voice, configFile } from './lib.mjs';

const config = `
[channels.chat]
[channels.tickets]
[channels.voice]
delivery = "volatile"
consumers = "single_active"
presence = true
# Nobody works on these two.
[channels.quiet]
no_service_after_ms = 600000
[channels.gone]
no_service_after_ms = 0
`;
const names = ['chat', 'tickets', 'voice', 'quiet', 'gone'];

let foz, services, worker, answers;
before(async () => {
  foz = await serve(['--config', configFile(config)]);
  worker = await (await amqp()).createChannel();
  answers = (await worker.assertQueue('', { exclusive: true })).queue;
  services = [await chat(), await tickets(), await voice()];
});
after(async () => {
  await closeAll();
  await foz.stop();
  for (const one of services) await one.stop();
});

// A person with one socket, or with a socket that is bound to each channel.
async function person(each) {
  const resume = secret();
  const sockets = {};
  const shared = each ? undefined : await connect(foz.url, { resume });
  for (const channel of names)
    sockets[channel] = shared ?? await connect(foz.url, { resume, query: '&channel=' + channel });
  const all = [...new Set(Object.values(sockets))];
  return {
    client: sockets.chat.client,
    // On a bound socket the channel need not be named.
    on: (channel) => sockets[channel],
    ask: (channel, envelope) => sockets[channel].ask(each ? envelope : { channel, ...envelope }),
    heard: (channel) => sockets[channel].events('message').filter((m) => m.channel === channel),
    close: () => all.forEach((one) => one.close()),
  };
}

async function play(each) {
  const record = [];
  const [ann, bob, eve] = [await person(each), await person(each), await person(each)];
  const people = { ann, bob, eve };
  const numbers = new Map();
  const note = (kind, who, value) => record.push([kind, who, JSON.parse(JSON.stringify(value, (key, v) => {
    if (key === 'position') return 'position';
    if (key === 'at') return 'time';
    // The caller's patience and the message's life end at the same time.
    if (key === 'message' && /^(the service did not answer|no service took the request) in time$/.test(v)) return 'too late';
    if (key === 'id' && /^anon-/.test(v)) return 'message id';
    return v;
  }).replace(/anon-[a-z0-9]{26}(\/[^"]*)?/g, (id, rest) => {
    const name = Object.keys(people).find((one) => id.startsWith(people[one].client)) ?? 'stranger';
    return rest ? name + '/call' : name;
  }).replace(/T-\d+|t-\d+/g, (id) => {
    if (!numbers.has(id.toUpperCase())) numbers.set(id.toUpperCase(), 'ticket ' + numbers.size);
    return numbers.get(id.toUpperCase());
  }))]);
  const ask = async (who, channel, envelope) => {
    const answer = await people[who].ask(channel, envelope);
    note('answer', who, answer);
    return answer;
  };
  const publish = (who, channel, type, message, rest = {}) =>
    ask(who, channel, { packet_action: 'publish', type, message, ...rest });
  const hears = async (who, channel, count) => {
    await until(() => people[who].heard(channel).length >= count, who + ' hears ' + count + ' on ' + channel);
    note('heard', who + ' ' + channel, people[who].heard(channel));
  };

  for (const who of ['ann', 'bob']) for (const channel of ['chat', 'tickets', 'voice'])
    await ask(who, channel, { packet_action: 'consume' });
  await publish('ann', 'chat', 'say', { room: 'play', text: 'hello', name: 'Ann' });
  await publish('ann', 'chat', 'whisper', { to: bob.client, text: 'psst' });
  await publish('ann', 'chat', 'say', { room: 'NO', text: 'x' });
  await publish('ann', 'chat', 'echo', [1, { two: null }], { id: 'e1', colour: 'red' });
  await publish('ann', 'chat', 'echo', 'again', { id: 'e1' });
  await publish('ann', 'chat', 'echo', 1, { ack: 'confirmed', id: 'e2' });
  await hears('bob', 'chat', 2);
  const { ticket } = (await publish('ann', 'tickets', 'open', { title: 'A leak', text: 'Here' })).message;
  await publish('bob', 'tickets', 'assign', { id: ticket.id, to: 'Bob' });
  await publish('bob', 'tickets', 'close', { id: ticket.id });
  await publish('eve', 'tickets', 'comment', { id: ticket.id, text: 'late' });
  await hears('bob', 'tickets', 3);
  const { call } = (await publish('ann', 'voice', 'ring', { to: bob.client, name: 'Ann' })).message;
  await hears('bob', 'voice', 1);
  await publish('bob', 'voice', 'answer', { call });
  await hears('ann', 'voice', 1);
  await publish('ann', 'voice', 'signal', { call, data: { sdp: 'x' } });
  await publish('eve', 'voice', 'hangup', { call });
  await publish('bob', 'voice', 'hangup', { call });
  await hears('ann', 'voice', 2);
  await hears('bob', 'voice', 2);
  await ask('ann', 'chat', { packet_action: 'leave' });
  await ask('eve', 'chat', { packet_action: 'consume', distribution: { direct: [ann.client] } });
  await ask('eve', 'chat', { packet_action: 'fly' });
  await publish('eve', 'chat', 'foz.opened', {});
  await unions({ ask, publish, hears, people });
  await outcomes({ publish, note, people });
  await question({ note, people });
  await resumed({ ask, publish, hears, people });
  for (const one of [ann, bob, eve]) one.close();
  return record;
}

// Topics and groups that are consumed piece by piece, and left.
async function unions({ ask, publish, hears }) {
  await ask('eve', 'chat', { packet_action: 'consume', consume_target: ['room.one'], colour: 'red' });
  await ask('eve', 'chat', { packet_action: 'consume', consume_target: 'room.two', distribution: { multicast: ['team-1'] } });
  const say = (room) => publish('ann', 'chat', 'say', { room, text: 'in ' + room });
  for (const room of ['one', 'two', 'three']) await say(room);
  await publish('ann', 'chat', 'team', { group: 'team-1', text: 'without a topic' });
  await ask('eve', 'chat', { packet_action: 'leave', consume_target: ['room.one'] });
  for (const room of ['one', 'two']) await say(room);
  await hears('eve', 'chat', 3);
}

// What becomes of requests: progress to the end, no service, a time-out.
async function outcomes({ publish, note, people }) {
  await publish('ann', 'chat', 'echo', 'p', { id: 'p1', progress: true });
  const progress = () => people.ann.on('chat').events('progress');
  await until(() => progress().at(-1)?.state === 'done', 'it is done');
  note('progress', 'ann', progress());
  await publish('ann', 'gone', 'echo', 'refused', { id: 'g1' });
  await publish('ann', 'quiet', 'echo', 'refused', { id: 'q1', fail_fast: true, ack: 'confirmed' });
  await publish('ann', 'quiet', 'echo', 'late', { id: 'q2', timeout_ms: 150 });
  await publish('ann', 'quiet', 'echo', 'late', { timeout_ms: 150 });
  await publish('ann', 'gone', 'echo', 'kept', { ack: 'confirmed', expires_ms: 1000 });
}

// A service asks, a client answers.
async function question({ note, people }) {
  people.bob.on('chat').primus.on('request', (data, done) => {
    note('asked', 'bob', data);
    done({ yes: true });
  });
  const heard = new Promise((resolve) => {
    worker.consume(answers, (m) => resolve([m.properties.correlationId, JSON.parse(m.content), m.properties.headers['foz-client']]),
      { noAck: true, consumerTag: 'play' });
  });
  worker.publish('OUTBOUND', 'chat', Buffer.from('"sure?"'), { replyTo: answers, correlationId: 'q', expiration: '10000',
    timestamp: inSeconds(0), type: 'sure', headers: { 'foz-direct': people.bob.client } });
  note('heard', 'the service', await heard);
  await worker.cancel('play');
}

// Coming back to a place.
async function resumed({ ask, publish, hears, people }) {
  const before = people.bob.heard('chat').length;
  for (const text of ['first', 'second', 'third']) await publish('ann', 'chat', 'say', { room: 'back', text });
  await hears('bob', 'chat', before + 3);
  const from = people.bob.heard('chat')[before].position;
  await ask('bob', 'chat', { packet_action: 'leave' });
  await publish('ann', 'chat', 'say', { room: 'back', text: 'while away' });
  await ask('bob', 'chat', { packet_action: 'consume', consume_target: ['room.back'], from });
  await publish('ann', 'chat', 'say', { room: 'back', text: 'live' });
  await hears('bob', 'chat', before + 3 + 4);
}

test('the same transcript with one socket and with one for each service', async () => {
  const one = await play(false);
  const each = await play(true);
  assert.equal(one.length, each.length);
  for (const [i, [kind, who, value]] of each.entries()) {
    // On one socket the outcome of a consume lists the channels that were consumed before, too.
    const expected = value.event === 'consuming'
      ? { ...one[i][2], channels: Object.fromEntries(Object.keys(value.channels).map((name) => [name, one[i][2].channels[name]])) }
      : one[i][2];
    assert.deepEqual([kind, who, value], [one[i][0], one[i][1], expected], 'line ' + i);
  }
});
