// Writes a steady stream of messages and keeps books on them: what was written, what was answered for, and what was heard
// of it, by the numbers that are in the messages.
import { byId, setText } from './dom.js';
import { newId } from './link.js';

export const room = 'stream';
const every_ms = 200;
const late_ms = 10_000; // answered for so long, heard by nobody, and the connection stood all the time: it is lost
const kept_max = 5000;

export class Books {
  written = 0;
  answered = 0;
  failed = 0;
  repeated = 0;
  longest_ms = 0;
  #open = new Map(); // by number: {written_at, answered_at, failed, heard}; those that are done are forgotten one day

  write(now) {
    this.written += 1;
    this.#open.set(this.written, { written_at: now, heard: 0 });
    for (const [number, one] of this.#open) {
      if (this.#open.size <= kept_max || !one.answered_at || !one.heard) break;
      this.#open.delete(number);
    }
    return this.written;
  }

  answer(number, now) {
    const one = this.#open.get(number);
    one.answered_at = now;
    this.answered += 1;
    this.longest_ms = Math.max(this.longest_ms, now - one.written_at);
  }

  fail(number) {
    this.#open.get(number).failed = true;
    this.failed += 1;
  }

  hear(number) {
    const one = this.#open.get(number);
    if (!one || one.heard > 0) this.repeated += 1; // one that is forgotten was heard
    if (one) one.heard += 1;
  }

  get waiting() { return this.written - this.answered - this.failed; }

  // `connected_at`: since when the connection stands; null: it does not.
  lost(now, connected_at) {
    if (connected_at === null) connected_at = Infinity;
    const late = ({ answered_at, heard }) => answered_at && !heard && now - Math.max(answered_at, connected_at) > late_ms;
    return [...this.#open.values()].filter(late).length;
  }

  // The longest that an answer took, or is taking.
  longest(now) {
    const waits = [...this.#open.values()].filter((one) => !one.answered_at && !one.failed).map((one) => now - one.written_at);
    return waits.reduce((a, b) => Math.max(a, b), this.longest_ms);
  }
}

export class Audit {
  #channel;
  #people;
  #books = new Books();
  #run = newId().slice(0, 8); // tells this page's messages from those of others
  #connected_at = null;
  #timer = null;

  constructor(channel, people) {
    this.#channel = channel;
    this.#people = people;
    channel.on('state', () => { this.#connected_at = channel.online ? this.#connected_at ?? performance.now() : null; });
    if (channel.online) this.#connected_at = performance.now();
    channel.on('message', ({ type, message }) => {
      if (type !== 'said' || message.room !== room) return;
      const [run, number] = message.text.split(' ');
      if (run === this.#run) this.#books.hear(Number(number));
    });
    channel.hearAlso('room.' + room);
    byId('steady').addEventListener('change', ({ target }) => this.#write(target.checked));
    setInterval(() => this.#show(), 500);
  }

  #write(yes) {
    clearInterval(this.#timer);
    if (yes) this.#timer = setInterval(() => this.#writeOne(), every_ms);
  }

  async #writeOne() {
    const number = this.#books.write(performance.now());
    try {
      await this.#channel.request('say', { room, text: `${this.#run} ${number}`, name: this.#people.name });
      this.#books.answer(number, performance.now());
    } catch {
      this.#books.fail(number);
    }
  }

  #show() {
    const now = performance.now();
    const books = this.#books;
    for (const name of ['written', 'answered', 'waiting', 'failed', 'repeated']) setText(byId(name), String(books[name]));
    setText(byId('lost'), String(books.lost(now, this.#connected_at)));
    setText(byId('longest'), Math.round(books.longest(now)).toLocaleString() + ' ms');
  }
}
