// The way to the services: one Primus socket for all of them, or one for each, and requests over it. The rest of the
// page talks to channels and does not know which it is.
import { sentence } from './words.js';

const patience_ms = 8000; // the caller's, for the aggregator
const grace_ms = 2000;    // then the socket was lost, and the answer with it

export class RequestError extends Error {
  constructor(error) {
    super(sentence(error));
    this.code = error.code === 'service' ? error.service_code ?? error.service?.code : error.code;
  }
}

// One Primus connection (the stock client with primus-responder). It lives until it is retired, across reconnects.
class Socket {
  state = 'connecting'; // online, lost (it tries again and again), offline (the device has no network)
  #waiting = new Set();
  #retired = false;

  constructor(channels, { query, onopen, ondata, onstate }) {
    this.channels = channels;
    this.primus = new Primus(location.origin, { reconnect: { min: 200, max: 3000, retries: Infinity } });
    this.primus.on('outgoing::url', (url) => { url.query += query; });
    const become = (state) => {
      if (this.#retired) return;
      this.state = state;
      onstate();
    };
    const lost = () => become(this.primus.online === false ? 'offline' : 'lost');
    this.primus.on('open', () => { become('online'); if (!this.#retired) onopen(this); });
    for (const event of ['close', 'reconnect scheduled', 'offline', 'online']) this.primus.on(event, lost);
    this.primus.on('data', (data) => { if (!this.#retired) ondata(data); });
    this.primus.on('error', () => {}); // a failed attempt; 'reconnect scheduled' follows
  }

  // The aggregator's answer; an answer may also come after a reconnect, so a lost socket alone fails nothing.
  ask(data) {
    return new Promise((resolve, reject) => {
      const settle = (reply) => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        if (this.#retired && this.#waiting.size === 0) this.primus.end();
        if (reply.event === 'error') reject(new RequestError(reply.error));
        else resolve(reply);
      };
      const timer = setTimeout(settle, patience_ms + grace_ms, { event: 'error', error: { code: 'no_answer' } });
      this.#waiting.add(settle);
      this.primus.writeAndWait(data, settle);
    });
  }

  write(data) { this.primus.write(data); }

  // Takes its last answers and ends.
  retire() {
    this.#retired = true;
    if (this.#waiting.size === 0) this.primus.end();
  }
}

// What a section of the page sees of one service.
class Channel {
  onmessage = () => {}; // (event): {type, via, message, …}
  onready = () => {};   // it is heard, for the first time or again: what was missed meanwhile can be asked for
  onerror = () => {};   // (error)
  #link;
  #topics = [];

  constructor(link, name) {
    this.#link = link;
    this.name = name;
  }

  get #socket() { return this.#link.socketOf(this.name); }

  // The service's answer to a message, or a RequestError.
  async ask(type, message) {
    const reply = await this.#socket.ask(this.#envelope(type, message, { timeout_ms: patience_ms }));
    return reply.message;
  }

  // Says it and awaits nothing.
  tell(type, message) { this.#socket.write(this.#envelope(type, message)); }

  #envelope(type, message, more = {}) {
    return { packet_action: 'publish', channel: this.name, type, message, ...more };
  }

  // What to hear of what is for everyone; no topics: all. Messages to oneself come in any case.
  hear(topics) {
    this.#topics = topics;
    if (this.#socket?.state !== 'online') return; // it will be told when it opens
    this.#socket.write({ packet_action: 'leave', channel: this.name });
    this.consume(this.#socket);
  }

  async consume(socket) {
    try {
      await socket.ask({ packet_action: 'consume', channel: this.name, consume_target: this.#topics });
      if (socket === this.#socket) this.onready();
    } catch (error) {
      // A connection lost in between consumes again when it is back.
      if (socket === this.#socket && socket.state === 'online') this.onerror(error);
    }
  }
}

export class Link {
  onstate = () => {};   // ([{channels, state}]): the sockets as they are now
  onwelcome = () => {}; // (event): {client, session, …}
  onerror = () => {};   // (error): about something that nobody waits for
  #sockets = [];
  #channels;
  #query;

  constructor(channels, secret) {
    this.#channels = new Map(channels.map((name) => [name, new Channel(this, name)]));
    this.#query = '&hello=1&resume=' + encodeURIComponent(secret);
  }

  channel(name) { return this.#channels.get(name); }
  socketOf(name) { return this.#sockets.find(({ channels }) => channels.includes(name)); }

  // Opens one socket for all channels, or one bound to each of them, and retires what was open before.
  open(separate) {
    const before = this.#sockets;
    const names = [...this.#channels.keys()];
    this.#sockets = separate ? names.map((name) => this.#connect([name], '&channel=' + name)) : [this.#connect(names, '')];
    for (const socket of before) socket.retire();
    this.#tellState();
  }

  #connect(names, binding) {
    return new Socket(names, {
      query: this.#query + binding,
      onopen: (socket) => { for (const name of names) this.#channels.get(name).consume(socket); },
      ondata: (data) => this.#take(data),
      onstate: () => this.#tellState(),
    });
  }

  #tellState() { this.onstate(this.#sockets.map(({ channels, state }) => ({ channels, state }))); }

  #take(data) {
    if (data.event === 'message') this.#channels.get(data.channel)?.onmessage(data);
    else if (data.event === 'welcome') this.onwelcome(data);
    else if (data.event === 'error') this.onerror(new RequestError(data.error));
  }
}
