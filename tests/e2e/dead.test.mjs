// foz dead: what services refused is listed, shown, given to its service again, edited, dropped.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amqp, broker, closeAll, run, serve, until, worker } from './lib.mjs';

const foz = process.env.FOZ;
const dead = (args, options = {}) => run(foz, ['dead', ...args, '--broker', broker], options);
const id = (name) => `anon-dead/${name}`;
let server, channel, service;
let refuse = true;
let handled = [];

before(async () => {
  server = await serve(); // declares
  channel = await (await amqp()).createChannel();
  await channel.purgeQueue('IN_DEAD');
  service = await worker('IN_TICKETS', (message, body, own) => {
    if (refuse) return own.nack(message, false, false);
    handled.push({ id: message.properties.messageId, body: message.content.toString(),
      headers: Object.keys(message.properties.headers), deadline: message.properties.headers['foz-deadline'] });
    own.ack(message);
  });
});
after(async () => {
  await service.stop();
  await closeAll();
  await server.stop();
});

async function die(name, body = '{"n":1}', type = 'open') {
  channel.publish('INBOUND', 'tickets.printers', Buffer.from(body), { messageId: id(name), type,
    headers: { 'foz-client': 'anon-dead', 'foz-deadline': 1 } });
}
const waiting = () => channel.checkQueue('IN_DEAD').then((queue) => queue.messageCount);

test('they are listed and shown, and nothing is taken', async () => {
  refuse = true;
  await die('m1');
  await die('m2', '{"text":"two\\nlines"}', 'close');
  await until(async () => await waiting() === 2, 'both are dead');
  for (let i = 0; i < 2; i += 1) {
    const { code, output } = await dead(['list']);
    assert.equal(code, 0, output);
    const lines = output.trim().split('\n');
    assert.equal(lines.length, 2, output);
    assert.match(lines[0], /^anon-dead\/m1 {2}tickets\.printers {2}open {2}rejected {2}20\d\d-.*Z {2}\{"n":1\}$/);
    await until(async () => await waiting() === 2, 'both are there again');
  }
  const closed = await dead(['list', '--type', 'close', '--json']);
  const told = JSON.parse(closed.output);
  assert.deepEqual([told.id, told.channel, told.topic, told.client, told.reason, told.queue, told.deaths, told.message],
    [id('m2'), 'tickets', 'printers', 'anon-dead', 'rejected', 'IN_TICKETS', 1, { text: 'two\nlines' }]);
  assert.equal((await dead(['list', '--older-than', '1h'])).output, '');
  assert.equal((await dead(['list', '--channel', 'chat'])).output, '');
  const shown = await dead(['show', id('m1')]);
  assert.equal(shown.code, 0);
  assert.match(shown.output, /^died in +IN_TICKETS$/m);
  assert.match(shown.output, /^\{"n":1\}$/m);
  const missing = await dead(['show', 'nobody/m9']);
  assert.deepEqual([missing.code, missing.output], [1, 'foz: there is no dead letter nobody/m9\n']);
});

test('retry gives a message to its service as it was, and it leaves the queue', async () => {
  refuse = false;
  handled = [];
  const { code, output } = await dead(['retry', id('m1')]);
  assert.deepEqual([code, output], [0, `${id('m1')}  given to its service again\n`]);
  const [one] = await until(() => handled.length === 1 && handled, 'it is handled');
  assert.deepEqual([one.id, one.body], [id('m1'), '{"n":1}']);
  assert.ok(!one.headers.some((name) => name.startsWith('x-death') || name.startsWith('x-first-death')), `${one.headers}`);
  assert.equal(one.deadline, undefined, 'a deadline that has passed is taken off');
  await until(async () => await waiting() === 1, 'the other one is still there');
});

test('it can be changed before', async () => {
  handled = [];
  const folder = mkdtempSync(join(tmpdir(), 'foz-dead-'));
  const editor = join(folder, 'editor');
  const write = (text) => { writeFileSync(editor, `#!/bin/sh\n${text}\n`); chmodSync(editor, 0o755); };
  write('echo \'{"text":\' > "$1"');
  const broken = await dead(['retry', id('m2'), '--edit'], { env: { EDITOR: editor, VISUAL: '' } });
  assert.deepEqual([broken.code, broken.output], [1, 'foz: --edit: the message is no longer valid JSON; nothing was changed\n']);
  write('echo \'{"text":"one line"}\' > "$1"');
  const { code, output } = await dead(['retry', id('m2'), '--edit'], { env: { EDITOR: editor, VISUAL: '' } });
  assert.equal(code, 0, output);
  await until(() => handled.length === 1, 'it is handled');
  assert.deepEqual([handled[0].id, handled[0].body], [id('m2'), '{"text":"one line"}']);
  await until(async () => await waiting() === 0, 'none is left');
});

test('many are chosen by a filter; drop asks to be sure', async () => {
  refuse = true;
  for (let n = 0; n < 50; n += 1) await die(`many-${n}`, `{"n":${n}}`, n % 2 ? 'odd' : 'even');
  await until(async () => await waiting() === 50, 'all are dead');
  refuse = false;
  handled = [];
  assert.equal((await dead(['retry', '--type', 'odd'])).code, 0);
  await until(() => handled.length === 25, 'the odd ones are handled');
  assert.deepEqual(handled.map(({ body }) => JSON.parse(body).n), [...Array(25).keys()].map((n) => 2 * n + 1), 'in order');
  const unsure = await dead(['drop', '--type', 'even']);
  assert.equal(unsure.code, 2);
  assert.match(unsure.output, /say --yes/);
  const { code, output } = await dead(['drop', '--type', 'even', '--yes']);
  assert.equal(code, 0);
  assert.equal(output.trim().split('\n').length, 25);
  await until(async () => await waiting() === 0, 'none is left');
  assert.equal((await dead(['list'])).output, '');
});

test('wrong usage is told, with exit code 2', async () => {
  assert.match((await dead(['retry'])).output, /which ones\? Ids, a filter, or --all/);
  for (const wrong of [['retry'], ['drop', '--all'], ['retry', 'a', '--all'], ['list', '--reason', 'bored'],
    ['retry', 'a', '--body', '{'], ['list', '--limit', '0'], ['list', '--older-than', 'long']])
    assert.equal((await dead(wrong)).code, 2, wrong.join(' '));
  const nowhere = await run(foz, ['dead', 'list', '--broker', 'amqp://127.0.0.1:1']);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.output, /^foz: amqp:\/\/.*:1.*refused/i);
});
