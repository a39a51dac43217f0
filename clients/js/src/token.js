// The client's token: asked for before each connection, and when the aggregator says that the one in force ends.
import { failure } from './errors.js';

// foz: { primus, settings, emit, nextId(), write(frame) }
export function makeToken(foz) {
  const { settings, emit } = foz;
  const ask = typeof settings.token === 'function' ? settings.token : null;
  let current = ask ? undefined : settings.token; // what the next connection shows
  let asking = null; // a promise of the next one
  let refused; // it was expired when it was shown
  let refreshing = null; // the id of a refresh

  // Resolves when the next token is there, or can't be had: then the one before is shown once more.
  function renew() {
    asking = asking || new Promise((resolve) => { resolve(ask()); })
      .then((token) => { current = token; }, (error) => {
        emit('error', failure('no_token', 'the page gave no token: ' + (error && error.message), { retryable: true }));
      })
      .then(() => { asking = null; });
    return asking;
  }

  // The aggregator has been shown `current` and waits for its successor.
  function refresh(expiresInMs) {
    if (!ask) return;
    const before = current;
    renew().then(() => {
      if (current && current !== before) {
        refreshing = foz.nextId();
        foz.write({ packet_action: 'refresh', id: refreshing, token: current });
      } else if (expiresInMs > 2000) {
        setTimeout(() => foz.primus.readyState === foz.primus.constructor.OPEN && refresh(expiresInMs / 2), expiresInMs / 4);
      }
    });
  }

  return {
    get shown() { return current; },
    // Null: it is known, or there is none.
    beforeFirst: () => (ask ? renew() : null),
    beforeNext: () => ask && renew(),
    onAuth(event) {
      if (event.id === undefined) refresh(event.expires_in_ms);
      else if (event.id === refreshing) refreshing = null;
      emit('auth', event);
    },
    // True: it was our refresh that failed; the old token is still in force.
    onError(error) {
      if (error.id !== refreshing || refreshing === null) return false;
      refreshing = null;
      emit('error', failure(error.code, error.message, error));
      return true;
    },
    // The socket was closed since the token had expired. True: there may be another one, and it is worth coming back.
    mayRenew() {
      if (!ask || refused === current) return false;
      refused = current;
      return true;
    },
  };
}
