// Attackers behind a proxy, in a process of its own: node crowd.mjs URL ADDRESSES SOCKETS FRAMES OCTETS HANDSHAKES SECONDS.
// SOCKETS stay open, spread over so many ADDRESSES, and write FRAMES publishes a second together, of OCTETS each; HANDSHAKES
// a second begin TLS, every second one of them stops in the middle, and the others end with a request that is refused. Says
// as JSON what came of it.
import { connect } from 'node:net';
import { connect as secure } from 'node:tls';

const [url, ...numbers] = process.argv.slice(2);
const [addresses, sockets, frames, octets, handshakes, seconds] = numbers.map(Number);
const { hostname, port } = new URL(url);
const counts = { sockets: 0, frames: 0, octets: 0, begun: 0, finished: 0, refused: 0, closed: 0 };

const addressOf = (n) => `198.51.${100 + Math.floor((n % addresses) / 250)}.${1 + (n % addresses) % 250}`;
// PROXY protocol, version 1, from 127.0.0.2, which the aggregator believes.
function arrive(n) {
  const socket = connect({ host: hostname, port: Number(port), localAddress: '127.0.0.2' });
  socket.on('error', () => {});
  socket.write(`PROXY TCP4 ${addressOf(n)} 192.0.2.1 ${1024 + n % 60_000} 443\r\n`);
  return socket;
}
function encrypt(n) {
  const socket = secure({ socket: arrive(n), rejectUnauthorized: false });
  socket.on('error', () => {});
  return socket;
}
// The octets of a record that begins a handshake and never goes on: RFC 8446 §5.1, a ClientHello that is too short.
const half = Buffer.from([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]);

const upgrade = (n) => `GET /primus/?resume=${String(n).padStart(22, 'c')} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n` +
  'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const body = Buffer.from(JSON.stringify({ packet_action: 'publish', channel: 'chat', type: 'echo', ack: 'none', message: 'x'.repeat(Math.max(octets - 80, 1)) }));
const frame = Buffer.concat([body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255]),
  Buffer.alloc(4), body]); // RFC 6455 §5.2, with a mask of zeros

const open = [];
async function enter(n) {
  await new Promise((done) => {
    const socket = encrypt(n);
    socket.once('data', (data) => {
      if (data.toString('latin1').startsWith('HTTP/1.1 101')) open.push(socket);
      else counts.refused += 1;
      socket.on('data', () => {});
      done();
    });
    socket.on('close', () => { counts.closed += 1; done(); });
    socket.write(upgrade(n));
  });
}
for (let n = 0; n < sockets; n += 10) await Promise.all(Array.from({ length: Math.min(10, sockets - n) }, (_, i) => enter(n + i)));
counts.sockets = open.length;
console.log('ready');

let next = 0, arrivals = sockets;
function write(due) {
  for (; counts.frames < due && open.length > 0; counts.frames += 1) {
    const socket = open[next = (next + 1) % open.length];
    if (socket.destroyed || socket.writableLength > 64 * 1024) continue;
    socket.write(frame);
    counts.octets += frame.length;
  }
}
function greet(due) {
  for (; counts.begun < due; counts.begun += 1) {
    const n = (arrivals += 1);
    if (n % 2) {
      const socket = arrive(n);
      socket.write(half);
      setTimeout(() => socket.destroy(), 3_000);
    } else {
      const socket = encrypt(n);
      socket.on('secureConnect', () => { counts.finished += 1; socket.end('GET /primus/none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'); });
      socket.on('data', () => {});
    }
  }
}
const began = performance.now();
const tick = setInterval(() => {
  const passed = (performance.now() - began) / 1000;
  if (passed > seconds) {
    clearInterval(tick);
    console.log(JSON.stringify(counts));
    process.exit(0);
  }
  // What could not be offered in time is not made up for.
  write(Math.min(passed * frames, counts.frames + frames / 20));
  greet(Math.min(passed * handshakes, counts.begun + handshakes / 20));
}, 10);
