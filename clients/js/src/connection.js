// The connection: when to come back, when to stay away, and what the page can show of it.
import { failure, staysAway } from './errors.js';
import { growingPause } from './tools.js';

// foz: { primus, options, settings, token, emit, resume(), onClosed(), onEnded(error) }; what has ended may be opened again.
export function makeConnection(foz) {
  const { primus, options, settings } = foz;
  const OPEN = primus.constructor.OPEN;
  const asked = options.reconnect || {}; // what the page has set itself wins
  const spread = () => 200 + Math.random() * 300;
  const ownMin = 'min' in asked && primus.recovery ? primus.recovery.min : null;
  let state = { name: 'waiting', reason: null, next_at: null, attempt: 0 };
  let welcomed = false; // by the aggregator at the other end of this socket
  let refusals = 0; // sockets in a row that were opened and never welcomed
  let notBefore = 0; // when the aggregator wants us back, at the earliest
  let told = null; // the last error that was about the socket itself
  let refused = null; // an error: the server does not want us back
  let ending = false; // Primus closes the socket itself
  let offline = false; // Primus is ending the socket because the browser has lost its network

  function become(name, reason, more) {
    state = Object.assign({ name, reason, next_at: null, attempt: 0 }, more);
    foz.emit('state', state);
  }

  // Primus starts with an empty options.reconnect, gives up after ten attempts, has no maximum, and lets all clients come
  // back after the same 500 ms.
  function planReturn() {
    if (!primus.recovery) return;
    const usual = ownMin === null ? spread() : ownMin;
    const pause = refusals > 1 ? growingPause(refusals - 2, usual, primus.recovery.max) : usual;
    primus.recovery.min = Math.max(pause, notBefore - Date.now());
  }
  if (primus.recovery) {
    if (!('retries' in asked)) primus.recovery.retries = Infinity;
    if (!('max' in asked)) primus.recovery.max = 3000;
    planReturn();
  }

  primus.on('outgoing::url', (url) => {
    const query = ['hello=1'];
    const resume = foz.resume();
    if (resume) query.push('resume=' + resume);
    if (foz.token.shown) query.push('token=' + encodeURIComponent(foz.token.shown));
    url.query = (url.query ? url.query + '&' : '') + query.join('&');
  });

  // Primus does not tell its listeners the close code.
  primus.on('outgoing::open', () => {
    if (state.name === 'refused' || state.name === 'closed') become('waiting', null); // the page has opened it again
    welcomed = ending = false;
    told = refused = null;
    const { socket } = primus;
    if (!socket || !socket.onclose) return;
    const onclose = socket.onclose;
    socket.onclose = (event) => {
      const code = event ? event.code : undefined;
      if (told && told.code === 'expired' && foz.token.mayRenew()) primus.disconnect = false;
      else if (primus.disconnect || staysAway(code)) {
        refused = told || failure('closed', 'the server has closed the connection for good');
        refused.close_code = code;
        primus.disconnect = true; // Primus ends it and does not come back
      }
      onclose(event);
    };
  });

  primus.on('outgoing::end', () => { ending = true; });
  primus.on('close', () => {
    if (!welcomed) refusals += 1;
    welcomed = false;
    planReturn();
    if (!refused && !ending) become('waiting', told);
    foz.onClosed();
  });

  primus.on('reconnect scheduled', (plan) => {
    foz.token.beforeNext();
    if (state.name !== 'connected') become('waiting', state.reason, { next_at: Date.now() + plan.scheduled, attempt: plan.attempt });
  });

  // Primus also ends the connection when a browser goes offline, and opens it again by itself.
  primus.on('offline', () => {
    offline = Boolean(primus.NETWORK_EVENTS) && /online/.test(options.strategy);
    Promise.resolve().then(() => { offline = false; });
  });

  function end() {
    if (offline) return become('waiting', failure('offline', 'the browser has no network', { retryable: true }));
    if (state.name === 'refused' || state.name === 'closed') return;
    become(refused ? 'refused' : 'closed', refused || failure('closed', 'the connection has ended for good'));
    foz.onEnded(state.reason);
  }
  primus.on('end', end);
  primus.on('destroy', end);

  return {
    get state() { return state; },
    // An error once nothing will come any more.
    get over() { return state.name === 'refused' || state.name === 'closed' ? state.reason : null; },
    get connected() { return welcomed && primus.readyState === OPEN; },
    onWelcome() {
      welcomed = true;
      refusals = notBefore = 0;
      told = null;
      become('connected', null);
    },
    onDrain(event) {
      // Until the close everything is handled and answered.
      notBefore = Date.now() + (event.retry_after_ms || 0);
      become('connected', failure('draining', 'the aggregator goes away', { retryable: true }), { next_at: notBefore });
    },
    // An error that belongs to no frame of ours: why the socket is about to be closed, if it is. True: it is a refusal, which
    // the state tells.
    onSocketError(error) {
      told = error;
      if (error.retry_after_ms) notBefore = Date.now() + error.retry_after_ms;
      return !welcomed;
    },
  };
}
