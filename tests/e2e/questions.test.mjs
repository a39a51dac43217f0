// Services ask clients.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, amqp, connect, inSeconds, request, secret, serve, settle, until, worker } from './lib.mjs';

let foz;
before(async () => {
  foz = await serve();
});
after(async () => {
  await closeAll();
  await foz.stop();
});

// What asks clients, and keeps what they answer.
async function service() {
  const channel = await (await amqp()).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const answers = [];
  await channel.consume(queue, ({ properties: { correlationId, headers }, content }) =>
    answers.push({ id: correlationId, said: JSON.parse(content), client: headers['foz-client'], session: headers['foz-session'] }),
  { noAck: true });
  const ask = (correlationId, client, message, more = {}) => channel.publish('OUTBOUND', 'chat', Buffer.from(JSON.stringify(message)),
    { replyTo: queue, correlationId, expiration: '5000', timestamp: inSeconds(0), headers: { 'foz-direct': client }, ...more });
  return { answers, ask };
}

test('one question to several clients under one correlation: each of them is asked, each answers', async () => {
  const { answers, ask } = await service();
  const people = await Promise.all(Array.from({ length: 4 }, () => connect(foz.url)));
  for (const [i, one] of people.entries()) {
    one.primus.on('request', ({ message }, done) => done(message + i));
    await one.consume();
  }
  for (const word of ['a', 'b']) for (const { client } of people) ask('poll', client, word);
  await until(() => answers.length === 8, 'all have answered both');
  assert.deepEqual(answers.map(({ said }) => said).sort(), ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'b2', 'b3']);
  people.forEach((one) => one.close());
});

test('a service asks a client: the first of its tabs that answers wins', async () => {
  const asker = await service();
  const { answers } = asker;
  const resume = secret();
  // So many that the kernel gives some of them to every event loop: they live on one all the same.
  const tabs = await Promise.all(Array.from({ length: 12 }, () => connect(foz.url, { resume })));
  const stranger = await connect(foz.url);
  tabs.push(stranger);
  const asked = tabs.map(() => 0);
  for (const [i, tab] of tabs.entries()) {
    tab.primus.on('request', (data, done) => { asked[i] += 1; tab.question = data; tab.done = done; });
    await tab.consume();
  }
  const ask = (id, more) => asker.ask(id, tabs[0].client, { sure: true }, { type: 'sure?', ...more });
  ask('q1');
  const own = tabs.slice(0, -1);
  await until(() => own.every((tab) => tab.done), 'all tabs are asked');
  assert.deepEqual(tabs[0].question.message, { sure: true });
  assert.equal(tabs[0].question.type, 'sure?');
  tabs[0].done({ yes: 1 });
  await until(() => answers.length === 1, 'the answer comes');
  own.slice(1).forEach((tab) => tab.done({ yes: 2 }));
  ask('bad', { expiration: undefined });
  ask('bad', { headers: { 'foz-broadcast': true } });
  own.forEach((tab) => { tab.done = undefined; });
  ask('q2');
  await until(() => own.every((tab) => tab.done), 'asked again');
  own.forEach((tab) => tab.done(null));
  await until(() => answers.some(({ id }) => id === 'q2'), 'null is an answer');
  assert.deepEqual(answers[0], { id: 'q1', said: { yes: 1 }, client: tabs[0].client, session: tabs[0].session });
  assert.deepEqual(asked, [...own.map(() => 2), 0], 'what was badly made was not asked');
  // A worker that was started again counts from 1 again.
  own.forEach((tab) => { tab.done = undefined; });
  ask('q1', { expiration: '6000' });
  await until(() => tabs[0].done, 'it is a new question');
  tabs[0].done({ yes: 3 });
  await until(() => answers.some(({ said }) => said?.yes === 3), 'which has its own answer');
  // A worker's clock may be wrong: what it asks now has its time from now on.
  own.forEach((tab) => { tab.done = undefined; });
  ask('old', { timestamp: inSeconds(-60) });
  await until(() => tabs[0].done, 'it is asked all the same');
  tabs[0].done({ yes: 4 });
  await until(() => answers.some(({ said }) => said?.yes === 4), 'and answered');
  await settle();
  assert.deepEqual(answers.map(({ id, said }) => [id, said]),
    [['q1', { yes: 1 }], ['q2', null], ['q1', { yes: 3 }], ['old', { yes: 4 }]]);
  assert.deepEqual(tabs.flatMap((tab) => tab.events('error')), []);
  tabs.forEach((tab) => tab.close());
});

test('only who was asked may answer, whoever knows the question\'s id', async () => {
  const { answers, ask } = await service();
  const bob = await connect(foz.url);
  const questions = [];
  bob.primus.on('incoming::data', (text) => questions.push(JSON.parse(text).requestId));
  bob.primus.on('request', (data, done) => { bob.done = done; });
  await bob.consume();
  // So many that some live on bob's event loop.
  const others = await Promise.all(Array.from({ length: 8 }, () => connect(foz.url)));
  for (const one of others) await one.consume();
  ask('q', bob.client, 'sure?', { expiration: '60000' });
  await until(() => bob.done, 'bob is asked');
  const responseId = questions.findLast((id) => id !== undefined);
  for (const one of others) {
    one.primus.write({ plugin: 'primus-responder', responseId, data: 'forged' });
    const { error } = await until(() => one.events('error')[0], 'it is refused');
    assert.deepEqual([error.code, error.field], ['bad_request', 'responseId']);
  }
  bob.done('sure');
  await until(() => answers.length, 'the answer comes');
  await settle();
  assert.deepEqual(answers, [{ id: 'q', said: 'sure', client: bob.client, session: bob.session }]);
  assert.deepEqual(bob.events('error'), []);
  [bob, ...others].forEach((one) => one.close());
});
