// What is on the broker, shown, declared, exported and imported; and what foz doctor says of it.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { amqp, broker, closeAll, connect, onFoz, run, serve, start, until, worker } from './lib.mjs';

const foz = process.env.FOZ;
const folder = mkdtempSync(join(process.env.FOZ_OUT, 'doctor-'));
const rabbitmq = process.env.FOZ_ROOT + '/scripts/rabbitmq';
const node = join(folder, 'node'); // of our own: definitions and users belong to a whole node
after(async () => {
  await closeAll();
  execFileSync(rabbitmq, ['kill', node]);
  rmSync(folder, { recursive: true });
});

const port0 = ['--listen', '127.0.0.1:0'];
const doctor = async (args, options) => {
  const { code, output } = await run(foz, ['doctor', ...args], { seconds: 40, ...options });
  const lines = output.trim().split('\n');
  for (const line of lines) assert.match(line, /^(ok  |note|FAIL)  \S/);
  assert.equal(code, lines.some((line) => line.startsWith('FAIL')) ? 1 : 0, output);
  return { code, output, has: (pattern) => assert.match(output, pattern) };
};

function file(name, text) {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const rabbitmqctl = (...args) => execFileSync(process.env.FOZ_ROOT + '/scripts/rabbitmq', ['ctl', node, ...args],
  { encoding: 'utf8', timeout: 30_000 });

test('doctor on an empty virtual host: everything would be made, nothing is', async () => {
  const { code, has, output } = await doctor(['--broker', broker, ...port0]);
  assert.equal(code, 0, output);
  has(/^ok {4}configuration: reads; channels voice, chat, tickets$/m);
  has(/^ok {4}amqp:.*: connects, user guest may use virtual host /m);
  has(onFoz ? /^ok {4}broker: Foz \d+\.\d+\.\d+, the embedded one/m : /^ok {4}broker: RabbitMQ \d+\.\d+\.\d+, of the known range/m);
  has(/^ok {4}queue IN_CHAT: not there yet/m);
  has(/^ok {4}permissions of guest: may declare queues$/m);
  const again = await doctor(['--broker', broker, ...port0]);
  again.has(/^ok {4}queue IN_CHAT: not there yet/m);
});

test('topology apply declares; again changes nothing; doctor finds it fitting', async () => {
  for (let i = 0; i < 2; ++i) {
    const { code, output } = await run(foz, ['topology', 'apply', '--broker', broker]);
    assert.equal(code, 0, output);
    assert.match(output, /^declared on amqp:/);
  }
  const { code, has, output } = await doctor(['--broker', broker, ...port0]);
  assert.equal(code, 0, output);
  has(/^ok {4}exchange INBOUND: there, with fitting arguments$/m);
  has(/^ok {4}queue OUT_CHAT: there, with fitting arguments$/m);
  has(/^ok {4}permissions of guest: may publish to INBOUND$/m);
  has(/^note {2}channel chat: no service consumes IN_CHAT/m);
});

test('doctor sees consumers and dead letters', async () => {
  const service = await worker('IN_CHAT', (message, body, channel) => channel.reject(message, false));
  const connection = await amqp();
  const channel = await connection.createConfirmChannel();
  channel.publish('INBOUND', 'chat.x', Buffer.from('1'));
  await channel.waitForConfirms();
  await until(async () => (await channel.checkQueue('IN_DEAD')).messageCount === 1, 'the refused message is dead');
  const { code, has, output } = await doctor(['--broker', broker, ...port0]);
  assert.equal(code, 0, output);
  has(/^note {2}1 dead letter waits in IN_DEAD$/m);
  has(/^ok {4}channel chat: 1 consumer, 0 messages in the queue$/m);
  await service.stop();
  await connection.close();
});

test('other arguments: topology apply and doctor name queue and argument', async () => {
  const config = file('limit.toml', '[channels.chat]\nredeliver = 5\n');
  const applied = await run(foz, ['topology', 'apply', '--broker', broker, '--config', config]);
  assert.equal(applied.code, 1);
  assert.match(applied.output, /^foz: .*inequivalent arg 'x-delivery-limit' for queue 'IN_CHAT'.*\n$/);
  const { code, has, output } = await doctor(['--broker', broker, '--config', config, ...port0]);
  assert.equal(code, 1, output);
  has(/^FAIL {2}queue IN_CHAT: there, with other arguments .*'x-delivery-limit'/m);
});

test('doctor: why a broker can not be used', async () => {
  const rows = [
    ['amqp://127.0.0.1:1', /^FAIL {2}.*nothing listens there.*Connection refused/m],
    ['amqp://nowhere.invalid', /^FAIL {2}.*the name is unknown here/m],
    [broker.replace('//', '//guest:wrong@'), /^FAIL {2}.*user or password is wrong.*ACCESS_REFUSED/m],
    [broker + '-missing', /^FAIL {2}.*the virtual host does not exist/m],
    [broker.replace('amqp:', 'amqps:'), /^FAIL {2}.*TLS fails/m],
  ];
  for (const [url, pattern] of rows) {
    const { code, output, has } = await doctor(['--broker', url, ...port0]);
    assert.equal(code, 1, output);
    has(pattern);
    assert.ok(!output.includes('wrong@'), output);
  }
});

test('doctor: what is wrong on this machine', async () => {
  const config = file('wrong.toml', '[broker]\nulrs = []\n[log]\nlevel = "loud"\n');
  const unread = await doctor(['--config', config]);
  assert.equal(unread.code, 1);
  unread.has(/wrong\.toml:2: broker\.ulrs: no such key; did you mean urls\?$/m);
  unread.has(/wrong\.toml:4: log\.level: /m);

  const taken = createServer((socket) => socket.destroy());
  await new Promise((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
  const silent = await doctor(['--broker', broker, '--listen', '127.0.0.1:' + taken.address().port]);
  assert.equal(silent.code, 1);
  silent.has(/^FAIL {2}clients' port \d+: can't listen/m);
  taken.close();

  const running = await serve();
  const beside = await doctor(['--broker', broker, '--listen', new URL(running.url).host]);
  assert.equal(beside.code, 0);
  beside.has(/^note {2}clients' port \d+: taken; an HTTP server answers there/m);
  await running.stop();
});

test('exported definitions, imported into a fresh node, are what foz serve needs', async () => {
  execFileSync(rabbitmq, ['start', node], { timeout: 90_000, stdio: 'ignore' });
  const url = readFileSync(join(node, 'url'), 'utf8').trim();
  const config = file('retention.toml',
    '[channels.chat]\nretention_hours = 72\nretention_bytes = 1_000_000\nredeliver = 7\n'
    + '[channels.voice]\ndelivery = "volatile"\nconsumers = "single_active"\n');
  const exported = await run(foz, ['topology', 'export', '--config', config, '--broker', url]);
  assert.equal(exported.code, 0, exported.output);
  const definitions = JSON.parse(exported.output);
  // Someone who may see everything and do nothing.
  definitions.users = [{ name: 'looker', password: 'looks', tags: '' }];
  definitions.permissions = [{ user: 'looker', vhost: '/', configure: '^$', write: '^$', read: '^$' }];
  rabbitmqctl('import_definitions', file('definitions.json', JSON.stringify(definitions)));
  const queues = () => rabbitmqctl('-q', '--no-table-headers', 'list_queues', 'name', 'policy');
  await until(() => queues().includes('OUT_CHAT\tfoz-chat'), 'the stream is there, with its policy', 30);
  assert.deepEqual(queues().trim().split('\n').map((line) => line.split('\t')[0]).sort(),
    ['DEAD_NOTICE', 'IN_CHAT', 'IN_DEAD', 'IN_VOICE', 'OUT_CHAT']);
  assert.match(rabbitmqctl('list_policies'), /\^OUT_CHAT\$\tqueues\t.*"max-age":"259200s".*"max-length-bytes":1000000/);

  const fits = await doctor(['--config', config, '--broker', url, ...port0]);
  assert.equal(fits.code, 0, fits.output);
  fits.has(/^ok {4}queue IN_CHAT: there, with fitting arguments$/m);
  const self = await start(foz, ['serve', '--config', config, '--broker', url, ...port0]);
  await self.until('ready: ', 60);
  const client = await connect(self.output.match(/ready: (https?:\/\/[^/]+)\//)[1]);
  const receipt = await client.ask({ packet_action: 'publish', channel: 'chat', type: 'x', message: 1, ack: 'confirmed' });
  assert.equal(receipt.event, 'receipt');
  await self.stop();

  const looker = await doctor(['--config', config, '--broker', url.replace('//', '//looker:looks@'), ...port0]);
  assert.equal(looker.code, 1);
  looker.has(/^FAIL {2}permissions of looker: may not declare queues \(ACCESS_REFUSED/m);
  looker.has(/^FAIL {2}permissions of looker: may not publish to INBOUND \(ACCESS_REFUSED/m);
});
