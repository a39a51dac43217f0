// The clients of `foz drill --clients-from node`: the real Primus client, with the Foz plugin or without it, many in one
// process. It is told what to do on stdin and tells what happens on stdout, a line each (src/cli/drill/node_clients.cpp is
// the other side):
//
//     stdin: JSON, {"do":"setup",…} first, then write, drop, abandon, sleep, poison, stop
//     w LINE NUMBER 0|1|2        a message was written; 1: a request; 2: one that is poison
//     o LINE NUMBER a|c|r CODE   its outcome: answered, confirmed, refused
//     u LINE NUMBER              it is not waited for any longer
//     h LINE SENDER NUMBER       a message came to the application
//     l LINE, e LINE             it consumes; its socket has ended
//     g LINE CAUSE               a gap
//     s 0                        nothing more is written, as was wanted
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Module from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import PrimusServer from 'primus';
import responder from 'primus-responder';
import { bundle } from './bundle.mjs';

const requestTimeout = 60_000;
const plainEvery = 4; // each fourth message is a plain write
const patienceAfterCut = 5_000; // of the stock client, for an answer that the next socket may bring

let setup;
let libraries; // clients use them in turn
let writing = false;
const clients = []; // the sockets of each

const tell = (...words) => process.stdout.write(words.join(' ') + '\n');

// The library as build.mjs makes it, which is what aggregators serve; in Node it wants `ws`, which lies beside this file.
function library() {
  const server = new PrimusServer(createServer(), { transformer: 'websockets', pathname: '/primus' });
  server.plugin('responder', responder);
  if (setup.plugin) server.plugin('foz', { client: Object.assign(() => {}, { toString: bundle }) });
  return server.library();
}
function load(text) {
  const file = fileURLToPath(import.meta.url);
  const module = new Module(file);
  module.paths = Module._nodeModulePaths(file);
  module._compile(text, file);
  return module.exports;
}

class Socket {
  constructor(Primus, lines, resume, firstPort, channel) {
    this.lines = lines;
    this.port = firstPort;
    this.awayUntil = 0;
    const query = (setup.plugin ? '' : '&resume=' + resume) + (channel ? '&channel=' + channel : '');
    const options = { reconnect: { min: 200, max: 3000, retries: Infinity }, timeout: 3000, manual: true };
    this.primus = new Primus('http://' + this.host() + '/' + query.replace('&', '?'), { ...options, foz: { resume } });
    // Each attempt goes to the next aggregator, as a balancer passes on who comes back.
    let attempts = 0;
    this.primus.on('outgoing::url', () => {
      if (attempts > 0) this.port += 1;
      attempts += 1;
      this.primus.url.host = Date.now() < this.awayUntil ? '127.0.0.1:1' : this.host();
    });
    this.primus.on('open', () => { if (!setup.plugin) this.consume(); });
    this.primus.on('close', () => this.onClose());
    this.primus.on('error', () => {}); // while there is no server
    this.primus.on('data', (event) => this.onData(event));
    if (setup.plugin) {
      this.primus.foz.on('message', (event) => this.onMessage(event));
      this.primus.foz.on('gap', (event) => this.onGap(event));
      for (const line of lines) this.primus.foz.consume(line.channel).catch(() => {});
    }
    this.primus.open();
  }

  host() { return '127.0.0.1:' + setup.ports[this.port % setup.ports.length]; }
  line(channel) { return this.lines.find((one) => one.channel === channel); }
  consume() {
    for (const line of this.lines) this.primus.write({ packet_action: 'consume', channel: line.channel, id: 'consume' });
  }

  onData(event) {
    if (event?.event === 'consuming') {
      for (const line of this.lines) {
        if (line.consuming || !(line.channel in event.channels)) continue;
        line.consuming = true;
        tell('l', line.number);
        if (writing && !line.waiting) this.write(line);
      }
    } else if (!setup.plugin && event?.event === 'message') this.onMessage(event);
    else if (!setup.plugin && event?.event === 'gap') this.onGap(event);
  }
  onMessage(event) {
    const line = this.line(event.channel);
    if (line) tell('h', line.number, event.message.s, event.message.n);
  }
  onGap(event) {
    const line = this.line(event.channel);
    if (line) tell('g', line.number, event.cause);
  }
  onClose() {
    for (const line of this.lines) {
      tell('e', line.number);
      line.consuming = false;
      if (!setup.plugin && line.waiting) setTimeout(line.waiting, patienceAfterCut);
    }
  }

  write(line) {
    const number = (line.count += 1);
    const poison = line.poison;
    line.poison = false;
    const request = poison || number % plainEvery !== 0;
    tell('w', line.number, number, poison ? 2 : request ? 1 : 0);
    let over = false;
    const end = (...words) => {
      if (over) return;
      over = true;
      line.waiting = null;
      tell(...words);
      // Half of the pace to one and a half: nobody goes in step.
      setTimeout(() => { if (writing && line.consuming && !line.waiting) this.write(line); },
        setup.pace_ms * (0.5 + Math.random()));
    };
    line.waiting = () => end('u', line.number, number);
    const timer = setTimeout(line.waiting, setup.patience_ms);
    this.send(line, { s: line.number, n: number }, poison ? 'poison' : 'drill', request)
      .then(() => end('o', line.number, number, request ? 'a' : 'c'),
        (error) => end('o', line.number, number, 'r', error.code ?? 'error'))
      .finally(() => clearTimeout(timer));
  }

  send(line, message, type, request) {
    const more = request ? { type, timeout_ms: requestTimeout } : { type };
    const plugin = this.primus.foz;
    if (plugin) return request ? plugin.request(line.channel, message, more) : plugin.publish(line.channel, message, more);
    return new Promise((resolve, reject) => {
      const ack = request ? 'answer' : 'confirmed';
      this.primus.writeAndWait({ packet_action: 'publish', channel: line.channel, message, ack, ...more },
        (answer) => (answer.event === 'error' ? reject(answer.error) : resolve(answer)));
    });
  }

  drop(ms) {
    this.awayUntil = Date.now() + ms;
    this.primus.socket?.terminate();
  }
  abandon() {
    const { socket } = this.primus;
    if (!socket?._socket) return;
    socket._socket.pause();
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.close = () => {}; // nobody is there who would
    this.primus.emit('incoming::end');
  }
  sleep(ms) {
    const stream = this.primus.socket?._socket;
    if (!stream) return;
    stream.pause();
    setTimeout(() => stream.resume(), ms);
  }
}

const orders = {
  setup(order) {
    setup = order;
    libraries = [library(), ...(setup.library ? [readFileSync(setup.library, 'utf8')] : [])].map(load);
    for (let i = 0; i < setup.count; ++i) {
      const resume = randomBytes(16).toString('base64url');
      const lines = setup.channels.map((channel, k) =>
        ({ number: i * setup.channels.length + k, channel, count: 0, consuming: false, waiting: null, poison: false }));
      const Primus = libraries[i % libraries.length];
      clients.push(setup.sockets === 1 ? [new Socket(Primus, lines, resume, i)]
        : lines.map((line) => new Socket(Primus, [line], resume, i, line.channel)));
    }
  },
  write({ on }) {
    writing = on;
    if (!on) tell('s', 0); // behind everything that was written
    for (const socket of on ? clients.flat() : [])
      for (const line of socket.lines) if (line.consuming && !line.waiting) socket.write(line);
  },
  drop: ({ client, ms }) => clients[client].forEach((one) => one.drop(ms)),
  abandon: ({ client }) => clients[client].forEach((one) => one.abandon()),
  sleep: ({ client, ms }) => clients[client].forEach((one) => one.sleep(ms)),
  poison: ({ client }) => { clients[client][0].lines[0].poison = true; },
  stop: () => process.exit(0),
};

for await (const text of createInterface({ input: process.stdin })) {
  const order = JSON.parse(text);
  orders[order.do](order);
}
process.exit(0);
