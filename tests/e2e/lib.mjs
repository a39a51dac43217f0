// Starting and stopping the real programs, and clients for them.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import Module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, resolve as resolvePath } from 'node:path';
import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

// The packages of clients/js.
const require = createRequire(process.env.FOZ_ROOT + '/clients/js/package.json');
export const amqplib = require('amqplib');
export const WebSocket = require('ws');
export const playwright = () => require('playwright-core');

// The library is the file that the aggregator serves; in Node it wants `ws`, which lies with the other packages.
function load(file) {
  const module = new Module(file);
  module.paths = Module._nodeModulePaths(process.env.FOZ_ROOT + '/clients/js');
  module._compile(readFileSync(file, 'utf8'), file);
  return module.exports;
}
const Primus = load(process.env.FOZ_PRIMUS_JS);
const PluggedPrimus = load(process.env.FOZ_FOZ_JS);

export const broker = process.env.FOZ_TEST_BROKER;
// Which broker that is: the embedded one, or RabbitMQ.
export const onFoz = process.env.FOZ_TEST_BROKER_KIND === 'foz';

// Waits until the function returns something true; fails with the text after some seconds. The text may be a function that
// says how things stand then.
export async function until(what, text, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await what();
    if (value) return value;
    if (Date.now() > end) throw new Error('in vain waited ' + seconds + ' s until ' + (typeof text === 'function' ? await text() : text));
    await sleep(10);
  }
}

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

// A program that runs; its output is shown when it ends unexpectedly.
export async function start(program, args, env = {}, stdin = 'ignore') {
  const child = spawn(program, args, { stdio: [stdin, 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const self = { child, output: '', code: undefined };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { self.output += data; });
  children.add(child);
  // What a failing test leaves running must not keep this process alive.
  for (const one of [child, child.stdout, child.stderr]) one.unref();
  child.on('exit', (code, signal) => {
    self.code = code ?? signal;
    children.delete(child);
  });
  self.until = (text, seconds) => until(() => {
    if (self.code !== undefined && !self.output.includes(text))
      throw new Error(program + ' ended with ' + self.code + ': ' + self.output);
    return self.output.includes(text);
  }, program + ' says "' + text + '"', seconds).catch((error) => {
    throw new Error(`${error.message}; what it said last:\n${self.output.slice(-2000)}`);
  });
  self.kill = async (signal = 'SIGKILL') => {
    if (self.code !== undefined) return self.code;
    child.kill(signal);
    await until(() => self.code !== undefined, program + ' ends', 15);
    return self.code;
  };
  // In good order; a sanitizer's report makes the exit code something else than 0.
  self.stop = async () => {
    const code = await self.kill('SIGTERM');
    if (code !== 0) throw new Error(program + ' ended with ' + code + ': ' + self.output);
  };
  return self;
}

// A file with this configuration, for --config.
let configurations = 0;
export function configFile(text) {
  const file = process.env.FOZ_OUT + '/' + process.pid + '-' + (configurations += 1) + '.toml';
  writeFileSync(file, text);
  return file;
}

export async function serve(args = [], url = broker, env = {}) {
  // Nobody balances here, and what a test leaves open is nothing to wait for.
  const self = await start(process.env.FOZ, ['serve', '--broker', url, '--listen', '127.0.0.1:0', '--threads', '2',
    '--web', process.env.FOZ_ROOT + '/web', ...args], { FOZ_CLIENT_DRAIN_GRACE_MS: '0', FOZ_CLIENT_DRAIN_LIMIT_MS: '8000', ...env });
  await self.until('ready: ', 60);
  self.url = self.output.match(/ready: (https?:\/\/[^/]+)\//)[1];
  return self;
}

// What a failing test leaves open would keep the process from ending: every file's last act. The last one first: a
// connection is closed before its broker is.
const open = [];
export async function closeAll() {
  for (const close of open.splice(0).reverse()) await Promise.resolve().then(close).catch(() => {});
}

// A broker of our own, of the kind that this run is about, that may be killed and started again with the same data.
// `more`: flags of foz broker.
export async function ownBroker(more = []) {
  const folder = mkdtempSync(tmpdir() + '/foz-broker-');
  const rabbitmq = (command) =>
    execFileSync(process.env.FOZ_ROOT + '/scripts/rabbitmq', [command, folder], { stdio: ['ignore', 'inherit', 'inherit'] });
  const self = { url: undefined };
  let child;
  self.start = async () => {
    if (!onFoz) {
      rabbitmq('start');
      self.url = readFileSync(folder + '/url', 'utf8').trim();
      return;
    }
    const listen = self.url ? new URL(self.url).host : '127.0.0.1:0';
    child = await start(process.env.FOZ, ['broker', '--data', folder, '--listen', listen, ...more]);
    await child.until('ready: ');
    self.url = child.output.match(/ready: (amqp:\/\/[^/]+)\//)[1];
  };
  self.kill = async () => (onFoz ? child.kill() : rabbitmq('kill'));
  self.stop = async () => (onFoz ? child.stop() : rabbitmq('stop'));
  open.push(async () => {
    await self.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await self.start();
  return self;
}

// The chat service, which there is in three languages: what a test asks of it is the same for all.
const chatPrograms = {
  cpp: [process.env.FOZ_CHAT],
  node: [process.execPath, process.env.FOZ_ROOT + '/examples/chat-node/chat.mjs'],
  python: ['/usr/bin/python3', process.env.FOZ_ROOT + '/examples/chat-python/chat.py'],
};
export const chatProgram = chatPrograms[process.env.FOZ_CHAT_KIND ?? 'cpp'];

export async function chat(args = [], url = broker) {
  const [program, ...first] = chatProgram;
  const self = await start(program, [...first, '--broker', url, ...args]);
  await self.until('foz-chat: ready', 60);
  return self;
}

// foz-tickets (on a database of its own unless one is named), foz-guide and foz-voice.
let databases = 0;
export async function tickets(args = [], url = broker) {
  const file = process.env.FOZ_OUT + '/tickets-' + process.pid + '-' + (databases += 1) + '.db';
  const self = await start(process.env.FOZ_TICKETS, ['--broker', url, '--database', file, ...args]);
  await self.until('foz-tickets: ready', 60);
  return self;
}
export async function guide(args = [], url = broker) {
  const self = await start(process.env.FOZ_GUIDE, ['--broker', url, ...args]);
  await self.until('foz-guide: ready', 60);
  return self;
}

export async function voice(args = [], url = broker) {
  const self = await start(process.env.FOZ_VOICE, ['--broker', url, ...args]);
  await self.until('foz-voice: ready', 60);
  return self;
}

// Runs a program to its end; never longer than the time given.
export async function run(program, args, { env = {}, seconds = 20 } = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output += data; });
  const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  return { code: code ?? signal, output };
}

export const secret = () => randomBytes(16).toString('base64url');

// Seconds since 1970, as the times of a JWT are: so many seconds from now.
export const inSeconds = (n) => Math.floor(Date.now() / 1000) + n;

// A part of a JWT. Members that are undefined are left out.
export const tokenPart = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

// An issuer of tokens with a secret of its own. `usual`: what each token claims besides iss, iat and exp. `toml`: the
// issuer's section of the configuration, to which keys may be added.
export function testIssuer(name, usual = {}) {
  const key = randomBytes(32).toString('hex');
  const file = process.env.FOZ_OUT + '/' + name + '-secret';
  writeFileSync(file, key);
  const sign = (header, claims, by = key) => {
    const all = { iss: name, iat: inSeconds(0), exp: inSeconds(600), ...usual, ...claims };
    const input = tokenPart({ alg: 'HS256', typ: 'JWT', ...header }) + '.' + tokenPart(all);
    return input + '.' + createHmac('sha256', by).update(input).digest('base64url');
  };
  return {
    token: (...claims) => sign({}, Object.assign({}, ...claims)),
    // With something else in its header, or signed with another key.
    forged: sign,
    toml: `[issuers.${name}]\nissuer = "${name}"\nsecret_file = ${JSON.stringify(file)}\n`,
  };
}

const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
const ecKey = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const certificateFiles = (name) => {
  const path = resolvePath(process.env.FOZ_OUT, name);
  return { certificate: path + '.pem', key: path + '.key', common: basename(path), path };
};

// A certificate for these hosts and addresses, and its key: the files NAME.pem and NAME.key, in FOZ_OUT unless the name
// is an absolute path. Its common name is the last part of NAME.
export function selfSigned(name, names = ['localhost', '127.0.0.1'], newKey = ecKey) {
  const self = certificateFiles(name);
  const others = names.map((one) => (isIP(one) ? 'IP:' : 'DNS:') + one);
  openssl('req', '-x509', '-newkey', ...newKey, '-nodes', '-days', '2', '-subj', '/CN=' + self.common,
    ...(others.length > 0 ? ['-addext', 'subjectAltName=' + others] : []), '-keyout', self.key, '-out', self.certificate);
  return self;
}

// One that `authority`, which selfSigned() has made, vouches for. `extensions`: lines for openssl.
export function signedBy(authority, name, extensions = '', subject = undefined) {
  const self = certificateFiles(name);
  openssl('req', '-newkey', ...ecKey, '-nodes', '-subj', subject ?? '/CN=' + self.common, '-keyout', self.key, '-out', self.path + '.csr');
  writeFileSync(self.path + '.ext', extensions);
  openssl('x509', '-req', '-in', self.path + '.csr', '-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial', '-days', '2',
    '-extfile', self.path + '.ext', '-out', self.certificate);
  return self;
}

// An unmodified Primus client that keeps what it hears. `first`: written before it is open.
export async function connect(url, { query = '', resume = secret(), options = {}, first = [] } = {}) {
  const primus = new Primus(url + '/?hello=1&resume=' + resume + query, {
    reconnect: { min: 100, max: 1000, retries: Infinity }, ...options,
  });
  const self = { primus, heard: [], errors: [], opened: 0 };
  primus.on('data', (data) => self.heard.push(data));
  primus.on('error', (error) => self.errors.push(error));
  primus.on('open', () => { self.opened += 1; });
  first.forEach((frame) => primus.write(frame));
  self.events = (name) => self.heard.filter((data) => data.event === name);
  self.messages = () => self.events('message').map((data) => data.message);
  self.ask = (data) => new Promise((resolve) => { primus.writeAndWait(data, resolve); });
  self.consume = (rest = {}) => self.ask({ packet_action: 'consume', channel: 'chat', ...rest });
  self.publish = (type, message, rest = {}) => self.ask({ packet_action: 'publish', channel: 'chat', type, message, ...rest });
  self.close = () => primus.destroy();
  open.push(self.close);
  const welcome = await until(() => self.events('welcome')[0], 'a client is welcomed');
  self.client = welcome.client;
  self.session = welcome.session;
  return self;
}

// Sends these octets on a connection of its own and reads until the other side closes. Names of headers are in lower
// case; `octets`: what came, as it came.
export function rawHttp(url, octets, { tls } = {}) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const options = { host: hostname, port: Number(port) };
    const socket = tls ? connectTls({ ...options, rejectUnauthorized: false }) : connectTcp(options);
    const pieces = [];
    socket.setTimeout(15_000, () => socket.destroy(new Error('no answer to ' + octets.slice(0, 80))));
    socket.on('error', reject);
    socket.on('data', (data) => pieces.push(data));
    socket.on('close', () => {
      const all = Buffer.concat(pieces);
      const end = all.indexOf('\r\n\r\n');
      const [line, ...lines] = all.subarray(0, Math.max(end, 0)).toString('latin1').split('\r\n');
      const headers = Object.fromEntries(lines.map((one) => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 2)]));
      const body = all.subarray(end + 4);
      resolve({ status: Number(line.split(' ')[1]), headers, raw: body, octets: all,
        get body() { return body.toString(); } });
    });
    socket.write(octets);
  });
}

// A WebSocket without a client: what it hears, parsed, but Primus' pings, which it answers unless it is `mute`.
export async function rawClient(url, query = '') {
  const socket = new WebSocket(url.replace('http', 'ws') + '/primus/?resume=' + secret() + query);
  const self = { socket, heard: [], pings: 0, mute: false, closed: undefined };
  socket.on('message', (data) => {
    const value = JSON.parse(data);
    if (typeof value === 'string' && value.startsWith('primus::ping::')) {
      self.pings += 1;
      if (!self.mute) socket.send(JSON.stringify(value.replace('ping', 'pong')));
    } else self.heard.push(value);
  });
  socket.on('error', () => {});
  socket.on('close', (code) => { self.closed = code; });
  self.send = (envelope) => socket.send(JSON.stringify(envelope));
  self.bytes = (...octets) => socket._socket.write(Buffer.from(octets));
  self.next = (what = 'something') => until(() => self.heard.shift(), what + ' is answered');
  // From now on the kernel's buffers fill.
  self.pause = () => socket._socket.pause();
  self.resume = () => socket._socket.resume();
  open.push(() => socket.terminate());
  await once(socket, 'open');
  return self;
}

// A WebSocket as primus-responder uses it, for handshakes that Primus can't make or that end at once. `how`: what ws takes,
// and `protocols`. It has heard something, or has ended.
export async function handshake(url, query, { protocols = [], ...how } = {}) {
  const socket = new WebSocket(url.replace('http', 'ws') + '/primus/?' + query, protocols, how);
  const self = { socket, heard: [], status: undefined, code: undefined, stays_away: false };
  socket.on('message', (data) => {
    const value = JSON.parse(data);
    if (typeof value === 'string' && value.startsWith('primus::ping::')) socket.send(JSON.stringify(value.replace('ping', 'pong')));
    else if (value === 'primus::server::close') self.stays_away = true;
    else self.heard.push(value);
  });
  socket.on('unexpected-response', (_, response) => { self.status = response.statusCode; response.destroy(); socket.terminate(); });
  socket.on('error', () => {});
  socket.on('close', (code) => { self.code = code; });
  self.events = (name) => self.heard.filter((one) => one.event === name);
  self.send = (frame) => socket.send(JSON.stringify(frame));
  self.ask = async (data) => {
    const requestId = randomBytes(8).toString('hex');
    self.send({ plugin: 'primus-responder', requestId, data });
    return (await until(() => self.heard.find((one) => one.responseId === requestId), 'an answer comes')).data;
  };
  self.closed = () => until(() => self.code !== undefined, 'the socket closes');
  open.push(() => socket.terminate());
  await until(() => self.heard.length > 0 || self.code !== undefined, 'the socket says something', 20);
  return self;
}

// A Primus client with the Foz plugin that keeps what it hears.
export function plugged(url, options = {}, more = {}) {
  const primus = new PluggedPrimus(url, { foz: options, ...more });
  const self = { primus, foz: primus.foz, heard: [], gaps: [], errors: [], states: [] };
  primus.on('error', () => {}); // while there is no server
  primus.foz.on('message', (event) => self.heard.push(event));
  primus.foz.on('gap', (event) => self.gaps.push(event));
  primus.foz.on('error', (error) => self.errors.push(error));
  primus.foz.on('state', (state) => self.states.push(state));
  self.close = () => primus.destroy();
  open.push(self.close);
  return self;
}

// A connection to the broker, for what a worker or an operator does; closed at the end, also when its test fails.
export async function amqp(url = broker) {
  const connection = await amqplib.connect(url, { noDelay: true });
  open.push(() => connection.close());
  return connection;
}

// A worker as one writes it with amqplib: it consumes a queue and answers.
export async function worker(queue, handle, url = broker) {
  const connection = await amqp(url);
  const channel = await connection.createConfirmChannel();
  await channel.prefetch(1);
  connection.on('error', () => {});
  channel.on('error', () => {});
  await channel.consume(queue, (message) => {
    if (message) handle(message, JSON.parse(message.content), channel);
  });
  return { channel, stop: () => connection.close() };
}

// After so long without a service requests are refused until the aggregator has seen that there is one.
export async function untilServed(url, channel) {
  const one = await connect(url);
  await until(async () => (await one.ask({ packet_action: 'publish', channel, message: {}, fail_fast: true, timeout_ms: 5_000 })).event === 'answer',
    'the aggregator knows of the service');
  one.close();
}

// amqplib writes nothing but UTF-8; other libraries write what they are given. A connection whose stream is poisoned
// writes three octets 0xff for the last character of `notUtf8`.
export const notUtf8 = 'caf\u{e001}';
export function poison(stream) {
  const write = stream.write;
  stream.write = (octets, ...rest) => {
    const copy = Buffer.from(octets);
    for (let at; (at = copy.indexOf('\u{e001}')) >= 0;) copy.fill(0xff, at, at + 3);
    return write.call(stream, copy, ...rest);
  };
}

// Work that begins while no queue takes what is said on a durable channel, as when RabbitMQ recovers its streams.
export async function withoutStream(name, work) {
  const channel = await (await amqp()).createChannel();
  const binding = ['OUT_' + name.toUpperCase(), 'OUTBOUND', name + '.#'];
  await channel.unbindQueue(...binding);
  const done = work();
  await sleep(1_000);
  await channel.bindQueue(...binding);
  return done;
}

// What a client asks, and a worker answers.
export const request = (channel, rest = {}) => ({ packet_action: 'publish', channel, message: {}, ...rest });
export const reply = (channel, message, body, options = {}) => channel.publish('', message.properties.replyTo,
  Buffer.from(JSON.stringify(body)), { correlationId: message.properties.correlationId, ...options });

// Long enough for what must not arrive to arrive; only used after something later has been seen to arrive.
export const settle = () => sleep(100);
export { sleep };
