// An aggregator that does what a test says: a real Primus server, for what a real aggregator does only when it is in trouble.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(process.env.FOZ_ROOT + '/clients/js/package.json');
const Primus = require('primus');

const running = [];
export const stopAll = () => Promise.all(running.splice(0).map((one) => one.stop()));

// `script` may have welcome(spark), consume(spark, frame), leave, publish and cancel: what is done with such a frame instead
// of what an aggregator does when all is well. frames: what clients have sent, each with its spark.
export async function scripted(script = {}, port = 0) {
  const http = createServer();
  const primus = new Primus(http, { transformer: 'websockets', pathname: '/primus', pingInterval: 30000 });
  const self = {
    script, frames: [], sparks: [], opened: [],
    get spark() { return self.sparks.at(-1); }, // the newest
  };
  const error = (spark, id, code, more = {}) =>
    spark.write({ event: 'error', error: { code, message: code, retryable: false, id, ...more } });
  const usual = {
    welcome: (spark) => self.welcome(spark),
    consume: (spark, frame) => spark.write({ event: 'consuming', id: frame.id, channels: { [frame.channel]: { topics: [], groups: [] } } }),
    leave() {},
    publish: (spark, frame) => (frame.ack === 'answer'
      ? spark.write({ event: 'answer', id: frame.id, message: frame.message }) : spark.write({ event: 'receipt', id: frame.id })),
    cancel: (spark, frame) => error(spark, frame.id, 'cancelled'),
  };
  const act = (name, ...what) => (self.script[name] || usual[name])(...what);
  primus.on('connection', (spark) => {
    self.sparks.push(spark);
    self.opened.push(Date.now());
    spark.on('data', (frame) => {
      self.frames.push({ spark, ...frame });
      act(frame.packet_action, spark, frame);
    });
    act('welcome', spark);
  });
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  Object.assign(self, {
    error,
    port: http.address().port,
    url: 'http://127.0.0.1:' + http.address().port,
    welcome: (spark, more = {}) => spark.write({
      event: 'welcome', client: 'anon-me', session: spark.id, limits: { frame_bytes_max: 262144 }, ...more,
    }),
    // With this code, and without telling the client to stay away.
    close: (spark, code) => spark.socket.close(code),
    // Frames of this kind; on the newest socket, or on all.
    sent: (action, spark) => self.frames.filter((one) => one.packet_action === action && (!spark || one.spark === spark)),
    // Every socket is cut.
    cut: () => self.sparks.forEach((spark) => spark.socket && spark.socket.terminate()),
    async stop() {
      if (!http.listening) return;
      self.cut();
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  });
  running.push(self);
  return self;
}
