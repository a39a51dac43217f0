// What is heard: a set for each channel, however many calls have made it, and how far each channel was heard.
import { FozError } from './errors.js';
import { forgetOldest, growingPause } from './tools.js';

// No message has this topic: it stands for "no topic", which would mean all of them.
const noTopic = 'foz.none';

const nothing = () => ({ broadcast: false, direct: false, own: false, everyTopic: false, topics: new Set(), groups: new Set() });

function unite(to, what) {
  for (const kind of ['broadcast', 'direct', 'own', 'everyTopic']) to[kind] = to[kind] || what[kind];
  for (const topic of what.topics) to.topics.add(topic);
  for (const group of what.groups) to.groups.add(group);
  return to;
}

function addTo(what, { topics = [], distribution } = {}) {
  if (topics.length === 0) what.everyTopic = true;
  for (const topic of topics) what.topics.add(topic);
  const { broadcast = false, multicast = [], direct = [] } = distribution || {};
  const usual = !broadcast && !multicast.length && !direct.length;
  what.broadcast = what.broadcast || broadcast || usual;
  what.direct = what.direct || direct.length > 0 || usual;
  what.own = what.own || usual;
  for (const group of multicast) what.groups.add(group);
  return what;
}

// As the aggregator does it: who loses the last topic, or everybody who speaks, hears nothing any more. False: so it is.
function takeFrom(what, topics, groups, me) {
  if (topics.length === 0 && groups.length === 0) return false;
  for (const topic of topics) what.topics.delete(topic);
  for (const group of groups) what.groups.delete(group);
  if (groups.includes(me)) what.own = false;
  return (what.everyTopic || what.topics.size > 0) && (what.broadcast || what.direct || what.own || what.groups.size > 0);
}

// foz: { emit, nextId(), me(), connection, write(frame), store }
export function makeConsuming(foz) {
  const seenMax = 1000;
  // By name: { granted, held, position, from, failures }. granted: to the page, or null. held: so many requests want the
  // parts of their answers, which are direct messages.
  const channels = new Map();
  // By the id of a consume: { name, asks, waiting: [{ resolve, reject }], from, again, forParts, retry }. asks: what the page
  // wants more than it has. again: the plugin's own, which is tried until it succeeds or is refused for good.
  const consuming = new Map();
  const seen = new Set(); // ids of messages

  const pendingOf = (name) => [...consuming].filter(([, pending]) => pending.name === name);
  const isAsked = (name) => pendingOf(name).some(([, { asks }]) => asks);
  const isDirect = (name) => [channels.get(name).granted, ...pendingOf(name).map(([, { asks }]) => asks)].some((one) => one && one.direct);

  function frameOf(id, { name, asks, from }) {
    const state = channels.get(name);
    const what = nothing();
    for (const one of [state.granted, asks]) if (one) unite(what, one);
    if (state.held && !what.direct) {
      what.direct = true;
      if (!what.everyTopic) what.topics.add(noTopic);
    }
    const me = foz.me();
    const frame = { packet_action: 'consume', channel: name, id };
    if (!what.everyTopic) frame.consume_target = [...what.topics];
    if (!(what.broadcast && what.direct && what.own) || what.groups.size) {
      frame.distribution = {
        broadcast: what.broadcast,
        multicast: [...new Set([...(what.own ? [me] : []), ...what.groups])],
        direct: what.direct ? [me] : [],
      };
    }
    if (state.position || from) frame.from = state.position || from;
    return frame;
  }

  function say(name, more) {
    const id = foz.nextId();
    const pending = Object.assign({ name, asks: null, waiting: [], from: undefined, again: false, forParts: false, retry: null }, more);
    consuming.set(id, pending);
    if (foz.connection.connected) foz.write(frameOf(id, pending));
  }

  function stateOf(name) {
    if (!channels.has(name))
      channels.set(name, { granted: null, held: 0, position: foz.store.takePosition(name), from: undefined, failures: 0 });
    return channels.get(name);
  }

  function forgetUnlessWanted(name) {
    const state = channels.get(name);
    if (state && !state.granted && !state.held && !isAsked(name)) channels.delete(name);
  }

  function consume(name, more = {}) {
    if (foz.connection.over) return Promise.reject(foz.connection.over);
    const state = stateOf(name);
    if (!state.granted && !isAsked(name)) state.from = more.from;
    if (more.from !== undefined) state.position = null;
    return new Promise((resolve, reject) =>
      say(name, { asks: addTo(nothing(), more), waiting: [{ resolve, reject }], from: more.from }));
  }

  // One consume instead of these, which carries everybody who waits for one of them.
  function sayAgain(name, pendings) {
    const sum = { asks: null, waiting: [], from: channels.get(name).from, again: true };
    for (const [id, pending] of pendings) {
      if (pending.asks) sum.asks = unite(sum.asks || nothing(), pending.asks);
      if (pending.from !== undefined) sum.from = pending.from;
      sum.waiting.push(...pending.waiting);
      consuming.delete(id);
    }
    say(name, sum);
  }

  function leave(name, { topics = [], groups = [] } = {}) {
    const state = channels.get(name);
    const frame = { packet_action: 'leave', channel: name };
    if (topics.length) frame.consume_target = topics;
    if (groups.length) frame.distribution = { multicast: groups };
    if (foz.connection.connected) foz.write(frame);
    for (const [, pending] of pendingOf(name))
      if (pending.asks && !takeFrom(pending.asks, topics, groups, foz.me())) pending.asks = null;
    if (!state) return;
    if (state.granted && !takeFrom(state.granted, topics, groups, foz.me())) state.granted = null;
    if (state.granted || isAsked(name)) return;
    if (state.held) say(name, { again: true, forParts: true }); // they still have to come
    else channels.delete(name);
  }

  // A request is open whose answer comes in parts.
  function hold(name) {
    const state = stateOf(name);
    state.held += 1;
    if (state.held === 1 && !isDirect(name)) say(name, { again: true, forParts: true });
  }

  function release(name) {
    const state = channels.get(name);
    if (!state || state.held === 0) return;
    state.held -= 1;
    if (state.held > 0) return;
    if (foz.connection.connected && !isDirect(name))
      foz.write({ packet_action: 'leave', channel: name, consume_target: [noTopic], distribution: { direct: [foz.me()] } });
    forgetUnlessWanted(name);
  }

  function remember(event) {
    const state = channels.get(event.channel);
    if (!state || !event.position) return;
    state.position = event.position;
    foz.store.notePosition(event.channel, event.position);
  }

  function onMessage(event) {
    remember(event);
    const state = channels.get(event.channel);
    if (state && state.held && event.via === 'direct' && !isDirect(event.channel)) return; // the page has not asked for these
    if (event.id) {
      if (seen.has(event.id)) return;
      seen.add(event.id);
      forgetOldest(seen, seenMax);
    }
    foz.emit('message', event);
  }

  function onConsuming(event) {
    for (const name of Object.keys(event.channels || {})) {
      const state = channels.get(name);
      if (state && !state.position) remember({ channel: name, position: event.channels[name].position });
    }
    const pending = consuming.get(event.id);
    if (!pending) return;
    consuming.delete(event.id);
    const state = channels.get(pending.name);
    if (state) state.failures = 0;
    if (state && pending.asks) state.granted = unite(state.granted || nothing(), pending.asks);
    for (const one of pending.waiting) one.resolve(event);
  }

  // Its page has left what it has asked for, before that was granted.
  function settleAsLeft(id, pending) {
    consuming.delete(id);
    for (const one of pending.waiting) one.resolve({ event: 'consuming', channels: {} });
  }

  // A frame that names nothing would ask for everything.
  function repeat(id, pending) {
    const state = channels.get(pending.name);
    if (state && (state.granted || state.held || pending.asks)) sayAgain(pending.name, [[id, pending]]);
    else settleAsLeft(id, pending);
  }

  function sayLater(id, pending, state, error) {
    const pause = error.retry_after_ms || growingPause(state.failures, 500, 10000);
    state.failures += 1;
    clearTimeout(pending.retry);
    pending.retry = setTimeout(() => {
      if (foz.connection.connected) repeat(id, pending);
    }, pause);
    foz.emit('error', new FozError(Object.assign({ channel: pending.name, retry_in_ms: pause }, error)));
  }

  function onError(error) {
    const pending = consuming.get(error.id);
    if (!pending) return false;
    const { name, waiting, again, forParts } = pending;
    const state = channels.get(name);
    // What was heard before the reconnect is wanted, whatever it takes.
    if (again && error.retryable && state) {
      sayLater(error.id, pending, state, error);
      return true;
    }
    consuming.delete(error.id);
    const told = new FozError(Object.assign({ channel: name }, error));
    for (const one of waiting) one.reject(told);
    if (waiting.length === 0) foz.emit('error', told);
    if (!state) return true;
    if (again && !forParts && waiting.length === 0) state.granted = null;
    else if (again && state.granted && waiting.length > 0) sayAgain(name, []); // without those who were refused
    forgetUnlessWanted(name);
    return true;
  }

  return {
    leave, hold, release, remember, onMessage, onConsuming, onError,
    consume: (names, more) => Array.isArray(names) ? Promise.all(names.map((name) => consume(name, more))) : consume(names, more),
    // All that is wanted, on a new socket.
    sayAll() {
      for (const [name, state] of channels) {
        if (!state.position && state.from === undefined) state.position = foz.store.takePosition(name);
        sayAgain(name, pendingOf(name));
      }
      for (const [id, pending] of consuming) if (!channels.has(pending.name)) settleAsLeft(id, pending);
    },
    onClosed() {
      for (const { retry } of consuming.values()) clearTimeout(retry);
    },
    onEnded(error) {
      for (const pending of consuming.values()) for (const one of pending.waiting) one.reject(error);
      consuming.clear();
    },
  };
}
