// foz pub, sub and request: the command line as a client.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chat, closeAll, run, serve, start, until } from './lib.mjs';
import { scripted, stopAll } from './scripted.mjs';

const foz = process.env.FOZ;
let server, worker, url;

before(async () => {
  worker = await chat();
  server = await serve();
  url = server.url.replace('http', 'ws');
});
after(async () => {
  await closeAll();
  await stopAll();
  await server.stop();
  await worker.stop();
});

const lines = (process) => process.output.split('\n').filter((line) => line.startsWith('{'));
// Ends with its input.
async function pipe(args, input) {
  const child = spawn(foz, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output += data; });
  let code;
  child.on('exit', (value) => { code = value; });
  child.stdin.end(input);
  await until(() => code !== undefined, 'foz ' + args[0] + ' ends');
  return { code, output };
}

test('request prints the answer', async () => {
  const { code, output } = await run(foz, ['request', 'chat', '{"n": 1.50, "text": "hi"}', '--type', 'echo', '--url', url]);
  assert.deepEqual([code, output], [0, '{"n":1.50,"text":"hi"}\n']);
  const text = await run(foz, ['request', 'chat', 'no "JSON"', '--text', '--type', 'echo', '--url', url]);
  assert.deepEqual([text.code, text.output], [0, '"no \\"JSON\\""\n']);
  const variable = await run(foz, ['request', 'chat', '--type', 'echo'], { env: { FOZ_URL: url } });
  assert.deepEqual([variable.code, variable.output], [0, 'null\n']);
});

test("a service's error and an error of the server: exit 1, in words", async () => {
  const refused = await run(foz, ['request', 'chat', '{}', '--type', 'say', '--url', url]);
  assert.equal(refused.code, 1);
  assert.match(refused.output, /^foz: bad_message: .*room/);
  const unknown = await run(foz, ['request', 'nowhere', '--url', url]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.output, /^foz: unknown_channel: /);
  const nobody = await run(foz, ['request', 'tickets', '--fail-fast', '--url', url]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.output, /^foz: no_service: /);
  const late = await run(foz, ['request', 'tickets', '--timeout', '200ms', '--url', url]);
  assert.equal(late.code, 1);
  assert.match(late.output, /^foz: timeout: /);
});

test('a wrong flag is told with the nearest one', async () => {
  for (const [args, nearest] of [[['pub', 'chat', '1', '--tpye', 'x'], '--type'], [['serve', '--lisen=:1'], '--listen']]) {
    const { code, output } = await run(foz, args);
    assert.equal(code, 2);
    assert.match(output, new RegExp(`^foz: there is no flag "--\\w+"; did you mean ${nearest}\\?$`, 'm'));
  }
});

test('progress is told on stderr', async () => {
  const { output } = await run(foz, ['request', 'chat', '1', '--type', 'echo', '--progress', '--url', url]);
  assert.match(output, /foz: progress: confirmed\n/);
  assert.match(output, /foz: progress: taken\n/);
});

test('sub prints what is broadcast, and ends after its count', async () => {
  const heard = await start(foz, ['sub', 'chat', '--topic', 'room.attic', '--count', '2', '--raw', '--url', url, '--from', 'first']);
  for (const [room, text] of [['attic', 'one'], ['cellar', 'two'], ['attic', 'three']]) {
    const { code, output } = await run(foz, ['pub', 'chat', JSON.stringify({ room, text }), '--type', 'say', '--url', url]);
    assert.equal(code, 0, output);
  }
  await until(() => heard.code !== undefined, 'sub ends by itself');
  assert.equal(heard.code, 0);
  assert.deepEqual(lines(heard).map((line) => JSON.parse(line).text), ['one', 'three']);
  const again = await run(foz, ['sub', 'chat', '--from', '1h', '--count', '1', '--topic', 'room.cellar', '--url', url]);
  assert.equal(again.code, 0);
  assert.deepEqual(JSON.parse(again.output).message.text, 'two');
  const none = await run(foz, ['sub', 'chat', '--for', '300ms', '--url', url]);
  assert.deepEqual([none.code, none.output], [0, '']);
});

test('pub takes lines from its input; a line that is no JSON is named, the others go', async () => {
  const heard = await start(foz, ['sub', 'chat', '--topic', 'room.lines', '--count', '999', '--from', 'first', '--url', url]);
  const good = Array.from({ length: 999 }, (_, i) => JSON.stringify({ room: 'lines', text: String(i) }));
  const { code, output } = await pipe(['pub', 'chat', '--type', 'say', '--url', url], [...good.slice(0, 500), '{oops', '', ...good.slice(500)].join('\n'));
  assert.equal(code, 1);
  assert.match(output, /^foz: line 501 is not valid JSON: \{oops\n$/);
  await until(() => heard.code === 0, 'sub has all of them', 20);
  assert.deepEqual(lines(heard).map((line) => JSON.parse(line).message.text).sort((a, b) => a - b), good.map((_, i) => String(i)));
});

test('an id that the server does not take: its error alone, at once', async () => {
  const before = Date.now();
  const long = await run(foz, ['pub', 'chat', '{}', '--type', 'echo', '--id', 'x'.repeat(65), '--timeout', '15s', '--url', url]);
  assert.equal(long.code, 1);
  assert.match(long.output, /^foz: bad_envelope: id: must .*\n$/);
  assert.ok(Date.now() - before < 10_000, 'it does not wait for a receipt');
});

test('the same id is one message', async () => {
  const heard = await start(foz, ['sub', 'chat', '--topic', 'room.once', '--from', 'first', '--url', url]);
  const message = (text) => JSON.stringify({ room: 'once', text });
  for (const [text, id] of [['a', 'x1'], ['a', 'x1'], ['b', 'x2']]) {
    const sent = await run(foz, ['pub', 'chat', message(text), '--type', 'say', '--id', id, '--resume', 'r'.repeat(22), '--url', url]);
    assert.equal(sent.code, 0, sent.output);
  }
  await until(() => lines(heard).some((line) => JSON.parse(line).message.text === 'b'), 'the last message comes');
  assert.deepEqual(lines(heard).map((line) => JSON.parse(line).message.text), ['a', 'b']);
  await heard.stop();
});

test('sub goes on where it was when the server was killed', async () => {
  const own = await serve();
  const room = 'kill-' + Date.now(); // a stream remembers
  const heard = await start(foz, ['sub', 'chat', '--topic', 'room.' + room, '--count', '30', '--url', own.url.replace('http', 'ws'), '--from', 'first']);
  const say = (text) => run(foz, ['pub', 'chat', JSON.stringify({ room, text }), '--type', 'say', '--url', url]);
  for (let i = 0; i < 10; ++i) await say(String(i));
  await until(() => lines(heard).length === 10, 'it hears the first ones');
  await own.kill();
  for (let i = 10; i < 20; ++i) await say(String(i));
  const next = await serve(['--listen', new URL(own.url).host]);
  await heard.until('connected again');
  for (let i = 20; i < 30; ++i) await say(String(i));
  await until(() => heard.code === 0, 'it has heard all', 20);
  assert.deepEqual(lines(heard).map((line) => Number(JSON.parse(line).message.text)), Array.from({ length: 30 }, (_, i) => i));
  await next.stop();
});

test('a request survives the server that it was sent to', async () => {
  const own = await serve();
  await worker.stop();
  const asked = await start(foz, ['request', 'chat', '42', '--type', 'echo', '--timeout', '30s', '--progress', '--url', own.url.replace('http', 'ws')]);
  await asked.until('progress: confirmed');
  await own.kill();
  const next = await serve(['--listen', new URL(own.url).host]);
  await asked.until('connected again');
  worker = await chat();
  await until(() => asked.code !== undefined, 'the answer comes', 20);
  assert.equal(asked.code, 0, asked.output);
  assert.match(asked.output, /^42$/m);
  await next.stop();
});

test('a refusal that may pass is followed by another try, until the time is over', async () => {
  let refusals = 2;
  const usual = await scripted({
    publish(spark, frame) {
      if (refusals-- > 0) return usual.error(spark, frame.id, 'unavailable', { retryable: true, retry_after_ms: 20 });
      spark.write(frame.ack === 'answer' ? { event: 'answer', id: frame.id, message: 7 } : { event: 'receipt', id: frame.id });
    },
  });
  const to = ['--url', usual.url.replace('http', 'ws')];
  const asked = await run(foz, ['request', 'chat', '1', ...to]);
  assert.deepEqual([asked.code, asked.output], [0, '7\n']);
  refusals = 3;
  const sent = await pipe(['pub', 'chat', ...to], '1\n2\n');
  assert.deepEqual([sent.code, sent.output], [0, '']);
  const ids = usual.sent('publish').map((frame) => frame.id);
  assert.equal(ids.length, 3 + 5);
  assert.equal(new Set(ids).size, 3);
  for (const [command, refused] of [['request', /^foz: unavailable: /], ['pub', /^foz: unavailable: /]]) {
    refusals = 1000;
    const { code, output } = await run(foz, [command, 'chat', '1', '--timeout', '700ms', ...to]);
    assert.equal(code, 1);
    assert.match(output, refused);
  }
});

test('a server that is not there, is none, or refuses: exit 1 and one line', async () => {
  const gone = await run(foz, ['pub', 'chat', '1', '--url', 'ws://127.0.0.1:1']);
  assert.equal(gone.code, 1);
  assert.match(gone.output, /^foz: 127\.0\.0\.1:1: connect: Connection refused\n$/);
  const wrong = await run(foz, ['sub', 'chat', '--url', url + '/healthz']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.output, /^foz: the server refuses the WebSocket: HTTP\/1\.1 .*\n$/);
  const secret = await run(foz, ['sub', 'chat', '--resume', 'short', '--url', url]);
  assert.equal(secret.code, 1);
  assert.match(secret.output, /^foz: bad_query: resume: 22 to 64 characters/);
});

test('wrong usage: exit 2', async () => {
  for (const [args, text] of [
    [['pub'], 'CHANNEL is required'],
    [['pub', 'chat', '{text:1}'], 'MESSAGE is not valid JSON: {text:1}'],
    [['pub', 'chat', '1', '--expires', 'soon'], '--expires: a time like 500ms, 10s, 5m, 2h or 1d is expected, not soon'],
    [['pub', 'chat', '1', '--url', 'ftp://x'], 'it begins with ws:// or wss://'],
    [['pub', 'chat', '--direct', 'x', '--multicast', 'y', 'no json'], 'MESSAGE is not valid JSON: no json'],
    [['sub', 'chat', '--url', 'ws://x:99999'], 'the port is a number from 1 to 65535'],
    [['sub', 'chat,tickets', '--from', '0.1.abcd'], '--from: a position is of one channel'],
    ...['-1', '0', 'many', '1x', ''].map((count) => [['sub', 'chat', '--count', count],
      '--count: a number from 1 on is expected, not ' + count]),
    [['pub', 'chat', '--id', 'x'], '--id: one message has it'],
    [['requst', 'chat'], 'did you mean request'],
  ]) {
    const { code, output } = await run(foz, args);
    assert.equal(code, 2, output);
    assert.ok(output.includes(text), output);
  }
  for (const command of ['pub', 'sub', 'request']) {
    const { code, output } = await run(foz, [command, '--help']);
    assert.equal(code, 0);
    assert.equal(output.split('or example:\n')[1].match(/^  .*foz /gm).length, 2, output);
  }
});
