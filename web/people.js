// Who this page is, and whom it has heard of.

// Each tab is a client of its own: a secret of 128 bits that lives as long as the tab. The aggregator derives the
// client's id from it, so a reload or a reconnect is the same client.
export function resumeSecret() {
  let kept = sessionStorage.getItem('foz-resume');
  if (!kept) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    kept = btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
    sessionStorage.setItem('foz-resume', kept);
  }
  return kept;
}

// Dispatches "change" when someone is met or has changed the name.
export class People extends EventTarget {
  client = ''; // my id; the aggregator tells it
  #name = sessionStorage.getItem('foz-name') || 'Guest ' + Math.floor(100 + Math.random() * 900);
  #met = new Map(); // client id → name

  get name() { return this.#name; }
  set name(name) {
    this.#name = name.trim() || 'Guest';
    sessionStorage.setItem('foz-name', this.#name);
  }

  get others() { return [...this.#met].filter(([client]) => client !== this.client); }

  meet(client, name) {
    if (!client || client === this.client || (this.#met.has(client) && (!name || this.#met.get(client) === name))) return;
    this.#met.set(client, name || '');
    this.dispatchEvent(new Event('change'));
  }

  nameOf(client) {
    if (client === this.client) return 'you';
    return this.#met.get(client) || 'someone (' + client.slice(-6) + ')';
  }
}
