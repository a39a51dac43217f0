// What the documents show runs as it stands there, and prints what they say.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { amqp, broker, chat, closeAll, configFile, connect, handshake, run, secret, serve, start, tickets, until, withoutStream, WebSocket } from './lib.mjs';

const root = process.env.FOZ_ROOT;
const document = (name) => readFileSync(join(root, 'docs', name), 'utf8');
// The first block of a language below a heading.
function block(text, heading, language) {
  const below = text.split(new RegExp('^#+ ' + heading + '$', 'm'))[1];
  return below.match(new RegExp('^```' + language + '\\n([^]*?)^```$', 'm'))[1];
}

const work = process.env.FOZ_OUT + '/documents';
const services = document('services.md');
let foz, ask;
const save = (name, text) => { writeFileSync(join(work, name), text); return join(work, name); };

before(async () => {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  symlinkSync(root + '/clients/js/node_modules', work + '/node_modules');
  // Requests wait for their service, however long there was none.
  foz = await serve([], broker, { FOZ_CHANNELS_CHAT_NO_SERVICE_AFTER_MS: '86400000', FOZ_CHANNELS_TICKETS_NO_SERVICE_AFTER_MS: '86400000' });
  ask = save('ask.mjs', block(services, 'Try it', 'js').replace('ws://127.0.0.1:8080', foz.url.replace('http', 'ws')));
});
after(async () => {
  await closeAll();
  await foz.stop();
});

const node = (file, ...args) => [process.execPath, [file, ...args], { FOZ_BROKER: broker }];
const workers = {
  cpp: () => [process.env.FOZ_MY_SERVICE, [], { FOZ_BROKER: broker }],
  node: () => node(save('worker.mjs', block(services, 'Node \\(amqplib\\)', 'js'))),
  python: () => ['/usr/bin/python3', [save('worker.py', block(services, 'Python \\(pika\\)', 'python'))], { FOZ_BROKER: broker }],
};
// A worker that says nothing is ready when it consumes.
async function working(channel, command) {
  const service = await start(...command);
  await until(async () => {
    assert.equal(service.code, undefined, service.output);
    return (await channel.checkQueue('IN_TICKETS')).consumerCount === 1;
  }, 'the worker consumes', 30);
  return service;
}
// It may be killed between its last confirm and its last acknowledgement: nobody has to work on that message again.
const gone = async (channel, service) => {
  await service.kill('SIGTERM');
  await until(async () => (await channel.checkQueue('IN_TICKETS')).consumerCount === 0, 'the worker is gone');
  await channel.purgeQueue('IN_TICKETS');
};
const printed = (output) => output.trim().split('\n').map((line) => JSON.parse(line));
const title = { title: 'Help' };
const open = { packet_action: 'publish', channel: 'tickets', type: 'open', message: title };

for (const [language, command] of Object.entries(workers)) test('the worker of services.md, in ' + language, async (t) => {
  const channel = await (await amqp()).createConfirmChannel();
  const service = await working(channel, command());
  t.after(() => service.kill());
  const { code, output } = await run(process.execPath, [ask]);
  assert.equal(code, 0, output);
  const [consuming, opened, yours, answer, ...more] = printed(output);
  assert.deepEqual([consuming.event, more], ['consuming', []]);
  assert.deepEqual([opened.event, opened.via, opened.type, opened.topic, opened.message], ['message', 'broadcast', 'opened', 'ticket.new', title]);
  assert.deepEqual([yours.event, yours.via, yours.type, yours.message], ['message', 'direct', 'yours', title]);
  assert.deepEqual(answer, { event: 'answer', id: 'm1', message: { ok: true } });
  assert.deepEqual([opened.id, yours.id].map((id) => id.split('/').slice(1).join('/')), ['m1/0', 'm1/1']);

  // What no client has sent, and what can't be worked on, harms nobody.
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'OUTBOUND', 'tickets.#');
  const said = [];
  await channel.consume(queue, (m) => m && said.push(m.properties), { noAck: true });
  const send = (body, options) => channel.publish('INBOUND', 'tickets', Buffer.from(body), { persistent: true, ...options });
  send(JSON.stringify(title), { type: 'open', messageId: 'nobody' });
  send('null', { type: 'open', messageId: 'wrong', replyTo: queue });
  if (language === 'python') send('['.repeat(1024) + ']'.repeat(1024), { type: 'open', messageId: 'deep' });
  send(JSON.stringify(title), { type: 'open', messageId: 'next', replyTo: queue, headers: { 'foz-client': 'ann' } });
  await until(() => said.length === 5, 'all is said');
  assert.deepEqual(said.map((one) => one.messageId), ['nobody/0', 'wrong/0', 'next/0', 'next/1', 'next/2']);
  assert.equal(said[1].headers['foz-error'], 'bad_message');
  assert.equal(said[3].headers['foz-direct'], '["ann"]');
  assert.equal(service.code, undefined, service.output);

  await channel.deleteQueue(queue);
  const ann = await connect(foz.url);
  await ann.consume({ channel: 'tickets', consume_target: 'ticket.#' });
  const told = await withoutStream('tickets', () => ann.ask({ ...open, id: 'late' }));
  assert.equal(told.event, 'answer');
  await until(() => ann.events('message').length === 2, 'both messages that no queue took at first');
  ann.close();
  await gone(channel, service);
});

const doors = {
  cpp: () => [process.env.FOZ_DOOR, [], { FOZ_BROKER: broker }],
  node: () => node(save('door.mjs', block(services, 'Who may come in', 'js'))),
  python: () => ['/usr/bin/python3', [save('door.py', block(services, 'Who may come in', 'python'))], { FOZ_BROKER: broker }],
};
for (const [language, command] of Object.entries(doors)) test('the service that decides who comes in, in ' + language, async (t) => {
  const guarded = await serve(['--config', configFile(block(document('identity.md'), 'A service that decides', 'toml'))]);
  t.after(() => guarded.stop());
  const service = await start(...command());
  t.after(() => service.kill());
  const guest = await connect(guarded.url, { query: '&ticket=golden' });
  assert.equal(guest.client, 'guest-7');
  assert.equal((await guest.consume({ distribution: { multicast: ['guests'] } })).event, 'consuming');
  guest.close();
  const other = await handshake(guarded.url, 'hello=1&ticket=forged');
  await other.closed();
  const { error } = other.events('error')[0];
  assert.deepEqual([error.code, error.reason, error.message, other.code], ['denied', 'no_ticket', 'You need a ticket.', 4000]);
  assert.equal(service.code, undefined, service.output);
});

test('the reader of a stream in services.md prints the tickets of today', async (t) => {
  const reader = await start(...node(save('read.mjs', block(services, 'Reading a stream yourself', 'js'))));
  t.after(() => reader.kill());
  await until(() => reader.output.split('\n').length > 12, 'it prints');
  const lines = reader.output.trim().split('\n').map((line) => line.split(' '));
  assert.deepEqual(lines.map(([, id]) => id.replace(/.*\/(m1|late)/, '$1')), Array(3).fill(['m1/0', 'nobody/0', 'next/0', 'late/0']).flat());
  for (const [offset, , ...body] of lines) {
    assert.match(offset, /^\d+$/);
    assert.deepEqual(JSON.parse(body.join(' ')), title);
  }
});

// Names, ids and times differ; a message is what the service says.
const shape = (value, key) => {
  if (['event', 'code', 'field', 'state'].includes(key)) return value;
  if (key === 'message') return 'any';
  if (Array.isArray(value)) return 'array';
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner, name)]));
};

test('each frame of protocol.md gets the events that stand below it', async (t) => {
  for (const service of [await chat(), await tickets()]) t.after(() => service.stop());
  let frames = 0;
  for (const [, text] of document('protocol.md').matchAll(/^```json\n([^]*?)^```$/gm)) {
    if (text.startsWith('{\n')) { // one frame in several lines
      assert.equal(JSON.parse(text).packet_action, 'consume');
      continue;
    }
    const lines = text.trim().split('\n').map((line) => JSON.parse(line));
    if (!lines[0].packet_action && !lines[0].data?.packet_action) continue; // events alone, or a question
    frames += 1;
    const socket = new WebSocket(foz.url.replace('http', 'ws') + '/primus/?resume=' + secret());
    t.after(() => socket.terminate());
    const heard = [];
    socket.on('message', (data) => {
      const frame = JSON.parse(data);
      if (frame.event !== 'message' && frame.event !== 'gap') heard.push(frame);
    });
    await once(socket, 'open');
    if (lines[0].packet_action === 'leave') {
      socket.send('{"packet_action":"consume","channel":"chat","distribution":{"broadcast":true,"multicast":["group-a"]}}');
      await until(() => heard.shift(), 'there is something to leave');
    }
    socket.send(text.split('\n')[0]);
    // A service that does not fail retries nothing.
    const below = lines.slice(1).filter((line) => line.state !== 'retrying');
    await until(() => heard.length >= Math.max(1, below.length), text);
    if (below.length === 0) assert.notEqual(heard[0].event, 'error', text);
    else assert.deepEqual(heard.map((frame) => shape(frame)), below.map((frame) => shape(frame)), text);
  }
  assert.ok(frames >= 8, frames + ' frames');
});

test('the commands that the documents name exist', async () => {
  const known = async (...command) => (await run(process.env.FOZ, [...command, '--help'])).output
    .split('Subcommands:\n')[1]?.match(/^  (\w+)/gm)?.map((name) => name.trim()) ?? [];
  const commands = await known();
  const inner = Object.fromEntries(await Promise.all(commands.map(async (name) => [name, await known(name)])));
  const files = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  let named = 0;
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    // In a line of code, or at the beginning of a block's line.
    for (const [all, name, next] of text.matchAll(/(?:`|^ {4}|^)foz ([a-z]+)(?: ([a-z]+))?/gm)) {
      if (!all.startsWith('`') && !all.startsWith('    ') && !text.slice(0, text.indexOf(all)).endsWith('```\n')) continue;
      named += 1;
      assert.ok(commands.includes(name), file + ': ' + all);
      if (next && inner[name].length > 0) assert.ok(inner[name].includes(next), file + ': ' + all);
    }
  }
  assert.ok(named > 20, named + ' are named');
});
