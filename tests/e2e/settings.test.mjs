// Channels' settings: groups, presence, redelivery, order, what is no JSON.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, amqp, connect, reply, request, serve, until, worker, configFile } from './lib.mjs';

const config = `
[client]
request_timeout_ms = 5000

[channels.club]
groups = "service"
presence = true

[channels.vault]
groups = "token"

[channels.once]
redeliver = "never"

[channels.line]
order = "client"

[channels.voice]
delivery = "volatile"
consumers = "single_active"
not_json = "base64"
`;

let foz;
before(async () => {
  foz = await serve(['--config', configFile(config)]);
});
after(async () => {
  await closeAll();
  await foz.stop();
});

test('groups: the channel\'s worker says who may join; a token would have to', async () => {
  const asked = [];
  const node = await worker('IN_CLUB', (message, body, channel) => {
    if (message.properties.type === 'foz.join') {
      asked.push([body.group, message.properties.headers['foz-client']]);
      if (body.group === 'broken') reply(channel, message, { code: 'x', message: 'x' }, { headers: { 'foz-error': 'x' } });
      else reply(channel, message, { allow: body.group === 'members' });
    }
    channel.ack(message);
  });
  const ann = await connect(foz.url);
  const join = (channel, ...multicast) => ann.ask({ packet_action: 'consume', channel, distribution: { multicast } });
  assert.deepEqual((await join('club', 'members')).channels.club.groups, ['members']);
  assert.deepEqual(asked, [['members', ann.client]]);
  assert.equal((await join('club', 'members')).event, 'consuming', 'one is asked once');
  assert.equal(asked.length, 1);
  for (const groups of [['others'], ['broken'], ['members', 'others']]) {
    const { error } = await join('club', ...groups);
    assert.equal(error.code, 'forbidden');
    assert.equal(error.field, 'distribution.multicast');
    assert.ok(error.message.includes(groups.at(-1)), error.message);
  }
  assert.equal((await join('vault', 'gold')).error.code, 'forbidden');
  // The group of one's own name is always open, and so is hearing what everyone hears.
  assert.deepEqual((await join('vault', ann.client)).channels.vault.groups, [ann.client]);
  assert.equal((await ann.ask({ packet_action: 'consume', channel: 'club' })).event, 'consuming');
  ann.close();
  await node.stop();
});

test('a service learns who comes and goes', async () => {
  const seen = [];
  const node = await worker('IN_CLUB', (message, body, channel) => {
    if (message.properties.type.startsWith('foz.')) seen.push([message.properties.type, body.session, message.properties.headers['foz-client']]);
    channel.ack(message);
  });
  const ann = await connect(foz.url);
  const events = () => seen.filter(([, session]) => session === ann.session).map(([type]) => type);
  await ann.ask({ packet_action: 'consume', channel: 'club' });
  await ann.ask({ packet_action: 'consume', channel: 'club', consume_target: ['x'] });
  await ann.ask({ packet_action: 'leave', channel: 'club' });
  await ann.ask({ packet_action: 'consume', channel: 'club' });
  ann.close();
  await until(() => events().length === 4, 'four events');
  assert.deepEqual(events(), ['foz.opened', 'foz.closed', 'foz.opened', 'foz.closed']);
  assert.ok(seen.every(([, session, client]) => session !== ann.session || client === ann.client));
  await node.stop();
});

test('redeliver = never: what was not finished is a dead letter at once', async () => {
  const node = await worker('IN_ONCE', (message, body, channel) => channel.nack(message, false, true));
  const ann = await connect(foz.url);
  const { error } = await ann.ask(request('once'));
  assert.equal(error.code, 'dead_lettered');
  ann.close();
  await node.stop();
});

test('order = client: one active consumer, and each client\'s messages in its order', async () => {
  const seen = [];
  const handle = (message, body, channel) => { seen.push(body); channel.ack(message); };
  const [one, two] = [await worker('IN_LINE', handle), await worker('IN_LINE', handle)];
  const ann = await connect(foz.url);
  for (let i = 0; i < 200; i += 1) ann.primus.write(request('line', { message: i }));
  await until(() => seen.length === 200, 'all have come');
  assert.deepEqual(seen, Array.from({ length: 200 }, (_, i) => i));
  ann.close();
  await one.stop();
  await two.stop();
});

test('not_json = base64: what is no JSON arrives all the same', async () => {
  const ann = await connect(foz.url);
  await ann.ask({ packet_action: 'consume', channel: 'voice' });
  const connection = await amqp();
  const channel = await connection.createChannel();
  channel.publish('OUTBOUND', 'voice', Buffer.from([0, 255, 1]), { headers: { 'foz-broadcast': true } });
  await until(() => ann.messages().length, 'it arrives');
  assert.deepEqual(ann.messages(), [Buffer.from([0, 255, 1]).toString('base64')]);
  await connection.close();
  ann.close();
});
