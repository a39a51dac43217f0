// The ticket service: what it answers, who hears of it, and that nothing happens twice.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { amqp, closeAll, connect, secret, serve, start, tickets, until } from './lib.mjs';

let foz, service;
before(async () => {
  foz = await serve();
  service = await tickets();
});
after(async () => {
  await closeAll();
  await foz.stop();
  await service.stop();
});

const ask = (client, type, message, rest = {}) =>
  client.ask({ packet_action: 'publish', channel: 'tickets', type, message, ...rest });

test('a ticket\'s life: opened, assigned, commented, closed; everyone who listens hears it', async () => {
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  await bob.ask({ packet_action: 'consume', channel: 'tickets', consume_target: ['ticket.*'] });
  const { ticket } = (await ask(ann, 'open', { title: 'The lamp is out', text: 'Since Monday', name: 'Ann' })).message;
  assert.match(ticket.id, /^T-\d+$/);
  const [comment] = ticket.comments;
  assert.ok(Math.abs(comment.at - Date.now()) < 60_000);
  assert.deepEqual(ticket, { id: ticket.id, title: 'The lamp is out', state: 'open', opened_by: ann.client, name: 'Ann',
    assignee: null, comments: [{ by: ann.client, name: 'Ann', text: 'Since Monday', at: comment.at }] });
  assert.equal((await ask(bob, 'assign', { id: ticket.id, to: 'Bob' })).message.ticket.assignee, 'Bob');
  const commented = (await ask(bob, 'comment', { id: ticket.id.toLowerCase(), text: 'On my way' })).message.ticket;
  assert.deepEqual(commented.comments.map((c) => [c.by, c.name, c.text]),
    [[ann.client, 'Ann', 'Since Monday'], [bob.client, '', 'On my way']]);
  assert.equal((await ask(bob, 'close', { id: ticket.id })).message.ticket.state, 'closed');
  await until(() => bob.messages().length === 4, 'bob hears all of it');
  assert.deepEqual(bob.events('message').map((m) => [m.type, m.topic, m.message.by, m.message.ticket.id]),
    ['opened', 'assigned', 'commented', 'closed'].map((type, i) =>
      [type, 'ticket.' + ticket.id.toLowerCase(), (i ? bob : ann).client, ticket.id]));
  assert.deepEqual((await ask(ann, 'get', { id: ticket.id })).message.ticket, bob.messages()[3].ticket);
  ann.close();
  bob.close();
});

test('the list: newest first, by state, without comments', async () => {
  const ann = await connect(foz.url);
  const [one, two] = [await ask(ann, 'open', { title: 'one' }), await ask(ann, 'open', { title: 'two' })]
    .map((answer) => answer.message.ticket.id);
  await ask(ann, 'close', { id: one });
  const ids = async (message) => (await ask(ann, 'list', message)).message.tickets.map((t) => t.id);
  assert.deepEqual((await ids({})).slice(0, 2), [two, one]);
  assert.ok((await ids({ state: 'open' })).includes(two) && !(await ids({ state: 'open' })).includes(one));
  assert.ok((await ids({ state: 'closed' })).includes(one) && !(await ids({ state: 'closed' })).includes(two));
  assert.equal((await ask(ann, 'list', {})).message.tickets[0].comments, undefined);
  ann.close();
});

test('what is wrong is said', async () => {
  const ann = await connect(foz.url);
  const { id } = (await ask(ann, 'open', { title: 'x' })).message.ticket;
  await ask(ann, 'close', { id });
  const rows = [
    ['open', {}, 'bad_message', /^title: /],
    ['open', { title: '' }, 'bad_message', /^title: /],
    ['open', { title: 'x', text: 5 }, 'bad_message', /^text: /],
    ['open', [], 'bad_message', /object/],
    ['list', { state: 'lost' }, 'bad_message', /^state: /],
    ['get', { id: 'T-999999' }, 'no_such_ticket', /T-999999/],
    ['get', { id: '1; DROP TABLE tickets' }, 'no_such_ticket', /DROP/],
    ['assign', { id, to: 'Bob' }, 'ticket_closed', /closed/],
    ['comment', { id, text: 'x' }, 'ticket_closed', /closed/],
    ['close', { id }, 'ticket_closed', /closed/],
    ['comment', { id: 'T-999999', text: 'x' }, 'no_such_ticket', /T-999999/],
    ['fly', {}, 'unknown_type', /type/],
  ];
  for (const [type, message, code, text] of rows) {
    const { error } = await ask(ann, type, message);
    assert.equal(error.service_code, code, type + ' ' + JSON.stringify(message));
    assert.match(error.service.message, text);
  }
  ann.close();
});

// Straight over AMQP: the aggregator, which knows resends by itself, is not in the way.
test('the same message twice opens one ticket, also when the worker was killed in between', async (t) => {
  const file = process.env.FOZ_OUT + '/tickets-twice-' + process.pid + '.db';
  await service.stop();
  service = await tickets(['--database', file]);
  const connection = await amqp();
  t.after(() => connection.close());
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const answers = [];
  await channel.consume(queue, (m) => answers.push(JSON.parse(m.content)), { noAck: true });
  const send = async (messageId) => {
    channel.publish('INBOUND', 'tickets', Buffer.from('{"title":"once"}'), { persistent: true, messageId,
      type: 'open', replyTo: queue, correlationId: messageId, headers: { 'foz-client': 'ann' } });
    await channel.waitForConfirms();
  };
  await send('ann/1');
  await send('ann/1');
  await until(() => answers.length === 2, 'both are answered');
  await service.kill();
  service = await tickets(['--database', file]);
  await send('ann/1');
  // The killed one may have answered and not yet acknowledged: then the same is said once more.
  await until(() => answers.length >= 3, 'the new worker answers');
  const first = answers[0].ticket;
  await send('ann/2');
  const other = await until(() => answers.find(({ ticket }) => ticket.id !== first.id), 'another message is another ticket');
  assert.equal(Number(other.ticket.id.slice(2)), Number(first.id.slice(2)) + 1);
  for (const answer of answers) if (answer !== other) assert.deepEqual(answer, { ticket: first }, 'what was said the first time');
});

// A transaction on the tickets' database, from outside: whatever service works on it waits.
const holdDatabase = async (file) => {
  const holder = await start('/usr/bin/python3', ['-c', `import signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
signal.pause()`, file]);
  await holder.until('held');
  return holder;
};

test('who asked in vain, or did not ask, gets the answer by sending the same again', async () => {
  const file = process.env.FOZ_OUT + '/tickets-again-' + process.pid + '.db';
  await service.stop();
  service = await tickets(['--database', file]);
  const resume = secret();
  const ann = await connect(foz.url, { resume, query: '&consume=tickets' });
  const titles = async (client) => (await ask(client, 'list', {})).message.tickets.map((ticket) => ticket.title);

  const holder = await holdDatabase(file);
  assert.equal((await ask(ann, 'open', { title: 'slow' }, { id: 'x', timeout_ms: 100 })).error.code, 'timeout');
  await holder.kill();
  await until(() => ann.messages().length === 1, 'the ticket is opened after all');
  const late = await ask(ann, 'open', { title: 'slow' }, { id: 'x', timeout_ms: 3_000 });
  assert.deepEqual(late.message, { ticket: ann.messages()[0].ticket });

  // Another aggregator, which knows nothing of the first message.
  assert.equal((await ask(ann, 'open', { title: 'unasked' }, { id: 'y', ack: 'confirmed' })).event, 'receipt');
  await until(() => ann.messages().length === 2, 'the second ticket is opened');
  const other = await serve();
  const again = await connect(other.url, { resume });
  const answer = await ask(again, 'open', { title: 'unasked' }, { id: 'y', timeout_ms: 3_000 });
  assert.deepEqual(answer.message, { ticket: ann.messages()[1].ticket });

  assert.deepEqual(await titles(ann), ['unasked', 'slow'], 'each was opened once');
  assert.equal(ann.messages().length, 2, 'and heard once');
  again.close();
  ann.close();
  await other.stop();
});

test('two workers on one database, one of them killed again and again: each ticket is there once', async () => {
  const file = process.env.FOZ_OUT + '/tickets-shared-' + process.pid + '.db';
  await service.stop();
  service = await tickets(['--database', file]);
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  await bob.ask({ packet_action: 'consume', channel: 'tickets' });
  const count = 120;
  let answered = 0;
  const open = (i) => ask(ann, 'open', { title: 'n' + i }, { id: 'open-' + i, timeout_ms: 20_000 })
    .then((answer) => { answered += 1; return answer; });
  const answers = Array.from({ length: count }, (_, i) => open(i));
  for (let kills = 0; kills < 4; kills += 1) {
    const victim = await tickets(['--database', file]);
    // Sent again under the same id while the first may be on its way, or done.
    for (let i = kills; i < count; i += 7) answers.push(open(i));
    const before = answered;
    await until(() => answered > before || answered === count, 'work goes on');
    await victim.kill();
  }
  const all = await Promise.all(answers);
  assert.ok(all.every((answer) => answer.event === 'answer'), JSON.stringify(all.find((a) => a.event !== 'answer')));
  const listed = (await ask(ann, 'list', {})).message.tickets;
  assert.equal(listed.length, 100, 'the newest hundred are listed');
  const titles = new Map();
  for (let number = 1; ; number += 1) {
    const { message } = await ask(ann, 'get', { id: 'T-' + number });
    if (!message) break;
    titles.set(message.ticket.title, (titles.get(message.ticket.title) ?? 0) + 1);
  }
  assert.equal(titles.size, count);
  assert.ok([...titles.values()].every((times) => times === 1), 'no ticket twice');
  // Everyone heard of each once, whatever was repeated on the way.
  await until(() => bob.messages().length >= count, 'bob hears all');
  assert.equal(bob.messages().length, count);
  ann.close();
  bob.close();
});
