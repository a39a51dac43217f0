// What is published: kept until the aggregator has answered for it, and sent again until then.
import { failure, FozError, sendsAgain } from './errors.js';
import { forgetOldest, growingPause } from './tools.js';
import { makeStream } from './stream.js';

const channelOf = ({ channel }) => (typeof channel === 'string' ? channel : Object.keys(channel || {}).find((name) => channel[name]));

// foz: { settings, emit, nextId(), me(), connection, write(frame), store, consuming }
export function makeOutbox(foz) {
  const { settings } = foz;
  const followedMax = 1000;
  // By id, in the order of sending: { id, frame, key, bytes, client, sent, reached, stream, resolve, reject, restored }
  const entries = new Map();
  const pauses = new Map(); // by channel: { failures, timer } of those whose messages have to wait
  const following = new Map(); // who wants to know what becomes of a message, by its id: also after the answer
  const cancelled = new Map(); // requests that the aggregator does not know yet to be cancelled, by id: the channel
  let bytes = 0;
  let frameMax = Infinity;

  const tooLarge = (json) => json.length * 3 > frameMax && new TextEncoder().encode(json).length > frameMax;
  const hasRoom = (more, messages = 0) =>
    entries.size + messages < settings.outboxMessages && bytes + more <= settings.outboxBytes;

  // While a channel pauses, what is published on it waits behind what was refused: the order is kept.
  function send(entry) {
    const pause = pauses.get(entry.key);
    if (!foz.connection.connected || (pause && pause.timer !== null)) return;
    entry.sent = entry.reached = true; // on this socket; on any
    foz.write(entry.frame);
  }

  function sendUnsent(key) {
    for (const entry of [...entries.values()]) if (!entry.sent && (key === undefined || entry.key === key)) send(entry);
  }

  function pauseChannel(key, retryAfter) {
    const pause = pauses.get(key) || { failures: 0, timer: null };
    pauses.set(key, pause);
    if (pause.timer !== null) return;
    pause.timer = setTimeout(() => {
      pause.timer = null;
      sendUnsent(key);
    }, retryAfter || growingPause(pause.failures, 500, 10000));
    pause.failures += 1;
  }

  function keep(entry) {
    entries.set(entry.id, entry);
    bytes += entry.bytes;
    if (entry.stream) foz.consuming.hold(channelOf(entry.frame));
  }

  function check(frame, json, signal) {
    if (foz.connection.over) return foz.connection.over;
    if (signal && signal.aborted) return failure('cancelled', 'it was cancelled before it was sent', { id: frame.id });
    if (entries.has(frame.id)) return failure('duplicate_id', 'a message of this id waits already', { id: frame.id });
    if (tooLarge(json)) return failure('too_large', 'the message is larger than the aggregator takes', { id: frame.id });
    if (!hasRoom(json.length)) return failure('outbox_full', 'too many messages wait for the aggregator', { id: frame.id, retryable: true });
    return null;
  }

  function enqueue(frame, { onProgress, onPart, signal } = {}) {
    const json = JSON.stringify(frame);
    const error = check(frame, json, signal);
    if (error) return Promise.reject(error);
    const entry = {
      id: frame.id, frame, key: JSON.stringify(frame.channel), bytes: json.length, client: foz.me(), sent: false,
      stream: onPart ? makeStream(onPart) : null, restored: false,
    };
    const done = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    const full = foz.store.save(entry);
    if (full) return Promise.reject(full);
    keep(entry);
    if (onProgress) following.set(entry.id, onProgress);
    forgetOldest(following, followedMax);
    if (signal) {
      const abort = () => cancel(entry.id);
      signal.addEventListener('abort', abort);
      const forget = () => signal.removeEventListener('abort', abort);
      done.then(forget, forget);
    }
    send(entry);
    return done;
  }

  function remove(id) {
    const entry = entries.get(id);
    if (!entry) return null;
    entries.delete(id);
    bytes -= entry.bytes;
    foz.store.remove(entry);
    if (entry.stream) foz.consuming.release(channelOf(entry.frame));
    return entry;
  }

  // Nobody waits for a promise of what was written before the page was loaded again: an event tells.
  function settle(id, error, value) {
    cancelled.delete(id);
    const entry = remove(id);
    if (!entry) return; // it is another socket's of this client, which has gone
    if (!error && pauses.has(entry.key)) pauses.get(entry.key).failures = 0;
    if (entry.stream && !error) for (const part of entry.stream.end()) foz.emit('part', part);
    if (entry.restored) foz.emit('outcome', error ? { id, frame: entry.frame, error } : { id, frame: entry.frame, value });
    else if (error) entry.reject(error);
    else entry.resolve(value);
  }

  function cancel(id) {
    const entry = entries.get(id);
    if (!entry) return false;
    following.delete(id);
    settle(id, failure('cancelled', 'the page has cancelled it', { id }));
    if (!entry.reached) return true;
    cancelled.set(id, entry.frame.channel);
    forgetOldest(cancelled, followedMax);
    if (foz.connection.connected) tellCancelled(id);
    return true;
  }

  function tellCancelled(id) {
    foz.write({ packet_action: 'cancel', id, channel: cancelled.get(id) });
  }

  // Messages that other pages of this client have left: they are older than those of this one.
  function restore(messages) {
    const own = [...entries.values()];
    entries.clear();
    for (const { id, frame, client, bytes: size, stored, streams, at } of messages) {
      const stream = streams ? makeStream(() => {}) : null;
      keep({ id, frame, key: JSON.stringify(frame.channel), bytes: size, client, stored, sent: false, reached: true, stream, restored: true });
      if (frame.expires_ms !== undefined && at + frame.expires_ms < Date.now())
        settle(id, failure('expired', 'its time had passed before it could be sent', { id }));
    }
    for (const entry of own) entries.set(entry.id, entry);
    if (messages.length > 0) foz.emit('restored', messages.map(({ id, frame }) => ({ id, frame })));
  }

  return {
    enqueue, cancel, restore,
    get size() { return entries.size; },
    has: (id) => entries.has(id),
    hasRoom,
    onWelcome(limits) {
      frameMax = (limits && limits.frame_bytes_max) || Infinity;
      for (const [id, entry] of [...entries]) {
        if (entry.client && entry.client !== foz.me())
          settle(id, failure('client_changed', 'it was written by ' + entry.client, { id }));
        else if (tooLarge(JSON.stringify(entry.frame)))
          settle(id, failure('too_large', 'the message is larger than the aggregator takes', { id }));
        else if (entry.client !== foz.me()) entry.client = foz.me();
      }
    },
    // All that waits, in its order.
    sendAll() {
      for (const id of cancelled.keys()) tellCancelled(id);
      sendUnsent();
    },
    onClosed() {
      for (const { timer } of pauses.values()) clearTimeout(timer);
      pauses.clear();
      for (const entry of entries.values()) entry.sent = false;
    },
    onEnded(error) {
      for (const id of [...entries.keys()]) settle(id, error);
      following.clear();
    },
    onOutcome: (id, value) => settle(id, null, value),
    onError(error) {
      const entry = entries.get(error.id);
      if (!entry || !sendsAgain(error)) return settle(error.id, new FozError(error));
      entry.sent = false;
      pauseChannel(entry.key, error.retry_after_ms);
    },
    onPart(event) {
      const entry = entries.get(event.id);
      if (!entry || !entry.stream) return; // cancelled, or another socket's
      for (const part of entry.stream.accept(event)) foz.emit('part', part);
      foz.consuming.remember({ channel: channelOf(entry.frame), position: event.position });
    },
    onProgress(event) {
      const listener = following.get(event.id);
      if (!listener && !entries.has(event.id)) return; // another socket's of this client, which has gone
      if (event.state === 'done' || event.state === 'dead_lettered') following.delete(event.id);
      if (listener) listener(event);
      foz.emit('progress', event);
    },
  };
}
