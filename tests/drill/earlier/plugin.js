// The Foz plugin: a part of the Primus client, by Primus' own means (primus.plugin). It gives every message an id, keeps
// it until the aggregator has answered for it, sends it again after a reconnect, remembers where each channel was, and
// consumes again from there. docs/protocol.md is what it speaks; foz.d.ts says what it offers.
//
//     const primus = new Primus('https://example.org', { foz: { storage: localStorage } });
//     primus.foz.consume('chat', { topics: ['room.lobby'] });
//     primus.foz.on('message', (event) => show(event.message));
//     await primus.foz.publish('chat', { room: 'lobby', text: 'hi' }, { type: 'say' });
//     const tickets = await primus.foz.request('tickets', {}, { type: 'list' });
//
// Primus copies the text of this one function into its library: it can't use anything from outside.
export function client(primus, options) {
  'use strict';
  const settings = Object.assign({ outboxMessages: 1000, outboxBytes: 8 << 20, storage: null }, options.foz);
  const OPEN = primus.constructor.OPEN;
  const seenMax = 1000;
  // Errors after which the same message may simply be sent again; of the others the caller decides.
  const again = ['unavailable', 'unknown', 'overloaded'];
  const crypto = globalThis.crypto || require('node:crypto').webcrypto;

  const outbox = new Map(); // by id, in the order of sending: { frame, bytes, resolve, reject }
  const channels = new Map(); // by name: what is consumed and where it was
  const consuming = new Map(); // by the id of a consume: { name, waiting: [{ resolve, reject }], before }
  const seen = new Set(); // ids of messages
  const following = new Map(); // who wants to know what becomes of a message, by its id: also after the answer
  const listeners = new Map();
  let bytes = 0;
  let count = 0;
  let me = null; // the client's id
  let held = false; // this aggregator goes away: what is written now goes to the next one
  let over = null; // an error: no more

  const secret = (octets) => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(octets))))
    .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const prefix = secret(12) + '-';

  class FozError extends Error {
    constructor(error) {
      super(error.service_code ? error.service_code + ': ' + (error.service && error.service.message) : error.message);
      Object.assign(this, error, { name: 'FozError', message: this.message });
    }
  }

  function emit(name, event) {
    for (const listener of [...listeners.get(name) || []]) listener(event);
  }

  // Who we are. A page of the aggregator's own origin is known by its cookie.
  function resume() {
    if (settings.resume !== undefined) return settings.resume;
    if (settings.storage) settings.resume = settings.storage.getItem('foz.resume');
    else if (typeof location === 'object' && location.host === primus.url.host) settings.resume = false;
    if (settings.resume === undefined || settings.resume === null) {
      settings.resume = secret(16);
      if (settings.storage) settings.storage.setItem('foz.resume', settings.resume);
    }
    return settings.resume;
  }

  primus.on('outgoing::url', (url) => {
    const query = ['hello=1'];
    if (resume()) query.push('resume=' + resume());
    url.query = (url.query ? url.query + '&' : '') + query.join('&');
  });

  // The stock client gives up after ten attempts, and all clients come back at the same moment.
  if (!options.reconnect && primus.recovery) {
    primus.recovery.retries = Infinity;
    primus.recovery.max = 3000;
    primus.recovery.min = 200 + Math.random() * 300;
  }

  const connected = () => primus.readyState === OPEN && !held;

  // Sending.

  function send(id) {
    const entry = outbox.get(id);
    if (entry && connected()) primus.write(entry.frame);
  }

  function enqueue(frame, progress) {
    if (over) return Promise.reject(over);
    const id = frame.id || prefix + (count += 1);
    if (outbox.has(id)) return Promise.reject(new FozError({ code: 'duplicate_id', message: 'a message of this id waits already' }));
    const size = JSON.stringify(frame).length;
    if (outbox.size >= settings.outboxMessages || bytes + size > settings.outboxBytes)
      return Promise.reject(new FozError({ code: 'outbox_full', message: 'too many messages wait for the aggregator', retryable: true }));
    return new Promise((resolve, reject) => {
      outbox.set(id, { frame: Object.assign({}, frame, { id }), bytes: size, resolve, reject });
      bytes += size;
      if (progress) follow(id, progress);
      send(id);
    });
  }

  function follow(id, listener) {
    following.set(id, listener);
    if (following.size > seenMax) following.delete(following.keys().next().value);
  }

  function settle(id, how, value) {
    const entry = outbox.get(id);
    if (!entry) return false;
    outbox.delete(id);
    bytes -= entry.bytes;
    entry[how](value);
    return true;
  }

  function envelope(channel, message, more) {
    const frame = Object.assign({}, more, { packet_action: 'publish', channel, message });
    delete frame.onProgress;
    if (more && more.onProgress) frame.progress = true;
    return frame;
  }

  // Consuming. What is wanted of a channel is one set, however many calls have made it.

  function frameOf(name, id, from) {
    const state = channels.get(name);
    const frame = { packet_action: 'consume', channel: name, id };
    if (!state.everyTopic) frame.consume_target = [...state.topics];
    if (!state.usual || state.groups.size) {
      frame.distribution = {
        broadcast: state.usual || state.broadcast,
        multicast: [...(state.usual && me ? [me] : []), ...state.groups],
        direct: (state.usual || state.direct) && me ? [me] : [],
      };
    }
    if (state.position || from) frame.from = state.position || from;
    return frame;
  }

  function add(state, { topics = [], distribution } = {}) {
    if (topics.length === 0) state.everyTopic = true;
    for (const topic of topics) state.topics.add(topic);
    const { broadcast = false, multicast = [], direct = [] } = distribution || {};
    if (!broadcast && !multicast.length && !direct.length) state.usual = true;
    state.broadcast = state.broadcast || broadcast;
    state.direct = state.direct || direct.length > 0;
    for (const group of multicast) state.groups.add(group);
  }

  const copy = (state) => state && Object.assign({}, state, { topics: new Set(state.topics), groups: new Set(state.groups) });

  function consumeOne(name, more = {}) {
    if (over) return Promise.reject(over);
    const before = copy(channels.get(name));
    if (!before) channels.set(name, { everyTopic: false, topics: new Set(), usual: false, broadcast: false, direct: false, groups: new Set(), position: null, from: more.from });
    const state = channels.get(name);
    if (more.from !== undefined) state.position = null;
    add(state, more);
    return new Promise((resolve, reject) => {
      const id = prefix + (count += 1);
      consuming.set(id, { name, before, from: more.from, waiting: [{ resolve, reject }] });
      // Until the welcome has come, our own name is not known; the open that follows asks for everything anyway.
      if (connected() && me) primus.write(frameOf(name, id, more.from));
    });
  }

  // After each open: one consume for each channel, which carries everybody who waits for it.
  function consumeAgain() {
    for (const name of channels.keys()) {
      const waiting = [];
      let from = channels.get(name).from;
      for (const [id, pending] of consuming) {
        if (pending.name !== name) continue;
        waiting.push(...pending.waiting);
        if (pending.from !== undefined) from = pending.from;
        consuming.delete(id);
      }
      const id = prefix + (count += 1);
      consuming.set(id, { name, before: undefined, from, waiting });
      primus.write(frameOf(name, id, from));
    }
  }

  function leave(name, { topics, groups } = {}) {
    const state = channels.get(name);
    const frame = { packet_action: 'leave', channel: name };
    if (topics) frame.consume_target = topics;
    if (groups) frame.distribution = { multicast: groups };
    if (state && !topics && !groups) channels.delete(name);
    for (const topic of topics || []) if (state) state.topics.delete(topic);
    for (const group of groups || []) if (state) state.groups.delete(group);
    if (connected()) primus.write(frame);
  }

  // Hearing.

  function remember(event) {
    const state = channels.get(event.channel);
    if (state && event.position) state.position = event.position;
  }

  function onMessage(event) {
    remember(event);
    if (event.id) {
      if (seen.has(event.id)) return;
      seen.add(event.id);
      if (seen.size > seenMax) seen.delete(seen.values().next().value);
    }
    emit('message', event);
  }

  function onConsuming(event) {
    for (const name of Object.keys(event.channels || {})) {
      const state = channels.get(name);
      if (state && !state.position) state.position = event.channels[name].position || null;
    }
    const pending = consuming.get(event.id);
    if (!pending) return;
    consuming.delete(event.id);
    for (const one of pending.waiting) one.resolve(event);
  }

  function onError(error) {
    const pending = consuming.get(error.id);
    if (pending) {
      consuming.delete(error.id);
      if (pending.before) channels.set(pending.name, pending.before);
      else if (!error.retryable) channels.delete(pending.name);
      for (const one of pending.waiting) one.reject(new FozError(error));
    } else if (error.id && outbox.has(error.id) && again.includes(error.code)) {
      setTimeout(() => send(error.id), error.retry_after_ms || 500 + Math.random() * 500);
    } else if (error.id) {
      settle(error.id, 'reject', new FozError(error)); // or it is another socket's of this client, which has gone
    } else {
      emit('error', new FozError(error));
    }
  }

  function onProgress(event) {
    const listener = following.get(event.id);
    if (!listener && !outbox.has(event.id)) return; // another socket's of this client, which has gone
    if (event.state === 'done' || event.state === 'dead_lettered') following.delete(event.id);
    if (listener) listener(event);
    emit('progress', event);
  }

  primus.on('data', (event) => {
    if (event === null || typeof event !== 'object') return;
    switch (event.event) {
      case 'welcome':
        me = event.client;
        held = false;
        consumeAgain();
        for (const id of [...outbox.keys()]) send(id);
        return emit('welcome', event);
      case 'message': return onMessage(event);
      case 'consuming': return onConsuming(event);
      case 'receipt': return settle(event.id, 'resolve', event);
      case 'answer': return settle(event.id, 'resolve', event.message);
      case 'error': return onError(event.error);
      case 'progress': return onProgress(event);
      case 'position': return remember(event);
      case 'gap':
        // After `retention` it goes on with the entry at this position, which is still to come.
        if (event.cause !== 'retention') remember(event);
        return emit('gap', event);
      case 'drain':
        held = true;
        return emit('drain', event);
    }
  });

  primus.on('close', () => { held = true; }); // until the next welcome
  held = true;

  primus.on('end', () => {
    over = new FozError({ code: 'closed', message: 'the connection has ended for good' });
    for (const id of [...outbox.keys()]) settle(id, 'reject', over);
    for (const pending of consuming.values()) for (const one of pending.waiting) one.reject(over);
    consuming.clear();
  });

  primus.foz = {
    get client() { return me; },
    get waiting() { return outbox.size; },
    consume: (names, more) => Array.isArray(names)
      ? Promise.all(names.map((name) => consumeOne(name, more))) : consumeOne(names, more),
    leave,
    publish: (channel, message, more = {}) =>
      enqueue(Object.assign(envelope(channel, message, more), { ack: 'confirmed' }), more.onProgress),
    request: (channel, message, more = {}) =>
      enqueue(Object.assign(envelope(channel, message, more), { ack: 'answer' }), more.onProgress),
    on(name, listener) {
      if (!listeners.has(name)) listeners.set(name, new Set());
      listeners.get(name).add(listener);
      return () => listeners.get(name).delete(listener);
    },
  };
}
