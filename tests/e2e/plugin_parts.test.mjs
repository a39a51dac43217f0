// The Foz plugin: answers that come in parts, and requests that nobody waits for any more.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, plugged, settle, until } from './lib.mjs';
import { scripted, stopAll } from './scripted.mjs';

after(async () => {
  await closeAll();
  await stopAll();
});

const part = (spark, id, attempt, seq, message) => spark.write({
  event: 'part', channel: 'chat', id, attempt, seq, message, position: `0.${attempt}.${seq}`,
});
const answer = (spark, id, message) => spark.write({ event: 'answer', id, message });
const words = (parts) => parts.map((one) => one.message);

// A server that leaves requests to the test, and one that is open.
async function asked(more = {}, options = {}) {
  const server = await scripted({ publish() {} });
  const client = plugged(server.url, options);
  const stream = client.foz.stream('chat', 'tell me', { type: 'tell', ...more });
  const read = [];
  const reading = (async () => { for await (const one of stream) read.push(one); })();
  reading.catch(() => {});
  await until(() => server.sent('publish').length === 1, 'it is asked');
  return { server, client, stream, read, reading, id: stream.id };
}

test('parts come once, in order, and the answer ends them', async () => {
  const { server, stream, read, reading, id, client } = await asked();
  const heard = [];
  client.foz.on('part', (event) => heard.push(event.seq));
  for (const seq of [0, 1, 3, 1, 2, 0]) part(server.spark, id, 1, seq, 'w' + seq);
  part(server.spark, 'another', 1, 0, 'of another socket');
  answer(server.spark, id, 'done');
  await reading;
  assert.deepEqual(words(read), ['w0', 'w1', 'w2', 'w3']);
  assert.ok(read.every((one) => !one.restart));
  assert.equal(await stream.answer, 'done');
  assert.deepEqual([heard, client.foz.waiting, client.errors], [[0, 1, 2, 3], 0, []]);
});

test('a second run begins anew: the page is told to throw away what the first one said', async () => {
  const { server, read, reading, id } = await asked();
  part(server.spark, id, 1, 0, 'old0');
  part(server.spark, id, 1, 1, 'old1');
  await until(() => read.length === 2, 'two are read');
  part(server.spark, id, 2, 0, 'new0');
  part(server.spark, id, 1, 2, 'old2'); // the first run has not noticed
  part(server.spark, id, 2, 1, 'new1');
  answer(server.spark, id, 'done');
  await reading;
  assert.deepEqual(read.map((one) => [one.message, one.restart]),
    [['old0', false], ['old1', false], ['new0', true], ['new1', false]]);
});

test('what nobody has read when a second run begins is not read', async () => {
  const server = await scripted({ publish() {} });
  const client = plugged(server.url);
  const stream = client.foz.stream('chat', 1);
  await until(() => server.sent('publish').length === 1, 'it is asked');
  part(server.spark, stream.id, 1, 0, 'old');
  part(server.spark, stream.id, 2, 0, 'new');
  answer(server.spark, stream.id, 1);
  await stream.answer;
  const read = [];
  for await (const one of stream) read.push(one.message);
  assert.deepEqual(read, ['new']);
});

test('a worker that says the same each time goes on where it was', async () => {
  const { server, read, reading, id } = await asked();
  part(server.spark, id, 1, 0, 'w0');
  part(server.spark, id, 1, 1, 'w1');
  part(server.spark, id, 2, 2, 'w2');
  answer(server.spark, id, 'done');
  await reading;
  assert.deepEqual(read.map((one) => [one.message, one.restart]), [['w0', false], ['w1', false], ['w2', false]]);
});

test('on another aggregator the answer goes on: the channel is consumed as long as a request is open', async () => {
  const { server, client, read, reading, id } = await asked();
  const direct = { broadcast: false, multicast: [], direct: ['anon-me'] };
  const [first] = server.sent('consume');
  assert.deepEqual([first.channel, first.distribution, first.consume_target], ['chat', direct, ['foz.none']]);
  part(server.spark, id, 1, 0, 'w0');
  part(server.spark, id, 1, 1, 'w1');
  // Direct messages that the page has not asked for are not its own.
  server.spark.write({ event: 'message', channel: 'chat', via: 'direct', id: 'm', message: 'not asked for' });
  await until(() => read.length === 2, 'two are read');
  server.cut();
  await until(() => server.sparks.length === 2 && server.sent('publish', server.spark).length === 1, 'it is asked again');
  const [again] = server.sent('consume', server.spark);
  assert.deepEqual([again.distribution, again.from], [direct, '0.1.1']);
  assert.equal(server.sent('publish', server.spark)[0].id, id);
  for (const seq of [1, 2]) part(server.spark, id, 1, seq, 'w' + seq);
  answer(server.spark, id, 'done');
  await reading;
  assert.deepEqual([words(read), client.heard], [['w0', 'w1', 'w2'], []]);
  await until(() => server.sent('leave').length === 1, 'it is left again');
  const [leave] = server.sent('leave');
  assert.deepEqual([leave.distribution, leave.consume_target], [{ direct: ['anon-me'] }, ['foz.none']]);
  server.cut();
  await until(() => client.foz.state.name === 'connected' && server.sparks.length === 3, 'it comes back');
  assert.deepEqual(server.sent('consume', server.spark), []);
});

test('what the page itself hears stays what it is', async () => {
  const server = await scripted({ publish() {} });
  const client = plugged(server.url);
  await client.foz.consume('chat', { topics: ['a'] }); // hears direct messages as well
  await client.foz.consume('tickets', { topics: ['t'], distribution: { broadcast: true } });
  const asked = [client.foz.request('chat', 1, { onPart() {} }), client.foz.request('tickets', 1, { onPart() {} })];
  await until(() => server.sent('publish').length === 2, 'they are asked');
  const consumes = server.sent('consume').slice(2);
  assert.deepEqual(consumes.map((one) => [one.channel, one.consume_target, one.distribution]),
    [['tickets', ['t', 'foz.none'], { broadcast: true, multicast: [], direct: ['anon-me'] }]]);
  client.foz.leave('chat'); // while the request is open
  await until(() => server.sent('consume').length === 4, 'parts still come');
  for (const { id } of server.sent('publish')) answer(server.spark, id, 1);
  await Promise.all(asked);
  await until(() => server.sent('leave').length === 3, 'what was for the parts is left');
  server.cut();
  await until(() => server.sparks.length === 2 && client.foz.state.name === 'connected', 'it comes back');
  await until(() => server.sent('consume', server.spark).length === 1, 'and consumes');
  const [again] = server.sent('consume', server.spark);
  assert.deepEqual([again.channel, again.consume_target, again.distribution],
    ['tickets', ['t'], { broadcast: true, multicast: [], direct: [] }]);
});

test('cancelled: the caller is told at once, the aggregator too, and nothing comes any more', async () => {
  const { server, client, read, reading, id } = await asked();
  part(server.spark, id, 1, 0, 'w0');
  await until(() => read.length === 1, 'one is read');
  assert.equal(client.foz.cancel(id), true);
  await assert.rejects(reading, { code: 'cancelled' });
  await until(() => server.sent('cancel').length === 1, 'the aggregator is told');
  assert.deepEqual(server.sent('cancel').map((frame) => [frame.id, frame.channel]), [[id, 'chat']]);
  part(server.spark, id, 1, 1, 'too late');
  await settle();
  assert.deepEqual([read.length, client.errors, client.foz.waiting], [1, [], 0]);
  assert.equal(client.foz.cancel(id), false);
});

test('a signal cancels; what was not sent yet is not heard of; what the socket has lost is told again', async () => {
  const server = await scripted({ publish() {}, cancel() {} });
  const client = plugged(server.url);
  await assert.rejects(client.foz.request('chat', 0, { signal: AbortSignal.abort() }), { code: 'cancelled' });
  const early = new AbortController();
  const unsent = client.foz.request('chat', 1, { signal: early.signal });
  early.abort();
  await assert.rejects(unsent, { code: 'cancelled' });
  const stop = new AbortController();
  const sent = client.foz.request('chat', 2, { signal: stop.signal });
  await until(() => server.sent('publish').length === 1, 'it is asked');
  stop.abort();
  await assert.rejects(sent, { code: 'cancelled', id: sent.id });
  await until(() => server.sent('cancel').length === 1, 'it is told');
  server.cut(); // nobody has confirmed it
  delete server.script.cancel;
  await until(() => server.sent('cancel').length === 2, 'it is told again');
  assert.deepEqual(server.sent('publish', server.spark), []);
  await settle();
  server.cut();
  await until(() => server.sparks.length === 3 && client.foz.state.name === 'connected', 'it comes back');
  await settle();
  assert.deepEqual(server.sent('cancel').map((frame) => frame.id), [sent.id, sent.id]);
});

test('what was sent on a socket that has gone and is cancelled while there is none is told of on the next one', async () => {
  const server = await scripted({ publish() {} });
  const client = plugged(server.url);
  const sent = client.foz.request('chat', 1);
  await until(() => server.sent('publish').length === 1, 'it is asked');
  server.cut();
  await until(() => client.foz.state.name === 'waiting', 'there is no socket');
  client.foz.cancel(sent.id);
  await assert.rejects(sent, { code: 'cancelled' });
  await until(() => server.sent('cancel').length === 1, 'it is told');
  assert.deepEqual(server.sent('publish', server.spark), []);
});

test('a loop that is left cancels the request; an error ends the loop', async () => {
  const server = await scripted({ publish() {} });
  const client = plugged(server.url);
  const stream = client.foz.stream('chat', 1);
  stream.answer.catch(() => {});
  await until(() => server.sent('publish').length === 1, 'it is asked');
  part(server.spark, stream.id, 1, 0, 'enough');
  for await (const one of stream) {
    assert.equal(one.message, 'enough');
    break;
  }
  await until(() => server.sent('cancel').length === 1, 'it is cancelled');
  const failing = client.foz.stream('chat', 2);
  await until(() => server.sent('publish').length === 2, 'it is asked');
  server.error(server.spark, failing.id, 'timeout', { retryable: true });
  await assert.rejects((async () => { for await (const one of failing) assert.fail(one); })(), { code: 'timeout' });
});

test('parts that nobody reads are bounded', async () => {
  const server = await scripted({ publish() {} });
  const client = plugged(server.url, { partsMax: 10 });
  const stream = client.foz.stream('chat', 1);
  await until(() => server.sent('publish').length === 1, 'it is asked');
  for (let seq = 0; seq < 20; seq += 1) part(server.spark, stream.id, 1, seq, seq);
  await assert.rejects(stream.answer, { code: 'cancelled' });
  await until(() => server.sent('cancel').length === 1, 'it is cancelled');
});
