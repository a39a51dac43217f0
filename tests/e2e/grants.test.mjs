// The permissions that foz topology grant prints are enough, and no more.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { amqplib, broker, chat, closeAll, configFile, connect, handshake, onFoz, run, serve, start, testIssuer, until, voice, worker } from './lib.mjs';

const foz = process.env.FOZ;
const folder = mkdtempSync(join(process.env.FOZ_OUT, 'grants-'));
const suffix = '-' + process.pid;
const users = {
  deploy: ['--for', 'topology'],
  front: ['--for', 'aggregator'],
  chatting: ['--for', 'worker', '--channel', 'chat'],
  speaking: ['--for', 'worker', '--channel', 'voice'],
  deploying: ['--for', 'topology'],
  guarded: ['--for', 'aggregator'],
  deciding: ['--for', 'worker', '--channel', 'tickets'],
};
const names = Object.keys(users);
const rabbitmqctl = (...args) => execFileSync(process.env.FOZ_ROOT + '/scripts/rabbitmq', ['ctl', process.env.FOZ_TEST_NODE, ...args],
  { encoding: 'utf8', timeout: 60_000 });
after(async () => {
  await closeAll();
  await ownBroker?.kill();
  if (!onFoz) for (const one of names) rabbitmqctl('delete_user', one + suffix);
  rmSync(folder, { recursive: true });
});
let ownBroker; // of the embedded kind
const issuer = testIssuer('test');
const channels = '[channels.chat]\n[channels.tickets]\n[channels.voice]\ndelivery = "volatile"\npresence = true\n';
const settings = `[listen]
allow_anonymous = true
${issuer.toml}
${channels}`;
const config = configFile(settings);
const withService = configFile('[connect_service]\nchannel = "tickets"\n' + channels);
const configs = { guarded: withService, deploying: withService };
let as; // the broker's URL of a user

// What is printed, as the arguments that a shell makes of it.
async function granted(user, vhost, how, by = config) {
  const { code, output } = await run(foz, ['topology', 'grant', user, '--config', by, '--broker',
    'amqp://127.0.0.1/' + encodeURIComponent(vhost), ...how]);
  assert.equal(code, 0, output);
  const words = execFileSync('sh', ['-c', 'rabbitmqctl() { printf "%s\\n" "$@"; }\n' + output], { encoding: 'utf8' });
  const [command, option, where, who, configure, write, read] = words.trimEnd().split('\n');
  assert.deepEqual([command, option, where, who], ['set_permissions', '-p', vhost, user]);
  return { configure, write, read };
}

// A broker that knows these users: the URL of one of them.
async function brokerWith() {
  if (onFoz) {
    const vhost = 'shop';
    const permissions = await Promise.all(names.map(async (one) =>
      ({ user: one + suffix, vhost, ...await granted(one + suffix, vhost, users[one], configs[one]) })));
    writeFileSync(join(folder, 'definitions.json'), JSON.stringify({
      vhosts: [{ name: vhost }], users: names.map((one) => ({ name: one + suffix, password: 'p', tags: [] })), permissions }));
    const self = ownBroker = await start(foz, ['broker', '--data', join(folder, 'data'), '--listen', '127.0.0.1:0', '--definitions',
      join(folder, 'definitions.json')]);
    await self.until('ready: ', 30);
    const place = self.output.match(/ready: amqp:\/\/([^/]+)\//)[1];
    return (one) => `amqp://${one + suffix}:p@${place}/${vhost}`;
  }
  const vhost = decodeURIComponent(new URL(broker).pathname.slice(1));
  for (const one of names) {
    rabbitmqctl('add_user', one + suffix, 'p');
    const { configure, write, read } = await granted(one + suffix, vhost, users[one], configs[one]);
    rabbitmqctl('set_permissions', '-p', vhost, one + suffix, configure, write, read);
  }
  return (one) => broker.replace(/\/\/[^@/]*@/, '//').replace('//', '//' + one + suffix + ':p@');
}

test('each user can do its work with what is granted, and nothing else', async () => {
  as = await brokerWith();
  // Nothing is there yet, and the aggregator may not make it: it says what is missing.
  const early = await run(foz, ['serve', '--listen', '127.0.0.1:0', '--config', config, '--broker', as('front')], { seconds: 30 });
  assert.notEqual(early.code, 0, early.output);
  assert.match(early.output, /no exchange 'INBOUND'.*; and it can't be declared: .*ACCESS_REFUSED/);

  const applied = await run(foz, ['topology', 'apply', '--config', config, '--broker', as('deploy')]);
  assert.equal(applied.code, 0, applied.output);
  const looked = await run(foz, ['doctor', '--config', config, '--listen', '127.0.0.1:0', '--broker', as('front')], { seconds: 30 });
  assert.equal(looked.code, 0, looked.output);
  assert.match(looked.output, /^note {2}queue IN_CHAT: there; this user may not declare it/m);
  for (const what of ['may declare queues', 'may consume', 'may publish to INBOUND'])
    assert.match(looked.output, new RegExp('^ok {4}permissions of front.*: ' + what + '$', 'm'));
  const server = await serve(['--config', config], as('front'));
  const [writing, speaking] = [await chat([], as('chatting')), await voice([], as('speaking'))];
  const [ann, bob] = [await connect(server.url), await connect(server.url)];
  for (const one of [ann, bob]) await one.consume({ channel: { chat: true, voice: true, tickets: true } });
  assert.equal((await ann.publish('say', { room: 'lobby', text: 'hello', name: 'Ann' }, { id: 'm1' })).event, 'answer');
  await until(() => bob.messages().some((one) => one.text === 'hello'), 'a durable channel is heard');
  // From a place in the past: another reader of the stream.
  const late = await connect(server.url);
  await late.consume({ from: 'first' });
  await until(() => late.messages().some((one) => one.text === 'hello'), 'the past is read');
  assert.equal((await ann.ask({ packet_action: 'publish', channel: 'voice', type: 'nothing that it knows', message: {} })).event, 'error',
    'the voice service answers');
  // Nobody serves tickets: its dead letter is told by the aggregator, which reads these notices.
  const none = await ann.ask({ packet_action: 'publish', channel: 'tickets', type: 'x', message: {}, timeout_ms: 300, ack: 'answer' });
  assert.equal(none.event, 'error');
  for (const one of [server, writing, speaking]) assert.doesNotMatch(one.output, /ACCESS_REFUSED|\b403\b/);

  // A service that decides who comes in: one more queue, for those alone that ask one.
  const more = await run(foz, ['topology', 'apply', '--config', withService, '--broker', as('deploying')]);
  assert.equal(more.code, 0, more.output);
  const asking = await serve(['--config', withService], as('guarded'));
  const decider = await worker('IN_TICKETS', (message, _, channel) => {
    const { replyTo, correlationId } = message.properties;
    channel.sendToQueue(replyTo, Buffer.from('{"allow":true,"claims":{"sub":"gina"}}'), { correlationId });
    channel.ack(message);
  }, as('deciding'));
  const gina = await connect(asking.url);
  assert.equal(gina.client, 'gina');
  gina.close();
  await decider.stop();
  assert.doesNotMatch(asking.output, /ACCESS_REFUSED|\b403\b/);
  await asking.stop();
  const may = async (user, what) => {
    const connection = await amqplib.connect(as(user));
    connection.on('error', () => {});
    const channel = await connection.createConfirmChannel();
    let refused;
    channel.on('error', (error) => { refused = error; });
    try { await what(channel); } catch (error) { refused ??= error; }
    await connection.close().catch(() => {});
    if (refused) assert.match(refused.message, /ACCESS.REFUSED/i);
    return !refused;
  };
  const publish = (exchange, key) => async (on) => { on.publish(exchange, key, Buffer.from('x')); await on.waitForConfirms(); };
  const consume = (queue) => async (on) => { await on.prefetch(1); await on.consume(queue, () => {}); };
  assert.equal(await may('front', consume('IN_CHAT')), false, 'an aggregator takes no work');
  assert.equal(await may('front', (on) => on.assertQueue('mine')), false);
  assert.equal(await may('front', (on) => on.assertQueue('CONNECT.x', { exclusive: true })), false);
  assert.equal(await may('guarded', (on) => on.assertQueue('CONNECT.x', { exclusive: true })), true);
  assert.equal(await may('front', (on) => on.deleteQueue('OUT_CHAT')), false);
  assert.equal(await may('front', (on) => on.purgeQueue('IN_DEAD')), false);
  assert.equal(await may('chatting', consume('IN_TICKETS')), false, "a worker takes no other channel's work");
  assert.equal(await may('chatting', consume('OUT_TICKETS')), false);
  assert.equal(await may('chatting', publish('INTERNAL', '')), false, 'it does not speak to aggregators');
  assert.equal(await may('chatting', (on) => on.deleteQueue('IN_CHAT')), false);
  assert.equal(await may('speaking', consume('IN_CHAT')), false);
  assert.equal(await may('deploy', publish('OUTBOUND', 'chat')), false, 'who deploys does not speak');
  for (const one of [ann, bob, late]) one.close();
  await server.stop();
  await writing.stop();
  await speaking.stop();
});

test('a worker can write to REVOKED, but what it writes revokes nobody, unless broker.revokers names it', async () => {
  const revoke = async (client, by, { signed = true } = {}) => {
    const connection = await amqplib.connect(as(by));
    const channel = await connection.createConfirmChannel();
    channel.publish('', 'REVOKED', Buffer.from(JSON.stringify({ client, until_ms: Date.now() + 600_000 })),
      { persistent: true, ...(signed && { userId: by + suffix }) });
    await channel.waitForConfirms();
    await connection.close();
  };
  const enter = (client, url) => handshake(url, 'hello=1&token=' + issuer.token({ sub: client }));
  const refused = async (client, url) => {
    const one = await enter(client, url);
    await one.closed();
    return one.events('error')[0].error.code;
  };
  const server = await serve(['--config', config], as('front'));
  const other = await serve(['--config', config], as('front')); // what aggregators write there to find the end is no offence
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((one) => enter(one, server.url)));
  await revoke('ann', 'chatting');
  await server.until(`it is from the user 'chatting${suffix}'`);
  assert.doesNotMatch(server.output, /it is from nobody/);
  await other.stop();
  await revoke('ann', 'chatting', { signed: false });
  await server.until('it is from nobody in particular');
  await revoke('bob', 'front'); // as an aggregator does
  await bob.closed();
  assert.equal(bob.events('error')[0].error.code, 'revoked');
  assert.equal(ann.code, undefined);
  const { code, output } = await run(foz, ['token', 'revoke', '--config', config, '--broker', as('front'), '--client', 'carl']);
  assert.equal(code, 0, output);
  await until(async () => await refused('carl', server.url) === 'revoked', 'the command line revokes as the user of its URL');
  const trusting = await serve(['--config', configFile(settings + `[broker]\nrevokers = ["chatting${suffix}"]\n`)], as('front'));
  assert.deepEqual(await Promise.all(['ann', 'bob'].map((one) => refused(one, trusting.url))), ['revoked', 'revoked']);
  assert.equal((await enter('ann', server.url)).events('welcome')[0].client, 'ann');
  await server.stop();
  await trusting.stop();
});

test('a name that is none, and a shell that is no fool', async () => {
  const wrong = await run(foz, ['topology', 'grant', 'x', '--channel', 'nowhere']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.output, /^foz: --channel: there is no channel nowhere in the configuration/);
  assert.equal((await run(foz, ['topology', 'grant', 'x', '--for', 'all'])).code, 2);
  assert.equal((await run(foz, ['topology', 'grant'])).code, 2);
  await granted("o'hara; touch /tmp/no", "it's", []);
});
