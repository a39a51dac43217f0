// Questions to the guide, whose answers come word by word. Its worker may be killed in the middle: another one goes on
// where it was ("tell"), or begins again, and what was read so far is void ("improvise").
import { byId, complaints, make, setText } from './dom.js';
import { Problem } from './link.js';

const tales_max = 20;

export class Guide {
  #channel;
  #wrong = complaints(byId('guide-error'));
  #stream = null; // the answer that is coming

  constructor(channel, onready) {
    this.#channel = channel;
    channel.on('ready', onready); // never where there is no such channel
    channel.on('error', this.#wrong.show);
    byId('guide-form').addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#stream) this.#ask(byId('about').value.trim(), event.target.elements.how.value);
    });
    byId('guide-stop').addEventListener('click', () => this.#stream?.cancel());
    channel.hear([]);
  }

  async #ask(about, how) {
    this.#wrong.clear();
    const tale = this.#begin(about);
    const stream = this.#become(this.#channel.stream(how, { about }));
    let words = 0;
    let attempt = 1;
    try {
      for await (const part of stream) {
        if (part.restart) {
          words = 0;
          tale.text.textContent = '';
        }
        if (part.attempt > attempt) this.#note(tale, part.restart ? 'begun again' : 'another worker went on');
        attempt = part.attempt;
        words += 1;
        this.#follow(() => {
          tale.text.append(words > 1 ? ' ' : '', part.message.word);
          setText(tale.count, words === 1 ? '1 word…' : words + ' words…');
        });
      }
      const answer = await stream.answer;
      setText(tale.state, `All ${answer.words} words.`);
      tale.item.dataset.state = answer.words === words ? 'whole' : 'broken';
    } catch (error) {
      const stopped = error.code === 'cancelled';
      setText(tale.state, stopped ? 'Stopped.' : '');
      tale.item.dataset.state = stopped ? 'stopped' : 'broken';
      if (!stopped) this.#wrong.show(new Problem(error));
    }
    tale.count.remove();
    this.#become(null);
  }

  // The list stays at its end unless one reads further up.
  #follow(change) {
    const list = byId('tales');
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    change();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #become(stream) {
    this.#stream = stream;
    byId('guide-stop').hidden = stream === null;
    byId('guide-ask').hidden = stream !== null;
    if (stream) byId('guide-stop').focus();
    else if (document.activeElement === document.body) byId('about').focus();
    return stream;
  }

  // The item, and in it: the text, what happened to it, how far it is, how it ended.
  #begin(about) {
    const text = make('p', { className: 'text' });
    const [notes, count, state] = ['notes', 'count', 'state'].map((className) => make('span', { className }));
    for (const told of [notes, state]) told.setAttribute('role', 'status'); // not at every word
    const item = make('li', { className: 'tale' }, make('h3', { text: about }), text, make('p', { className: 'about' }, notes, count, state));
    setText(count, 'asked…');
    item.dataset.state = 'coming';
    const list = byId('tales');
    list.append(item);
    while (list.children.length > tales_max) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
    return { item, text, notes, count, state };
  }

  #note({ notes }, text) { notes.append(make('span', { className: 'mark', text })); }
}
