// The embedded broker as a process of its own, and clients of it.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const amqplib = createRequire(root + 'clients/js/package.json')('amqplib');
export const foz = process.env.FOZ ?? root + 'build/release/src/cli/foz';

// --name value …
export function options(defaults) {
  const out = { ...defaults };
  for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in defaults)) throw new Error('unknown option ' + process.argv[i]);
    out[name] = typeof defaults[name] === 'number' ? Number(process.argv[i + 1]) : process.argv[i + 1];
  }
  return out;
}

// Small, seeded: the same numbers on every machine.
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { next, below: (n) => Math.floor(next() * n), chance: (p) => next() < p };
}

const children = new Set();
process.on('exit', () => { for (const one of children) one.kill('SIGKILL'); });

export class Broker {
  // `wrap`: a program with arguments that runs it. Without `watermark` it goes on until the disk is really full.
  constructor(data, { wrap = [], watermark = 0 } = {}) {
    const [program, ...args] = [...wrap, foz, 'broker', '--data', data, '--listen', '127.0.0.1:0'];
    this.output = '';
    this.child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, FOZ_EMBEDDED_DISK_FREE_BYTES: String(watermark) } });
    children.add(this.child);
    this.ended = once(this.child, 'exit').then(([code, signal]) => {
      children.delete(this.child);
      return (this.end = code ?? signal);
    });
    this.ready = new Promise((resolve, reject) => {
      this.child.stderr.on('data', (text) => {
        this.output += text;
        const found = / ready: amqp:\/\/127\.0\.0\.1:(\d+)/.exec(this.output);
        if (found) resolve(this.port = Number(found[1]));
      });
      this.ended.then((end) => reject(new Error('the broker ended with ' + end + ': ' + this.output)));
    });
    this.ready.catch(() => {});
    // Whoever is killed before that is not missed.
  }

  async connect() {
    const connection = await amqplib.connect('amqp://127.0.0.1:' + this.port, { noDelay: true });
    connection.on('error', () => {});
    connection.gone = once(connection, 'close').catch(() => {});
    return connection;
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    return this.ended;
  }

  // What it has said, apart from being ready.
  get said() {
    return this.output.split('\n').filter((line) => line && !line.includes(' ready: amqp://'));
  }
}

export async function until(what, text, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await what();
    if (value) return value;
    if (Date.now() > end) throw new Error('in vain waited ' + seconds + ' s until ' + text);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
