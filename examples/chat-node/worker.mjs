// A Foz worker with amqplib: takes requests from a channel's queue, says what the handlers say, answers. Nothing is
// declared here: exchanges and queues are Foz's.
import { createRequire } from 'node:module';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const amqplib = load('amqplib');
function load(name) {
  try { return createRequire(import.meta.url)(name); } catch { /* not installed here: the project's own */ }
  return createRequire(new URL('../../clients/js/package.json', import.meta.url))(name);
}

// Thrown by a handler: the caller gets it as an error.
export class Refusal extends Error {
  constructor(code, text) { super(text); this.code = code; }
}

// One message that a handler works on. What it says is collected, and published when it has returned.
class Request {
  said = [];
  constructor(channel, { content, properties }) { Object.assign(this, { channel, content, properties }); }
  // '': not a client's, or not well made.
  get client() {
    const client = this.properties.headers?.['foz-client'];
    return typeof client === 'string' ? client : '';
  }
  // Receivers are headers; lists in them are JSON text, as streams drop headers that are arrays.
  broadcast(say) { this.#say({ 'foz-broadcast': true }, say); }
  multicast(groups, say) { this.#say({ 'foz-multicast': JSON.stringify(groups) }, say); }
  direct(clients, say) { this.#say({ 'foz-direct': JSON.stringify(clients) }, say); }
  #say(headers, { topic, type, body }) {
    const key = topic ? this.channel + '.' + topic : this.channel;
    this.said.push({ exchange: 'OUTBOUND', key, headers, type, content: Buffer.from(JSON.stringify(body)) });
  }
  // Plain AMQP RPC: through the default exchange to the queue that the request names.
  reply(body, headers) {
    const { replyTo, correlationId } = this.properties;
    const content = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    if (replyTo) this.said.push({ exchange: '', key: replyTo, headers, correlationId, content });
  }
  // Everything there is to publish.
  async handle(handlers) {
    const { type } = this.properties;
    try {
      if (!Object.hasOwn(handlers, type)) throw new Refusal('unknown_type', 'no handler takes this type of message');
      this.reply(await handlers[type](this));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.said = [];
      this.reply({ code: error.code, message: error.message }, { 'foz-error': error.code });
    }
    return this.said;
  }
}

// Works until `stop` (an AbortSignal), on one of the brokers. `begin` is called for every connection and returns
// { handlers: {type: (request) => reply}, hear }; a reply may be a promise. `hear`, which may be absent, is called with
// everything that was said on the channel in the last 24 hours, before the first request, and with what is said from
// then on, whichever worker says it. `durable: false` is for a volatile channel, which has no stream to hear.
export async function run({ urls, stop, notice, ...options }) {
  const stopped = new Promise((resolve) => { stop.addEventListener('abort', resolve); });
  for (let attempt = 0; !stop.aborted; ++attempt) {
    const url = urls[attempt % urls.length];
    const onReady = () => { attempt = -1; options.onReady(); };
    await live(url, { ...options, stop, stopped, notice, onReady })
      .catch((error) => notice(new URL(url).host + ': ' + (error.message || error.code)));
    // Jitter: not all workers at once when the broker is back.
    const pause = sleep(50 + Math.random() * Math.min(5_000, 250 * 2 ** Math.max(attempt, 0)));
    if (!stop.aborted) await Promise.race([stopped, pause]);
  }
}

// One connection from beginning to end; throws when it is lost. Nothing outlives it: the broker delivers again what was
// not acknowledged, and the stream is read again.
async function live(url, { channel: name, durable = true, begin, concurrency, stop, stopped, onReady, notice }) {
  const [queue, stream] = ['IN_' + name.toUpperCase(), 'OUT_' + name.toUpperCase()];
  const service = begin();
  const working = new Set();
  let fail, channel, consumerTag;
  const lost = new Promise((_, reject) => { fail = reject; });
  lost.catch(() => {}); // also when nobody waits for it any more

  // Resolves when the broker has answered: to false when it has returned the message, which it says before its confirm.
  const returned = new Set();
  const confirmed = ({ exchange, key, content, ...properties }, mandatory) => new Promise((resolve) => {
    const late = setTimeout(() => fail(new Error('no confirm within 30 s')), 30_000);
    const options = { persistent: true, contentType: 'application/json', timestamp: Math.floor(Date.now() / 1000) };
    channel.publish(exchange, key, content, { ...options, ...properties, mandatory }, (error) => {
      clearTimeout(late);
      if (error) fail(error); else resolve(!returned.delete(properties.messageId));
    });
  });
  // Resolves when the broker has it in a queue. A nack or a late confirm ends the connection: a new one helps when a
  // queue's leader has died with its node, and the work is done again under the same ids. What no queue takes although
  // the channel has a stream comes again: RabbitMQ takes connections before it has recovered its streams, and would
  // confirm and drop it, were it not mandatory. On a volatile channel nobody may be there to hear.
  const publish = async (one) => {
    const mandatory = durable && (one.exchange === 'OUTBOUND' || one.key === stream);
    for (const end = Date.now() + 10_000; !(await confirmed(one, mandatory)); await sleep(250))
      if (Date.now() > end) fail(new Error(stream + ' takes nothing'));
  };

  const take = async (message) => {
    if (!message) throw new Error(queue + ' was deleted');
    let said;
    try {
      said = await new Request(name, message).handle(service.handlers);
    } catch (bug) { // tried again up to the queue's delivery limit, then the caller is told
      notice(bug.stack);
      // What it needs may be away for a minute: the pause grows.
      const attempts = message.properties.headers?.['x-delivery-count'] ?? 0;
      await Promise.race([stopped, sleep(Math.min(5_000, 100 * 2 ** attempts))]);
      return channel.nack(message);
    }
    // Derived ids: what is said twice is heard once. Acknowledged last: a crash before that repeats the work.
    const id = message.properties.messageId || randomUUID();
    await Promise.all(said.map((one, ordinal) => publish({ ...one, messageId: id + '/' + ordinal })));
    channel.ack(message);
  };

  // Reads the stream, which takes nothing from its other readers, until what was there at the beginning has been read,
  // which a marker of our own tells; and goes on reading.
  const follow = async (reader, onProgress) => {
    const marker = randomUUID();
    const since = Math.floor(Date.now() / 1000) - 24 * 3600;
    let atEnd;
    const end = new Promise((resolve) => { atEnd = resolve; });
    await reader.prefetch(200); // streams insist on a prefetch and on acknowledgements
    await reader.consume(stream, (message) => {
      if (!message) return fail(new Error(stream + ' was deleted'));
      reader.ack(message);
      onProgress();
      if (message.properties.messageId === marker) atEnd(); else service.hear(message);
    }, { arguments: { 'x-stream-offset': { '!': 'timestamp', value: since } } });
    await publish({ exchange: '', key: stream, content: Buffer.from('null'), type: 'foz.marker', messageId: marker });
    await end;
  };

  const start = async (connection, onProgress) => {
    channel = (await connection.createConfirmChannel()).on('error', fail)
      .on('return', (message) => returned.add(message.properties.messageId));
    if (service.hear) await follow((await connection.createChannel()).on('error', fail), onProgress);
    await channel.prefetch(concurrency); // no more than is worked on: other workers may have time
    ({ consumerTag } = await channel.consume(queue, (message) => {
      const work = take(message).catch(fail).finally(() => working.delete(work));
      working.add(work);
    }));
  };

  // Takes nothing more and finishes what was taken: what is given back counts as one more attempt.
  const drain = async () => {
    await channel.cancel(consumerTag);
    await Promise.all(working);
    await channel.close(); // amqplib lets the closing of a connection overtake what a channel has still to send
  };

  // With Nagle's algorithm a small message would wait some 20 ms for TCP's delayed acknowledgement.
  const connection = await amqplib.connect(url, { noDelay: true, timeout: 10_000 });
  connection.on('error', fail).on('close', (why) => fail(why ?? new Error('the connection was closed')));
  const silent = setTimeout(() => fail(new Error('the broker does not answer')), 30_000);
  try {
    await Promise.race([lost, stopped, start(connection, () => silent.refresh())]);
    if (stop.aborted) return;
    clearTimeout(silent);
    onReady();
    await Promise.race([lost, stopped]);
    await Promise.race([lost, drain()]);
  } finally {
    clearTimeout(silent);
    await Promise.race([connection.close().catch(() => {}), sleep(5_000)]);
  }
}
