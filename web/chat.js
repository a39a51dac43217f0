// Rooms, what was said in them lately, and whispering to one person.
import { badge, byId, complaints, make } from './dom.js';

const shown_max = 500;
const history_max = 50;
const key = ({ from, name, text }) => JSON.stringify([from, name, text]);

// How many of the last of `a` are the first of `b`: messages carry no number, so two lists that may overlap are joined
// where they agree most.
function overlap(a, b) {
  for (let n = Math.min(a.length, b.length); n > 0; n -= 1)
    if (b.slice(0, n).every((item, i) => item === a[a.length - n + i])) return n;
  return 0;
}

// The list of messages, which stays at its end unless one reads further up.
class Messages {
  #list = byId('messages');
  #following = true;

  constructor() {
    const list = this.#list;
    list.addEventListener('scroll', () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    });
    new ResizeObserver(() => this.#toEnd()).observe(list);
  }

  place(item, ahead = null) {
    this.#list.insertBefore(item, ahead);
    const above = item.previousElementSibling;
    item.classList.toggle('more', above?.dataset.from !== undefined && above.dataset.from === item.dataset.from);
    while (this.#list.children.length > shown_max) this.#list.firstElementChild.remove();
    this.#following ||= item.classList.contains('mine');
    this.#toEnd();
  }

  clear() { this.#list.replaceChildren(); }

  #toEnd() { if (this.#following) this.#list.scrollTop = this.#list.scrollHeight; }
}

export class Chat {
  #channel;
  #people;
  #onnews;
  #wrong = complaints(byId('chat-error'));
  #messages = new Messages();
  #room = sessionStorage.getItem('foz-room') || 'lobby';
  // Keys of what is shown: before the line that says that one is in the room, and after it.
  #before = [];
  #since = [];
  #line = null;
  #entered = 0;

  constructor(channel, people, onnews) {
    this.#channel = channel;
    this.#people = people;
    this.#onnews = onnews;
    channel.onmessage = ({ type, message }) => {
      if (type === 'said' && message.room === this.#room) this.#said(message);
      else if (type === 'whispered') this.#whispered(message);
    };
    channel.onready = () => this.#enter();
    channel.onerror = this.#wrong.show;
    people.addEventListener('change', () => this.#showReceivers());
    this.#listen();
    this.#markRoom();
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
      this.#send(byId('text').value.trim(), byId('to').value);
    });
  }

  #bubble({ from, name, text }, { who = name || this.#people.nameOf(from), direct = false } = {}) {
    const item = make('li', { className: 'message' });
    item.classList.toggle('mine', from === this.#people.client);
    item.classList.toggle('direct', direct);
    item.dataset.from = who + ' ' + from; // several in a row show the name once
    item.append(badge(from, name || '?'), make('span', { className: 'who', text: who }), make('p', { text }));
    return item;
  }

  #said(message) {
    this.#people.meet(message.from, message.name);
    this.#since.push(key(message));
    this.#messages.place(this.#bubble(message));
    if (message.from !== this.#people.client) this.#onnews();
  }

  #whispered(message) {
    this.#people.meet(message.from, message.name);
    const who = this.#people.nameOf(message.from) + ', only to you';
    this.#messages.place(this.#bubble(message, { who, direct: true }));
    this.#onnews();
  }

  // What was said before one came, or while the connection was lost, goes ahead of the line; messages that come
  // meanwhile are shown at once, after it.
  async #enter() {
    const turn = this.#entered += 1;
    const room = this.#room;
    this.#before.push(...this.#since.splice(0));
    const text = this.#line ? 'Connected again.' : `You are in the room “${room}”.`;
    const line = make('li', { className: 'note', text });
    this.#line = line;
    line.dataset.room = room;
    this.#messages.place(line);
    try {
      const { messages } = await this.#channel.ask('history', { room, limit: history_max });
      if (turn !== this.#entered) return;
      const keys = messages.map(key);
      const known = overlap(this.#before, keys);
      const end = keys.length - overlap(keys.slice(known), this.#since);
      for (const message of messages.slice(known, end)) {
        this.#people.meet(message.from, message.name, { earlier: true });
        this.#messages.place(this.#bubble(message), line);
      }
      this.#before.push(...keys.slice(known, end));
      line.dataset.complete = 'true';
    } catch (error) {
      if (turn === this.#entered) this.#wrong.show(error);
    }
  }

  #change(room) {
    if (room === this.#room) return;
    this.#room = room;
    sessionStorage.setItem('foz-room', room);
    this.#messages.clear();
    this.#before = [];
    this.#since = [];
    this.#line = null;
    this.#entered += 1; // an answer about the room before is no longer wanted
    this.#wrong.clear();
    this.#markRoom();
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
    byId('chat-room').textContent = this.#room;
  }

  #showReceivers() {
    const to = byId('to');
    const chosen = to.value;
    to.replaceChildren(to.options[0], ...this.#people.others.map(({ client, distinct }) =>
      make('option', { value: client, text: 'only ' + distinct })));
    to.value = chosen;
  }

  async #send(text, to) {
    if (!text) return;
    const { client, name } = this.#people;
    this.#wrong.clear();
    byId('text').value = '';
    try {
      if (!to) return await this.#channel.ask('say', { room: this.#room, text, name });
      await this.#channel.ask('whisper', { to, text, name });
      const who = 'You, only to ' + this.#people.nameOf(to);
      this.#messages.place(this.#bubble({ from: client, name, text }, { who, direct: true }));
    } catch (error) {
      this.#wrong.show(error);
      if (!byId('text').value) byId('text').value = text; // nothing that was typed is lost
    }
  }
}
