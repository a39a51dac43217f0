// What ./run has started, to be killed. The page is told where its panel is in run.json; without one there is no section.
import { byId, complaints, make, setText } from './dom.js';

const words = { running: 'running', starting: 'starting…', down: 'down' };
const refusals = { 404: 'There is no such process any more.', 409: 'This one is not running at the moment.' };

export class Panel {
  #where;
  #token;
  #wrong = complaints(byId('panel-error'));
  #rows = new Map();
  #onshow;

  constructor({ panel, token }, onshow) {
    this.#where = panel;
    this.#token = token;
    this.#onshow = onshow;
    byId('processes').addEventListener('click', ({ target }) => {
      if (target.value) this.#order('kill', { name: target.value }, `${target.value} was killed.`);
    });
    byId('poison').addEventListener('click', () =>
      this.#order('poison', {}, 'A message was sent that kills whoever handles it. After some attempts it is put aside.'));
    byId('slow').addEventListener('click', () =>
      this.#order('slow', { seconds: 20 }, 'A client was started that reads nothing for 20 s. Nobody else waits for it.'));
    this.#begin();
  }

  async #begin() {
    const answer = await this.#fetch('state').catch(() => null);
    if (!answer?.ok) return; // another machine's, or an older run's
    this.#show(await answer.json());
    this.#onshow();
    const events = new EventSource(`${this.#where}/events?token=${encodeURIComponent(this.#token)}`);
    events.onmessage = ({ data }) => {
      this.#wrong.clear();
      this.#show(JSON.parse(data));
    };
    events.onerror = () => this.#wrong.show(new Error('./run does not answer: what is shown here may be old.'));
  }

  #fetch(path, options) {
    const headers = { 'foz-panel-token': this.#token, 'content-type': 'application/json' };
    return fetch(`${this.#where}/${path}`, { ...options, headers });
  }

  async #order(path, what, done) {
    this.#wrong.clear();
    try {
      const { ok, status } = await this.#fetch(path, { method: 'POST', body: JSON.stringify(what) });
      if (!ok) throw new Error(refusals[status] ?? `./run has refused this (${status}).`);
      byId('panel-news').textContent = done;
    } catch (error) {
      this.#wrong.show(error);
    }
  }

  // Items stay the same elements, so that the focus stays where it is.
  #show({ processes }) {
    for (const one of processes) this.#showRow(one);
    for (const [name, row] of this.#rows) {
      if (processes.some((one) => one.name === name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
  }

  #showRow({ name, kind, state, restarts, down_ms }) {
    let row = this.#rows.get(name);
    if (!row) {
      row = make('li', {}, make('span', { className: 'who', text: name }), make('span', { className: 'about' }),
        make('span', { className: 'process-state' }), make('button', { type: 'button', className: 'stop', value: name, text: 'Kill' }));
      row.lastElementChild.setAttribute('aria-label', 'Kill ' + name);
      this.#rows.set(name, row);
      byId('processes').append(row);
    }
    const [, about, shown, button] = row.children;
    row.dataset.state = state;
    const past = restarts > 0 ? [`${restarts} restart${restarts > 1 ? 's' : ''}`, down_ms && `down ${(down_ms / 1000).toFixed(1)} s`] : [];
    setText(about, [kind, ...past].filter(Boolean).join(' · '));
    setText(shown, words[state] ?? state);
    button.setAttribute('aria-disabled', String(state !== 'running'));
  }
}
