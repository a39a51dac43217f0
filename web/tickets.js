// The list of tickets, kept up to date by what the service tells everyone, and one ticket with all that can be done to it.
import { badge, byId, complaints, make } from './dom.js';
import { newId } from './link.js';

const notice_ms = 1000;
const again_ms = 3000;
const number = (id) => Number(id.replace(/\D+/g, ''));
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const verbs = { opened: 'was opened', assigned: 'was assigned', commented: 'has a new comment', closed: 'was closed' };
const care = ({ assignee }) => (assignee ? assignee + ' looks after it' : 'nobody looks after it yet');

export class Tickets {
  #channel;
  #people;
  #onnews;
  #wrong = complaints(byId('tickets-error'));
  #tickets = new Map(); // id → ticket; those of the list come without comments
  #rows = new Map();    // id → the item of the list
  #open = null;         // the id of the ticket that is looked at
  #filter = 'open';
  #tried = new Map();   // by form: the id and content of what did not work, to be tried again as the same message

  constructor(channel, people, onnews) {
    this.#channel = channel;
    this.#people = people;
    this.#onnews = onnews;
    channel.on('message', ({ type, message }) => { if (verbs[type]) this.#hear(type, message); });
    channel.on('ready', () => this.#refresh());
    channel.on('gap', () => this.#refresh());
    channel.on('error', this.#wrong.show);
    // What a page before this one has asked for.
    channel.on('outcome', ({ error }) => { if (error) this.#wrong.show(error); });
    this.#listenToList();
    this.#listenToTicket();
    channel.hear([]);
  }

  #listenToList() {
    byId('ticket-list').addEventListener('click', ({ target }) => {
      const button = target.closest('button');
      if (button) this.#look(button.value);
    });
    byId('filter').addEventListener('change', ({ target }) => {
      this.#filter = target.value;
      this.#showList();
    });
    const form = byId('ticket-form');
    const unfold = (yes) => {
      form.hidden = !yes;
      byId('new-ticket').setAttribute('aria-expanded', String(yes));
      (yes ? byId('title') : byId('new-ticket')).focus();
    };
    byId('new-ticket').addEventListener('click', () => {
      if (this.#open) this.#leave();
      unfold(form.hidden);
    });
    byId('ticket-cancel').addEventListener('click', () => unfold(false));
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const text = byId('description').value.trim();
      const wish = { title: byId('title').value.trim(), name: this.#people.name, ...(text && { text }) };
      if (!await this.#change(form, 'open', wish)) return;
      form.reset();
      unfold(false);
    });
  }

  // The forms of the ticket that is looked at: what was typed stays until it has worked.
  #listenToTicket() {
    byId('ticket-back').addEventListener('click', () => this.#leave());
    const change = (id, type, message) => byId(id).addEventListener('submit', async (event) => {
      event.preventDefault();
      const done = await this.#change(event.target, type, { id: this.#open, ...message() });
      if (done && done.id === this.#open) event.target.reset();
    });
    change('assign-form', 'assign', () => ({ to: byId('assignee').value.trim() || this.#people.name }));
    change('comment-form', 'comment', () => ({ text: byId('comment').value.trim(), name: this.#people.name }));
    change('close-form', 'close', () => ({}));
  }

  // The same again, after it went wrong, is the same message: it is done once.
  async #change(form, type, message) {
    const content = JSON.stringify([type, message]);
    const before = this.#tried.get(form);
    if (before?.underWay) return false;
    const one = { content, id: before?.content === content ? before.id : newId(), underWay: true };
    this.#tried.set(form, one);
    const waits = setTimeout(() => { byId('tickets-wait').hidden = false; }, notice_ms);
    const ticket = await this.#ask(type, message, one.id);
    clearTimeout(waits);
    byId('tickets-wait').hidden = true;
    one.underWay = false;
    if (ticket) this.#tried.delete(form);
    return ticket;
  }

  // Asks the service; the answer to all that changes a ticket is the ticket. False: it was told what went wrong.
  async #ask(type, message, id = newId()) {
    this.#wrong.clear();
    try {
      const { ticket } = await this.#channel.request(type, message, { id });
      this.#keep(ticket);
      this.#show();
      return ticket;
    } catch (error) {
      this.#wrong.show(error);
      return false;
    }
  }

  async #refresh() {
    try {
      const answer = await this.#channel.request('list', {});
      this.#wrong.clear();
      answer.tickets.forEach((ticket) => this.#keep(ticket));
      this.#show();
      if (this.#open) await this.#ask('get', { id: this.#open });
    } catch (error) {
      this.#wrong.show(error);
      if (error.retryable) setTimeout(() => this.#refresh(), again_ms);
    }
  }

  #hear(type, { ticket, by = ticket.opened_by }) {
    this.#keep(ticket);
    this.#show();
    if (by === this.#people.client) return;
    byId('news').textContent = `Ticket ${ticket.id}, ${ticket.title}, ${verbs[type]}.`;
    const row = this.#rows.get(ticket.id);
    row?.classList.remove('fresh');
    requestAnimationFrame(() => row?.classList.add('fresh'));
    this.#onnews();
  }

  // An answer can be older than what was told meanwhile; but nothing opens a closed ticket again or removes a comment.
  #keep(ticket) {
    const known = this.#tickets.get(ticket.id);
    const fuller = (ticket.comments?.length ?? -1) >= (known?.comments?.length ?? -1);
    this.#tickets.set(ticket.id, {
      ...ticket,
      comments: fuller ? ticket.comments : known.comments,
      state: known?.state === 'closed' ? 'closed' : ticket.state,
    });
  }

  #look(id) {
    this.#open = id;
    byId('comments').replaceChildren();
    byId('assignee').value = '';
    byId('comment').value = '';
    this.#showTicket();
    byId('ticket-title').focus();
    this.#ask('get', { id });
  }

  #leave() {
    const row = this.#rows.get(this.#open);
    this.#open = null;
    this.#wrong.clear();
    this.#showTicket();
    (row?.isConnected ? row.firstElementChild : byId('new-ticket')).focus();
  }

  #openerOf({ opened_by, name }) {
    return opened_by === this.#people.client ? 'you' : name || this.#people.nameOf(opened_by);
  }

  #show() {
    this.#showList();
    this.#showTicket();
  }

  #showList() {
    const wanted = [...this.#tickets.values()]
      .filter(({ state }) => this.#filter === 'all' || state === this.#filter)
      .sort((a, b) => number(b.id) - number(a.id));
    const list = byId('ticket-list');
    wanted.forEach((ticket, i) => {
      const row = this.#showRow(ticket);
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
    });
    while (list.children.length > wanted.length) list.lastElementChild.remove();
    const none = byId('no-tickets');
    none.hidden = wanted.length > 0;
    none.textContent = this.#filter === 'closed' ? 'No ticket has been closed yet.' : 'No ticket is open. All calm.';
  }

  // Items stay the same elements, so that the focus stays where it is.
  #showRow(ticket) {
    let row = this.#rows.get(ticket.id);
    if (!row) {
      row = make('li', { className: 'ticket' }, make('button', { type: 'button', value: ticket.id }));
      this.#rows.set(ticket.id, row);
    }
    row.dataset.state = ticket.state;
    row.firstElementChild.replaceChildren(
      make('span', { className: 'id', text: ticket.id }),
      make('strong', { text: ticket.title }),
      make('span', { className: 'mark', text: ticket.state }),
      make('span', { className: 'about', text: care(ticket) + ' · opened by ' + this.#openerOf(ticket) }));
    return row;
  }

  #showTicket() {
    const ticket = this.#tickets.get(this.#open);
    const article = byId('ticket');
    byId('tickets').classList.toggle('looking', ticket !== undefined);
    article.hidden = ticket === undefined;
    if (!ticket) return;
    const closed = ticket.state === 'closed';
    article.dataset.state = ticket.state;
    byId('ticket-id').textContent = ticket.id;
    byId('ticket-state').textContent = ticket.state;
    byId('ticket-title').textContent = ticket.title;
    byId('ticket-about').textContent = `Opened by ${this.#openerOf(ticket)}; ${care(ticket)}.`;
    const list = byId('comments');
    const comments = ticket.comments ?? [];
    for (const comment of comments.slice(list.children.length)) list.append(this.#commentItem(comment));
    byId('no-comments').hidden = comments.length > 0 || ticket.comments === undefined;
    for (const form of article.querySelectorAll('form')) form.hidden = closed;
    byId('closed-note').hidden = !closed;
  }

  #commentItem({ by, name, text, at }) {
    const who = by === this.#people.client ? 'You' : name || this.#people.nameOf(by);
    return make('li', {}, badge(by, name || '?'), make('span', { className: 'who', text: who }),
      make('time', { dateTime: new Date(at).toISOString(), text: clock.format(at) }), make('p', { text }));
  }
}
