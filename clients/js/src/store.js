// What outlives the page, when the page gives a storage: the secret, the outbox, and, if wanted, positions. Each page (tab)
// has a box of its own, foz.box.<tab>, and its messages beside it, foz.msg.<tab>.<number>. A box whose page has gone is
// adopted by another page of the same client: under a lock where the browser has them, otherwise by a lease. Two pages that
// take one box by mistake get one outcome for each message, since a message keeps its id.
import { failure } from './errors.js';
import { randomSecret } from './tools.js';

const leaseMs = 15000;
const leaseSettlesMs = 100;
const resumeKey = 'foz.resume';
const boxKey = (name) => 'foz.box.' + name;
const messagePrefix = (name) => 'foz.msg.' + name + '.';

// foz: { settings, emit, me(), resume(), hasRoom(octets), knows(id) }
export function makeStore(foz) {
  const { storage } = foz.settings;
  const keep = Object.assign({ resume: true, outbox: true, positions: false }, foz.settings.keep);
  const locks = foz.settings.locks === undefined ? globalThis.navigator && globalThis.navigator.locks : foz.settings.locks;
  const boxes = Boolean(storage && storage.removeItem && (keep.outbox || keep.positions));
  const tab = randomSecret(9);
  const mine = new Map(); // names of boxes, this page's and adopted ones: { found, unlock }
  const positions = {}; // of this page
  const restored = {}; // of the page before it
  let count = 0;
  let lease = null;
  let later = null; // until positions are written

  const failed = (reason, id) => failure('storage_failed', 'the storage has failed: ' + (reason && reason.message), { id });

  // Returns an error when the storage refuses at once; what it refuses later is told.
  function put(key, value, id) {
    try {
      const result = storage.setItem(key, JSON.stringify(value));
      if (result && result.catch) result.catch((reason) => foz.emit('error', failed(reason, id)));
      return null;
    } catch (reason) {
      return failed(reason, id);
    }
  }

  function drop(key) {
    try {
      const result = storage.removeItem(key);
      if (result && result.catch) result.catch(() => {});
    } catch { /* it will be sent again, and get the same outcome */ }
  }

  async function get(key) {
    try { return JSON.parse(await storage.getItem(key)); } catch { return null; }
  }

  async function keysWith(prefix) {
    const all = typeof storage.keys === 'function' ? [...await storage.keys()]
      : Array.from({ length: storage.length }, (_, i) => storage.key(i));
    return all.filter((key) => key.startsWith(prefix)).sort();
  }

  // `until`: the lease. `at`: the newest box has the positions.
  function describe(until) {
    for (const [name, { found }] of mine) {
      const own = { client: foz.me(), resume: foz.resume() || '', positions };
      put(boxKey(name), Object.assign({}, found || own, { at: Date.now(), until, page: tab }));
    }
  }
  const renew = () => describe(Date.now() + leaseMs);

  function open() {
    if (mine.has(tab)) return;
    const box = { found: null, unlock: null };
    mine.set(tab, box);
    if (locks) locks.request(boxKey(tab), () => new Promise((resolve) => { box.unlock = resolve; })).catch(() => {});
    renew();
    lease = setInterval(renew, leaseMs / 3);
    if (lease.unref) lease.unref();
    if (typeof globalThis.addEventListener !== 'function') return;
    globalThis.addEventListener('pagehide', () => describe(0));
    globalThis.addEventListener('pageshow', renew);
  }

  // Resolves with the function that gives it back, or with null when its page is alive.
  function lock(name) {
    return new Promise((resolve) => {
      locks.request(boxKey(name), { ifAvailable: true }, (granted) => {
        if (!granted) return resolve(null);
        return new Promise((unlock) => { resolve(unlock); });
      }).catch(() => resolve(null));
    });
  }

  async function leaseOf(name, found) {
    if (found.until > Date.now()) return null;
    put(boxKey(name), Object.assign({}, found, { until: Date.now() + leaseMs, page: tab }));
    await new Promise((resolve) => { setTimeout(resolve, leaseSettlesMs); });
    const now = await get(boxKey(name));
    return now && now.page === tab ? () => {} : null;
  }

  async function adopt(name) {
    const found = await get(boxKey(name));
    const ours = found && (found.client ? found.client === foz.me() : found.resume === (foz.resume() || ''));
    if (!ours) return null;
    const unlock = await (locks ? lock(name) : leaseOf(name, found));
    if (!unlock) return null;
    mine.set(name, { found, unlock });
    return found;
  }

  // The messages of a box that we don't have yet, as far as there is room.
  async function take(name, into) {
    const keys = await keysWith(messagePrefix(name));
    for (const key of keys) {
      const message = await get(key);
      if (!message || foz.knows(message.id) || into.some((one) => one.id === message.id)) continue;
      message.bytes = JSON.stringify(message.frame).length;
      if (!foz.hasRoom(into.reduce((sum, one) => sum + one.bytes, message.bytes), into.length)) return;
      into.push(Object.assign(message, { stored: key }));
    }
    if (keys.length > 0) return;
    mine.get(name).unlock();
    mine.delete(name);
    drop(boxKey(name));
  }

  async function adoptAll(withPositions) {
    const messages = [];
    let newest = null;
    open();
    for (const key of await keysWith(boxKey(''))) {
      const name = key.slice(boxKey('').length);
      if (name === tab) continue;
      const found = mine.has(name) ? null : await adopt(name);
      if (found && (!newest || found.at > newest.at)) newest = found;
      if (mine.has(name)) await take(name, messages);
    }
    if (withPositions && keep.positions && newest) Object.assign(restored, newest.positions);
    return messages;
  }

  return {
    boxes,
    // The secret that says who we are, a promise of it, or null.
    secret() {
      try { return storage && keep.resume ? storage.getItem(resumeKey) : null; } catch { return null; }
    },
    keepSecret(secret) {
      if (!storage || !keep.resume) return;
      try {
        const result = storage.setItem(resumeKey, secret);
        if (result && result.catch) result.catch(() => {});
      } catch { /* a new client after the next load */ }
    },
    // Of an entry of the outbox. Returns an error when there is no room.
    save(entry) {
      if (!boxes || !keep.outbox) return null;
      open();
      count += 1;
      entry.stored = messagePrefix(tab) + String(count).padStart(12, '0');
      const { id, frame, client } = entry;
      const error = put(entry.stored, { id, frame, client, at: Date.now(), streams: Boolean(entry.stream) }, id);
      return error && failure('outbox_full', error.message, { id, retryable: true });
    },
    remove(entry) {
      if (entry.stored) drop(entry.stored);
    },
    notePosition(channel, position) {
      if (!boxes || !keep.positions) return;
      positions[channel] = position;
      if (later === null) later = setTimeout(() => {
        later = null;
        open();
        renew();
      }, 500);
    },
    takePosition(channel) {
      const position = restored[channel] || null;
      delete restored[channel];
      return position;
    },
    // What pages of this client have left behind.
    adoptAll: (withPositions) => adoptAll(withPositions).catch((reason) => {
      foz.emit('error', failed(reason));
      return [];
    }),
    // This page has ended the connection for good: another one may have what is left of it.
    close() {
      clearTimeout(later);
      clearInterval(lease);
      describe(0);
      for (const { unlock } of mine.values()) if (unlock) unlock();
      mine.clear();
      later = null;
    },
  };
}
