// What ./run does once everything is built: a broker, two aggregators behind one port, and services, which are started
// again when they die, and the panel through which the page kills them.
//
//     supervise.mjs --targets    what ./run has to build, for CMake
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { lanUrls } from './supervise/lan.mjs';
import { Panel } from './supervise/panel.mjs';
import { configuration, definitions, services } from './supervise/services.mjs';
import { Supervised } from './supervise/supervised.mjs';
import { followFolder } from './supervise/web_folder.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({ options: {
  targets: { type: 'boolean' },
  build: { type: 'string', default: 'build/release' },
  data: { type: 'string', default: '.foz' }, // everything that is written
  web: { type: 'string', default: join(root, 'web') }, // the page
  broker: { type: 'string', default: '' },   // empty: our own
  port: { type: 'string', default: '8080' },
  threads: { type: 'string', default: '0' },
  lan: { type: 'boolean', default: false },
} });

const startLimitMs = 30_000;
const stopLimitMs = 10_000;
const brokerLimitMs = 5000;
const clientsMax = 8;
const slowSecondsMax = 120;

const data = resolve(options.data);
const logs = join(data, 'logs');
const shown = (path) => (path.startsWith(root) ? path.slice(root.length) : path);
const port = Number(options.port);
const address = options.lan ? '0.0.0.0' : '127.0.0.1';
const masked = (url) => url.replace(/:[^:@/]*@/, ':***@');
const page = `http://127.0.0.1:${port}/`;
const foz = resolve(options.build, 'src/cli/foz');
const all = services(root);
const processes = []; // in the order in which they are started
let stopping = false;

const say = (text) => console.log(text);
const step = async (name, work) => {
  const begin = Date.now();
  await work();
  say(`${name.padEnd(28)} ${String(Math.round((Date.now() - begin) / 1000)).padStart(3)} s`);
};

// Listens there for a moment: which port that was, or an error when somebody has it.
async function probe(wanted, where = '127.0.0.1') {
  const server = createServer();
  await new Promise((done, failed) => server.once('error', failed).listen({ port: wanted, host: where }, done));
  const { port: got } = server.address();
  await new Promise((done) => server.close(done));
  return got;
}

class CantStart extends Error {}

async function checkPort() {
  try {
    await probe(port, address);
  } catch (error) {
    throw new CantStart(error.code === 'EADDRINUSE' ? `port ${port} is taken; choose another one with --port`
      : `can't listen on ${address}:${port}: ${error.message}`);
  }
}

// One supervisor for a folder. The name in Linux's abstract name space goes with its process.
async function lockData() {
  const lock = createServer();
  try {
    await new Promise((done, failed) => lock.once('error', failed).listen('\0foz run ' + data.slice(-90), done));
  } catch {
    throw new CantStart(`another ./run uses ${shown(data)}; stop that first`);
  }
  lock.unref();
}

function add(spec) {
  const one = new Supervised({
    log: join(logs, spec.name + '.log'),
    on: {
      change: () => panel.changed(),
      died: (why) => say(`${spec.name}: ended (${why})`),
      back: (ms) => say(`${spec.name}: runs again after ${(ms / 1000).toFixed(1)} s`),
      failing: () => say(`${spec.name}: does not start; trying on. The end of its log:\n${one.lastLines()}`),
    },
    ...spec,
  });
  processes.push(one);
  return one;
}

// Aggregators would try for ever, as they should: here somebody waits who has probably mistyped it.
async function checkBroker(url) {
  const { protocol, hostname, port: said } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '') || 'localhost';
  const socket = connect({ host, port: Number(said) || (protocol === 'amqps:' ? 5671 : 5672), timeout: brokerLimitMs });
  try {
    await new Promise((done, failed) => {
      socket.once('connect', done).once('error', failed).once('timeout', () => failed(new Error('no answer')));
    });
  } catch (error) {
    throw new CantStart(`no broker at ${masked(url)}: ${error.errors?.[0].message ?? error.message}`);
  } finally {
    socket.destroy();
  }
}

// AMQP's own, or one near it. Not one that the kernel chooses: while the broker is down, a client's own socket could get it.
async function amqpPort() {
  for (let wanted = 5672; wanted < 5772; wanted += 1) {
    try {
      return await probe(wanted);
    } catch {
      // somebody has it
    }
  }
  throw new CantStart('the ports 5672 to 5771 are taken');
}

async function addBroker() {
  if (options.broker) {
    await checkBroker(options.broker);
    return options.broker;
  }
  const amqp = await amqpPort();
  const file = join(data, 'definitions.json');
  writeFileSync(file, JSON.stringify(definitions));
  const listen = `127.0.0.1:${amqp}`;
  await add({ name: 'broker', kind: 'broker', ready: 'ready: ',
    command: [foz, 'broker', '--data', join(data, 'broker'), '--listen', listen, '--definitions', file],
  }).start(startLimitMs);
  return `amqp://${listen}`;
}

function addAggregator(number, broker) {
  // Both together have one event loop for each core.
  const threads = Number(options.threads) || Math.max(1, Math.floor(availableParallelism() / 2));
  const name = 'aggregator-' + number;
  return add({ name, kind: 'aggregator', ready: 'ready: ', env: { FOZ_NAME: name }, command: [foz, 'serve',
    '--config', join(data, 'run.toml'), '--broker', broker, '--listen', `${address}:${port}`, '--share-port',
    ...(options.lan ? ['--allow-anonymous'] : []), '--admin-listen', '127.0.0.1:0', '--threads', String(threads),
    '--web', join(data, 'web')] });
}

const addService = ({ name, args }, broker) => add({ name, kind: 'service', ready: `foz-${name}: ready`,
  command: [resolve(options.build, 'examples', name, 'foz-' + name), '--broker', broker, ...args(data)] });

// A client of ours for a while; it is forgotten when it has ended.
let clients = 0;
function addClient(kind, args) {
  if (processes.filter((one) => one.kind === 'client').length >= clientsMax)
    throw new Panel.Refusal(429, `${clientsMax} clients run already`);
  const name = `${kind}-${clients += 1}`;
  const one = add({ name, kind: 'client', again: false, ready: 'ready: ',
    command: [process.execPath, join(root, 'scripts/supervise/client.mjs'), kind, page, ...args.map(String)],
    on: {
      change() {
        if (one.state === 'down' && processes.includes(one)) {
          processes.splice(processes.indexOf(one), 1);
          const told = one.lastLines(2).match(/^told .*/m);
          if (told) say(`${name}: ${told[0]}`);
        }
        panel.changed();
      },
    } });
  one.start(startLimitMs).catch(() => {}); // it ended before: that is seen
}

const orders = {
  state: () => ({ processes: processes.map((one) => one.status()) }),
  kill({ name }) {
    const one = processes.find((each) => each.name === name);
    if (!one) throw new Panel.Refusal(404, 'there is no such process');
    if (!one.kill()) throw new Panel.Refusal(409, 'it does not run');
  },
  poison() { addClient('poison', [resolve(options.build, 'foz.js')]); },
  slow({ seconds = 20 }) {
    if (!(Number.isFinite(seconds) && seconds > 0 && seconds <= slowSecondsMax))
      throw new Panel.Refusal(400, `seconds: more than 0, up to ${slowSecondsMax} are expected`);
    addClient('slow', [seconds]);
  },
};
const panel = new Panel({ token: randomBytes(24).toString('base64url'), pagePort: port, orders });

async function start() {
  await checkPort();
  mkdirSync(logs, { recursive: true });
  await lockData();
  const urls = options.lan ? lanUrls(port) : [];
  writeFileSync(join(data, 'run.toml'), configuration(all));
  followFolder(resolve(options.web), join(data, 'web'), { panel: await panel.open(), token: panel.token, lan_url: urls[0] ?? null });
  let broker;
  await step('foz serve', async () => {
    broker = await addBroker();
    await Promise.all([1, 2].map((number) => addAggregator(number, broker).start(startLimitMs)));
  });
  await step('services', () => Promise.all(all.map((one) => addService(one, broker).start(startLimitMs))));
  say(`Foz is running: ${page}   (AMQP for services: ${masked(broker)}; logs in ${shown(logs)}; Ctrl-C stops it)`);
  if (!options.lan) return;
  if (urls.length === 0) say('This machine has no address in a local network.');
  else say(`In the local network: ${urls.join(' or ')}   (anyone who can reach that is let in)`);
}

// Clients are sent away while services still answer them; the broker is last.
async function stop() {
  if (stopping) return;
  stopping = true;
  panel.close();
  const end = (kinds, signal) => Promise.all(processes.filter(({ kind }) => kinds.includes(kind)).map((one) => one.stop(signal, stopLimitMs)));
  await end(['client'], 'SIGKILL');
  await end(['aggregator'], 'SIGINT'); // not SIGTERM: nobody balances here who would have to notice first
  await end(['service'], 'SIGTERM');
  await end(['broker'], 'SIGTERM');
}

if (options.targets) {
  say(['foz', ...all.map(({ name }) => 'foz_' + name), 'primus_js'].join('\n'));
  process.exit(0);
}
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])
  process.on(signal, async () => {
    if (stopping) process.exit(code); // asked twice: at once
    await stop();
    process.exit(code);
  });
try {
  await start();
} catch (error) {
  if (stopping) await new Promise(() => {}); // whoever stops it ends the process
  console.error('run: ' + error.message);
  if (!(error instanceof CantStart))
    for (const one of processes.filter(({ state }) => state !== 'running'))
      console.error(`The end of ${shown(one.logFile)}:\n${one.lastLines()}`);
  await stop();
  process.exit(1);
}
