// One socket for all services, or one for each: the same is said and heard. The same play is recorded both ways; what may
// differ (ids, times, positions) is replaced by the order in which it first appears.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, chat, connect, secret, serve, tickets, until, voice } from './lib.mjs';

let foz, services;
before(async () => {
  foz = await serve();
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
  for (const channel of ['chat', 'tickets', 'voice'])
    sockets[channel] = shared ?? await connect(foz.url, { resume, query: '&channel=' + channel });
  const all = [...new Set(Object.values(sockets))];
  return {
    client: sockets.chat.client,
    // On a bound socket the channel need not be named.
    ask: (channel, envelope) => sockets[channel].ask(each ? envelope : { channel, ...envelope }),
    heard: (channel) => sockets[channel].events('message').filter((m) => m.channel === channel),
    close: () => all.forEach((one) => one.close()),
  };
}

async function play(each) {
  const record = [];
  const [ann, bob, eve] = [await person(each), await person(each), await person(each)];
  const people = { ann, bob, eve };
  const names = new Map();
  const note = (kind, who, value) => record.push([kind, who, JSON.parse(JSON.stringify(value, (key, v) => {
    if (key === 'position') return 'position';
    if (key === 'at') return 'time';
    if (key === 'id' && /^anon-/.test(v)) return 'message id';
    return v;
  }).replace(/anon-[a-z0-9]{26}(\/[^"]*)?/g, (id, rest) => {
    const name = Object.keys(people).find((one) => id.startsWith(people[one].client)) ?? 'stranger';
    return rest ? name + '/call' : name;
  }).replace(/T-\d+|t-\d+/g, (id) => {
    if (!names.has(id.toUpperCase())) names.set(id.toUpperCase(), 'ticket ' + names.size);
    return names.get(id.toUpperCase());
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
  for (const one of [ann, bob, eve]) one.close();
  return record;
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
