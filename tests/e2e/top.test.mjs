// foz top: a snapshot, JSON, and the live view in a pseudo-terminal.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { amqplib, closeAll, run, serve, start, until } from './lib.mjs';

const program = process.env.FOZ;
const folder = mkdtempSync(tmpdir() + '/foz-top-');
const adminOf = (server) => '127.0.0.1:' + server.output.match(/admin: port (\d+)/)[1];
const within = (listen = '127.0.0.1:0') => start(program, ['serve', '--data', folder, '--listen', '127.0.0.1:0',
  '--amqp-listen', '127.0.0.1:0', '--admin-listen', listen]);
let foz, admin, connection, channel;
before(async () => {
  foz = await within();
  await foz.until('ready: ');
  admin = adminOf(foz);
  connection = await amqplib.connect('amqp://' + foz.output.match(/broker: amqp:\/\/[^@]+@([^/]+)\//)[1]);
  connection.on('error', () => {});
  channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  await channel.assertQueue('orders', { durable: true });
  await channel.assertQueue('evil\x1b[2J\nname', { durable: true });
  for (let i = 0; i < 1234; i += 1) channel.sendToQueue('orders', Buffer.from('12345'), { persistent: true });
  await channel.waitForConfirms();
});
after(async () => {
  for (const child of views) child.kill();
  await connection.close().catch(() => {});
  await closeAll();
  await foz.stop();
  rmSync(folder, { recursive: true, force: true });
});

const top = (...args) => run(program, ['top', '--admin', admin, ...args]);

// foz top in a terminal of its own, which goes with the test.
const views = [];
function inTerminal(columns, rows, args, env = {}) {
  const child = spawn('/usr/bin/python3', [process.env.FOZ_ROOT + '/tests/support/in_terminal.py', columns, rows, program,
    'top', '--interval', '100ms', ...args], { env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '', ...env } });
  views.push(child);
  const self = { output: '', end: undefined };
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (data) => { self.output += data; });
  child.stderr.on('data', (data) => { told += data; });
  child.on('close', () => { self.end = told.startsWith('{') ? JSON.parse(told) : { failed: told }; });
  self.say = (command) => child.stdin.write(command + '\n');
  // What the screen shows after the last drawing that is complete.
  self.screen = () => {
    const drawings = self.output.split('\x1b[H');
    return drawings.length < 3 ? '' : drawings.at(-2).replace(/\x1b\[[0-9;?]*[a-zA-Z]/g, '');
  };
  self.shows = (text) => until(() => self.screen().match(text), 'the screen shows ' + text);
  self.ends = () => until(() => self.end, 'foz top ends');
  return self;
}

function assertRestored(view, code) {
  assert.deepEqual(view.end, { code, as_before: true }, view.output.slice(-300));
  assert.match(view.output, /^\x1b\[\?1049h/, 'the alternate screen comes first');
  assert.match(view.output, /\x1b\[\?25h\x1b\[\?1049l$/, 'the cursor and the screen come back last');
}

test('--once, and no terminal: one table', async () => {
  await until(async () => (await top('--once')).output.match(/orders +classic +1,234 /), 'the queue is in the table');
  const { code, output } = await top('--sort', 'name');
  assert.equal(code, 0);
  assert.match(output, /^foz \d+\.\d+\.\d+   up \d+s   ready /);
  assert.match(output, /\d+ sessions .*\n/);
  assert.match(output, /\d+ consumers/);
  assert.match(output, /^NAME▲ .* BYTES$/m);
  assert.match(output, /^evil␛\[2J␊name /m);
  assert.ok(!/[\x00-\x09\x0b-\x1f\x7f]/.test(output), 'nothing but text');
});

test('--json: the overview and the queues as they are', async () => {
  const { code, output } = await top('--json');
  assert.equal(code, 0);
  const all = JSON.parse(output);
  assert.deepEqual(Object.keys(all), ['overview', 'queues']);
  assert.equal(all.overview.product, 'Foz');
  assert.equal(all.queues.find((one) => one.name === 'orders').messages_ready, 1234);
  assert.ok(all.queues.some((one) => one.name === 'evil\x1b[2J\nname'));
});

test('a broker elsewhere: the aggregator alone, and where queues are to be seen', async () => {
  const other = await serve(['--admin-listen', '127.0.0.1:0']);
  const { code, output } = await run(program, ['top', '--admin', adminOf(other)]);
  assert.equal(code, 0, output);
  assert.match(output, /sessions/);
  assert.match(output, /RabbitMQ's queues are to be seen in\s+its\s+management/);
  const { overview, queues } = JSON.parse((await run(program, ['top', '--json', '--admin', adminOf(other)])).output);
  assert.equal(overview.broker, undefined);
  assert.equal(queues, null);
  await other.stop();
});

test('nobody there, or somebody else: one line with what to do, exit 1', async () => {
  for (const [at, text] of [['127.0.0.1:1', /^foz: .*Connection refused; start foz serve --admin-listen 127\.0\.0\.1:1\b.*\n$/],
    [new URL(foz.output.match(/ready: (http\S+)/)[1]).host, /^foz: .*\n$/]]) {
    const { code, output } = await run(program, ['top', '--admin', at]);
    assert.equal(code, 1, output);
    assert.match(output, text);
  }
});

test('live: follows numbers and size, sorts, and q gives the screen back', async () => {
  const view = inTerminal(80, 24, ['--admin', admin]);
  await view.shows(/orders +(classic +)?1,234 /);
  assert.equal(view.screen().split('\r\n').length, 24);
  assert.match(view.screen(), /q quit .*sort by ready/);
  assert.match(view.output, /\x1b\[32mready/);
  channel.sendToQueue('orders', Buffer.from('one more'), { persistent: true });
  await view.shows(/orders +(classic +)?1,235 /);
  view.say('size 160 50');
  await until(() => view.screen().split('\r\n').length === 50, 'the view has grown');
  await view.shows(/REDLV +DEAD +BYTES/);
  view.say('size 30 5');
  await until(() => view.screen().split('\r\n').length === 5, 'the view has shrunk');
  view.say('size 80 12');
  view.say('keys ' + JSON.stringify('\x1b[D'));
  await view.shows(/sort by name/);
  await view.shows(/ 1–\d of \d/);
  view.say('keys ' + JSON.stringify('\x1b[B'));
  await view.shows(/ 2–\d of \d/);
  view.say('keys "q"');
  await view.ends();
  assertRestored(view, 0);
});

test('live: SIGTERM, SIGINT and Ctrl+C give the screen back', async () => {
  for (const command of ['signal SIGTERM', 'signal SIGINT', 'keys "\\u0003"']) {
    const view = inTerminal(80, 24, ['--admin', admin]);
    await view.shows(/orders/);
    view.say(command);
    await view.ends();
    assertRestored(view, 0);
  }
});

test('live: NO_COLOR', async () => {
  const view = inTerminal(80, 24, ['--admin', admin], { NO_COLOR: '1' });
  await view.shows(/orders/);
  view.say('keys "q"');
  await view.ends();
  assertRestored(view, 0);
  assert.doesNotMatch(view.output.replace('\x1b[0m\x1b[?7h', ''), /\x1b\[[0-9;]*m/);
});

test('live: a server that goes away is told, and found again', async () => {
  const view = inTerminal(80, 24, ['--admin', admin]);
  await view.shows(/orders/);
  await foz.stop();
  await view.shows(/lost[^]*Connection refused; trying again[^]*orders/);
  foz = await within(admin);
  await foz.until('ready: ');
  await view.shows(/   ready [^]*orders +(classic +)?1,235 /);
  view.say('keys "q"');
  await view.ends();
  assertRestored(view, 0);
});
