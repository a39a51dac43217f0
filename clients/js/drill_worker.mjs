// The workers of `foz drill --workers node`: what src/cli/drill/worker.cpp does, on amqplib as a service without the SDK
// does it (examples/chat-node/worker.mjs). Nothing is remembered of what was handled: only the ids say what comes again.
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { run } from '../../examples/chat-node/worker.mjs';

const sabotageEvery = 20;

const { values: options } = parseArgs({ options: {
  broker: { type: 'string', multiple: true },
  channels: { type: 'string' }, // JSON: [{"name","durable","ordered"}, …]
  log: { type: 'string' }, // each run is a line of this file
  dependency: { type: 'string' }, // while this file exists, every message fails
  sabotage: { type: 'string' }, // break this promise now and then
  concurrency: { type: 'string', default: '1' },
  'hold-ms': { type: 'string', default: '0' },
} });

const notice = (text) => process.stderr.write('drill-worker: ' + text + '\n');

let count = 0;
const held = new Map(); // by channel and client: what is told too late on purpose
function tellEverybody(request, message) {
  const tell = (body) => request.broadcast({ type: 'drill', body });
  const now = options.sabotage && (count += 1) % sabotageEvery === 0;
  if (now && options.sabotage === 'lose') return;
  if (options.sabotage !== 'reorder') {
    tell(message);
    if (now && options.sabotage === 'repeat') tell(message);
    return;
  }
  const key = request.channel + ' ' + request.client;
  if (now && !held.has(key)) return void held.set(key, message);
  tell(message);
  if (held.has(key)) tell(held.get(key));
  held.delete(key);
}

async function work(request) {
  appendFileSync(options.log, request.content + '\n');
  if (request.properties.type === 'poison') process.kill(process.pid, 'SIGKILL');
  if (options.dependency && existsSync(options.dependency)) throw new Error("what the drill's service depends on is down");
  await sleep(Number(options['hold-ms']));
  tellEverybody(request, JSON.parse(request.content));
  return request.content;
}

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stop.abort());
const channels = JSON.parse(options.channels);
let waiting = channels.length;
await Promise.all(channels.map(({ name, durable, ordered }) => {
  let ready = false;
  return run({
    urls: options.broker, channel: name, durable, notice, stop: stop.signal,
    // Where the order of a client is promised, one message at a time: several would race each other to the broker.
    concurrency: ordered ? 1 : Number(options.concurrency),
    begin: () => ({ handlers: { drill: work, poison: work } }),
    onReady() {
      if (!ready && (waiting -= 1) === 0) notice('ready');
      ready = true;
    },
  });
}));
process.exit(0);
