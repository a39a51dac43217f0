// foz serve with the broker inside: nothing else is needed, services of any language reach it, and a kill loses nothing.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { amqplib, chat, closeAll, configFile, connect, handshake, plugged, run, start, until, worker } from './lib.mjs';

const folder = mkdtempSync(tmpdir() + '/foz-embedded-');
after(async () => {
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});

// Ports that the kernel chooses once and that stay the same over a restart.
async function serve(data, { listen = '127.0.0.1:0', amqp = '127.0.0.1:0', args = [] } = {}) {
  const self = await start(process.env.FOZ,
    ['serve', '--data', data, '--listen', listen, '--amqp-listen', amqp, '--threads', '2', ...args]);
  await self.until('ready: ');
  self.url = self.output.match(/ready: (https?:\/\/[^/]+)\//)[1];
  self.broker = 'amqp://' + self.output.match(/broker: amqp:\/\/([^,]+),/)[1];
  return self;
}

test('one program is enough: a client is answered by services in C++ and on amqplib', async () => {
  const foz = await serve(folder + '/one');
  const service = await chat([], foz.broker);
  const plain = await worker('IN_TICKETS', (message, body, channel) => {
    channel.publish('', message.properties.replyTo, Buffer.from(JSON.stringify({ plain: body })),
      { correlationId: message.properties.correlationId });
    channel.ack(message);
  }, foz.broker);
  const client = await connect(foz.url);
  await client.consume();
  assert.equal((await client.publish('say', { room: 'lobby', text: 'hi' })).event, 'answer');
  await until(() => client.messages().some((m) => m.text === 'hi'), 'the client hears itself');
  const asked = await client.ask({ packet_action: 'publish', channel: 'tickets', message: 5 });
  assert.deepEqual(asked.message, { plain: 5 });
  client.close();
  await plain.stop();
  await service.stop();
  await foz.stop();
});

test('it is killed with messages in flight and started again: each is heard once, in order', { timeout: 60_000 }, async () => {
  let foz = await serve(folder + '/two');
  const [listen, amqp] = [new URL(foz.url).host, new URL(foz.broker).host];
  const service = await chat([], foz.broker);
  const [a, b] = [plugged(foz.url), plugged(foz.url)];
  await Promise.all([a, b].map((one) => one.foz.consume('chat', { from: 'now' })));
  const sent = [];
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 100; i += 1)
      sent.push(a.foz.publish('chat', { room: 'r', text: String(sent.length) }, { type: 'say' }));
    await sent[sent.length - 60]; // some are confirmed, the others on their way
    await foz.kill();
    foz = await serve(folder + '/two', { listen, amqp });
  }
  await Promise.all(sent);
  await until(() => [a, b].every((one) => one.heard.length >= sent.length), 'everything is heard', 30);
  const numbers = b.heard.map((event) => Number(event.message.text));
  assert.equal(new Set(numbers).size, sent.length, 'nothing lost');
  assert.equal(numbers.length, sent.length, 'nothing twice');
  assert.deepEqual(a.heard.map((event) => Number(event.message.text)), numbers, 'the same order for everyone');
  assert.deepEqual([...a.gaps, ...b.gaps], []);
  a.close();
  b.close();
  await service.stop();
  await foz.stop();
});

test('the command line revokes at the broker inside, and a worker with a user of its own does not', async () => {
  const definitions = folder + '/definitions.json';
  writeFileSync(definitions, JSON.stringify({
    users: ['guest', 'worker'].map((name) => ({ name, password: name, tags: name === 'guest' ? 'administrator' : '' })),
    permissions: ['guest', 'worker'].map((user) => ({ user, vhost: '/', configure: '.*', write: '.*', read: '.*' })),
  }));
  const secret = folder + '/secret';
  writeFileSync(secret, 'x'.repeat(32));
  const config = configFile(`[issuers.test]\nissuer = "test"\nalgorithms = ["HS256"]\nsecret_file = "${secret}"\n`);
  const foz = await serve(folder + '/revoking', { args: ['--config', config, '--definitions', definitions] });
  const enter = async (client) => {
    const made = await run(process.env.FOZ, ['token', 'make', '--config', config, '--as', 'test', '--sub', client]);
    assert.equal(made.code, 0, made.output);
    return handshake(foz.url, 'hello=1&token=' + made.output.trim());
  };
  const [ann, bob] = [await enter('ann'), await enter('bob')];
  const connection = await amqplib.connect(foz.broker.replace('://', '://worker:worker@'));
  const channel = await connection.createConfirmChannel();
  channel.publish('', 'REVOKED', Buffer.from(JSON.stringify({ client: 'bob', until_ms: Date.now() + 600_000 })),
    { persistent: true, userId: 'worker' });
  await channel.waitForConfirms();
  await connection.close();
  await foz.until("it is from the user 'worker'");
  const revoked = await run(process.env.FOZ, ['token', 'revoke', '--config', config, '--broker', foz.broker, '--client', 'ann']);
  assert.equal(revoked.code, 0, revoked.output);
  await ann.closed();
  assert.equal(ann.events('error')[0].error.code, 'revoked');
  assert.equal(bob.code, undefined);
  await foz.stop();
});

test('what keeps it from starting is one line that says what to do', async () => {
  const foz = await serve(folder + '/three');
  writeFileSync(folder + '/file', '');
  const rows = [
    [['--data', folder + '/three', '--amqp-listen', '127.0.0.1:0'], /three is in use by another broker/],
    [['--data', folder + '/four', '--amqp-listen', new URL(foz.broker).host], /can't listen on .*in use.*--broker URL/],
    [['--data', folder + '/file', '--amqp-listen', '127.0.0.1:0'], /file: /],
  ];
  for (const [args, text] of rows) {
    const { code, output } = await run(process.env.FOZ, ['serve', '--listen', '127.0.0.1:0', ...args]);
    assert.equal(code, 1, output);
    assert.match(output, text);
    assert.equal(output.split('\n').filter((line) => line.startsWith('foz: ')).length, 1, output);
  }
  await foz.stop();
});

test('a definition that was made lasts; what is exclusive does not', async () => {
  let foz = await serve(folder + '/five');
  const connection = await amqplib.connect(foz.broker);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('kept', { durable: true });
  await channel.assertQueue('gone', { exclusive: true });
  channel.sendToQueue('kept', Buffer.from('one'), { persistent: true });
  await channel.waitForConfirms();
  connection.on('error', () => {});
  await foz.stop();
  foz = await serve(folder + '/five');
  const again = await amqplib.connect(foz.broker);
  const there = await again.createChannel();
  assert.equal((await there.checkQueue('kept')).messageCount, 1);
  assert.equal((await there.get('kept', { noAck: true })).content.toString(), 'one');
  there.on('error', () => {});
  await assert.rejects(there.checkQueue('gone'), /404/);
  await again.close();
  await foz.stop();
});
