// A message that is larger than an aggregator reads, wherever it comes: it costs itself, nobody waits for it, and it is
// told and counted once.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, broker, closeAll, configFile, connect, rawClient, request, serve, sleep, start, until } from './lib.mjs';

after(closeAll);

const large = 17_000_000; // octets, and two quotation marks

// Publishes that much from a process of its own: what it costs to send is not what this is about. With `how.on`, to the
// reply_to of each message of that queue instead, or in its sender's name.
async function publisher(exchange, key, how) {
  const program = `
    const amqplib = require('amqplib');
    const [url, exchange, key, how] = [process.argv[1], process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
    (async () => {
      const connection = await amqplib.connect(url, { noDelay: true });
      const channel = await connection.createConfirmChannel();
      const body = Buffer.from(JSON.stringify('x'.repeat(how.size)));
      console.log('prepared');
      if (how.on) {
        await channel.prefetch(1);
        await channel.consume(how.on, (message) => {
          const { replyTo, correlationId } = message.properties;
          const small = JSON.parse(message.content).small;
          channel.publish(exchange, exchange ? key : replyTo, small ? Buffer.from('"small"') : body,
            { ...how.options, correlationId, replyTo: exchange ? replyTo : undefined });
          channel.ack(message);
        });
        console.log('consumes');
        return;
      }
      process.stdin.once('data', async () => {
        channel.publish(exchange, key, body, how.options);
        await channel.waitForConfirms();
        console.log('published');
      });
    })();`;
  const self = await start(process.execPath, ['-e', program, broker, exchange, key, JSON.stringify({ size: large, ...how })],
    { NODE_PATH: process.env.FOZ_ROOT + '/clients/js/node_modules' }, 'pipe');
  await self.until(how.on ? 'consumes' : 'prepared', 30);
  return self;
}

// Small messages to a channel, one every 5 ms, as long as it lasts: how long each takes to its client.
async function pulse(foz, channel) {
  const listener = await rawClient(foz.url);
  listener.send({ packet_action: 'consume', channel });
  await listener.next('consume');
  const out = await (await amqp()).createChannel();
  const sent = new Map();
  let waits = [];
  listener.socket.on('message', (data) => {
    const value = JSON.parse(data);
    if (value.event !== 'message' || !sent.has(value.message?.pulse)) return;
    waits.push(performance.now() - sent.get(value.message.pulse));
    sent.delete(value.message.pulse);
  });
  let n = 0;
  const timer = setInterval(() => {
    sent.set(n += 1, performance.now());
    out.publish('OUTBOUND', channel, Buffer.from(JSON.stringify({ pulse: n })), { headers: { 'foz-broadcast': true } });
  }, 5);
  return {
    // The longest so far; what follows counts anew.
    look: () => Math.max(0, ...waits.splice(0)),
    end: async () => {
      clearInterval(timer);
      await until(() => sent.size === 0, 'every pulse of ' + channel + ' arrives', 20);
      listener.socket.close();
      return Math.max(0, ...waits);
    },
  };
}
async function pulses(foz, channels) {
  const all = await Promise.all(channels.map((one) => pulse(foz, one)));
  await sleep(500);
  const before = all.map((one) => one.look());
  return async (t) => {
    await sleep(300);
    for (const [i, one] of all.entries()) {
      const longest = await one.end();
      t.diagnostic(channels[i] + ': the longest wait was ' + longest.toFixed(1) + ' ms, ' + before[i].toFixed(1) + ' ms before');
      // Very loose: the broker itself has 17 MB in hand, and the machine that tests is busy.
      assert.ok(longest < 5_000, channels[i] + ' waited ' + longest + ' ms');
    }
  };
}

async function withAdmin() {
  const foz = await serve(['--admin-listen', '127.0.0.1:0', '--config',
    configFile('[channels.chat]\n[channels.other]\n[channels.quick]\ndelivery = "volatile"\n')]);
  foz.admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  foz.metric = async (name) => (await (await fetch(foz.admin + '/metrics')).text()).split('\n')
    .filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  return foz;
}

for (const channel of ['chat', 'quick']) {
  test('17 MB to ' + channel + ': the others hear everything, it is told and counted once', async (t) => {
    const foz = await withAdmin();
    const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
    for (const one of [ann, bob]) await one.consume({ channel });
    const giant = await publisher('OUTBOUND', channel, { options: { headers: { 'foz-broadcast': true } } });
    const out = await (await amqp()).createConfirmChannel();
    const say = (text) => out.publish('OUTBOUND', channel, Buffer.from(JSON.stringify(text)), { headers: { 'foz-broadcast': true } });
    const judge = await pulses(foz, ['chat', 'other', 'quick'].filter((one) => one !== channel));
    say('before');
    await out.waitForConfirms();
    giant.child.stdin.write('go\n');
    await giant.until('published', 30);
    say('behind');
    await until(() => [ann, bob].every((one) => one.messages().includes('behind')), 'what comes behind it is heard', 30);
    await judge(t);
    await giant.kill();
    for (const one of [ann, bob]) {
      assert.deepEqual(one.messages(), ['before', 'behind']);
      assert.deepEqual(one.events('gap').map((gap) => [gap.channel, gap.cause]), [[channel, 'too_large']], 'told once');
      assert.equal(one.opened, 1);
    }
    await until(async () => await foz.metric('foz_too_large_total') === 1, 'it is counted');
    await sleep(1_500); // another collection
    assert.equal(await foz.metric('foz_too_large_total'), 1, 'once');
    assert.equal(await foz.metric('foz_outbound_dropped_total{reason="too_large"}'), 1, 'once');
    assert.equal(await foz.metric('foz_broker_disconnects_total'), 0);
    assert.equal(await foz.metric('foz_broker_channel_failures_total'), 0);
    assert.equal(foz.output.split('larger than this aggregator reads').length, 2, 'one line in the log');
    ann.close();
    bob.close();
    await foz.stop();
  });
}

test('17 MB as a dead letter: its caller is told once, nobody waits', async (t) => {
  const foz = await withAdmin();
  const caller = await connect(foz.url);
  const bystander = await connect(foz.url);
  for (const one of [caller, bystander]) await one.consume();
  // A service that takes the request, and hands it on with more than an aggregator reads, in the caller's name.
  const service = await publisher('INBOUND', 'other', { on: 'IN_CHAT', options: { messageId: 'large', expiration: '100' } });
  t.after(() => service.kill());
  const judge = await pulses(foz, ['other', 'quick']);
  const told = await caller.ask(request('chat', { timeout_ms: 25_000 }));
  assert.equal(told.error.code, 'timeout', JSON.stringify(told));
  assert.equal(told.error.message, 'no service took the request in time');
  await judge(t);
  assert.equal(caller.events('error').length + bystander.events('error').length, 0, 'told once, and nobody else');
  assert.equal(bystander.events('gap').length, 0, 'nobody has missed anything');
  await until(async () => await foz.metric('foz_dead_letters_total{told="caller"}') === 1, 'it is counted');
  await sleep(1_500);
  assert.equal(await foz.metric('foz_dead_letters_total{told="caller"}'), 1, 'once');
  assert.equal(await foz.metric('foz_too_large_total{reader="dead_notices"'), 1, 'once');
  assert.equal(await foz.metric('foz_broker_disconnects_total'), 0);
  await service.kill();
  await foz.stop();
});

test('an answer of 17 MB is an error for whoever asked, at once, and no gap for anybody else', async () => {
  const foz = await withAdmin();
  const bystander = await connect(foz.url);
  await bystander.consume();
  const service = await publisher('', '', { on: 'IN_CHAT' });
  const one = await connect(foz.url);
  const told = await one.ask(request('chat'));
  assert.equal(told.error?.code, 'bad_answer', JSON.stringify(told));
  assert.match(told.error.message, /larger than this aggregator reads/);
  assert.equal((await one.ask(request('chat', { message: { small: true } }))).message, 'small');
  assert.equal(bystander.events('gap').length, 0);
  await service.kill();
  await foz.stop();
});
