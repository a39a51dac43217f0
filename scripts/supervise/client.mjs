// Clients for the panel, each a process of its own:
//
//     client.mjs slow URL SECONDS     hears everything on chat, and reads nothing of it for so long
//     client.mjs poison URL LIBRARY   asks chat for demo.crash, and says what has become of that
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

// The packages of clients/js.
const packages = fileURLToPath(new URL('../../clients/js', import.meta.url));
const WebSocket = createRequire(packages + '/package.json')('ws');

// The client library that aggregators serve; in Node it wants `ws`.
function load(file) {
  const module = new Module(file);
  module.paths = Module._nodeModulePaths(packages);
  module._compile(readFileSync(file, 'utf8'), file);
  return module.exports;
}

function slow(url, seconds) {
  const socket = new WebSocket(url.replace('http', 'ws') + 'primus/?resume=' + randomBytes(16).toString('base64url'));
  socket.on('open', () => socket.send(JSON.stringify({ packet_action: 'consume', channel: 'chat' })));
  socket.on('message', async (data) => {
    if (JSON.parse(data).event !== 'consuming') return;
    socket._socket.pause();
    console.log(`ready: reads nothing for ${seconds} s`);
    await sleep(seconds * 1000);
    socket.terminate();
  });
  for (const event of ['close', 'error']) socket.on(event, () => process.exit(0));
}

async function poison(url, library) {
  const primus = new (load(library))(url);
  primus.on('error', () => {}); // while no aggregator is there
  console.log('ready: asks for demo.crash');
  const begin = Date.now();
  const told = await primus.foz.request('chat', {}, { type: 'demo.crash', timeout_ms: 120_000 })
    .then(() => 'an answer', (error) => error.code);
  console.log(`told ${told} after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  process.exit(0);
}

const [kind, ...args] = process.argv.slice(2);
await { slow, poison }[kind](...args);
