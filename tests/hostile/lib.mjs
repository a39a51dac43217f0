// An aggregator with its metrics, a flooder in a process of its own, and a bystander who looks at the clock.
import { readFileSync } from 'node:fs';
import { closeAll, run, secret, serve, sleep } from '../e2e/lib.mjs';

const serving = [];
// The last act of each file, also when a test has failed.
export async function endAll() {
  await closeAll();
  await Promise.all(serving.map((foz) => foz.kill()));
}

export async function serveWatched(args = [], env = {}, url = undefined) {
  const foz = await serve(['--admin-listen', '127.0.0.1:0', ...args], url, env);
  const admin = 'http://127.0.0.1:' + foz.output.match(/admin: port (\d+)/)[1];
  serving.push(foz);
  // The sum over all labels, as it was at most a second ago.
  foz.metric = async (name) => {
    const text = await (await fetch(admin + '/metrics')).text();
    return text.split('\n').filter((line) => line.startsWith(name + '{') || line.startsWith(name + ' '))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  foz.resident = () => Number(readFileSync(`/proc/${foz.child.pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  return foz;
}

export async function flood(url, kind, { frames, seconds, resume = secret() }) {
  const { code, output } = await run(process.execPath, [import.meta.dirname + '/flooder.mjs', url, kind, String(frames), String(seconds), resume],
    { seconds: seconds + 20 });
  if (code !== 0) throw new Error('the flooder ended with ' + code + ': ' + output);
  return JSON.parse(output);
}

// Asks again and again until the other work is done: how long each answer took, in ms, sorted.
export async function watch(client, work, pause = 15) {
  const waits = [];
  let done = false;
  const other = work.finally(() => { done = true; });
  while (!done) {
    const began = performance.now();
    const answer = await client.publish('echo', 'bystander');
    waits.push(performance.now() - began);
    if (answer.event !== 'answer') throw new Error('a bystander was told ' + JSON.stringify(answer));
    await sleep(pause);
  }
  await other;
  return waits.sort((a, b) => a - b);
}
export const percentile = (sorted, p) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p / 100))];
