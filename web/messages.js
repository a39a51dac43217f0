// The list of messages: what everyone has heard in the order in which it was heard, and what is still to be sent at its
// end. It stays at its end unless one reads further up.
import { badge, byId, make, setText } from './dom.js';

const shown_max = 500;

const states = {
  sending: 'sending…',
  waiting: 'waiting for the connection',
  sent: 'sent',
  failed: 'not sent',
};

export class Messages {
  #list = byId('messages');
  #following = true;
  #shown = new Map(); // by id: the item

  constructor() {
    const list = this.#list;
    list.addEventListener('scroll', () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    });
    new ResizeObserver(() => this.#toEnd()).observe(list);
  }

  // It has its place among what everyone heard.
  hasHeard(id) { return this.#shown.get(id)?.dataset.heard !== undefined; }

  clear() {
    this.#list.replaceChildren();
    this.#shown.clear();
  }

  // A bubble, at the end of what was heard or `ahead` of something. One that is there already under this id becomes it.
  show(id, { from, name, text, who, mine, direct, heard }, ahead = this.#unsent) {
    const item = this.#shown.get(id) ?? make('li', { className: 'message' },
      badge(from, name || '?'), make('span', { className: 'who', text: who }), make('p', { text }));
    item.classList.toggle('mine', mine);
    item.classList.toggle('direct', Boolean(direct));
    item.dataset.from = who + ' ' + from; // several in a row show the name once
    if (heard) item.dataset.heard = '';
    this.#shown.set(id, item);
    this.#place(item, ahead);
    return item;
  }

  // Of a message of one's own: sending, waiting, sent, or failed. `act`: {label, run}, what can be done about it.
  mark(id, state, { why = '', act } = {}) {
    const item = this.#shown.get(id);
    if (!item || (item.dataset.state === state && state !== 'failed')) return;
    item.dataset.state = state;
    let line = item.querySelector('.fate');
    if (!line) {
      line = make('span', { className: 'fate' }, make('span'));
      line.setAttribute('aria-live', 'off'); // a failure is told elsewhere; the others are to be looked at
      item.append(line);
    }
    setText(line.firstElementChild, states[state] + (why && ': ' + why));
    line.querySelector('button')?.remove();
    if (act) {
      const button = make('button', { type: 'button', text: act.label });
      button.addEventListener('click', act.run);
      line.append(button);
    }
    this.#toEnd();
  }

  remove(id) {
    const item = this.#shown.get(id);
    const next = item?.nextElementSibling;
    item?.remove();
    this.#shown.delete(id);
    if (next) this.#join(next);
  }

  note(text) {
    const item = make('li', { className: 'note', text });
    this.#place(item, this.#unsent);
    return item;
  }

  get #unsent() { return this.#list.querySelector(':is([data-state=sending], [data-state=waiting], [data-state=failed])'); }

  #place(item, ahead) {
    const before = item.nextElementSibling;
    if (item === ahead) ahead = before;
    if (!item.isConnected || before !== ahead) this.#list.insertBefore(item, ahead);
    for (const one of [item, before, item.nextElementSibling]) if (one?.isConnected) this.#join(one);
    while (this.#list.children.length > shown_max) this.#forget(this.#list.firstElementChild);
    this.#following ||= item.classList.contains('mine');
    this.#toEnd();
  }

  #join(item) {
    const above = item.previousElementSibling;
    item.classList.toggle('more', above?.dataset.from !== undefined && above.dataset.from === item.dataset.from);
  }

  #forget(item) {
    for (const [id, one] of this.#shown) if (one === item) this.#shown.delete(id);
    item.remove();
  }

  #toEnd() { if (this.#following) this.#list.scrollTop = this.#list.scrollHeight; }
}
