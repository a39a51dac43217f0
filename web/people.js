// Who this page is, and who else is there. Nobody's clock is trusted: browsers wake a hidden tab once a minute, but they
// let it answer at once. So somebody asks "who is there?" every few seconds, everyone says "here", and who is silent twice
// is gone. Whose socket closes is gone at once: the voice service is told and tells everyone.

const ask_every_ms = 8000;
const answer_within_ms = 4000;
const silent_max = 2;
const names_max = 500;

// Dispatches "change" when somebody comes, goes, or has another name.
export class People extends EventTarget {
  client = ''; // my id; the aggregator tells it
  #name = sessionStorage.getItem('foz-name') || 'Guest ' + Math.floor(100 + Math.random() * 900);
  #channel;
  #here = new Map();  // by client: how often it was silent when somebody asked
  #names = new Map(); // by client, also of those who have gone
  #asked = 0;         // when somebody's question was heard, the last time
  #tried = 0;         // when this page has asked
  #patience = ask_every_ms * (1 + Math.random() / 4); // so that not everybody asks at once

  constructor(channel) {
    super();
    this.#channel = channel;
    channel.on('message', ({ type, message }) => this.#hear(type, message));
    channel.on('ready', () => this.#begin());
    channel.on('state', () => { if (channel.online) this.#begin(); });
    channel.on('gap', () => this.#forgive());
    setInterval(() => { if (!document.hidden && Date.now() - Math.max(this.#asked, this.#tried) > this.#patience) this.#ask(); }, 1000);
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#ask(); });
  }

  get name() { return this.#name; }
  set name(name) {
    this.#name = name.trim() || 'Guest';
    sessionStorage.setItem('foz-name', this.#name);
    this.#say('here', { name: this.#name });
  }

  // {client, name, distinct: a name that tells namesakes apart}; who has come last is first.
  get others() {
    const all = [...this.#here.keys()].reverse().map((client) => ({ client, name: this.nameOf(client) }));
    for (const one of all) {
      const shared = all.some((other) => other !== one && other.name === one.name);
      one.distinct = shared ? `${one.name} (${one.client.slice(-6)})` : one.name;
    }
    return all;
  }

  nameOf(client) {
    if (client === this.client) return 'you';
    return this.#names.get(client) || 'someone (' + client.slice(-6) + ')';
  }

  // Somebody has told a name.
  note(client, name) {
    if (!name || name === this.#names.get(client)) return;
    this.#names.delete(client);
    this.#names.set(client, name);
    if (this.#names.size > names_max) this.#names.delete(this.#names.keys().next().value);
    if (this.#here.has(client)) this.dispatchEvent(new Event('change'));
  }

  #hear(type, { client, name }) {
    if (type === 'who') this.#roll();
    else if (client === this.client && type === 'left') this.#say('here', { name: this.#name }); // another socket of mine
    else if (client === this.client) return;
    else if (type === 'here') this.#arrive(client, name);
    else if (type === 'left' && this.#here.delete(client)) this.dispatchEvent(new Event('change'));
  }

  #arrive(client, name) {
    const known = this.#here.has(client);
    this.#here.set(client, 0);
    this.note(client, name);
    if (!known) this.dispatchEvent(new Event('change'));
  }

  #begin() {
    this.#forgive();
    this.#say('here', { name: this.#name });
    this.#ask();
  }

  // What was not heard for lack of a connection is nobody's silence.
  #forgive() { for (const client of this.#here.keys()) this.#here.set(client, 0); }

  #ask() {
    this.#tried = Date.now();
    this.#say('who', {});
  }

  // Somebody asks, and it has come through: everyone else hears it too.
  #roll() {
    this.#say('here', { name: this.#name });
    if (Date.now() - this.#asked < answer_within_ms + 2000) return;
    this.#asked = Date.now();
    for (const [client, silent] of this.#here) this.#here.set(client, silent + 1);
    setTimeout(() => this.#dropSilent(), answer_within_ms);
  }

  #dropSilent() {
    if (!this.#channel.online) return;
    const gone = [...this.#here].filter(([, silent]) => silent >= silent_max);
    for (const [client] of gone) this.#here.delete(client);
    if (gone.length > 0) this.dispatchEvent(new Event('change'));
  }

  // When nobody does this work at the moment, it is for the next time.
  #say(type, message) {
    if (!this.#channel.online) return;
    this.#channel.request(type, message, { quiet: true, fail_fast: true, timeout_ms: 5000, expires_ms: 5000 }).catch(() => {});
  }
}
