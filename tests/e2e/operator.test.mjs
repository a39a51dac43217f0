// What whoever runs Foz may get wrong: one helpful line and the right exit code.
import test from 'node:test';
import assert from 'node:assert/strict';
import { amqplib, broker, chat, run, serve } from './lib.mjs';

const foz = process.env.FOZ;
const port = (url) => new URL(url).port;

test('wrong usage: exit 2 and what is wrong', async () => {
  for (const [args, text] of [
    [[], 'A subcommand is required'],
    [['fly'], 'A subcommand is required'],
    [['serve', '--colour', 'red'], '--colour'],
    [['serve', '--threads', 'many'], '--threads'],
    [['serve', '--web', '/nowhere'], '/nowhere'],
  ]) {
    const { code, output } = await run(foz, args);
    assert.equal(code, 2, output);
    assert.ok(output.includes(text), output);
  }
  assert.equal((await run(foz, ['serve', '--help'])).code, 0);
  assert.match((await run(foz, ['--version'])).output, /^\d+\.\d+\.\d+/);
});

test('what keeps it from starting: exit 1 and one line', async () => {
  const rows = [
    [['--broker', 'http://127.0.0.1'], /--broker: .*amqp:/],
    [['--broker', broker, '--listen', 'nonsense'], /ADDRESS:PORT/],
    [['--broker', broker, '--listen', 'localhost:80'], /not an IP address/],
    [['--broker', broker, '--listen', '0.0.0.0:0'], /--allow-anonymous/],
    [['--broker', broker.replace('//', '//guest:wrong@'), '--listen', '127.0.0.1:0'], /ACCESS_REFUSED/],
    [['--broker', broker + '-missing', '--listen', '127.0.0.1:0'], /vhost/],
  ];
  for (const [args, text] of rows) {
    const { code, output } = await run(foz, ['serve', ...args]);
    assert.equal(code, 1, args.join(' ') + ': ' + output);
    assert.match(output.split('\n').filter((line) => line.startsWith('foz: '))[0], text);
    assert.ok(!output.includes('wrong@'), 'the password is in: ' + output);
  }
});

test('a port that is taken is named', async () => {
  const first = await serve();
  const { code, output } = await run(foz, ['serve', '--broker', broker, '--listen', '127.0.0.1:' + port(first.url)]);
  assert.equal(code, 1);
  assert.match(output, /can't listen on 127\.0\.0\.1:\d+: Address already in use/);
  await first.stop();
});

test('a queue that exists with other arguments is named, with the argument', async () => {
  const connection = await amqplib.connect(broker);
  const channel = await connection.createChannel();
  await channel.deleteQueue('IN_CHAT');
  await channel.assertQueue('IN_CHAT', { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 5 } });
  for (const [program, args] of [[foz, ['serve', '--listen', '127.0.0.1:0', '--broker', broker]],
    [process.env.FOZ_CHAT, ['--broker', broker]]]) {
    const { code, output } = await run(program, args);
    assert.equal(code, 1, output);
    assert.match(output, /inequivalent arg '.+' for queue 'IN_CHAT'/);
  }
  await channel.deleteQueue('IN_CHAT');
  await connection.close();
});

test('without a broker it waits, says so, and lets nobody in', async () => {
  const waiting = run(foz, ['serve', '--broker', 'amqp://127.0.0.1:1', '--listen', '127.0.0.1:18099'], { seconds: 2 });
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal((await fetch('http://127.0.0.1:18099/healthz')).status, 503);
  const { output } = await waiting;
  assert.match(output, /Connection refused; trying again/);
  assert.equal(output.match(/Connection refused/g).length, 1, 'the same problem is told once');
});

test('the chat service stops in good order', async () => {
  const service = await chat();
  await service.stop();
  assert.equal((await run(process.env.FOZ_CHAT, ['--colour'])).code, 2);
});
