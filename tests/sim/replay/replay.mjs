// Whether the model of the plugin does what the plugin does: traces of simulated plugin clients (foz_sim --record) are
// played to the real clients/js/src, over a Primus without a socket and with timers that fire when the trace says so.
// What it sends has to be what the model has sent, frame by frame.
//
//     node replay.mjs TRACE…
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

let prefix = '';
Object.defineProperty(globalThis, 'crypto', {
  configurable: true,
  value: {
    getRandomValues(octets) {
      const wanted = Buffer.from(prefix, 'base64url');
      octets.set(wanted.subarray(0, octets.length));
      return octets;
    },
  },
});

const { client: plugin } = await import('../../../clients/js/src/plugin.js');

// As much of Primus as the plugin touches.
class FakePrimus {
  static OPEN = 3;
  readyState = 0;
  recovery = {};
  url = { host: 'simulated' };
  sent = [];
  #listeners = new Map();

  on(name, listener) { this.#listeners.set(name, [...this.#listeners.get(name) || [], listener]); }
  emit(name, ...what) { for (const listener of this.#listeners.get(name) || []) listener(...what); }
  write(frame) { this.sent.push(JSON.parse(JSON.stringify(frame))); }
}

// Sets are sent in the order in which they were made, which is nobody's concern.
function sorted(frame) {
  const out = structuredClone(frame);
  if (out.consume_target) out.consume_target.sort();
  if (out.distribution?.multicast) out.distribution.multicast.sort();
  return out;
}

function replay(path) {
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  prefix = lines[0].prefix.slice(0, -1);
  const primus = new FakePrimus();
  const timers = [];
  let handled = '';  // the id of the error that is being handled
  const [wait, forget] = [globalThis.setTimeout, globalThis.clearTimeout];
  globalThis.setTimeout = (work) => {
    const timer = { id: handled, work };
    timers.push(timer);
    return timer;
  };
  globalThis.clearTimeout = (timer) => {
    const at = timers.indexOf(timer);
    if (at >= 0) timers.splice(at, 1);
  };
  plugin(primus, { foz: { resume: 'simulated' }, reconnect: {} });

  let compared = 0;
  const page = (promise) => promise.catch(() => {});
  for (const [index, step] of lines.entries()) {
    const { what, frame } = step;
    switch (what) {
      case 'begin': break;
      case 'open': primus.readyState = FakePrimus.OPEN; break;
      case 'close':
        primus.readyState = 0;
        primus.emit('close');
        break;
      case 'recv':
        if (typeof frame === 'string') break; // Primus' own
        handled = frame.error ? frame.error.id : '';
        primus.emit('data', frame);
        break;
      case 'publish': {
        const { packet_action, channel, message, id, ack, ...more } = frame;
        page(ack === 'answer' ? primus.foz.request(channel, message, more) : primus.foz.publish(channel, message, more));
        break;
      }
      case 'consume': {
        const more = { topics: frame.consume_target || [] };
        if (frame.distribution) more.distribution = frame.distribution;
        page(primus.foz.consume(frame.channel, more));
        break;
      }
      case 'leave': primus.foz.leave(frame.channel); break;
      case 'timer': {
        const at = timers.findIndex((one) => one.id === frame);
        if (at < 0) throw new Error(`${path}:${index + 1}: the plugin does not wait to send ${frame} again`);
        timers.splice(at, 1)[0].work();
        break;
      }
      case 'send': {
        if (typeof frame === 'string') break; // a pong
        const sent = primus.sent.shift();
        if (!sent || !isDeepStrictEqual(sorted(sent), sorted(frame)))
          throw new Error(`${path}:${index + 1}: the model sends\n  ${JSON.stringify(frame)}\nthe plugin sends\n  ${JSON.stringify(sent)}`);
        compared += 1;
        break;
      }
      default: throw new Error(`${path}:${index + 1}: ${what}?`);
    }
  }
  [globalThis.setTimeout, globalThis.clearTimeout] = [wait, forget];
  if (primus.sent.length > 0)
    throw new Error(`${path}: the plugin sends what the model does not: ${JSON.stringify(primus.sent[0])}`);
  return compared;
}

let frames = 0;
for (const path of process.argv.slice(2)) frames += replay(path);
if (frames < 100) throw new Error(`only ${frames} frames were compared`);
console.log(`${frames} frames of ${process.argv.length - 2} clients: the plugin sends what the model sends`);
