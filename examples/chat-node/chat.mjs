#!/usr/bin/env node
// The chat service (../chat) once more, in Node: what it does is here, how it is connected in worker.mjs.
import { parseArgs } from 'node:util';
import { Refusal, run } from './worker.mjs';

function parse(content) {
  let message;
  try { message = JSON.parse(content); } catch { /* no object either */ }
  if (typeof message !== 'object' || message === null || Array.isArray(message))
    throw new Refusal('bad_message', 'an object is expected');
  return message;
}

function text(message, name, bytesMax) {
  const value = message[name];
  if (typeof value !== 'string') throw new Refusal('bad_message', name + ': a string is expected');
  if (!value || Buffer.byteLength(value) > bytesMax)
    throw new Refusal('bad_message', name + ': 1 to ' + bytesMax + ' bytes are expected');
  return value;
}

// A room's name becomes a word of the topic.
function roomOf(message) {
  const room = text(message, 'room', 64);
  if (!/^[a-z0-9_-]+$/.test(room)) throw new Refusal('bad_message', "room: a-z, 0-9, '-' and '_' are expected");
  return room;
}

const spoken = (request, message) => ({
  text: text(message, 'text', 4000),
  name: message.name === undefined ? '' : text(message, 'name', 64),
  from: request.client,
});

// The last messages of each room, from what all workers say. The rooms that are silent for longest are forgotten first.
class History {
  #rooms = new Map();
  hear({ fields, properties: { type, messageId: id }, content }) {
    const room = /^chat\.room\.([^.]+)$/.exec(fields.routingKey)?.[1];
    if (!room || type !== 'said') return;
    const last = this.#rooms.get(room) ?? [];
    if (last.some((one) => one.id === id)) return; // said again after a crash
    let body;
    try { body = parse(content); } catch { return; /* no worker of ours said that */ }
    this.#rooms.delete(room); // so that it becomes the map's last
    this.#rooms.set(room, [...last, { id, body }].slice(-50));
    if (this.#rooms.size > 1000) this.#rooms.delete(this.#rooms.keys().next().value);
  }
  last(room, limit) {
    const all = (this.#rooms.get(room) ?? []).slice(-limit);
    return { room, messages: all.map(({ body }) => body), ids: all.map(({ id }) => id) };
  }
}

const handlers = (history) => ({
  say(request) {
    const message = parse(request.content);
    const room = roomOf(message);
    request.broadcast({ topic: 'room.' + room, type: 'said', body: { ...spoken(request, message), room } });
    return { ok: true };
  },
  whisper(request) {
    const message = parse(request.content);
    request.direct([text(message, 'to', 128)], { type: 'whispered', body: spoken(request, message) });
    return { ok: true };
  },
  team(request) {
    const message = parse(request.content);
    const group = text(message, 'group', 128);
    request.multicast([group], { type: 'said', body: { ...spoken(request, message), group } });
    return { ok: true };
  },
  echo: (request) => request.content, // byte for byte
  history(request) {
    const message = parse(request.content);
    const room = roomOf(message);
    const { limit = 20 } = message;
    if (!Number.isInteger(limit) || limit < 1 || limit > 50)
      throw new Refusal('bad_message', 'limit: a number from 1 to 50 is expected');
    return history.last(room, limit);
  },
});

const usage = `usage: chat.mjs [--broker URL]... [--concurrency N]
The chat service: takes messages of channel "chat" from a broker and answers them.
  --broker URL     amqp:// or amqps://, repeatable: the first that answers is used (FOZ_BROKER; amqp://127.0.0.1:5672)
  --concurrency N  messages that are handled at once (1)
`;

function readOptions() {
  try {
    const { values: { broker, concurrency, help } } = parseArgs({ options: {
      broker: { type: 'string', multiple: true, default: [process.env.FOZ_BROKER || 'amqp://127.0.0.1:5672'] },
      concurrency: { type: 'string', default: '1' },
      help: { type: 'boolean' },
    } });
    if (!broker.every((url) => /^amqps?:/.test(url) && URL.canParse(url))) throw new Error('--broker: an AMQP URL is expected');
    if (!/^[1-9]\d{0,2}$/.test(concurrency)) throw new Error('--concurrency: 1 to 999 is expected');
    return { urls: broker, concurrency: Number(concurrency), help };
  } catch (error) {
    process.stderr.write('foz-chat: ' + error.message + '\n' + usage);
    process.exit(2);
  }
}

const { urls, concurrency, help } = readOptions();
if (help) {
  process.stdout.write(usage);
  process.exit(0);
}
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => {
  stop.abort();
  setTimeout(() => process.exit(1), 30_000).unref(); // a broker that does not answer does not keep us
});
const notice = (line) => process.stderr.write('foz-chat: ' + line + '\n');
await run({
  urls, concurrency, notice, channel: 'chat', stop: stop.signal,
  begin() {
    const history = new History();
    return { handlers: handlers(history), hear: (said) => history.hear(said) };
  },
  onReady: () => notice('ready'),
});
process.exit(0);
