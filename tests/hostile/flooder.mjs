// A client that floods, in a process of its own: node flooder.mjs URL KIND FRAMES_PER_SECOND SECONDS RESUME. Says as JSON how
// many frames and octets were offered and taken, how many errors came, and with which code it was closed, if it was.
import { connect } from 'node:net';

const [url, kind, rate, seconds, resume] = process.argv.slice(2);
const { hostname, port } = new URL(url);

// RFC 6455 §5.2, with a mask of zeros.
function frame(payload, opcode = 1) {
  const data = Buffer.from(payload);
  const head = [0x80 | opcode];
  if (data.length < 126) head.push(0x80 | data.length);
  else if (data.length < 65536) head.push(0x80 | 126, data.length >> 8, data.length & 255);
  else head.push(0x80 | 127, 0, 0, 0, 0, data.length >>> 24, (data.length >> 16) & 255, (data.length >> 8) & 255, data.length & 255);
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), data]);
}
const text = (value) => frame(JSON.stringify(value));
const publish = (more) => ({ packet_action: 'publish', channel: 'chat', type: 'echo', message: 'flood', ...more });

export const kinds = {
  garbage: () => frame('}{'.repeat(50)),
  publishes: () => text(publish()),
  subscriptions: (n) => text({ packet_action: n % 2 ? 'leave' : 'consume', channel: 'chat', consume_target: ['room.' + (n >> 1) % 100] }),
  requests: (n) => text({ plugin: 'primus-responder', requestId: 'r' + n, data: publish() }),
  pings: () => frame('p'.repeat(125), 9),
  controls: (n) => text(n % 2 ? 'primus::ping::1' : 'primus::id::'),
  large: () => text(publish({ message: 'x'.repeat(250_000) })),
  small: () => frame('1'),
  resends: () => text(publish({ id: 'the-same' })),
  cancels: (n) => text({ packet_action: 'cancel', channel: 'chat', id: 'c' + n }),
};

let frames = 0, octets = 0, errors = 0, closed = null, opened = false;
const socket = connect(Number(port), hostname);
socket.setNoDelay(true);
const end = () => {
  console.log(JSON.stringify({ frames, octets: octets - socket.writableLength, errors, closed }));
  process.exit(0);
};
socket.on('error', end);
socket.on('close', end);
socket.write(`GET /primus/?resume=${resume} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
socket.on('data', (data) => {
  if (!opened) {
    opened = true;
    flood();
  }
  errors += data.toString('latin1').split('"event":"error"').length - 1;
  // The close frame is the last one and small (RFC 6455 §5.5.1).
  const at = data.lastIndexOf(0x88);
  if (at >= 0 && at + 2 + data[at + 1] === data.length && data[at + 1] >= 2) {
    closed = data.readUInt16BE(at + 2);
    end();
  }
});

function flood() {
  const began = performance.now();
  const tick = setInterval(() => {
    const passed = (performance.now() - began) / 1000;
    if (passed > Number(seconds)) {
      clearInterval(tick);
      return end();
    }
    const due = Math.min(Math.floor(passed * Number(rate)), frames + 5_000);
    const batch = [];
    for (let size = 0; frames < due && socket.writableLength + size < 4 * 1024 * 1024; frames += 1) {
      batch.push(kinds[kind](frames));
      size += batch.at(-1).length;
    }
    if (batch.length === 0) return;
    const all = Buffer.concat(batch);
    octets += all.length;
    socket.write(all);
  }, 5);
}
