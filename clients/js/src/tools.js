// Small things that everything else uses.

export function randomSecret(octets) {
  const crypto = globalThis.crypto || require('node:crypto').webcrypto;
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(octets))))
    .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

// A pause that doubles with each failure up to a maximum, spread so that clients don't come back in step.
export function growingPause(failures, first, max) {
  return Math.min(max, first * 2 ** Math.min(failures, 16) * (1 + Math.random()));
}

// Sets and maps that forget their oldest element when they hold too many.
export function forgetOldest(collection, max) {
  if (collection.size > max) collection.delete(collection.keys().next().value);
}

export function makeEvents() {
  const listeners = new Map();
  return {
    emit(name, event) {
      for (const listener of [...listeners.get(name) || []]) listener(event);
    },
    // Returns a function that takes the listener away.
    on(name, listener) {
      if (!listeners.has(name)) listeners.set(name, new Set());
      listeners.get(name).add(listener);
      return () => listeners.get(name).delete(listener);
    },
  };
}
