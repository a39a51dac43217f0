// The river: a drop for each message, from this page to the sea and back, with the time that its answer took. The way is
// the one that index.html draws: CSS moves the drops, see foz.css.
import { byId, make, setText } from './dom.js';

const drops_max = 24; // at once; more are not shown
const still = matchMedia('(prefers-reduced-motion: reduce)');
const signals = ['here', 'who', 'left']; // who is there is asked all the time

const inWords = (ms) => (ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export class River {
  #stream = byId('stream');
  #flowing = 0;

  // `own(event)`: an echo, which is not shown besides the answer.
  constructor(link, own) {
    link.on('flow', ({ channel, direction, ms, event }) => {
      if (event && (signals.includes(event.type) || own(event))) return;
      if (ms !== undefined) setText(byId('pulse'), inWords(ms));
      this.#drop(channel, direction, ms);
    });
  }

  #drop(channel, direction, ms) {
    if (document.hidden || still.matches || this.#flowing >= drops_max || !this.#stream.checkVisibility()) return;
    const drop = make('span', { className: 'drop ' + direction }, make('i'));
    drop.dataset.channel = channel;
    if (ms !== undefined) drop.firstElementChild.dataset.ms = inWords(ms);
    this.#flowing += 1;
    // Its own animation, which lasts longer than that of the <i> in it.
    drop.addEventListener('animationend', ({ target }) => { if (target === drop) this.#end(drop); });
    drop.addEventListener('animationcancel', ({ target }) => { if (target === drop) this.#end(drop); });
    this.#stream.append(drop);
  }

  #end(drop) {
    if (!drop.isConnected) return;
    drop.remove();
    this.#flowing -= 1;
  }
}
