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
  #met = new Map(); // client id → name; who was heard last is last

  get name() { return this.#name; }
  set name(name) {
    this.#name = name.trim() || 'Guest';
    sessionStorage.setItem('foz-name', this.#name);
  }

  // [client id, name, name that tells people of one name apart], who was heard last comes first. That someone was heard
  // does not mean that they are still there.
  get others() {
    const all = [...this.#met.keys()].filter((client) => client !== this.client).reverse();
    const names = all.map((client) => this.nameOf(client));
    return all.map((client, i) => {
      const shared = names.some((name, j) => j !== i && name === names[i]);
      return [client, names[i], shared ? `${names[i]} (${client.slice(-6)})` : names[i]];
    });
  }

  meet(client, name) {
    if (!client || client === this.client) return;
    const known = this.#met.get(client);
    if (known !== undefined && (!name || known === name) && client === [...this.#met.keys()].at(-1)) return;
    this.#met.delete(client);
    this.#met.set(client, name || known || '');
    this.dispatchEvent(new Event('change'));
  }

  nameOf(client) {
    if (client === this.client) return 'you';
    return this.#met.get(client) || 'someone (' + client.slice(-6) + ')';
  }
}
