// Rooms, what was said in them lately, and whispering to one person. A message has one id from the click on: its bubble,
// its echo, its place in the history and every attempt to send it are the same message.
import { byId, complaints, kept, make } from './dom.js';
import { newId } from './link.js';
import { Messages } from './messages.js';

const history_max = 50;
const again_ms = 3000;
const stored = 'foz-written';

export class Chat {
  #channel;
  #people;
  #onnews;
  #wrong = complaints(byId('chat-error'));
  #messages = new Messages();
  #room = sessionStorage.getItem('foz-room') || 'lobby';
  // What this page has written and nobody has confirmed, by id: {type, message, problem: {text, retryable}}. It is in the
  // session's storage too; the plugin has there what it still sends.
  #written = new Map(kept(sessionStorage, stored, []));
  #sending = new Set(); // ids of which the outcome is awaited
  #line = null;         // in the list: what is ahead of it was said before one came

  constructor(channel, people, onnews) {
    this.#channel = channel;
    this.#people = people;
    this.#onnews = onnews;
    channel.on('message', (event) => this.#hear(event));
    channel.on('ready', () => {
      for (const id of this.#written.keys()) if (!this.#sending.has(id) && !this.#written.get(id).problem) this.#send(id);
      if (!this.#line?.isConnected) this.#enter(`You are in the room “${this.#room}”.`);
    });
    channel.on('gap', () => this.#enter('Something may be missing above.'));
    channel.on('state', () => this.#showFates());
    channel.on('error', this.#wrong.show);
    channel.on('restored', ({ id }) => this.#sending.add(id));
    channel.on('outcome', ({ id, error }) => this.#settle(id, error));
    people.addEventListener('change', () => this.#showReceivers());
    this.#listen();
    this.#markRoom();
    this.#showWritten();
    channel.hear(['room.' + this.#room]);
  }

  #listen() {
    byId('rooms').addEventListener('click', ({ target }) => { if (target.value) this.#change(target.value); });
    byId('room-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#change(byId('room').value);
      byId('room').value = '';
    });
    byId('to').addEventListener('change', ({ target }) => {
      target.closest('form').classList.toggle('direct', target.value !== '');
    });
    byId('say').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = byId('text').value.trim();
      if (text) this.#write(text, byId('to').value);
    });
  }

  // What one writes oneself.

  #write(text, to) {
    const { name } = this.#people;
    const id = newId();
    this.#wrong.clear();
    byId('text').value = '';
    this.#written.set(id, to ? { type: 'whisper', message: { to, text, name } }
      : { type: 'say', message: { room: this.#room, text, name } });
    this.#showBubble(id);
    this.#send(id);
  }

  // Also once more: under the same id, so that it is said once.
  async #send(id) {
    const { type, message } = this.#written.get(id);
    delete this.#written.get(id).problem;
    this.#keep();
    this.#sending.add(id);
    this.#showFate(id);
    try {
      await this.#channel.request(type, message, { id });
      this.#settle(id);
    } catch (problem) {
      if (problem.code !== 'duplicate_id') this.#settle(id, problem); // it is on its way already
    }
  }

  #settle(id, problem) {
    this.#sending.delete(id);
    const one = this.#written.get(id);
    if (!one) return; // its echo has come first
    if (problem) {
      one.problem = { text: problem.message, retryable: problem.retryable };
      byId('fate').textContent = 'Your message was not sent: ' + problem.message;
    } else {
      this.#written.delete(id);
    }
    this.#keep();
    this.#showFate(id);
  }

  #keep() {
    try { sessionStorage.setItem(stored, JSON.stringify([...this.#written])); } catch { /* full: a reload would lose them */ }
  }

  #edit(id) {
    byId('text').value = this.#written.get(id).message.text;
    byId('text').focus();
    this.#written.delete(id);
    this.#keep();
    this.#messages.remove(id);
  }

  #showBubble(id) {
    const { type, message: { to, room, text, name } } = this.#written.get(id);
    if (type === 'say' && room !== this.#room) return;
    const who = to ? 'You, only to ' + this.#people.nameOf(to) : 'you';
    this.#messages.show(id, { from: this.#people.client, name, text, who, mine: true, direct: to }, null);
  }

  // Bubbles of this room that are not sent, of this page or of the one before it.
  #showWritten() {
    for (const id of this.#written.keys()) {
      this.#showBubble(id);
      this.#showFate(id);
    }
  }

  #showFates() { for (const id of this.#written.keys()) this.#showFate(id); }

  #showFate(id) {
    const one = this.#written.get(id);
    if (!one) return this.#messages.mark(id, 'sent');
    if (!one.problem) return this.#messages.mark(id, this.#channel.online ? 'sending' : 'waiting');
    const act = one.problem.retryable ? { label: 'Retry', run: () => { this.#wrong.clear(); this.#send(id); byId('text').focus(); } }
      : { label: 'Edit', run: () => this.#edit(id) };
    return this.#messages.mark(id, 'failed', { why: one.problem.text, act });
  }

  // What is heard.

  #hear({ type, id, message }) {
    if (type === 'said' && message.room === this.#room) this.#said(id, message);
    else if (type === 'said') this.#settleEcho(id);
    else if (type === 'whispered') this.#whispered(id, message);
  }

  // The id that this page has given to the message: others hear it as <client>/<id>/<ordinal>.
  #ownId(id) {
    const { client } = this.#people;
    return client && id?.startsWith(client + '/') ? id.slice(client.length + 1, id.lastIndexOf('/')) : id;
  }

  #settleEcho(id) {
    const own = this.#ownId(id);
    if (this.#written.has(own)) this.#settle(own);
    return own;
  }

  // `ahead`: of what it is placed when it was said earlier.
  #said(heard, message, ahead) {
    const id = this.#settleEcho(heard);
    const { from, name, text } = message;
    const mine = from === this.#people.client;
    if (!mine) this.#people.note(from, name);
    if (this.#messages.hasHeard(id)) return;
    const who = mine ? 'you' : name || this.#people.nameOf(from);
    this.#messages.show(id, { from, name, text, who, mine, heard: true }, ahead);
    if (!mine && ahead === undefined) this.#onnews();
  }

  #whispered(id, { from, name, text }) {
    if (this.#messages.hasHeard(id)) return;
    this.#people.note(from, name);
    const who = (name || this.#people.nameOf(from)) + ', only to you';
    this.#messages.show(id, { from, name, text, who, mine: false, direct: true, heard: true });
    this.#onnews();
  }

  // What was said before one came, or was missed, goes ahead of the line; what comes meanwhile is shown at once, after it.
  #enter(text) {
    this.#line = this.#messages.note(text);
    this.#line.dataset.room = this.#room;
    this.#fetchHistory(this.#line);
  }

  async #fetchHistory(line) {
    if (!line.isConnected) return; // one is in another room by now
    try {
      const { messages, ids } = await this.#channel.request('history', { room: line.dataset.room, limit: history_max });
      if (!line.isConnected) return;
      messages.forEach((message, i) => this.#said(ids[i], message, line));
      line.dataset.complete = 'true';
      this.#wrong.clear();
    } catch (problem) {
      if (!line.isConnected) return;
      this.#wrong.show(problem);
      if (problem.retryable) setTimeout(() => this.#fetchHistory(line), again_ms);
    }
  }

  #change(room) {
    if (room === this.#room) return;
    this.#room = room;
    sessionStorage.setItem('foz-room', room);
    this.#messages.clear();
    this.#wrong.clear();
    this.#markRoom();
    this.#showWritten();
    this.#channel.hear(['room.' + room]);
  }

  #markRoom() {
    const known = [...byId('rooms').querySelectorAll('button')];
    if (!known.some((button) => button.value === this.#room)) {
      const added = make('button', { type: 'button', value: this.#room, text: this.#room });
      byId('rooms').append(added);
      known.push(added);
    }
    for (const button of known) button.setAttribute('aria-pressed', String(button.value === this.#room));
    known.find((button) => button.value === this.#room).scrollIntoView({ block: 'nearest', inline: 'nearest' });
    byId('chat-room').textContent = this.#room;
  }

  #showReceivers() {
    const to = byId('to');
    const chosen = to.value;
    const others = this.#people.others.map(({ client, distinct }) => make('option', { value: client, text: 'only ' + distinct }));
    // Whoever was chosen and has gone stays chosen: a whisper must not become a shout.
    if (chosen && !others.some(({ value }) => value === chosen))
      others.push(make('option', { value: chosen, text: 'only ' + this.#people.nameOf(chosen) + ', who has left' }));
    to.replaceChildren(to.options[0], ...others);
    to.value = chosen;
  }
}
