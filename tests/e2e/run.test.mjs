// What ./run starts: two aggregators behind one port, a broker, services; what dies comes back, and clients notice nothing.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeAll, plugged, run, sleep, start, until } from './lib.mjs';

const root = process.env.FOZ_ROOT;
const supervisor = join(root, 'scripts/supervise.mjs');
const folder = mkdtempSync(join(tmpdir(), 'foz-run-'));
const asked = ['broker', 'aggregator-1', 'aggregator-2', 'chat', 'tickets', 'voice', 'guide'];

async function listening() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function freePort() {
  const server = await listening();
  const { port } = server.address();
  server.close();
  return port;
}

let names = 0;
const newFolder = () => join(folder, String(names += 1));
const argumentsOf = (data, port, more) => [supervisor, '--build', process.env.FOZ_BUILD, '--data', data, '--port', String(port), ...more];

// As ./run starts it.
const started = [];
async function supervised(more = []) {
  const [data, port] = [newFolder(), await freePort()];
  const self = await start(process.execPath, argumentsOf(data, port, more));
  started.push(self);
  await self.until('Foz is running: ', 60);
  self.data = data;
  self.port = port;
  self.url = 'http://127.0.0.1:' + port;
  self.told = await (await fetch(self.url + '/run.json')).json();
  self.panel = (path, body, headers = {}) => fetch(self.told.panel + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'foz-panel-token': self.told.token, ...headers },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
  });
  self.state = async () => (await (await self.panel('/state')).json()).processes;
  self.process = async (name) => (await self.state()).find((one) => one.name === name);
  self.running = (name, restarts) => until(async () => {
    const one = await self.process(name);
    return one?.state === 'running' && one.restarts >= restarts && one;
  }, `${name} runs with ${restarts} restarts`, 30);
  return self;
}

// One that has ended and that nobody has asked for its exit code has ended.
function lives(pid) {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

// Asks chat again and again; each question's answer, or what went wrong.
function asking(client) {
  const self = { answered: 0, wrong: [], on: true };
  self.done = (async () => {
    for (let n = 0; self.on; n += 1) {
      const answer = await client.foz.request('chat', { n }, { type: 'echo' }).catch((error) => error);
      if (answer?.n === n) self.answered += 1;
      else self.wrong.push(answer);
      await sleep(20);
    }
  })();
  self.stop = () => {
    self.on = false;
    return self.done;
  };
  return self;
}

let foz;
before(async () => { foz = await supervised(); });
after(async () => {
  await closeAll();
  for (const one of started) await one.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

test('the panel tells what runs', async () => {
  const all = await foz.state();
  for (const name of asked) assert.ok(all.some((one) => one.name === name), name);
  for (const one of all) {
    assert.deepEqual([one.state, one.restarts, one.down_ms], ['running', 0, null], one.name);
    assert.ok(lives(one.pid));
  }
  assert.deepEqual([...new Set(all.map(({ kind }) => kind))].sort(), ['aggregator', 'broker', 'service']);
  assert.equal(foz.told.lan_url, null);
});

test('an aggregator, a service and the broker are killed while clients ask: all is answered', async () => {
  const clients = Array.from({ length: 6 }, () => plugged(foz.url));
  const questions = clients.map(asking);
  const answered = () => questions.map((one) => one.answered);
  await until(() => answered().every((count) => count > 5), 'all clients are answered');
  for (const name of ['aggregator-1', 'aggregator-2', 'chat', 'broker']) {
    const { pid } = await foz.process(name);
    assert.equal((await foz.panel('/kill', { name })).status, 204);
    await until(async () => (await foz.process(name)).state === 'down', name + ' is seen to be down');
    assert.equal((await foz.panel('/kill', { name })).status, 409);
    assert.ok(!lives(pid));
    const back = await foz.running(name, 1);
    assert.equal(back.restarts, 1);
    assert.notEqual(back.pid, pid);
    assert.ok(back.down_ms >= 1500 && back.down_ms < 15_000, name + ' was down for ' + back.down_ms);
    const begin = answered();
    await until(() => answered().every((count, i) => count > begin[i] + 5), 'all clients are answered again', 20);
  }
  await Promise.all(questions.map((one) => one.stop()));
  assert.deepEqual(questions.flatMap((one) => one.wrong), []);
  assert.deepEqual(clients.flatMap((one) => one.errors), []);
  assert.match(foz.output, /^chat: ended \(SIGKILL\)\nchat: runs again after \d+\.\d s$/m);
  clients.forEach((one) => one.close());
});

test('a process that dies by itself is started again at once, again and again more slowly', async () => {
  const downs = [];
  for (let n = 0; n < 3; n += 1) {
    const { pid, restarts } = await foz.process('voice');
    process.kill(pid, 'SIGKILL');
    const back = await foz.running('voice', restarts + 1);
    assert.notEqual(back.pid, pid);
    downs.push(back.down_ms);
  }
  assert.ok(downs[0] < 1500 && downs[2] >= 500, downs.join(', '));
});

test('a poison message kills chat until it is a dead letter; its neighbours are answered', async () => {
  const client = plugged(foz.url);
  const before = (await foz.process('chat')).restarts;
  assert.equal((await foz.panel('/poison', {})).status, 204);
  const questions = asking(client);
  await foz.until('told dead_lettered', 60);
  assert.match(foz.output, /^poison-\d+: told dead_lettered after \d+\.\d s$/m);
  assert.equal((await foz.running('chat', before + 4)).restarts, before + 4);
  await until(async () => (await foz.state()).every((one) => one.kind !== 'client'), 'its client is forgotten');
  await questions.stop();
  assert.deepEqual(questions.wrong, []);
  assert.ok(questions.answered > 0);
  client.close();
});

test('a slow client comes and goes, and can be killed', async () => {
  const clients = async () => (await foz.state()).filter((one) => one.kind === 'client' && one.state === 'running');
  assert.equal((await foz.panel('/slow', { seconds: 1 })).status, 204);
  const [first] = await until(async () => (await clients()).length && clients(), 'it is there');
  assert.match(first.name, /^slow-/);
  await until(async () => (await clients()).length === 0, 'it is gone after its time');
  await foz.panel('/slow', { seconds: 100 });
  const [second] = await until(async () => (await clients()).length && clients(), 'the next one is there');
  assert.equal((await foz.panel('/kill', { name: second.name })).status, 204);
  await until(async () => (await foz.state()).every((one) => one.kind !== 'client'), 'it is gone');
  for (const seconds of [0, 1e9, 'long']) assert.equal((await foz.panel('/slow', { seconds })).status, 400, seconds);
});

test('changes are told to who listens', async () => {
  const response = await fetch(`${foz.told.panel}/events?token=${foz.told.token}`);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  let heard = '';
  const states = () => [...heard.matchAll(/^data: (.*)\n\n/gm)]
    .map(([, json]) => JSON.parse(json).processes.find(({ name }) => name === 'tickets').state);
  const reading = (async () => { for await (const part of response.body) heard += Buffer.from(part); })().catch(() => {});
  await until(() => states().length === 1, 'the state is told at once');
  await foz.panel('/kill', { name: 'tickets' });
  await until(() => states().at(-1) === 'running' && states().length > 1, 'it is back');
  assert.deepEqual(states().filter((one, i, all) => one !== all[i - 1]), ['running', 'down', 'starting', 'running']);
  await response.body.cancel().catch(() => {});
  void reading;
});

test('the panel is for the page alone', async () => {
  const status = (path, headers, body) => foz.panel(path, body, headers).then((one) => one.status);
  for (const [path, body] of [['/state'], ['/events'], ['/kill', { name: 'chat' }], ['/poison', {}], ['/slow', {}]]) {
    assert.equal(await status(path, { 'foz-panel-token': 'wrong' }, body), 403, path);
    assert.equal(await status(path, { 'foz-panel-token': '' }, body), 403, path);
    for (const origin of ['http://evil.example', 'https://127.0.0.1:' + foz.port, 'http://127.0.0.1:1', 'null'])
      assert.equal(await status(path, { origin }, body), 403, path + ' from ' + origin);
  }
  // Only where headers can't be set may the token be in the URL.
  assert.equal((await fetch(`${foz.told.panel}/state?token=${foz.told.token}`)).status, 403);
  assert.equal((await fetch(foz.told.panel + '/events?token=wrong')).status, 403);

  const rebound = await new Promise((resolve, reject) => {
    request(foz.told.panel + '/state', { headers: { host: 'evil.example', 'foz-panel-token': foz.told.token } },
      (response) => { response.resume(); resolve(response.statusCode); }).on('error', reject).end();
  });
  assert.equal(rebound, 403);

  for (const host of ['127.0.0.1', 'localhost']) {
    const origin = `http://${host}:${foz.port}`;
    const preflight = await fetch(foz.told.panel + '/kill', { method: 'OPTIONS', headers: { origin } });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
    assert.match(preflight.headers.get('access-control-allow-headers'), /foz-panel-token/);
    const state = await foz.panel('/state', undefined, { origin });
    assert.deepEqual([state.status, state.headers.get('access-control-allow-origin')], [200, origin]);
  }
  const refused = await fetch(foz.told.panel + '/kill', { method: 'OPTIONS', headers: { origin: 'http://evil.example' } });
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [403, null]);

  assert.equal(await status('/kill', {}, { name: 'nobody' }), 404);
  assert.equal(await status('/kill', {}, {}), 404);
  assert.equal(await status('/nothing', {}, {}), 404);
  assert.equal(await status('/kill', {}), 405);
  assert.equal(await status('/state', {}, {}), 405);
  assert.equal(await status('/kill', {}, 'no json'), 400);
  assert.equal(await status('/kill', {}, '[]'), 400);
  assert.equal(await status('/kill', {}, JSON.stringify({ name: 'x'.repeat(10_000) })), 413);
});

test('after SIGTERM no process is left; what is edited in the folder of the page is served', async () => {
  const web = newFolder();
  mkdirSync(join(web, 'more'), { recursive: true });
  for (const name of ['index.html', 'old.js', 'more/a.js']) writeFileSync(join(web, name), 'first');
  const self = await supervised(['--web', web]);
  const get = async (path) => {
    const response = await fetch(self.url + path);
    return response.status === 200 ? response.text() : response.status;
  };
  assert.deepEqual([await get('/'), await get('/old.js'), await get('/more/a.js')], ['first', 'first', 'first']);
  writeFileSync(join(web, 'index.html'), 'second');
  writeFileSync(join(web, 'more/a.js'), 'second');
  rmSync(join(web, 'old.js'));
  mkdirSync(join(web, 'new'));
  await until(async () => await get('/') === 'second' && await get('/more/a.js') === 'second' && await get('/old.js') === 404,
    'the page follows');
  writeFileSync(join(web, 'new/b.js'), 'third');
  await until(async () => await get('/new/b.js') === 'third', 'new folders are followed, too');
  assert.equal((await (await fetch(self.url + '/run.json')).json()).token, self.told.token);

  const pids = (await self.state()).map(({ pid }) => pid);
  const client = plugged(self.url);
  assert.deepEqual(await client.foz.request('chat', 1, { type: 'echo' }), 1);
  const begin = Date.now();
  assert.equal(await self.kill('SIGTERM'), 143);
  assert.ok(Date.now() - begin < 9_000);
  assert.deepEqual(pids.filter(lives), []);
  // In good order: nothing had to be killed, and nobody missed the broker.
  for (const name of asked) {
    const log = readFileSync(join(self.data, 'logs', name + '.log'), 'utf8');
    assert.match(log, /-- ended: exit code 0\n$/, name);
    assert.doesNotMatch(log, /trying again/, name);
  }
  client.close();
});

test('when the supervisor is killed, no process is left', async () => {
  const self = await supervised();
  const pids = (await self.state()).map(({ pid }) => pid);
  await self.kill('SIGKILL');
  await until(() => pids.filter(lives).length === 0, 'all have ended');
});

test('what can\'t start is told', async () => {
  const fails = async (args, pattern) => {
    const { code, output } = await run(process.execPath, args, { seconds: 60 });
    assert.equal(code, 1, output);
    assert.match(output, pattern);
  };
  const port = await freePort();
  await fails(argumentsOf(newFolder(), port, ['--broker', `amqp://me:secret@127.0.0.1:${await freePort()}`]),
    /^run: no broker at amqp:\/\/me:\*\*\*@127\.0\.0\.1:\d+: .*ECONNREFUSED/m);
  await fails(argumentsOf(foz.data, port, []), /^run: another \.\/run uses /m);
  await fails(argumentsOf(newFolder(), foz.port, []), /^run: port \d+ is taken; choose another one with --port$/m);
  const amqp = foz.output.match(/AMQP for services: amqp:\/\/([^;]+);/)[1];
  await fails(argumentsOf(newFolder(), port, ['--broker', `amqp://guest:wrong@${amqp}`]),
    /^run: aggregator-\d ended with exit code 1\nThe end of .*aggregator-\d\.log:\n[^]*ACCESS_REFUSED/m);
});

test('./run says what is wrong with its arguments', async () => {
  for (const [args, text] of [[['--prot', '1'], 'unknown argument --prot'], [['--port'], '--port needs a value'],
    [['--port', 'x'], '--port x is no port'], [['--port', '70000'], '--port 70000 is no port'],
    [['--threads', '-1'], '--threads -1 is no number'], [['--broker', 'http://h'], '--broker: an amqp://'], [['--lan=yes'], 'unknown argument --lan=yes']]) {
    const { code, output } = await run(join(root, 'run'), args);
    assert.equal(code, 2, output);
    assert.ok(output.startsWith('run: ' + text) && output.includes('./run --help'), output);
  }
  const help = await run(join(root, 'run'), ['--help']);
  assert.equal(help.code, 0);
  for (const flag of ['--broker', '--port', '--lan', '--threads', '--build']) assert.ok(help.output.includes('\n  ' + flag), flag);
});

// In a network of its own: nobody else reaches that.
test('with --lan it is told where others reach it', async (t) => {
  const set_up = 'ip link set lo up && ip link add foz0 type veth peer name foz1 && ip addr add 10.98.7.6/24 dev foz0' +
    ' && ip link set foz0 up && ip link set foz1 up && ip route add default dev foz0';
  try {
    execFileSync('unshare', ['--net', 'sh', '-c', set_up], { stdio: 'ignore' });
  } catch {
    return t.skip('no network of its own can be had');
  }
  const [data, port] = [newFolder(), await freePort()];
  const self = await start('unshare', ['--net', 'sh', '-c', set_up + ' && exec "$@"', 'sh', process.execPath,
    ...argumentsOf(data, port, ['--lan'])]);
  started.push(self);
  await self.until('In the local network: ', 60);
  const lan = `http://10.98.7.6:${port}/`;
  assert.ok(self.output.includes(`In the local network: ${lan}   (anyone who can reach that is let in)`), self.output);
  assert.ok(existsSync(join(data, 'web/index.html')));
  assert.equal(JSON.parse(readFileSync(join(data, 'web/run.json'), 'utf8')).lan_url, lan);
  assert.match(readFileSync(join(data, 'logs/aggregator-1.log'), 'utf8'), /ready: http:\/\/0\.0\.0\.0:/);
  assert.equal(await self.kill('SIGINT'), 130);
});
