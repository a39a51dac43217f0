// A process that is kept running: started, watched until it is ready, started again when it ends. It is in a process
// group of its own, so that Ctrl-C reaches the supervisor alone, and dies with the supervisor.
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

// Pauses before the first, second … restart in a row; one that stayed up for `steadyMs` is started again at once.
const pausesMs = [0, 250, 500, 1000, 2000, 4000, 5000];
const steadyMs = 10_000;
// So that the outage can be seen.
const pauseAfterKillMs = 1500;
const saidMax = 10_000; // characters in which it may say that it is ready

// Linux: the kernel ends a process when its parent has died, whatever of.
const dying = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'KILL'] : [];

const living = new Set();
process.on('exit', () => living.forEach((child) => child.kill('SIGKILL')));

export class Supervised {
  state = 'down';
  pid = null;
  restarts = 0;
  downMs = null; // of the last outage

  #child = null;
  #log;
  #first; // resolves and rejects what start() gave
  #ended = Promise.resolve();
  #wakeUp = new AbortController(); // from the pause before a restart
  #stopping = false;
  #failures = 0;
  #readyAt = null;
  #downSince = null;
  #pauseMs = null; // instead of the usual one, once

  // `ready`: a text of its output. `again`: whether it is started again. `on`:
  // { change(), died(why), back(afterMs), failing() }.
  constructor({ name, kind, command, env = {}, log, ready, again = true, on }) {
    Object.assign(this, { name, kind, ready, again });
    this.command = [...dying, ...command];
    this.env = { ...process.env, ...env };
    this.logFile = log;
    this.on = on;
  }

  status() {
    const { name, kind, state, pid, restarts } = this;
    return { name, kind, state, pid, restarts, down_ms: this.downMs };
  }

  // Resolves when it is ready for the first time; rejects when it ends before, or takes longer.
  start(limitMs) {
    this.#log = createWriteStream(this.logFile, { flags: 'w' });
    const started = new Promise((resolve, reject) => { this.#first = { resolve, reject }; });
    const timer = setTimeout(() => this.#first.reject(new Error(`${this.name} is not ready after ${Math.round(limitMs / 1000)} s`)), limitMs);
    this.#begin();
    return started.finally(() => clearTimeout(timer));
  }

  // The last lines of its output.
  lastLines(count = 5) {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  }

  // From outside, as a crash would; false when it does not run.
  kill() {
    if (!this.#child) return false;
    this.#pauseMs = pauseAfterKillMs;
    this.#child.kill('SIGKILL');
    return true;
  }

  // For good; by force when that takes too long.
  async stop(signal, limitMs) {
    this.#stopping = true;
    this.#wakeUp.abort();
    this.#child?.kill(signal);
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), limitMs);
    await this.#ended;
    clearTimeout(timer);
  }

  #become(state) {
    this.state = state;
    this.on.change();
  }

  #begin() {
    const [program, ...args] = this.command;
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: this.env });
    this.#child = child;
    this.pid = child.pid ?? null;
    living.add(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        this.#log.write(data);
        if (this.state !== 'starting') return;
        said = (said + data).slice(-saidMax);
        if (said.includes(this.ready)) this.#onReady();
      });
    this.#ended = new Promise((resolve) => {
      const gone = (why) => {
        living.delete(child);
        if (this.#child === child) this.#onEnd(why);
        resolve();
      };
      child.once('close', (code, signal) => gone(signal ?? 'exit code ' + code));
      child.once('error', (error) => gone(error.message));
    });
    this.#become('starting');
  }

  #onReady() {
    this.#readyAt = Date.now();
    if (this.#downSince !== null) {
      this.downMs = this.#readyAt - this.#downSince;
      this.#downSince = null;
    }
    this.#become('running');
    this.#first.resolve();
    if (this.restarts > 0 && !this.#stopping) this.on.back(this.downMs);
  }

  #onEnd(why) {
    const wasReady = this.#readyAt !== null;
    const steady = wasReady && Date.now() - this.#readyAt >= steadyMs;
    this.#child = null;
    this.pid = null;
    this.#readyAt = null;
    this.#downSince ??= Date.now();
    this.#log.write(`-- ended: ${why}\n`);
    this.#become('down');
    this.#first.reject(new Error(`${this.name} ended with ${why}`));
    if (this.#stopping || !this.again) return this.#log.end();
    if (!wasReady && this.restarts === 0) return; // it can't start at all
    const killed = this.#pauseMs !== null;
    if (steady) this.#failures = 0;
    const pause = killed ? this.#pauseMs : pausesMs[Math.min(this.#failures, pausesMs.length - 1)];
    if (!killed) this.#failures += 1;
    this.#pauseMs = null;
    if (wasReady) this.on.died(why);
    else if (this.#failures === pausesMs.length) this.on.failing();
    this.#restartAfter(pause);
  }

  async #restartAfter(pause) {
    try {
      await sleep(pause, undefined, { signal: this.#wakeUp.signal });
    } catch {
      return; // stopping
    }
    this.restarts += 1;
    this.#begin();
  }
}
