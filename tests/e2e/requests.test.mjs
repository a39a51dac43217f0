// Requests and their outcomes: resends, sockets that die, no service, progress, more time.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeAll, amqp, connect, reply, request, secret, serve, settle, until, WebSocket, worker, configFile } from './lib.mjs';

const config = `
[client]
request_timeout_ms = 5000
position_interval_ms = 300

[channels.chat]
no_service_after_ms = 700

[channels.once]
redeliver = "never"

[channels.line]
order = "client"
`;

let foz;
before(async () => {
  foz = await serve(['--config', configFile(config)]);
});
after(async () => {
  await closeAll();
  await foz.stop();
});

const progress = (client) => client.events('progress').map((p) => p.state + (p.attempt ? ' ' + p.attempt : ''));

test('a resend gets the original\'s outcome and is not done again', async () => {
  let runs = 0;
  const node = await worker('IN_CHAT', (message, body, channel) => {
    runs += 1;
    if (body === 'refuse') reply(channel, message, { code: 'no', message: 'no' }, { headers: { 'foz-error': 'no' } });
    else reply(channel, message, { run: runs });
    channel.ack(message);
  });
  const ann = await connect(foz.url);
  const first = await ann.ask(request('chat', { id: 'm1' }));
  assert.deepEqual(first, { event: 'answer', id: 'm1', message: { run: 1 } });
  assert.deepEqual(await ann.ask(request('chat', { id: 'm1' })), first, 'another requestId, the same id');
  ann.primus.write(request('chat', { id: 'm1', ack: 'answer' }));
  await until(() => ann.events('answer').length, 'a plain write gets it too');
  // Sent again while the first is on its way: both are answered, it is done once.
  const both = await Promise.all([ann.ask(request('chat', { id: 'm2' })), ann.ask(request('chat', { id: 'm2' }))]);
  assert.deepEqual(both[0], both[1]);
  assert.deepEqual(both[0].message, { run: 2 });
  const no = await ann.ask(request('chat', { id: 'm3', message: 'refuse' }));
  assert.equal(no.error.service_code, 'no');
  assert.deepEqual(await ann.ask(request('chat', { id: 'm3', message: 'refuse' })), no, 'errors of a service are final');
  assert.equal(runs, 3);
  // Another client's same id is another message.
  const bob = await connect(foz.url);
  assert.deepEqual((await bob.ask(request('chat', { id: 'm1' }))).message, { run: 4 });
  // A receipt is an outcome as well, also for who comes back on a new socket.
  const resume = secret();
  const eve = await connect(foz.url, { resume });
  const receipt = await eve.ask(request('chat', { id: 'r1', ack: 'confirmed' }));
  assert.deepEqual(receipt, { event: 'receipt', id: 'r1' });
  assert.deepEqual(await eve.ask(request('chat', { id: 'r1', ack: 'confirmed' })), receipt);
  await until(() => runs === 5, 'it ran once');
  for (const one of [ann, bob, eve]) one.close();
  await node.stop();
});

test('an answer that came too late comes again, under the same message id, when its request is sent again', async () => {
  const node = await worker('IN_CHAT', async (message, body, channel) => {
    if (late) await late;
    reply(channel, message, 'here', { messageId: message.properties.messageId + '/0' });
    channel.ack(message);
  });
  const ann = await connect(foz.url);
  await ann.consume();
  let done;
  let late = new Promise((resolve) => { done = resolve; });
  assert.equal((await ann.ask(request('chat', { id: 'slow', timeout_ms: 100 }))).error.code, 'timeout');
  late = undefined;
  done();
  // What was said after the late answer has been heard, so the answer has gone by.
  const bob = await connect(foz.url);
  assert.equal((await bob.ask(request('chat', { id: 'next' }))).message, 'here');
  assert.deepEqual(await ann.ask(request('chat', { id: 'slow', timeout_ms: 2000 })), { event: 'answer', id: 'slow', message: 'here' });
  [ann, bob].forEach((one) => one.close());
  await node.stop();
});

test('ack: what comes back is what was asked for, by writeAndWait as by write', async () => {
  const seen = [];
  const node = await worker('IN_CHAT', (message, body, channel) => {
    seen.push([body, message.properties.replyTo !== undefined]);
    if (message.properties.replyTo) reply(channel, message, 'done');
    channel.ack(message);
  });
  const ann = await connect(foz.url);
  const said = [];
  const ask = (message, rest) => ann.primus.writeAndWait(request('chat', { message, ...rest }), (data) => said.push([message, data]));
  ask(1, { ack: 'none' });
  ask(2, { ack: 'confirmed' });
  ask(3, { ack: 'answer' });
  ask(4, {});
  ask(5, { ack: 'none', publish_target: 'nowhere' });
  await until(() => said.length === 4 && seen.length === 4, 'all but the first are answered, all but the last are handled');
  await settle();
  said.sort(([a], [b]) => a - b);
  assert.deepEqual(said.map(([message, data]) => [message, data.event, data.message ?? data.error?.code]),
    [[2, 'receipt', undefined], [3, 'answer', 'done'], [4, 'answer', 'done'], [5, 'error', 'forbidden']]);
  assert.deepEqual(seen, [[1, false], [2, false], [3, true], [4, true]], 'a worker is told who awaits an answer');
  ann.primus.write(request('chat', { message: 6 }));
  ann.primus.write(request('chat', { message: 7, id: 'c', ack: 'none' }));
  ann.primus.write(request('chat', { message: 8, ack: 'confirmed' }));
  ann.primus.write(request('chat', { message: 9, id: 'r' }));
  ann.primus.write(request('chat', { message: 10, id: 'a', ack: 'answer' }));
  await until(() => ann.events('answer').length === 1, 'the answer to what wanted one');
  await until(() => ann.events('receipt').length === 2, 'receipts for what wanted them');
  // The service's answer is for who wanted it; progress is told all the same.
  ann.primus.write(request('chat', { message: 11, id: 'p', ack: 'confirmed', progress: true }));
  ann.primus.write(request('chat', { message: 12, id: 'q', ack: 'none', progress: true }));
  await until(() => ann.events('progress').filter(({ state }) => state === 'done').length === 2, 'both are done');
  await settle();
  const [answer] = ann.events('answer');
  assert.deepEqual([answer.id, answer.message], ['a', 'done']);
  const receipts = ann.events('receipt').map(({ id, frame }) => id ?? frame);
  for (const id of ['p', 'q'])
    assert.deepEqual(ann.events('progress').filter((event) => event.id === id).map(({ state }) => state), ['confirmed', 'done']);
  assert.equal(ann.events('answer').length, 1);
  assert.deepEqual(receipts.map(String).sort(), ['8', 'p', 'r'], 'the one without an id by its frame: the eighth');
  assert.deepEqual(ann.events('error'), []);
  ann.close();
  await node.stop();
});

test('an answer comes on the socket that asked, whatever other sockets its client has', async () => {
  const node = await worker('IN_CHAT', (message, body, channel) => {
    reply(channel, message, body);
    channel.ack(message);
  });
  const resume = secret();
  const tabs = await Promise.all(Array.from({ length: 12 }, () => connect(foz.url, { resume })));
  // In one page primus-responder has one table of callbacks for all sockets: the first answer to an id is taken.
  for (let round = 0; round < 5; round += 1) {
    const asked = tabs.map((tab, i) => tab.ask(request('chat', { id: `${round}-${i}`, message: i, colour: 'red' })));
    for (const [i, answer] of (await Promise.all(asked)).entries())
      assert.deepEqual(answer, { event: 'answer', id: `${round}-${i}`, message: i, warnings: ['colour'] });
  }
  tabs.forEach((tab, i) => tab.primus.write(request('chat', { id: 'w' + i, ack: 'answer' })));
  await until(() => tabs.every((tab) => tab.events('answer').length), 'all are answered');
  await settle();
  assert.deepEqual(tabs.map((tab) => tab.events('answer').map(({ id }) => id)), tabs.map((_, i) => ['w' + i]));
  tabs.forEach((tab) => tab.close());
  await node.stop();
});

test('one id is one message, from whatever socket of its client and however often it comes', async () => {
  const held = [];
  const node = await worker('IN_CHAT', (message, body, channel) => {
    held.push(() => reply(channel, message, body));
    channel.ack(message);
  });
  const resume = secret();
  const tabs = await Promise.all(Array.from({ length: 8 }, () => connect(foz.url, { resume })));
  const asked = tabs.map((tab) => tab.ask(request('chat', { id: 'same', message: 'same' })));
  await until(() => held.length, 'it is in hand');
  const tooMany = await tabs[0].ask(request('chat', { id: 'same', message: 'same' }));
  assert.deepEqual([tooMany.error.code, tooMany.error.id], ['overloaded', 'same'], 'eight wait already');
  held[0]();
  for (const answer of await Promise.all(asked)) assert.deepEqual(answer, { event: 'answer', id: 'same', message: 'same' });
  // Asked again on a new socket while the first is on its way: one outcome, once.
  const people = await Promise.all(Array.from({ length: 10 }, () => connect(foz.url)));
  const again = request('chat', { id: 'cut', ack: 'answer', progress: true });
  people.forEach((one) => one.primus.write(again));
  await until(() => held.length === 1 + people.length, 'all are in hand');
  people.forEach((one) => one.primus.socket._socket.destroy());
  await until(() => people.every((one) => one.opened === 2), 'all are back');
  people.forEach((one) => one.primus.write(again));
  await Promise.all(people.map((one) => one.consume())); // behind what they have written
  held.slice(1).forEach((answer) => answer());
  await until(() => people.every((one) => one.events('progress').some(({ state }) => state === 'done')), 'all are done');
  await settle();
  for (const one of people) {
    assert.deepEqual(one.events('answer'), [{ event: 'answer', id: 'cut', message: {} }]);
    assert.deepEqual(progress(one).filter((state) => state === 'done'), ['done']);
  }
  assert.equal(held.length, 1 + people.length, 'nothing was done twice');
  [...tabs, ...people].forEach((one) => one.close());
  await node.stop();
});

test('the same id on another channel, and the same requestId on another socket, is another request', async () => {
  const answer = (name) => (message, body, channel) => {
    reply(channel, message, name + ' ' + body);
    channel.ack(message);
  };
  const workers = [await worker('IN_CHAT', answer('chat')), await worker('IN_LINE', answer('line'))];
  const resume = secret();
  const ann = await connect(foz.url, { resume });
  for (const channel of ['chat', 'line']) ann.primus.write(request(channel, { id: 'both', ack: 'answer', message: 1 }));
  await until(() => ann.events('answer').length === 2, 'both are answered');
  assert.deepEqual(ann.events('answer').map(({ message }) => message).sort(), ['chat 1', 'line 1']);
  for (const channel of ['chat', 'line'])
    assert.equal((await ann.ask(request(channel, { id: 'both', message: 2 }))).message, channel + ' 1', 'and remembered');
  // Clients that count their requests.
  const counting = await Promise.all(Array.from({ length: 6 }, async (_, i) => {
    const socket = new WebSocket(foz.url.replace('http', 'ws') + '/primus/?resume=' + resume);
    const heard = [];
    socket.on('message', (data) => { if (!String(data).startsWith('"')) heard.push(JSON.parse(data)); });
    await once(socket, 'open');
    socket.send(JSON.stringify({ plugin: 'primus-responder', requestId: '1', data: request('chat', { message: i }) }));
    return { socket, heard };
  }));
  await until(() => counting.every(({ heard }) => heard.length), 'all are answered');
  await settle();
  assert.deepEqual(counting.map(({ heard }) => heard), counting.map((_, i) =>
    [{ plugin: 'primus-responder', responseId: '1', data: { event: 'answer', message: 'chat ' + i } }]));
  counting.forEach(({ socket }) => socket.terminate());
  ann.close();
  for (const one of workers) await one.stop();
});

test('a socket that dies: whoever is back hears what was on its way', async () => {
  const held = [];
  const node = await worker('IN_CHAT', (message, body, channel) => {
    if (body !== 'never') held.push(() => reply(channel, message, body));
    channel.ack(message);
  });
  // Several, so that the kernel gives some of them to another event loop when they come back.
  const people = await Promise.all(Array.from({ length: 8 }, () => connect(foz.url)));
  const asked = people.map((one, i) => one.ask(request('chat', { id: 'a', message: i, colour: 'red' })));
  const late = people.map((one) => one.ask(request('chat', { id: 'l', message: 'never', timeout_ms: 2500 })));
  await until(() => held.length === people.length, 'the requests are in hand');
  people.forEach((one) => one.primus.socket._socket.destroy());
  await until(() => people.every((one) => one.opened === 2), 'all are back');
  held.forEach((answer) => answer());
  assert.deepEqual(await Promise.all(asked),
    people.map((_, i) => ({ event: 'answer', id: 'a', message: i, warnings: ['colour'] })));
  assert.deepEqual((await Promise.all(late)).map(({ error }) => [error.code, error.id]), people.map(() => ['timeout', 'l']));
  // A page that is closed: the client's other pages are told.
  const resume = secret();
  const [gone, stays] = [await connect(foz.url, { resume }), await connect(foz.url, { resume })];
  gone.primus.write(request('chat', { id: 'left', ack: 'answer', message: 'behind' }));
  await until(() => held.length > people.length, 'the request is in hand');
  const closed = once(gone.primus.socket, 'close');
  gone.close();
  await closed;
  held.at(-1)();
  await until(() => stays.events('answer').some(({ id, message }) => id === 'left' && message === 'behind'), 'the other one hears it');
  [...people, stays].forEach((one) => one.close());
  await node.stop();
});

test('no service: requests wait for a while, then they are refused before they are published', async () => {
  const ann = await connect(foz.url);
  // The worker of the test before has just gone.
  await until(async () => {
    const fast = await ann.ask(request('chat', { fail_fast: true, timeout_ms: 300 }));
    return fast.error.code === 'no_service';
  }, 'the service is missed');
  const refused = await until(async () => {
    const { error } = await ann.ask(request('chat', { timeout_ms: 300 }));
    return error.code === 'no_service' && error;
  }, 'a request is refused after a while');
  assert.equal(refused.retryable, true);
  assert.equal(typeof refused.retry_after_ms, 'number');
  // What needs no service now waits in the queue.
  assert.equal((await ann.ask(request('chat', { ack: 'confirmed', message: 'kept' }))).event, 'receipt');
  const seen = [];
  const node = await worker('IN_CHAT', (message, body, channel) => {
    seen.push(body);
    if (message.properties.replyTo) reply(channel, message, 'here');
    channel.ack(message);
  });
  const answer = await until(async () => {
    const said = await ann.ask(request('chat', { message: 'anyone?' }));
    return said.event === 'answer' && said;
  }, 'the service is back');
  assert.equal(answer.message, 'here');
  assert.deepEqual(seen, ['kept', 'anyone?'], 'nothing of what was refused or timed out was run');
  ann.close();
  await node.stop();
});

test('timeout_ms, or expires_ms, is the request\'s expiration in the queue', async () => {
  const connection = await amqp();
  const channel = await connection.createChannel();
  await channel.purgeQueue('IN_ONCE');
  const ann = await connect(foz.url);
  for (const [expires_ms, expiration] of [[undefined, '4321'], [99, '99'], [9999, '9999']]) {
    ann.ask(request('once', { timeout_ms: 4321, expires_ms }));
    const one = await until(() => channel.get('IN_ONCE', { noAck: true }), 'the request is queued');
    assert.equal(one.properties.expiration, expiration);
  }
  const asked = ann.ask(request('once', { timeout_ms: 4321 }));
  const message = await until(() => channel.get('IN_ONCE', { noAck: true }), 'the request is queued');
  assert.ok(Math.abs(message.properties.headers['foz-deadline'] - Date.now() - 4321) < 2000);
  reply(channel, message, 1);
  assert.equal((await asked).message, 1);
  await connection.close();
  ann.close();
});

test('progress: confirmed, taken, retrying, done; dead letters', async () => {
  const node = await worker('IN_CHAT', (message, body, channel) => {
    const { replyTo, correlationId, headers } = message.properties;
    assert.equal(headers['foz-progress'], true);
    const tell = (type, more = {}) => channel.publish('', replyTo, Buffer.from('null'), { correlationId, type, headers: more });
    if (body === 'bad') return channel.nack(message, false, false);
    tell('foz.taken', { 'foz-attempt': 1 });
    tell('foz.taken', { 'foz-attempt': 2 });
    if (body === 'answered') reply(channel, message, 'ok');
    else tell('foz.done');
    channel.ack(message);
  });
  for (const [id, message, ack, states] of [
    ['p1', 'answered', 'answer', ['confirmed', 'taken', 'retrying 2', 'done']],
    ['p2', 'quiet', 'confirmed', ['confirmed', 'taken', 'retrying 2', 'done']],
    ['p3', 'bad', 'answer', ['confirmed', 'dead_lettered']]]) {
    const ann = await connect(foz.url);
    const answer = await ann.ask(request('chat', { id, message, ack, progress: true }));
    await until(() => ['done', 'dead_lettered'].includes(progress(ann).at(-1)), id + ' ends');
    // A confirm and a fast worker race; the rest comes in order.
    assert.deepEqual(progress(ann).filter((s) => s !== 'confirmed'), states.slice(1), id);
    assert.ok(progress(ann).includes('confirmed'), id);
    assert.ok(ann.events('progress').every((p) => p.id === id));
    assert.equal(answer.event, { answered: 'answer', quiet: 'receipt', bad: 'error' }[message]);
    ann.close();
  }
  await node.stop();
});

test('a service may ask for more time', async () => {
  const node = await worker('IN_CHAT', (message, body, channel) => {
    const { replyTo, correlationId } = message.properties;
    const until_ms = Date.now() + 5000;
    channel.publish('', replyTo, Buffer.from('null'),
      { correlationId, type: 'foz.extend', headers: { 'foz-deadline': { '!': 'int64', value: until_ms } } });
    setTimeout(() => { reply(channel, message, 'late but good'); channel.ack(message); }, 900);
  });
  const ann = await connect(foz.url);
  assert.equal((await ann.ask(request('chat', { timeout_ms: 400 }))).message, 'late but good');
  ann.close();
  await node.stop();
});

test('who hears a durable channel is told the position now and then', async () => {
  const ann = await connect(foz.url);
  const { channels } = await ann.consume({ distribution: { direct: [ann.client] }, from: 'first' });
  const bob = await connect(foz.url);
  await bob.consume();
  const connection = await amqp();
  const channel = await connection.createChannel();
  channel.publish('OUTBOUND', 'chat', Buffer.from('"not for ann"'), { headers: { 'foz-direct': 'someone' } });
  const told = await until(() => ann.events('position').find((p) => p.position !== channels.chat.position), 'ann is told');
  assert.equal(told.channel, 'chat');
  await until(() => bob.events('position').length > 0, 'so is who has not resumed, but could');
  const back = await connect(foz.url);
  await back.consume({ from: told.position });
  await until(() => back.events('position').length, 'it is up to date');
  assert.deepEqual(back.heard.filter((e) => e.event === 'message' || e.event === 'gap'), []);
  await connection.close();
  [ann, bob, back].forEach((one) => one.close());
});

test('SIGTERM: clients are told, closed with 1012, and come back by themselves to who listens there next', async () => {
  const first = await serve();
  const ann = await connect(first.url);
  let ended = false;
  ann.primus.on('end', () => { ended = true; });
  const socket = new WebSocket(first.url.replace('http', 'ws') + '/primus/');
  const heard = [];
  socket.on('message', (data) => heard.push(JSON.parse(data)));
  await once(socket, 'open');
  const closed = once(socket, 'close');
  const stopping = first.stop();
  assert.equal((await closed)[0], 1012);
  assert.deepEqual(heard.map((frame) => frame.event ?? frame), ['drain'], 'nothing says stay away');
  await stopping;
  const [drain] = ann.events('drain');
  assert.equal(typeof drain.retry_after_ms, 'number');
  const second = await serve(['--listen', new URL(first.url).host]);
  await until(() => ann.opened === 2, 'it is back');
  assert.equal((await ann.consume()).event, 'consuming');
  assert.equal(ended, false);
  ann.close();
  await second.stop();
});
