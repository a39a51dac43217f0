// Answers that come word by word, from foz-guide: heard once whatever dies, and not made any more when nobody waits.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, closeAll, configFile, connect, guide, plugged, run, secret, serve, until } from './lib.mjs';

const config = configFile('[channels.guide]\n');
const pause = 20;
let foz, worker, other;

const begin = (...args) => guide(['--pause', String(pause), ...args]);
before(async () => {
  foz = await serve(['--config', config]);
  worker = await begin();
});
after(async () => {
  await closeAll();
  for (const one of [foz, other, worker]) await one?.stop();
});

// What a page would show: `texts` has one list of words for each run that it was told of.
function read(stream) {
  const self = { texts: [[]], parts: 0 };
  self.over = (async () => {
    for await (const { message, restart } of stream) {
      if (restart) self.texts.push([]);
      self.texts.at(-1).push(message.word);
      self.parts += 1;
    }
    return stream.answer;
  })();
  self.over.catch(() => {});
  return self;
}
const ask = (client, type, about = 'otters') => client.foz.stream('guide', { about }, { type });

test('a story comes word by word, and its answer says how many there were', async () => {
  const client = plugged(foz.url);
  const one = read(ask(client, 'tell'));
  await until(() => one.parts === 3, 'it has begun');
  const { words } = await one.over;
  assert.equal(one.parts, words);
  assert.equal(one.texts.length, 1);
  assert.match(one.texts[0].join(' '), /otters/);
  await assert.rejects(client.foz.request('guide', {}, { type: 'tell' }), { code: 'service', service_code: 'bad_message' });
});

test('the worker is killed in the middle: one that says the same again goes on where it was', async () => {
  const client = plugged(foz.url);
  const one = read(ask(client, 'tell'));
  await until(() => one.parts === 5, 'five words were heard');
  const before = [...one.texts[0]];
  await worker.kill();
  worker = await begin();
  const { words } = await one.over;
  assert.equal(one.texts.length, 1, 'nothing was taken back');
  assert.equal(one.parts, words, 'and nothing came twice');
  assert.deepEqual(one.texts[0].slice(0, before.length), before);
});

test('the worker is killed in the middle: of one that invents, the page throws away what the first one said', async () => {
  const client = plugged(foz.url);
  const one = read(ask(client, 'improvise'));
  await until(() => one.parts === 5, 'five words were heard');
  await worker.kill();
  worker = await begin();
  const { words } = await one.over;
  assert.equal(one.texts.length, 2);
  assert.equal(one.texts[1].length, words, 'the second one is whole');
});

test('the worker is killed when the first patience has long passed: each part has renewed it', async () => {
  const client = plugged(foz.url);
  const stream = client.foz.stream('guide', { about: 'otters' }, { type: 'tell', timeout_ms: 600 });
  const one = read(stream);
  await until(() => one.parts > 1000 / pause, 'more than a second of words was heard');
  await worker.kill();
  worker = await begin();
  const { words } = await one.over;
  assert.deepEqual([one.texts.length, one.parts], [1, words]);
});

test('foz request prints a line for each part, and waits for each as long as for an answer', async () => {
  const { code, output } = await run(process.env.FOZ,
    ['request', 'guide', '{"about":"otters"}', '--type', 'tell', '--timeout', '500ms', '--url', foz.url.replace('http', 'ws')]);
  const lines = output.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual([code, lines.at(-1)], [0, { words: lines.length - 1 }]);
  assert.ok(lines.slice(0, -1).every(({ word }) => typeof word === 'string'));
});

test('the socket dies in the middle: on another aggregator it goes on', async () => {
  other = await serve(['--config', config]);
  const client = plugged(foz.url);
  const one = read(ask(client, 'tell'));
  await until(() => one.parts === 5, 'five words were heard');
  client.primus.url.host = new URL(other.url).host;
  client.primus.socket.close(); // as a network does: nobody said goodbye
  await until(() => client.foz.state.name === 'connected' && client.primus.url.host === new URL(other.url).host, 'it is there');
  const { words } = await one.over;
  assert.deepEqual([one.texts.length, one.parts], [1, words]);
  await closeAll();
  await other.stop();
  other = undefined;
});

test('what is cancelled stops at its worker, which has a hand free for the next one', async () => {
  await worker.stop();
  worker = await guide(['--pause', '1000', '--concurrency', '1']); // one story takes more than 20 s
  const client = plugged(foz.url);
  const first = ask(client, 'tell');
  const one = read(first);
  await until(() => one.parts === 1, 'it has begun');
  const waits = ask(client, 'tell', 'what has not begun');
  waits.answer.catch(() => {});
  client.foz.cancel(waits.id);
  client.foz.cancel(first.id);
  await assert.rejects(one.over, { code: 'cancelled' });
  const second = ask(client, 'tell');
  const next = read(second);
  await until(() => next.parts === 1, 'the next one has begun', 8);
  client.foz.cancel(second.id);
});

test('what another aggregator was asked is cancelled here, and nothing of it is heard any more', async () => {
  await worker.stop();
  worker = await begin();
  other = await serve(['--config', config]);
  const resume = secret();
  const client = await connect(foz.url, { query: '&consume=guide', resume });
  client.primus.write({ packet_action: 'publish', channel: 'guide', type: 'tell', id: 'far', ack: 'answer', message: { about: 'x' } });
  await until(() => client.events('part').length > 2, 'it has begun');
  const there = await connect(other.url, { query: '&consume=guide', resume });
  await until(() => there.events('part').length > 0, 'it goes on there, too');
  there.primus.write({ packet_action: 'cancel', id: 'far', channel: 'guide' });
  await until(() => there.events('error').length === 1, 'it is answered');
  assert.deepEqual([there.events('error')[0].error.code, there.events('error')[0].error.id], ['cancelled', 'far']);
  const heard = there.events('part').length;
  // The worker has heard of it: another question's whole story comes, and no word of the first one meanwhile.
  const { message } = await there.ask({ packet_action: 'publish', channel: 'guide', type: 'tell', message: { about: 'y' } });
  assert.ok(message.words > 0);
  assert.equal(there.events('part').length, heard);
  await closeAll();
  await other.stop();
  other = undefined;
});

test('any worker can hear of it through the exchange CONTROL', async () => {
  const channel = await (await amqp()).createChannel();
  await channel.checkExchange('CONTROL');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'CONTROL', 'guide.cancel');
  const told = [];
  await channel.consume(queue, (m) => told.push([m.properties.type, m.properties.correlationId, m.fields.routingKey]), { noAck: true });
  const client = plugged(foz.url);
  const stream = ask(client, 'tell');
  const one = read(stream);
  await until(() => one.parts > 0, 'it has begun');
  client.foz.cancel(stream.id);
  await until(() => told.length === 1, 'whoever listens is told');
  assert.deepEqual(told, [['foz.cancel', client.foz.client + '/' + stream.id, 'guide.cancel']]);
});
