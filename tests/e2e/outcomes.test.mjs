// Outcomes that only trouble brings: a broker that dies, is silent or lacks a queue; aggregators and workers that die.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial, createServer } from 'node:net';
import { amqp, broker, closeAll, connect, ownBroker, secret, serve, until, worker, configFile } from './lib.mjs';

const running = [];
after(async () => {
  await closeAll();
  for (const one of running) await one.stop().catch(() => {});
});

// foz serve with a file of its own; stopped at the end unless it is killed before.
async function configured(text, url = broker, args = []) {
  const foz = await serve(['--config', configFile(text), ...args], url);
  running.push({ stop: () => foz.kill() });
  return foz;
}

// Between a foz and the broker: can be silent towards the foz, can hold back what the broker says, can be cut, can die.
async function relay() {
  const to = new URL(broker);
  const sockets = new Set();
  const self = { silent: false, connections: 0 };
  let held; // while something is held back: what there is to write
  const server = createServer((near) => {
    self.connections += 1;
    const far = dial(Number(to.port), to.hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => { sockets.delete(one); other.destroy(); });
    }
    near.on('data', (octets) => far.write(octets));
    far.on('data', (octets) => {
      if (held) held.push(() => near.write(octets));
      else if (!self.silent) near.write(octets);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(broker);
  url.port = server.address().port;
  self.url = url.href;
  self.hold = () => { held = []; };
  self.release = () => {
    held.forEach((write) => write());
    held = undefined;
  };
  self.cut = () => {
    held = undefined;
    for (const one of sockets) one.destroy();
  };
  self.die = () => {
    server.close();
    self.cut();
  };
  running.push({ stop: async () => self.die() });
  return self;
}

const request = (channel, rest = {}) => ({ packet_action: 'publish', channel, message: {}, ...rest });
const reply = (channel, message, body) => channel.publish('', message.properties.replyTo, Buffer.from(JSON.stringify(body)),
  { correlationId: message.properties.correlationId });

test('interrupted: the broker dies while a request on a volatile channel waits for its answer', { timeout: 60_000 }, async () => {
  const own = await ownBroker();
  const foz = await serve([], own.url);
  running.push({ stop: () => foz.kill() });
  let taken = 0;
  await worker('IN_VOICE', () => { taken += 1; }, own.url);
  const ann = await connect(foz.url);
  const asked = ann.ask(request('voice', { timeout_ms: 50_000 }));
  await until(() => taken, 'the service has it');
  await own.kill();
  const { error } = await asked;
  assert.equal(error.code, 'interrupted');
  assert.equal(error.retryable, true);
  ann.close();
});

test('unroutable: no queue takes a channel\'s messages', async () => {
  const foz = await configured('[channels.lost]\n');
  const connection = await amqp();
  const channel = await connection.createChannel();
  const ann = await connect(foz.url);
  assert.equal((await ann.ask(request('lost', { ack: 'confirmed' }))).event, 'receipt');
  await channel.unbindQueue('IN_LOST', 'INBOUND', 'lost.#');
  const { error } = await ann.ask(request('lost', { ack: 'confirmed' }));
  assert.equal(error.code, 'unroutable');
  assert.equal(error.retryable, false);
  await channel.bindQueue('IN_LOST', 'INBOUND', 'lost.#');
  assert.equal((await ann.ask(request('lost', { ack: 'confirmed' }))).event, 'receipt');
  await channel.purgeQueue('IN_LOST');
  await connection.close();
  ann.close();
});

test('overloaded: one socket has as many requests waiting as it may', async () => {
  const foz = await configured('[limits]\nrequests_per_client = 2\n[channels.few]\n');
  const held = [];
  const node = await worker('IN_FEW', (message, body, channel) => {
    held.push(() => reply(channel, message, body));
    channel.ack(message);
  });
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  const asked = [ann.ask(request('few', { message: 1 })), ann.ask(request('few', { message: 2 }))];
  await until(() => held.length === 2, 'two are with the service');
  const { error } = await ann.ask(request('few', { message: 3 }));
  assert.equal(error.code, 'overloaded');
  assert.equal(error.retryable, true);
  const other = bob.ask(request('few', { message: 4 }));
  await until(() => held.length === 3, 'another socket has a limit of its own');
  held.forEach((answer) => answer());
  assert.deepEqual((await Promise.all([...asked, other])).map((one) => one.message), [1, 2, 4]);
  const again = ann.ask(request('few', { message: 5 }));
  await until(() => held.length === 4, 'there is room again');
  held[3]();
  assert.equal((await again).message, 5);
  [ann, bob].forEach((one) => one.close());
  await node.stop();
});

test('unknown: the broker took a message and did not confirm it in time', async () => {
  const between = await relay();
  const foz = await configured(`[broker]\npublish_urls = ["${between.url}"]\nconsume_urls = ["${broker}"]\n` +
    '[client]\npublish_timeout_ms = 500\n[channels.doubt]\n', broker);
  const seen = [];
  const node = await worker('IN_DOUBT', (message, body, channel) => { seen.push(body); channel.ack(message); });
  const ann = await connect(foz.url);
  const publish = (message) => ann.ask(request('doubt', { id: 'm' + message, ack: 'confirmed', message }));
  assert.equal((await publish(1)).event, 'receipt');
  between.silent = true;
  const { error } = await publish(2);
  assert.equal(error.code, 'unknown');
  assert.equal(error.retryable, true);
  await until(() => seen.includes(2), 'it has arrived all the same');
  between.silent = false;
  // Sent again under the same id, as the code says one may.
  await until(async () => (await publish(2)).event === 'receipt', 'a receipt comes in the end');
  ann.close();
  await node.stop();
});

test('order = client: nothing of a client is sent before the broker has confirmed what went before', async () => {
  const between = await relay();
  const foz = await configured(`[broker]\npublish_urls = ["${between.url}"]\nconsume_urls = ["${broker}"]\n` +
    '[client]\npublish_timeout_ms = 60000\n[channels.strict]\norder = "client"\n[channels.loose]\n');
  const strict = [];
  const loose = [];
  const keep = (seen) => (message, body, channel) => { seen.push(body); channel.ack(message); };
  const nodes = [await worker('IN_STRICT', keep(strict)), await worker('IN_LOOSE', keep(loose))];
  const operator = await (await amqp()).createConfirmChannel();
  const ann = await connect(foz.url);
  const publish = (message, channel = 'strict') => ann.primus.write(request(channel, { id: 'm' + message, message }));
  const receipts = () => ann.events('receipt').map(({ id }) => id);
  // While confirms are held back: of several only the first is with the broker, though what was written later and
  // needs no order is.
  const held = async (first, ...rest) => {
    between.hold();
    [first, ...rest].forEach((one) => publish(one));
    publish('end ' + first, 'loose');
    await until(() => loose.includes('end ' + first), 'what was written last is there');
    operator.publish('INBOUND', 'strict', Buffer.from('"mark ' + first + '"'));
    await until(() => strict.includes('mark ' + first), 'what another one published is there');
  };
  publish(0);
  publish('begin', 'loose');
  await until(() => receipts().length === 2, 'both channels are in use');
  await held(1, 2, 3);
  assert.deepEqual(strict, [0, 1, 'mark 1']);
  assert.equal(receipts().length, 2);
  between.release();
  await until(() => receipts().length === 6, 'all are confirmed');
  assert.deepEqual(strict.splice(0), [0, 1, 'mark 1', 2, 3]);
  // The same when the confirm never comes: the first is repeated, and again the others wait for it.
  await held(4, 5, 6);
  assert.deepEqual(strict, [4, 'mark 4']);
  between.cut();
  await until(() => receipts().length === 10 && strict.includes(6), 'all are confirmed', 20);
  assert.deepEqual(strict, [4, 'mark 4', 4, 5, 6]);
  assert.deepEqual(receipts().filter((id) => /^m\d/.test(id)), ['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']);
  ann.close();
  for (const node of nodes) await node.stop();
});

test('a death is told to its caller on another aggregator when the one that was asked has died', async () => {
  const text = '[channels.fate]\n';
  const [first, second] = [await configured(text), await configured(text)];
  const held = [];
  const node = await worker('IN_FATE', (message, body, channel) => held.push(() => channel.nack(message, false, false)));
  const resume = secret();
  const ann = await connect(first.url, { resume });
  ann.primus.write(request('fate', { id: 'f1', ack: 'answer', timeout_ms: 60_000 }));
  await until(() => held.length, 'the service has it');
  await first.kill();
  const back = await connect(second.url, { resume });
  held[0]();
  const { error } = await until(() => back.events('error')[0], 'the death is told');
  assert.deepEqual([error.code, error.id], ['dead_lettered', 'f1']);
  [ann, back].forEach((one) => one.close());
  await node.stop();
});

test('so is a request that nobody took in time', async () => {
  const text = '[channels.late]\nno_service_after_ms = 600000\n';
  const [first, second] = [await configured(text), await configured(text)];
  const resume = secret();
  const [ann, back] = [await connect(first.url, { resume }), await connect(second.url, { resume })];
  const stranger = await connect(second.url);
  ann.primus.write(request('late', { id: 'l1', ack: 'answer', progress: true, timeout_ms: 2000 }));
  await until(() => ann.events('progress').length, 'the broker has it');
  await first.kill();
  const { error } = await until(() => back.events('error')[0], 'it is told');
  assert.deepEqual([error.code, error.id, error.retryable], ['timeout', 'l1', true]);
  assert.deepEqual([ann, stranger].flatMap((one) => one.events('error')), []);
  [ann, back, stranger].forEach((one) => one.close());
});

test('no_service: at once with fail_fast, also when no answer is awaited, and where the configuration knows no patience', async () => {
  const foz = await configured('[channels.idle]\nno_service_after_ms = 600000\n[channels.eager]\nno_service_after_ms = 0\n');
  const channel = await (await amqp()).createChannel();
  const ann = await connect(foz.url);
  const refused = async (asked) => {
    const { error } = await ann.ask(asked);
    assert.deepEqual([error?.code, error?.retryable], ['no_service', true], JSON.stringify(asked));
    assert.equal(typeof error.retry_after_ms, 'number');
  };
  await refused(request('eager', { message: 'refused' }));
  await refused(request('idle', { message: 'refused', ack: 'confirmed', fail_fast: true }));
  await refused(request('idle', { message: 'refused', ack: 'none', fail_fast: true }));
  for (const name of ['idle', 'eager']) {
    assert.equal((await ann.ask(request(name, { message: 'kept', ack: 'confirmed' }))).event, 'receipt');
    const got = [await channel.get('IN_' + name.toUpperCase(), { noAck: true }), await channel.get('IN_' + name.toUpperCase())];
    assert.deepEqual(got.map((message) => message && message.content.toString()), ['"kept"', false], name);
  }
  const seen = [];
  const node = await worker('IN_IDLE', (message, body, on) => { seen.push(body); on.ack(message); });
  await until(async () => (await ann.ask(request('idle', { message: 'taken', ack: 'confirmed', fail_fast: true }))).event === 'receipt',
    'the service is noticed');
  await until(() => seen.length, 'it is handled');
  assert.deepEqual(seen, ['taken']);
  ann.close();
  await node.stop();
});

test('volatile_max_length: what an aggregator does not take is dropped, the oldest first', async () => {
  const foz = await configured('[broker]\nstream_prefetch = 50\n[channels.brim]\ndelivery = "volatile"\nvolatile_max_length = 7\n');
  const channel = await (await amqp()).createConfirmChannel();
  const ann = await connect(foz.url);
  await ann.ask({ packet_action: 'consume', channel: 'brim' });
  const say = async (from, to) => {
    for (let i = from; i < to; i += 1)
      channel.publish('OUTBOUND', 'brim', Buffer.from(String(i)), { headers: { 'foz-broadcast': true } });
    await channel.waitForConfirms();
  };
  await say(0, 1);
  await until(() => ann.messages().length, 'it is heard');
  foz.child.kill('SIGSTOP');
  await say(1, 5000);
  foz.child.kill('SIGCONT');
  await until(() => ann.messages().includes(4999), 'the last one is heard');
  const heard = ann.messages();
  assert.deepEqual(heard.slice(-7), [4993, 4994, 4995, 4996, 4997, 4998, 4999]);
  assert.deepEqual(heard.slice(0, -7), Array.from({ length: heard.length - 7 }, (_, i) => i), 'what was on its way');
  assert.ok(heard.length < 500, heard.length + ' were heard');
  ann.close();
});

test('single_active: one of two workers gets all, and the other one takes over when it dies', async () => {
  const foz = await configured('[channels.sole]\nconsumers = "single_active"\n');
  const seen = [[], []];
  const take = (i) => (message, body, channel) => {
    seen[i].push(body);
    reply(channel, message, i);
    channel.ack(message);
  };
  const one = await worker('IN_SOLE', take(0));
  const other = await worker('IN_SOLE', take(1));
  const ann = await connect(foz.url);
  for (let i = 0; i < 20; i += 1) assert.equal((await ann.ask(request('sole', { message: i }))).message, 0);
  one.channel.connection.stream.destroy(new Error('killed')); // as its process would be: nothing is closed in good order
  for (let i = 20; i < 30; i += 1) assert.equal((await ann.ask(request('sole', { message: i }))).message, 1);
  assert.deepEqual(seen.map((all) => all.length), [20, 10]);
  ann.close();
  await other.stop();
});

test('of several URLs the dead ones are passed over, also when the one in use dies', { timeout: 60_000 }, async () => {
  const relays = [await relay(), await relay()];
  const foz = await configured('[channels.chosen]\n', 'amqp://127.0.0.1:1', relays.flatMap(({ url }) => ['--broker', url]));
  const node = await worker('IN_CHOSEN', (message, body, channel) => { reply(channel, message, body); channel.ack(message); });
  const ann = await connect(foz.url);
  assert.equal((await ann.ask(request('chosen', { message: 'before' }))).message, 'before');
  const [used, spare] = relays[0].connections >= relays[1].connections ? relays : [relays[1], relays[0]];
  assert.ok(used.connections > 0);
  const before = spare.connections;
  used.die();
  const asked = ann.ask(request('chosen', { id: 'a', message: 'after', timeout_ms: 30_000 }));
  await until(() => spare.connections > before, 'the other one is used', 20);
  const answer = await until(async () => {
    const said = await ann.ask(request('chosen', { message: 'on the other' }));
    return said.event === 'answer' && said;
  }, 'requests are answered', 20);
  assert.equal(answer.message, 'on the other');
  assert.ok(['answer', 'error'].includes((await asked).event), 'what was asked in between has an outcome');
  assert.equal(ann.opened, 1, 'clients have not noticed');
  ann.close();
  await node.stop();
});

test('after so many entries that were not for a client its position is told, however young the last one is', async () => {
  const foz = await configured('[client]\nposition_entries = 50\nposition_interval_ms = 600000\n[channels.long]\n');
  const ann = await connect(foz.url);
  const { channels } = await ann.ask({ packet_action: 'consume', channel: 'long', from: 'first',
    distribution: { direct: [ann.client] } });
  const connection = await amqp();
  const channel = await connection.createConfirmChannel();
  const skip = async (count) => {
    for (let i = 0; i < count; i += 1)
      channel.publish('OUTBOUND', 'long', Buffer.from('1'), { headers: { 'foz-direct': 'someone' } });
    await channel.waitForConfirms();
  };
  await until(() => ann.events('position').length, 'ann is up to date'); // what resuming ends with
  const told = ann.events('position').length;
  for (let more = 1; more <= 2; more += 1) {
    await skip(60);
    await until(() => ann.events('position').length >= told + more, 'each fifty are told');
  }
  channel.publish('OUTBOUND', 'long', Buffer.from('"yours"'), { headers: { 'foz-direct': ann.client } });
  await until(() => ann.messages().length, 'all have gone by');
  const positions = ann.events('position').map((p) => p.position);
  assert.equal(positions.length, told + 2);
  assert.ok(!positions.slice(told).includes(channels.long.position));
  assert.equal(new Set(positions.slice(told)).size, 2);
  await connection.close();
  ann.close();
});

test('expires_ms alone: what no service has begun by then is gone, and who waits is told', async () => {
  const foz = await configured('[client]\nrequest_timeout_ms = 60000\n[channels.brief]\nno_service_after_ms = 600000\n');
  const ann = await connect(foz.url);
  const begun = Date.now();
  const asked = ann.ask(request('brief', { message: 'asked', expires_ms: 300 }));
  assert.equal((await ann.ask(request('brief', { message: 'told', ack: 'confirmed', expires_ms: 300 }))).event, 'receipt');
  const { error } = await asked;
  assert.equal(error.code, 'timeout');
  assert.ok(Date.now() - begun < 20_000, 'long before its patience is over');
  const connection = await amqp();
  const channel = await connection.createChannel();
  await until(async () => (await channel.checkQueue('IN_BRIEF')).messageCount === 0, 'the queue is empty');
  assert.equal((await ann.ask(request('brief', { message: 'kept', ack: 'confirmed' }))).event, 'receipt');
  const seen = [];
  const node = await worker('IN_BRIEF', (message, body, on) => { seen.push(body); on.ack(message); });
  await until(() => seen.length, 'the worker gets what lasts');
  assert.deepEqual(seen, ['kept']);
  await connection.close();
  ann.close();
  await node.stop();
});
