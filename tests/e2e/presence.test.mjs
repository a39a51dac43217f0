// Services hear that a session has gone, also when its aggregator dies; and clients hear that something was lost on a
// volatile channel.
import assert from 'node:assert/strict';
import { connect as dial, createServer } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { amqp, broker, closeAll, configFile, connect, serve, until } from './lib.mjs';

const config = configFile(`
[client]
presence_lease_ms = 2000
drain_spread_ms = 0

[channels.club]
presence = true

[channels.noise]
delivery = "volatile"
volatile_max_length = 50
`);
const programs = [];
async function aggregator(url = broker, more = []) {
  programs.push(await serve(['--config', config, '--threads', '1', ...more], url));
  return programs.at(-1);
}

// What the service of the channel hears: [type, session], in order.
const heard = [];
let first; // its topology is there
before(async () => {
  first = await aggregator();
  const channel = await (await amqp()).createChannel();
  await channel.consume('IN_CLUB', (message) => {
    const { session } = JSON.parse(message.content);
    assert.equal(message.properties.headers['foz-session'], session);
    heard.push([message.properties.type, session, message.properties.messageId]);
    channel.ack(message);
  });
});
after(async () => {
  await closeAll();
  await Promise.all(programs.map((one) => one.kill()));
});

const of = (one, type) => heard.filter(([what, session]) => what === type && session === one.session);
async function member(url) {
  const one = await connect(url, { query: '&consume=club', options: { strategy: false } });
  await until(() => of(one, 'foz.opened').length === 1, 'the service hears that it has come');
  return one;
}
const everybody = (all, type, times = 1) =>
  until(() => all.every((one) => of(one, type).length >= times), 'the service hears ' + type + ' of everybody', 20);

test('kill -9: one of the others says once for each session that it is closed', async () => {
  const [dies, lives] = await Promise.all([aggregator(), aggregator()]);
  const gone = await Promise.all(Array.from({ length: 20 }, () => member(dies.url)));
  const [stays, left] = [await member(lives.url), await member(dies.url)];
  left.close();
  await until(() => of(left, 'foz.closed').length === 1, 'who leaves is said to have gone at once');
  await dies.kill('SIGKILL');
  await everybody(gone, 'foz.closed');
  // What the dead one would be told to have, and the live one.
  stays.close();
  await until(() => of(stays, 'foz.closed').length === 1, 'the last one has gone');
  for (const one of [...gone, left, stays]) assert.equal(of(one, 'foz.closed').length, 1);
  assert.equal(new Set(heard.map(([, , id]) => id)).size, heard.length, 'each under an id of its own');
  await lives.stop();
});

test('one that starts later knows who is there, and says it when it is alone with it', async () => {
  const old = await aggregator();
  const gone = await Promise.all(Array.from({ length: 3 }, () => member(old.url)));
  await first.stop(); // nobody else is there
  first = await aggregator();
  const probe = await member(first.url); // by then it has heard of the others, or soon will
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // three heartbeats
  await old.kill('SIGKILL');
  await everybody(gone, 'foz.closed');
  probe.close();
});

test('SIGTERM: each session is closed by itself, and nobody says it again', async () => {
  const ends = await aggregator();
  const gone = await Promise.all(Array.from({ length: 3 }, () => member(ends.url)));
  await ends.stop();
  await everybody(gone, 'foz.closed');
  // When another one has been given up since, this one would have been, too.
  const dies = await aggregator();
  const last = await member(dies.url);
  await dies.kill('SIGKILL');
  await everybody([last], 'foz.closed');
  for (const one of gone) assert.equal(of(one, 'foz.closed').length, 1);
});

test('one that was stopped and goes on says that its sessions are open', async () => {
  const sleeps = await aggregator();
  const one = await member(sleeps.url);
  sleeps.child.kill('SIGSTOP');
  await everybody([one], 'foz.closed');
  sleeps.child.kill('SIGCONT');
  await everybody([one], 'foz.opened', 2);
  one.close();
  await everybody([one], 'foz.closed', 2);
  assert.match(sleeps.output, /silent for too long/);
  await sleeps.stop();
});

test('a volatile channel: what is lost with its queue is told (gap, lost), and requests fail', async () => {
  const sockets = new Set();
  const { hostname, port } = new URL(broker);
  const relay = createServer((near) => {
    const far = dial(Number(port), hostname);
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => { sockets.delete(one); other.destroy(); });
    }
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  const through = new URL(broker);
  through.port = relay.address().port;
  const foz = await aggregator(through.href, ['--admin-listen', '127.0.0.1:0']);
  const [hears, other] = await Promise.all([connect(foz.url, { query: '&consume=noise' }), connect(foz.url, { query: '&consume=club' })]);
  const waits = hears.ask({ packet_action: 'publish', channel: 'noise', message: 1 });
  await until(() => hears.events('consuming').length === 1, 'it hears the channel');
  sockets.forEach((one) => one.destroy());
  assert.equal((await waits).error.code, 'interrupted');
  await until(() => hears.events('gap').length === 1, 'it is told');
  assert.deepEqual(hears.events('gap'), [{ event: 'gap', channel: 'noise', cause: 'lost' }]);
  assert.deepEqual(other.events('gap'), []);
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  await until(async () => /^foz_volatile_queues_lost_total 1$/m.test(await (await fetch(admin + '/metrics')).text()), 'it is counted');
  [hears, other].forEach((one) => one.close());
  await foz.stop();
  relay.close();
});

test('a volatile channel: what its queue drops because it is full is told', async () => {
  const foz = await aggregator(broker, ['--admin-listen', '127.0.0.1:0']);
  const hears = await connect(foz.url, { query: '&consume=noise' });
  await until(() => hears.events('consuming').length === 1, 'it hears the channel');
  foz.child.kill('SIGSTOP');
  const channel = await (await amqp()).createConfirmChannel();
  for (let i = 0; i < 5_000; i += 1)
    channel.publish('OUTBOUND', 'noise', Buffer.from(String(i)), { headers: { 'foz-broadcast': true } });
  await channel.waitForConfirms();
  foz.child.kill('SIGCONT');
  await until(() => hears.messages().includes(4_999), 'it hears the last one');
  await until(() => hears.events('gap').length > 0, 'it is told');
  assert.ok(hears.messages().length < 5_000);
  assert.deepEqual(hears.events('gap')[0], { event: 'gap', channel: 'noise', cause: 'lost' });
  assert.ok(hears.events('gap').length < 10, 'not by the message');
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  await until(async () => /^foz_volatile_overflows_total\{channel="noise"\} [1-9]/m.test(await (await fetch(admin + '/metrics')).text()), 'it is counted');
  hears.close();
  await foz.stop();
});
