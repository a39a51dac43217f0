// A client of single frames: for what client libraries never send, and what they hide.
import net from 'node:net';
import { defs, broker } from './lib.mjs';

export const header = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
const empty = Buffer.alloc(0);

export function frame(type, channel, payload = empty) {
  const out = Buffer.alloc(payload.length + 8);
  out[0] = type;
  out.writeUInt16BE(channel, 1);
  out.writeUInt32BE(payload.length, 3);
  payload.copy(out, 7);
  out[out.length - 1] = 206;
  return out;
}
export const method = (channel, what, fields) => defs.encodeMethod(what, channel, fields);
export const heartbeat = frame(8, 0);
// A content header of basic: its size, no properties.
export function contentHeader(channel, size, { classId = 60, weight = 0 } = {}) {
  const payload = Buffer.alloc(14);
  payload.writeUInt16BE(classId, 0);
  payload.writeUInt16BE(weight, 2);
  payload.writeBigUInt64BE(BigInt(size), 4);
  return frame(2, channel, payload);
}
export const body = (channel, octets) => frame(3, channel, Buffer.from(octets));

// One socket. `next()` is the next frame: {type, channel, id, fields, payload}; undefined when the broker has closed it.
export async function dial() {
  const { hostname, port } = new URL(broker);
  const socket = net.connect(Number(port), hostname);
  socket.setNoDelay();
  const self = { socket, raw: empty, ended: false };
  let wake = () => {};
  socket.on('data', (data) => { self.raw = Buffer.concat([self.raw, data]); wake(); });
  for (const event of ['end', 'close', 'error']) socket.on(event, () => { self.ended = true; wake(); });
  self.send = (...frames) => { socket.write(Buffer.concat(frames)); };
  self.more = async (seconds = 10) => {
    const { promise, resolve } = (() => { let r; const p = new Promise((f) => { r = f; }); return { promise: p, resolve: r }; })();
    const timer = setTimeout(() => resolve('late'), seconds * 1000);
    wake = resolve;
    const late = await promise;
    clearTimeout(timer);
    if (late === 'late') throw new Error('the broker has said nothing for ' + seconds + ' s');
  };
  self.octets = async (count) => {
    while (self.raw.length < count && !self.ended) await self.more();
    return self.raw.subarray(0, count);
  };
  self.next = async (seconds = 10) => {
    for (;;) {
      const size = self.raw.length >= 7 ? self.raw.readUInt32BE(3) + 8 : Infinity;
      if (self.raw.length >= size) {
        const whole = self.raw.subarray(0, size);
        self.raw = self.raw.subarray(size);
        const got = { type: whole[0], channel: whole.readUInt16BE(1), payload: whole.subarray(7, size - 1) };
        if (got.type === 1) {
          got.id = got.payload.readUInt32BE(0);
          got.fields = defs.decode(got.id, got.payload.subarray(4));
        }
        return got;
      }
      if (self.ended) return undefined;
      await self.more(seconds);
    }
  };
  // The next method, whatever heartbeats come in between.
  self.method = async (what) => {
    let got;
    do got = await self.next(); while (got && got.type === 8);
    if (got?.id !== what) throw new Error('expected ' + defs.info(what).name + ', got ' + (got ? (got.id ? defs.info(got.id).name + ' ' + JSON.stringify(got.fields) : 'frame ' + got.type) : 'the end'));
    return got.fields;
  };
  self.close = () => socket.destroy();
  return self;
}

const login = (user, password) => Buffer.from('\0' + user + '\0' + password);
export const startOk = (rest = {}) => method(0, defs.ConnectionStartOk, {
  clientProperties: {}, mechanism: 'PLAIN', response: login('guest', 'guest'), locale: 'en_US', ...rest });
export { login };

// As far as an open channel 1.
export async function open({ frameMax = 131_072, channelMax = 100, heartbeat: beat = 0, clientProperties = {} } = {}) {
  const wire = await dial();
  wire.send(header);
  wire.start = await wire.method(defs.ConnectionStart);
  wire.send(startOk({ clientProperties }));
  wire.tune = await wire.method(defs.ConnectionTune);
  wire.send(method(0, defs.ConnectionTuneOk, { channelMax, frameMax, heartbeat: beat }),
    method(0, defs.ConnectionOpen, { virtualHost: decodeURIComponent(new URL(broker).pathname.slice(1)), capabilities: '', insist: false }));
  await wire.method(defs.ConnectionOpenOk);
  wire.send(method(1, defs.ChannelOpen, { outOfBand: '' }));
  await wire.method(defs.ChannelOpenOk);
  return wire;
}
