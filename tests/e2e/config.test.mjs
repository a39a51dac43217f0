// One file, variables and flags; the admin port; logs for machines.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amqp, broker, closeAll, connect, run, start, until } from './lib.mjs';

const foz = process.env.FOZ;
const folder = mkdtempSync(join(tmpdir(), 'foz-config-'));
after(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

// Started from a file alone; the kernel chooses the ports.
async function configured(text, args = [], env = {}) {
  const self = await start(foz, ['serve', '--config', file('serve.toml', text), ...args], env);
  await self.until('ready: ', 60);
  self.url = self.output.match(/ready: (https?:\/\/[^/]+)\//)[1];
  self.admin = 'http://127.0.0.1:' + self.output.match(/admin: port (\d+)/)?.[1];
  return self;
}

const usual = `
threads = 2
[listen]
port = 0
[web]
primus_js = ${JSON.stringify(process.env.FOZ_PRIMUS_JS)}
[broker]
urls = [${JSON.stringify(broker)}]
[admin]
listen = "127.0.0.1:0"
`;

test('foz serve runs from a file; its channels are exactly those of the file', async () => {
  const self = await configured(usual + '[client]\nping_interval_ms = 5000\n[channels.news]\nredeliver = 3\n');
  assert.match(await (await fetch(self.url + '/primus/spec')).text(), /5000/);
  const client = await connect(self.url);
  assert.ok((await client.ask({ packet_action: 'consume', channel: 'news' })).channels.news);
  const refused = await client.ask({ packet_action: 'consume', channel: 'chat' });
  assert.equal(refused.error.code, 'unknown_channel');
  await self.stop();
});

test('variables are stronger than the file, flags than variables', async () => {
  const path = file('layers.toml', '[limits]\noutcomes = 1\nqueue_bytes = 5000\n[log]\nlevel = "error"\n');
  const { code, output } = await run(foz, ['config', 'show', '--config', path, '--log-level', 'debug'],
    { env: { FOZ_LIMITS_OUTCOMES: '2', FOZ_LOG_LEVEL: 'info', FOZ_BROKER: 'amqp://me:secret@h' } });
  assert.equal(code, 0, output);
  for (const line of ['outcomes = 2  # FOZ_LIMITS_OUTCOMES', `queue_bytes = 5000  # ${path}:3`,
    'level = "debug"  # --log-level', 'urls = ["amqp://me:***@h:5672/%2f"]  # FOZ_BROKER',
    'message_bytes = 262144  # default']) assert.ok(output.includes(line), line + ' is not in ' + output);
  assert.ok(!output.includes('secret'));
});

test('config check names every problem, foz serve the first', async () => {
  const path = file('wrong.toml', '[broker]\nconusme_urls = []\n[limits]\nqueue_bytes = -5\n');
  const checked = await run(foz, ['config', 'check', path]);
  assert.equal(checked.code, 1);
  const lines = [`foz: ${path}:2: broker.conusme_urls: no such key; did you mean consume_urls?`,
    `foz: ${path}:4: limits.queue_bytes: 1024 to 1073741824 expected, not -5`];
  assert.equal(checked.output, lines.join('\n') + '\n');
  const served = await run(foz, ['serve', '--config', path]);
  assert.equal(served.code, 1);
  assert.equal(served.output, lines[0] + '\n');
  const variable = await run(foz, ['serve'], { env: { FOZ_LISTEN: 'nonsense' } });
  assert.equal(variable.code, 1);
  assert.equal(variable.output, 'foz: FOZ_LISTEN: ADDRESS:PORT is expected, not nonsense\n');
  const good = await run(foz, ['config', 'check', file('good.toml', '[channels.a]\n[channels.b]\n')]);
  assert.equal(good.code, 0);
  assert.match(good.output, /channels: a, b\n/);
});

// Every line is a comment of the format or a sample; every sample belongs to the family before it.
function parseMetrics(text) {
  const samples = new Map();
  let family;
  let typed;
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const help = line.match(/^# HELP ([a-z_]+) \S.*$/);
    const type = line.match(/^# TYPE ([a-z_]+) (counter|gauge)$/);
    const sample = line.match(/^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+)$/);
    assert.ok(help || type || sample, 'no line of the format: ' + line);
    if (help) family = help[1];
    if (type) assert.equal(typed = type[1], family);
    if (!sample) continue;
    assert.equal(sample[1], typed, 'a sample outside its family: ' + line);
    const name = sample[1] + (sample[2] ?? '');
    assert.ok(!samples.has(name), 'twice: ' + name);
    samples.set(name, Number(sample[3]));
  }
  return samples;
}
const sum = (samples, prefix) => [...samples].filter(([name]) => name.startsWith(prefix)).reduce((all, [, n]) => all + n, 0);

test('the admin port tells health, readiness and metrics', async () => {
  const self = await configured(usual);
  const get = async (path) => {
    const answer = await fetch(self.admin + path);
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
  };
  assert.equal((await get('/healthz')).status, 200);
  await until(async () => (await get('/readyz')).status === 200, 'the admin port says ready');
  assert.equal((await get('/elsewhere')).status, 404);
  assert.equal((await fetch(self.admin + '/metrics', { method: 'POST' })).status, 405);
  const client = await connect(self.url);
  await client.ask({ packet_action: 'publish', channel: 'chat', type: 'nobody-hears', message: 1, ack: 'confirmed' });
  const samples = await until(async () => {
    const { type, text } = await get('/metrics');
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    const parsed = parseMetrics(text);
    return sum(parsed, 'foz_sessions{') === 1 && sum(parsed, 'foz_publisher_confirmed_total{') === 1 && parsed;
  }, 'the metrics show one session and one confirmed message');
  assert.equal(samples.get('foz_ready'), 1);
  assert.equal(samples.get('foz_broker_connected{link="streams"}'), 1);
  assert.equal(sum(samples, 'foz_published_total{'), 1);
  assert.ok(samples.get('process_resident_memory_bytes') > 1e6);
  await self.stop();
});

test('without a broker it is alive and not ready, and says why', async () => {
  const self = await start(foz, ['serve', '--listen', '127.0.0.1:0', '--broker', 'amqp://127.0.0.1:1',
    '--admin-listen', '127.0.0.1:0']);
  await self.until('admin: port ');
  const admin = 'http://127.0.0.1:' + self.output.match(/admin: port (\d+)/)[1];
  assert.equal((await fetch(admin + '/healthz')).status, 200);
  const text = await until(async () => {
    const answer = await fetch(admin + '/readyz');
    assert.equal(answer.status, 503);
    const body = await answer.text();
    return body.includes('refused') && body;
  }, 'the reason is told');
  assert.match(text, /^not ready: broker: .*127\.0\.0\.1:1: connect: Connection refused\n$/);
  parseMetrics(await (await fetch(admin + '/metrics')).text());
  await self.stop();
});

test('what is said of the embedded broker while another one is named is told to be useless, in one line', async () => {
  const data = join(folder, 'unused');
  const self = await configured(usual, ['--data', data, '--amqp-listen', '127.0.0.1:0'], { FOZ_EMBEDDED_MEMORY_BYTES: '1' });
  const told = self.output.split('\n').filter((line) => line.includes('without effect'));
  assert.equal(told.length, 1, self.output);
  for (const name of ['--data', '--amqp-listen', 'FOZ_EMBEDDED_MEMORY_BYTES']) assert.ok(told[0].includes(name), told[0]);
  assert.ok(!existsSync(data));
  await self.stop();
  const plain = await configured(usual);
  assert.ok(!plain.output.includes('without effect'), plain.output);
  await plain.stop();
});

test('an admin port that is taken is named', async () => {
  const first = await configured(usual);
  const { code, output } = await run(foz, ['serve', '--broker', broker, '--listen', '127.0.0.1:0',
    '--admin-listen', new URL(first.admin).host]);
  assert.equal(code, 1);
  assert.match(output, /^foz: admin: can't listen on 127\.0\.0\.1:\d+: Address already in use$/m);
  await first.stop();
});

test('JSON logs: each line is an object with time, level and msg', async () => {
  const self = await configured(usual, ['--log-format', 'json']);
  await self.stop();
  const lines = self.output.trim().split('\n').map((line) => JSON.parse(line));
  for (const line of lines) {
    assert.deepEqual(Object.keys(line), ['time', 'level', 'msg']);
    assert.ok(Math.abs(Date.now() - Date.parse(line.time)) < 60_000, line.time);
  }
  assert.ok(lines.some((line) => line.level === 'info' && line.msg.startsWith('ready: http://127.0.0.1:')));
  assert.ok(lines.some((line) => line.msg.startsWith('stopping: ')));
});

test('a message id of a worker can not forge a line of the log', async () => {
  const self = await configured(usual);
  const connection = await amqp();
  const channel = await connection.createChannel();
  channel.publish('OUTBOUND', 'chat', Buffer.from('not JSON'),
    { headers: { 'foz-broadcast': true }, messageId: 'id\n[2026-01-01 00:00:00.000] [foz] [info] forged\x1b[2J end' });
  await self.until('forged\\x1b[2J end');
  const [line] = self.output.split('\n').filter((one) => one.includes('forged'));
  assert.match(line, /message id id\\n\[2026-01-01/);
  await connection.close();
  await self.stop();
});

test('a log level leaves out what is below it', async () => {
  const self = await start(foz, ['serve', '--broker', 'amqp://127.0.0.1:1', '--listen', '127.0.0.1:0',
    '--log-level', 'warning']);
  await self.until('Connection refused');
  assert.ok(!self.output.includes('listening: '), self.output);
  await self.stop();
});

test('every metric is in the document, and nothing else is', async () => {
  const self = await configured(usual);
  const text = await (await fetch(self.admin + '/metrics')).text();
  const told = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map((found) => found[1]));
  const document = readFileSync(process.env.FOZ_ROOT + '/docs/metrics.md', 'utf8').split('\n## Limits')[0];
  const documented = new Set([...document.matchAll(/^\| (`.*?) \|/gm)].flatMap((row) => [...row[1].matchAll(/`([a-z_]+)`/g)])
    .map((found) => found[1]).filter((name) => /^(foz|process)_/.test(name)));
  assert.deepEqual([...documented].sort(), [...told].sort());
  await self.stop();
});
