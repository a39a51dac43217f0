// What whoever runs Foz may get wrong: one helpful line and the right exit code.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { amqp, broker, chat, closeAll, connect, rawClient, run, serve, start, until } from './lib.mjs';

const foz = process.env.FOZ;
const port = (url) => new URL(url).port;
after(closeAll);

test('wrong usage: exit 2 and what is wrong', async () => {
  for (const [args, text] of [
    [[], 'A subcommand is required'],
    [['fly'], 'foz: there is no subcommand "fly"; did you mean '],
    [['srve'], 'foz: there is no subcommand "srve"; did you mean serve'],
    [['config', 'chekc'], 'foz: there is no subcommand "config chekc"; did you mean config check'],
    [['serve', '--colour', 'red'], '--colour'],
    [['serve', '--threads', 'many'], '--threads'],
    [['serve', '--web', '/nowhere'], '/nowhere'],
    [['serve', '--broker', 'http://127.0.0.1'], '--broker: '],
    [['serve', '--listen', 'nonsense'], 'foz: --listen: ADDRESS:PORT is expected, not nonsense'],
    [['serve', '--listen', 'localhost:80'], 'foz: --listen: localhost is not an IP address'],
    [['serve', '--amqp-listen', 'foo'], 'foz: --amqp-listen: ADDRESS:PORT is expected, not foo'],
    [['broker', '--listen', 'foo'], 'foz: --listen: ADDRESS:PORT is expected, not foo'],
    [['broker', '--tls-listen', 'foo'], 'foz: --tls-listen: ADDRESS:PORT is expected, not foo'],
    [['broker', '--amqp-tls-listen', 'foo'], 'foz: --amqp-tls-listen: ADDRESS:PORT is expected, not foo'],
    [['broker', '--vhost', ''], 'foz: --vhost: a virtual host has a name; the usual one is /'],
    [['broker', '--vhost', '/', '--vhost', 'x'.repeat(256)], 'foz: --vhost: the name of a virtual host has at most 255 octets'],
    [['serve', '--log-level', 'laud'], 'foz: --log-level: '],
    [['top', '--admin', 'nonsense'], 'foz: --admin: HOST:PORT or https://HOST:PORT is expected, not nonsense'],
    [['top', '--sort', 'colour'], 'foz: --sort: one of name, ready, '],
    [['top', '--interval', '1ms'], 'foz: --interval: '],
    [['top', '--interval', 'soon'], 'foz: --interval: '],
  ]) {
    const { code, output } = await run(foz, args);
    assert.equal(code, 2, output);
    assert.ok(output.includes(text), output);
  }
  for (const command of [[], ['serve'], ['config'], ['config', 'check'], ['config', 'show'], ['config', 'doc'],
    ['topology'], ['topology', 'show'], ['topology', 'apply'], ['topology', 'export'], ['doctor'], ['top']]) {
    const { code, output } = await run(foz, [...command, '--help']);
    assert.equal(code, 0);
    const examples = output.split('or example:\n')[1];
    assert.equal(examples?.match(/^  .*foz /gm)?.length, 2, output);
  }
  assert.match((await run(foz, ['--version'])).output, /^\d+\.\d+\.\d+/);
});

test('what keeps it from starting: exit 1 and one line', async () => {
  const rows = [
    [['--config', '/nowhere/foz.toml'], /^foz: \/nowhere\/foz\.toml: can't be read$/],
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

test('the URL that foz broker prints leads to its first virtual host', async (t) => {
  const data = mkdtempSync(tmpdir() + '/foz-operator-');
  t.after(() => rmSync(data, { recursive: true }));
  for (const vhosts of [[], ['--vhost', 'my own', '--vhost', '/']]) {
    const self = await start(foz, ['broker', '--data', data, '--listen', '127.0.0.1:0', ...vhosts]);
    await self.until('ready: ');
    const { code, output } = await run(foz, ['topology', 'apply', '--broker', self.output.match(/ready: (\S+)/)[1]]);
    await self.stop();
    assert.equal(code, 0, output);
  }
});

test('a port that is taken is named', async () => {
  const first = await serve();
  const { code, output } = await run(foz, ['serve', '--broker', broker, '--listen', '127.0.0.1:' + port(first.url)]);
  assert.equal(code, 1);
  assert.match(output, /can't listen on 127\.0\.0\.1:\d+: Address already in use/);
  await first.stop();
});

test('two that share their port have clients each; a port that somebody else has is taken', async () => {
  const first = await serve(['--share-port', '--admin-listen', '127.0.0.1:0']);
  const second = await serve(['--share-port', '--admin-listen', '127.0.0.1:0', '--listen', '127.0.0.1:' + port(first.url)]);
  const alone = await run(foz, ['serve', '--broker', broker, '--listen', '127.0.0.1:' + port(first.url)]);
  assert.equal(alone.code, 1);
  assert.match(alone.output, /can't listen on 127\.0\.0\.1:\d+: Address already in use/);
  // The kernel spreads connections by a hash: of forty none goes to one of the two once in 10^12 runs.
  for (let i = 0; i < 40; i += 1) await rawClient(first.url);
  const clients = async (one) => {
    const admin = 'http://127.0.0.1:' + one.output.match(/admin: port (\d+)/)[1];
    const metrics = await (await fetch(admin + '/metrics')).text();
    return [...metrics.matchAll(/^foz_sessions\S* (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  // The metrics are up to a second old.
  await until(async () => await clients(first) + await clients(second) === 40, 'both tell of their clients');
  const [here, there] = [await clients(first), await clients(second)];
  assert.ok(here > 0 && there > 0, here + ' and ' + there);
  await Promise.all([first.stop(), second.stop()]);

  const stranger = createServer();
  await new Promise((resolve) => { stranger.listen(0, '127.0.0.1', resolve); });
  const taken = await run(foz, ['serve', '--broker', broker, '--share-port', '--listen', '127.0.0.1:' + stranger.address().port]);
  stranger.close();
  assert.equal(taken.code, 1);
  assert.match(taken.output, /can't listen on 127\.0\.0\.1:\d+: Address already in use/);
});

test('a queue that exists with other arguments is named, with the argument', async () => {
  const connection = await amqp();
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

test('a second foz that the broker refuses disturbs no client of the first', async () => {
  const other = process.env.FOZ_OUT + '/operator-other.toml';
  writeFileSync(other, '[channels.tickets]\nredeliver = 5\n[channels.chat]\nconsumers = "single_active"\n');
  const [first, service] = [await serve(), await chat()];
  const [ann, bob] = [await connect(first.url), await connect(first.url)];
  await bob.consume();
  let said = 0;
  for (const [args, text] of [
    [['--config', other, '--broker', broker], /inequivalent arg '.+' for queue 'IN_(CHAT|TICKETS)'/],
    [['--broker', broker.replace('//', '//guest:wrong@')], /ACCESS_REFUSED/],
    [['--broker', broker + '-missing'], /vhost/],
  ]) {
    const second = run(foz, ['serve', '--listen', '127.0.0.1:0', ...args]);
    let over = false;
    second.finally(() => { over = true; });
    const before = said;
    while (!over || said < before + 5)
      assert.deepEqual((await ann.publish('say', { room: 'lobby', text: String(said += 1) })).message, { ok: true });
    const { code, output } = await second;
    assert.equal(code, 1, output);
    assert.match(output, text);
  }
  await until(() => bob.messages().length === said, 'all is heard');
  assert.deepEqual(bob.messages().map((m) => m.text), Array.from({ length: said }, (_, i) => String(i + 1)));
  for (const one of [ann, bob]) {
    assert.deepEqual([one.opened, one.events('error'), one.events('gap'), one.errors], [1, [], [], []]);
    one.close();
  }
  await first.stop();
  await service.stop();
});

test('an address that is not loopback: only with --allow-anonymous', async () => {
  const { code, output } = await run(foz, ['serve', '--broker', broker, '--listen', '0.0.0.0:0']);
  assert.equal(code, 1, output);
  assert.match(output, /^foz: .*--allow-anonymous/m);
  const open = await serve(['--listen', '0.0.0.0:0', '--allow-anonymous']);
  const ann = await connect('http://127.0.0.1:' + port(open.url));
  assert.equal((await ann.consume()).event, 'consuming');
  ann.close();
  await open.stop();
});

test('without a broker it waits, says so, and lets nobody in', async () => {
  const waiting = await start(foz, ['serve', '--broker', 'amqp://127.0.0.1:1', '--listen', '127.0.0.1:0',
    '--admin-listen', '127.0.0.1:0']);
  await waiting.until('listening: ');
  const url = waiting.output.match(/listening: (http:.*)\n/)[1];
  assert.equal((await fetch(url + 'healthz')).status, 503);
  await waiting.until('Connection refused; trying again');
  const metrics = 'http://127.0.0.1:' + waiting.output.match(/admin: port (\d+)/)[1] + '/metrics';
  await until(async () => {
    const failures = (await (await fetch(metrics)).text()).match(/connect_failures_total{link="consume"} (\d+)/);
    return failures && Number(failures[1]) >= 3;
  }, 'it has tried three times');
  assert.equal(waiting.output.match(/Connection refused/g).length, 1, waiting.output);
  await waiting.stop();
});

test('the chat service stops in good order', async () => {
  const service = await chat();
  await service.stop();
  assert.equal((await run(process.env.FOZ_CHAT, ['--colour'])).code, 2);
});
