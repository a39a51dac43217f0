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

// Dispatches "change" when someone is met, has changed the name, or has come to the front.
export class People extends EventTarget {
  client = ''; // my id; the aggregator tells it
  #name = sessionStorage.getItem('foz-name') || 'Guest ' + Math.floor(100 + Math.random() * 900);
  #met = new Map(); // client id → {name, earlier}; who was heard last is last

  get name() { return this.#name; }
  set name(name) {
    this.#name = name.trim() || 'Guest';
    sessionStorage.setItem('foz-name', this.#name);
  }

  // {client, name, distinct: a name that tells namesakes apart, earlier: was only read of, and may be gone}; who was
  // heard last comes first.
  get others() {
    const all = [...this.#met].filter(([client]) => client !== this.client).reverse()
      .map(([client, { earlier }]) => ({ client, name: this.nameOf(client), earlier }));
    for (const one of all) {
      const shared = all.some((other) => other !== one && other.name === one.name);
      one.distinct = shared ? `${one.name} (${one.client.slice(-6)})` : one.name;
    }
    return all;
  }

  meet(client, name, { earlier = false } = {}) {
    if (!client || client === this.client) return;
    const known = this.#met.get(client);
    if (earlier && known && !known.earlier) return; // heard since
    this.#met.delete(client);
    this.#met.set(client, { name: name || known?.name || '', earlier });
    this.dispatchEvent(new Event('change'));
  }

  nameOf(client) {
    if (client === this.client) return 'you';
    return this.#met.get(client)?.name || 'someone (' + client.slice(-6) + ')';
  }
}
