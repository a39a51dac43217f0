// One budget of memory for the process: whatever clients do, it is not exceeded, and those who do nothing wrong are served.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { chat, configFile, connect, run, secret, sleep, start, until } from '../e2e/lib.mjs';
import { endAll, flood, serveWatched, watch } from './lib.mjs';

after(endAll);

const mega = 1024 * 1024;
const budget = 128 * mega;
// As many octets of each client as it likes: the budget alone is at work.
const open = (more = '') => ['--config', configFile(`
[limits]
memory_bytes = ${budget}
client_octets = 0
client_frames = 0
client_publishes = 0
client_connections = 0
${more}
[channels.chat]
`)];

// The highest resident memory until the work is done.
async function peak(foz, work) {
  let done = false, highest = 0;
  const other = work.finally(() => { done = true; });
  while (!done) {
    highest = Math.max(highest, foz.resident());
    await sleep(50);
  }
  await other;
  return highest;
}

// A handshake, and then octets that are the beginning of something.
function begin(url, octets, query = '') {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(`GET /primus/?resume=${secret()}${query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  socket.once('data', () => socket.write(octets));
  return socket;
}

test('the limits are shares of the budget; what is said counts', async () => {
  const shown = async (text) => (await run(process.env.FOZ, ['config', 'show', '--config', configFile(text)])).output;
  const small = await shown(`[limits]\nmemory_bytes = ${budget}\nreader_bytes = 1000000\n`);
  assert.match(small, /^memory_bytes = 134217728  # .*toml:2$/m);
  assert.match(small, /^loop_queue_bytes = \d{7,8}  # a share of limits\.memory_bytes$/m);
  assert.match(small, /^reader_bytes = 1000000  # .*toml:3$/m);
  assert.match(await shown('[channels.chat]\n'), /^memory_bytes = \d{9,}  # default$/m);
});

test('limits that come to more than the budget are warned of at the start', async () => {
  const foz = await serveWatched(open(`loop_queue_bytes = ${512 * mega}\n`));
  assert.match(foz.output, /limits\.memory_bytes is 128 MiB, and the limits that were said come to 1\d\d\d MiB in all/);
  await foz.stop();
});

// The load: 20 clients that offer 5 MB a second each, while the broker takes nothing: 500 MB in five seconds.
test('publishers that flood while the broker stands still fill their part alone', async (t) => {
  const broker = await start(process.env.FOZ, ['broker', '--data', process.env.FOZ_OUT + '/stopped', '--listen', '127.0.0.1:0']);
  await broker.until('ready: ');
  const url = broker.output.match(/ready: (amqp:\/\/[^/]+)\//)[1];
  const foz = await serveWatched(open(), {}, url);
  const bystander = await connect(foz.url);
  broker.child.kill('SIGSTOP');
  const floods = Promise.all(Array.from({ length: 20 }, () => flood(foz.url, 'large', { frames: 20, seconds: 5 })));
  const highest = await peak(foz, floods);
  t.diagnostic(`${(highest / mega).toFixed(0)} MiB resident at most`);
  assert.ok(highest < budget, highest + ' octets were resident');
  // Whoever has nothing waiting finds room: this is accepted now, and confirmed later.
  const answer = new Promise((resolve) => { bystander.primus.on('data', (event) => event.id === 'mine' && resolve(event)); });
  bystander.primus.write({ packet_action: 'publish', channel: 'chat', id: 'mine', message: 1 });
  await sleep(300);
  assert.deepEqual(bystander.events('error'), []);
  broker.child.kill('SIGCONT');
  assert.equal((await answer).event, 'receipt');
  await foz.stop();
  await broker.stop();
});

// The load: 800 sockets that each send 250 KB of a message and no more: 200 MB.
test('messages that begin and do not end are let go before the memory is gone', async (t) => {
  const foz = await serveWatched(open());
  const service = await chat();
  const bystander = await connect(foz.url);
  const part = Buffer.concat([Buffer.from([0x81, 0x80 | 127, 0, 0, 0, 0, 0, 3, 0xe8, 0]), Buffer.alloc(4), Buffer.alloc(250_000, '1')]);
  const sockets = [];
  const attack = (async () => {
    for (let i = 0; i < 800; i += 1) {
      sockets.push(begin(foz.url, part));
      if (i % 20 === 0) await sleep(30);
    }
    await sleep(1_000);
  })();
  const measured = peak(foz, attack);
  // Shortly before the end messages are refused.
  const waits = await watch(bystander, measured).catch((error) => error);
  const highest = await measured;
  t.diagnostic(`${(highest / mega).toFixed(0)} MiB resident at most, ${await foz.metric('foz_shed_total')} sockets were closed`);
  assert.ok(highest < budget, highest + ' octets were resident');
  await until(async () => await foz.metric('foz_short_of_memory_total') > 0, 'it was noticed');
  sockets.forEach((one) => one.destroy());
  await until(async () => (await bystander.publish('echo', 'again')).event === 'answer', 'the bystander is served', 20);
  assert.ok(!(waits instanceof Error) || /overloaded/.test(waits.message), String(waits));
  const after = await connect(foz.url);
  assert.equal((await after.publish('echo', 'new')).event, 'answer', 'and so is somebody new');
  await service.stop();
  await foz.stop();
});
