// The Foz plugin: a part of the Primus client, by Primus' own means (primus.plugin). It gives every message an id, keeps
// it until the aggregator has answered for it, sends it again after a reconnect, remembers where each channel was, and
// consumes again from there. docs/protocol.md is what it speaks; foz.d.ts says what it offers.
//
//     const primus = new Primus('https://example.org', { foz: { storage: localStorage } });
//     primus.foz.consume('chat', { topics: ['room.lobby'] });
//     primus.foz.on('message', (event) => show(event.message));
//     primus.foz.on('state', (state) => showState(state));
//     await primus.foz.publish('chat', { room: 'lobby', text: 'hi' }, { type: 'say' });
//     const tickets = await primus.foz.request('tickets', {}, { type: 'list' });
import { makeConnection } from './connection.js';
import { makeConsuming } from './consuming.js';
import { FozError } from './errors.js';
import { makeOutbox } from './outbox.js';
import { makeStore } from './store.js';
import { iterate } from './stream.js';
import { makeToken } from './token.js';
import { makeEvents, randomSecret } from './tools.js';

export function client(primus, options) {
  const settings = Object.assign({ outboxMessages: 1000, outboxBytes: 8 << 20, partsMax: 10000, storage: null }, options.foz);
  const adoptEveryMs = 10000;
  const storagePatienceMs = 2000;
  const { emit, on } = makeEvents();
  const prefix = randomSecret(12) + '-';
  let count = 0;
  let me = null; // the client's id
  let secret = settings.resume; // false: whoever the cookie says
  let socket = 0; // counts them
  let adopted = false; // what earlier pages have left, for the first time
  let adopting = null; // a timer

  // What the parts know of each other.
  const foz = {
    primus, options, settings, emit, resume,
    me: () => me,
    nextId: () => prefix + (count += 1),
    write: (frame) => primus.write(frame),
    hasRoom: (octets, messages) => foz.outbox.hasRoom(octets, messages),
    knows: (id) => foz.outbox.has(id),
    onClosed() {
      socket += 1;
      clearTimeout(adopting);
      foz.outbox.onClosed();
      foz.consuming.onClosed();
    },
    onEnded(error) {
      foz.onClosed();
      foz.outbox.onEnded(error);
      foz.consuming.onEnded(error);
      foz.store.close();
    },
  };
  foz.token = makeToken(foz);
  foz.store = makeStore(foz);
  foz.consuming = makeConsuming(foz);
  foz.outbox = makeOutbox(foz);
  foz.connection = makeConnection(foz);

  // Who we are. A page of the aggregator's own origin is known by its cookie.
  function resume() {
    if (secret !== undefined) return secret;
    const kept = foz.store.secret();
    if (typeof kept === 'string') secret = kept;
    else if (!settings.storage && typeof location === 'object' && location.host === primus.url.host) secret = false;
    else {
      secret = randomSecret(16);
      foz.store.keepSecret(secret);
    }
    return secret;
  }

  // A storage with promises, or whoever has the token, has to say who we are before the first connection.
  function whenKnown() {
    const kept = secret === undefined ? foz.store.secret() : null;
    const token = foz.token.beforeFirst();
    const later = kept && typeof kept.then === 'function';
    if (!later && !token) return Promise.resolve();
    primus.timers.clear('open');
    const known = !later ? Promise.resolve() : kept.catch(() => null).then((found) => {
      secret = found || randomSecret(16);
      if (!found) foz.store.keepSecret(secret);
    });
    return Promise.all([known, token]).then(() => {
      if (!options.manual) primus.open();
    });
  }

  // Takes what pages of this client have left, now and from time to time. A storage that hangs is not waited for.
  async function adopt() {
    const on = socket;
    const patience = new Promise((resolve) => { setTimeout(resolve, storagePatienceMs, []); });
    const messages = await Promise.race([foz.store.adoptAll(!adopted), patience]);
    if (on !== socket) return false;
    adopted = true;
    foz.outbox.restore(messages);
    adopting = setTimeout(() => adopt().then((done) => done && foz.outbox.sendAll()), adoptEveryMs * (1 + Math.random()));
    if (adopting.unref) adopting.unref();
    return true;
  }

  function catchUp() {
    foz.connection.onWelcome();
    foz.consuming.sayAll();
    foz.outbox.sendAll();
  }

  function onWelcome(event) {
    me = event.client;
    foz.outbox.onWelcome(event.limits);
    if (foz.store.boxes) adopt().then((done) => done && catchUp());
    else catchUp();
    emit('welcome', event);
  }

  function onError(error) {
    if (foz.token.onError(error) || foz.consuming.onError(error)) return;
    if (error.id) return foz.outbox.onError(error);
    if (error.frame === undefined && foz.connection.onSocketError(new FozError(error))) return;
    emit('error', new FozError(error));
  }

  primus.on('data', (event) => {
    if (event === null || typeof event !== 'object') return;
    switch (event.event) {
      case 'welcome': return onWelcome(event);
      case 'message': return foz.consuming.onMessage(event);
      case 'consuming': return foz.consuming.onConsuming(event);
      case 'receipt': return foz.outbox.onOutcome(event.id, event);
      case 'answer': return foz.outbox.onOutcome(event.id, event.message);
      case 'part': return foz.outbox.onPart(event);
      case 'error': return onError(event.error);
      case 'progress': return foz.outbox.onProgress(event);
      case 'position': return foz.consuming.remember(event);
      case 'gap':
        // After `retention` it goes on with the entry at this position, which is still to come.
        if (event.cause !== 'retention') foz.consuming.remember(event);
        return emit('gap', event);
      case 'auth': return foz.token.onAuth(event);
      case 'drain':
        foz.connection.onDrain(event);
        return emit('drain', event);
    }
  });

  const streamLife = 600000;

  function send(channel, message, more, ack) {
    const { onProgress, onPart, signal, ...rest } = more;
    const frame = Object.assign(rest, { packet_action: 'publish', channel, message, ack });
    if (onProgress) frame.progress = true;
    // Each part renews the patience; the message has to live as long, should its worker die in the middle.
    if (onPart && frame.expires_ms === undefined) frame.expires_ms = Math.max(frame.timeout_ms || 0, streamLife);
    frame.id = frame.id || foz.nextId();
    return Object.assign(foz.outbox.enqueue(frame, { onProgress, onPart, signal }), { id: frame.id });
  }

  function stream(channel, message, more = {}) {
    const id = more.id || foz.nextId();
    const request = (onPart) => send(channel, message, Object.assign({}, more, { id, onPart }), 'answer');
    return Object.assign(iterate(request, () => foz.outbox.cancel(id), settings.partsMax), { id });
  }

  primus.foz = {
    ready: whenKnown(),
    get client() { return me; },
    get waiting() { return foz.outbox.size; },
    get state() { return foz.connection.state; },
    consume: foz.consuming.consume,
    leave: foz.consuming.leave,
    publish: (channel, message, more = {}) => send(channel, message, more, 'confirmed'),
    request: (channel, message, more = {}) => send(channel, message, more, 'answer'),
    stream,
    cancel: foz.outbox.cancel,
    on,
  };
}
