// The way to the services: the Foz plugin on one Primus socket for all of them, or on one for each. The plugin keeps what
// is written until it is answered, also across a reload, comes back, and goes on where it was. The rest of the page talks
// to channels and does not know how many sockets there are.
import { sentence } from './words.js';

const patience_ms = 10_000; // for the service; not while there is no connection

// What went wrong, as a sentence. `retryable`: the same again, under the same id, may work.
export class Problem extends Error {
  constructor(error) {
    super(sentence(error));
    this.code = error.code === 'service' ? error.service_code ?? error.service?.code : error.code;
    this.retryable = error.retryable === true;
  }
}

// An id for a message. The plugin makes one itself where the page does not want to know it beforehand.
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (octet) => octet.toString(16).padStart(2, '0')).join('');
}

class Emitter {
  #listeners = new Map();
  on(name, listener) { this.#listeners.set(name, [...this.#listeners.get(name) ?? [], listener]); }
  emit(name, ...what) { for (const listener of this.#listeners.get(name) ?? []) listener(...what); }
}

// One connection. It lives until it is retired, across reconnects.
class Socket {
  #retired = false;
  #wasOpen = false;

  constructor(channels, { query = '', ...listeners }) {
    this.channels = channels;
    this.primus = new Primus(location.origin, { foz: { storage: sessionStorage } });
    this.foz = this.primus.foz;
    if (query) this.primus.on('outgoing::url', (url) => { url.query += query; });
    this.primus.on('error', () => {}); // a failed attempt; the state tells
    for (const [name, listener] of Object.entries(listeners))
      this.foz.on(name, (event) => { if (!this.#retired || name === 'outcome') listener(event, this); });
    this.foz.on('outcome', () => this.endWhenDone());
  }

  // online, connecting, lost (it tries again and again), offline (the device has no network), refused
  get state() {
    const { name, reason } = this.foz.state;
    this.#wasOpen ||= name === 'connected';
    if (name === 'connected') return 'online';
    if (name !== 'waiting') return 'refused';
    if (reason?.code === 'offline') return 'offline';
    return this.#wasOpen || this.foz.state.attempt > 0 ? 'lost' : 'connecting';
  }

  // Hears nothing any more, takes its last answers, and ends.
  retire() {
    this.#retired = true;
    for (const name of this.channels) this.foz.leave(name);
    this.endWhenDone();
  }

  endWhenDone() { if (this.#retired && this.foz.waiting === 0) this.primus.end(); }
}

// What a section of the page sees of one service. Events:
//   message  (event) {id, type, via, message, …}
//   ready    () it is heard, on this socket for the first time
//   state    () the connection is another one now, or none: see `online`
//   gap      () something may have been missed: ask for it anew
//   restored ({id, frame}) what an earlier page has left is being sent
//   outcome  ({id, frame, error}) what has become of that
//   error    (Problem) it can't be heard
//   missing  () there is no such channel here
class Channel extends Emitter {
  position = null; // how far it was heard: another socket goes on from there
  #link;
  #topics = [];
  #more = [];
  #heardOn = null; // the socket

  constructor(link, name) {
    super();
    this.#link = link;
    this.name = name;
    this.on('message', (event) => { this.position = event.position ?? this.position; });
  }

  get #socket() { return this.#link.socketOf(this.name); }
  get online() { return this.#socket?.state === 'online'; }

  // The service's answer, or a Problem.
  async request(type, message, more = {}) {
    const socket = this.#socket;
    const begun = performance.now();
    const flow = (direction, told) => {
      if (!more.quiet) this.#link.emit('flow', { channel: this.name, direction, ...told });
    };
    const { quiet, ...options } = more;
    flow('out');
    try {
      const answer = await socket.foz.request(this.name, message, { type, timeout_ms: patience_ms, ...options });
      flow('in', { ms: performance.now() - begun });
      return answer;
    } catch (error) {
      throw new Problem(error);
    } finally {
      socket.endWhenDone();
    }
  }

  // An answer that comes in parts: an iterator with `answer` and `cancel()`.
  stream(type, message) {
    const socket = this.#socket;
    const parts = socket.foz.stream(this.name, message, { type, timeout_ms: patience_ms });
    const done = () => socket.endWhenDone();
    parts.answer.then(done, done);
    this.#link.emit('flow', { channel: this.name, direction: 'out' });
    return parts;
  }

  // Says it and awaits nothing.
  tell(type, message) { this.#socket.foz.publish(this.name, message, { type }).catch(() => {}); }

  // What to hear of what is for everyone; no topics: all. Messages to oneself come in any case.
  async hear(topics) {
    const before = this.#topics;
    this.#topics = topics;
    const socket = this.#socket;
    if (!socket) return;
    await this.consume(socket);
    const left = before.filter((topic) => !this.#topics.includes(topic));
    if (left.length > 0) socket.foz.leave(this.name, { topics: left });
  }

  // And this topic besides, whatever is heard.
  hearAlso(topic) {
    this.#more.push(topic);
    return this.#socket && this.consume(this.#socket);
  }

  async consume(socket) {
    const topics = this.#topics;
    try {
      const from = this.position && socket !== this.#heardOn && { from: this.position };
      const { channels } = await socket.foz.consume(this.name, { topics: topics.length > 0 ? [...topics, ...this.#more] : topics, ...from });
      this.#heardOn = socket;
      this.position ??= channels[this.name]?.position ?? null;
      if (socket === this.#socket && topics === this.#topics) this.emit('ready');
    } catch (error) {
      if (socket !== this.#socket) return;
      if (error.code === 'unknown_channel') this.#link.forget(this);
      else this.emit('error', new Problem(error));
    }
  }
}

// Events: state ([{channels, state}]), welcome ({client, …}), flow ({channel, direction, ms}) for each message that
// is written or heard, error (Problem) about something that nobody waits for.
export class Link extends Emitter {
  #sockets = [];
  #channels;

  constructor(names) {
    super();
    this.#channels = new Map(names.map((name) => [name, new Channel(this, name)]));
  }

  channel(name) { return this.#channels.get(name); }
  socketOf(name) { return this.#sockets.find(({ channels }) => channels.includes(name)); }

  // Opens one socket for all channels, or one for each of them. What was open before is retired when they are heard on
  // the new ones, so that nothing is missed in between.
  async open(separate) {
    const before = this.#sockets;
    const names = [...this.#channels.keys()];
    this.#sockets = separate ? names.map((name) => this.#connect([name], '&for=' + name)) : [this.#connect(names)];
    this.#tellState();
    await Promise.all(names.map((name) => this.channel(name).consume(this.socketOf(name))));
    for (const socket of before) socket.retire();
  }

  // There is no such channel in this configuration.
  forget(channel) {
    const socket = this.socketOf(channel.name);
    this.#channels.delete(channel.name);
    socket.channels = socket.channels.filter((name) => name !== channel.name);
    if (socket.channels.length === 0) {
      this.#sockets = this.#sockets.filter((one) => one !== socket);
      socket.retire();
    }
    channel.emit('missing');
    this.#tellState();
  }

  // `query` is for whoever looks at the sockets in the browser's tools; the aggregator passes over it. A socket that were
  // bound to its channel could not send what an earlier page has left on another one.
  #connect(names, query) {
    const of = (frame) => this.#channels.get(frame.channel);
    return new Socket(names, {
      query,
      message: (event) => {
        this.emit('flow', { channel: event.channel, direction: 'in', event });
        of(event)?.emit('message', event);
      },
      state: (state, socket) => {
        this.#tellState();
        for (const name of socket.channels) this.channel(name)?.emit('state');
      },
      welcome: (event) => this.emit('welcome', event),
      part: ({ channel }) => this.emit('flow', { channel, direction: 'in' }),
      gap: (event) => of(event)?.emit('gap'),
      restored: (messages, socket) => {
        for (const { id, frame } of messages) {
          if (frame.channel === 'guide') socket.foz.cancel(id); // nobody reads on
          else of(frame)?.emit('restored', { id, frame });
        }
      },
      outcome: ({ id, frame, error }) => of(frame)?.emit('outcome', { id, frame, error: error && new Problem(error) }),
      error: (error) => { if (!error.retry_in_ms) this.emit('error', new Problem(error)); },
    });
  }

  #tellState() { this.emit('state', this.#sockets.map(({ channels, state }) => ({ channels, state }))); }
}
