// The services behind the page, on plain amqplib: chat with its history, tickets, voice.
import { randomUUID } from 'node:crypto';
import { amqplib, broker, worker } from './lib.mjs';

class Refusal extends Error {
  constructor(code, message) { super(message); this.code = code; }
}
const refuse = (code, message) => { throw new Refusal(code, message); };

const octets = (value) => Buffer.from(JSON.stringify(value));

// A message that is being handled: who sent it, and what is said about it. What is said goes out when the handler is done.
class Request {
  said = [];
  constructor({ properties }, body) {
    this.body = body;
    this.client = properties.headers['foz-client'];
    this.session = properties.headers['foz-session'];
  }
  text(field, bytes_max, missing) {
    const value = this.body?.[field] ?? missing;
    if (value === missing && missing !== undefined) return value;
    if (typeof value !== 'string') refuse('bad_message', field + ': a string is expected');
    if (!value || Buffer.byteLength(value) > bytes_max) refuse('bad_message', `${field}: 1 to ${bytes_max} bytes are expected`);
    return value;
  }
  get name() { return this.text('name', 64, ''); }
  broadcast(type, topic, message) { this.#say(type, message, { 'foz-broadcast': true }, '.' + topic); }
  multicast(type, group, message) { this.#say(type, message, { 'foz-multicast': JSON.stringify([group]) }); }
  direct(type, to, message) { this.#say(type, message, { 'foz-direct': JSON.stringify([to]) }); }
  #say(type, message, headers, topic = '') { this.said.push({ type, message, headers, topic }); }
}

// Consumes IN_<CHANNEL>; handlers return the answer or throw a Refusal.
function service(channel_name, handlers, url) {
  return worker('IN_' + channel_name.toUpperCase(), (message, body, channel) => {
    const { type, replyTo, correlationId, messageId } = message.properties;
    const request = new Request(message, body);
    let answer, headers = {};
    try {
      if (!Object.hasOwn(handlers, type)) refuse('unknown_type', 'known are ' + Object.keys(handlers).join(', '));
      answer = handlers[type](request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = { code: error.code, message: error.message };
      headers = { 'foz-error': error.code };
      request.said = [];
    }
    request.said.forEach((what, i) => channel.publish('OUTBOUND', channel_name + what.topic, octets(what.message),
      { type: what.type, headers: what.headers, messageId: messageId + '/' + i, persistent: true }));
    if (replyTo) channel.publish('', replyTo, octets(answer),
      { correlationId, headers, messageId: messageId + '/answer', persistent: true });
    channel.ack(message);
  }, url);
}

// The last messages of each room, read from the stream that all hear.
async function readHistory(url) {
  const rooms = new Map();
  const marker = randomUUID();
  const yesterday = Math.floor(Date.now() / 1000) - 24 * 3600;
  const connection = await amqplib.connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.prefetch(200);
  await new Promise((resolve, reject) => {
    channel.consume('OUT_CHAT', (message) => {
      channel.ack(message);
      const { type, messageId } = message.properties;
      if (messageId === marker) return resolve();
      if (type !== 'said') return;
      const said = JSON.parse(message.content);
      if (!said.room) return;
      if (!rooms.has(said.room)) rooms.set(said.room, []);
      rooms.get(said.room).push(said);
    }, { arguments: { 'x-stream-offset': { '!': 'timestamp', value: yesterday } } }).catch(reject);
    // What comes back before this was there already.
    channel.sendToQueue('OUT_CHAT', octets(null), { type: 'foz.marker', messageId: marker, persistent: true });
  });
  return { of: (room, limit) => (rooms.get(room) ?? []).slice(-limit), stop: () => connection.close() };
}

function chatHandlers(history) {
  const spoken = (request) => ({ from: request.client, name: request.name, text: request.text('text', 4000) });
  const roomOf = (request) => {
    const room = request.text('room', 64);
    return /^[a-z0-9_-]+$/.test(room) ? room : refuse('bad_message', 'room: a-z, 0-9, \'-\' and \'_\' are expected');
  };
  return {
    say(request) {
      const room = roomOf(request);
      request.broadcast('said', 'room.' + room, { ...spoken(request), room });
      return { ok: true };
    },
    whisper(request) {
      request.direct('whispered', request.text('to', 128), spoken(request));
      return { ok: true };
    },
    team(request) {
      const group = request.text('group', 128);
      request.multicast('said', group, { ...spoken(request), group });
      return { ok: true };
    },
    echo: (request) => request.body,
    history(request) {
      const room = roomOf(request);
      const limit = request.body.limit ?? 20;
      if (!Number.isInteger(limit) || limit < 1 || limit > 50) refuse('bad_message', 'limit: a number from 1 to 50 is expected');
      return { room, messages: history.of(room, limit) };
    },
  };
}

function ticketHandlers() {
  const tickets = new Map();
  const found = (request) => tickets.get(request.text('id', 32)) ?? refuse('no_such_ticket', 'there is no such ticket');
  const changeable = (request) => {
    const ticket = found(request);
    return ticket.state === 'closed' ? refuse('ticket_closed', 'the ticket is closed') : ticket;
  };
  const comment = (request, text) => ({ by: request.client, name: request.name, text, at: Date.now() });
  const tell = (request, type, ticket, by) => {
    const copy = structuredClone(ticket);
    request.broadcast(type, 'ticket.' + ticket.id.toLowerCase(), { ticket: copy, ...(by && { by }) });
    return { ticket: copy };
  };
  return {
    open(request) {
      const title = request.text('title', 200);
      const text = request.text('text', 4000, '');
      const ticket = { id: 'T-' + (tickets.size + 1), title, state: 'open', opened_by: request.client, name: request.name,
        assignee: null, comments: text ? [comment(request, text)] : [] };
      tickets.set(ticket.id, ticket);
      return tell(request, 'opened', ticket);
    },
    list(request) {
      const state = request.body.state;
      if (![undefined, 'open', 'closed'].includes(state)) refuse('bad_message', 'state: "open" or "closed" is expected');
      const wanted = [...tickets.values()].reverse().filter((ticket) => !state || ticket.state === state);
      return { tickets: wanted.slice(0, 100).map(({ comments, ...rest }) => rest) };
    },
    get: (request) => ({ ticket: found(request) }),
    assign(request) {
      const ticket = changeable(request);
      ticket.assignee = request.text('to', 128);
      return tell(request, 'assigned', ticket, request.client);
    },
    comment(request) {
      const ticket = changeable(request);
      ticket.comments.push(comment(request, request.text('text', 4000)));
      return tell(request, 'commented', ticket, request.client);
    },
    close(request) {
      const ticket = changeable(request);
      ticket.state = 'closed';
      return tell(request, 'closed', ticket, request.client);
    },
  };
}

// Nobody tells who is there, so everyone can be rung, and a side that vanishes has to hang up by itself.
function voiceHandlers() {
  const calls = new Map(); // id → {id, caller, callee, caller_session, callee_session}
  const busy = (client) => [...calls.values()].some(({ caller, callee }) => caller === client || callee === client);
  const mine = (request) => {
    const call = calls.get(request.text('call', 64)) ?? refuse('no_such_call', 'there is no such call');
    return [call.caller, call.callee].includes(request.client) ? call : refuse('not_your_call', 'this is the call of others');
  };
  const session = (id) => 'session:' + id;
  const otherSide = (request, call) => (request.client === call.caller
    ? (call.callee_session ? session(call.callee_session) : call.callee) : session(call.caller_session));
  return {
    ring(request) {
      const to = request.text('to', 128);
      if (busy(request.client) || busy(to)) refuse('busy', 'one of the two is in a call');
      const call = { id: randomUUID(), caller: request.client, caller_session: request.session, callee: to };
      calls.set(call.id, call);
      request.direct('ringing', to, { call: call.id, from: request.client, name: request.name });
      return { call: call.id };
    },
    answer(request) {
      const call = mine(request);
      if (request.client !== call.callee || call.callee_session) refuse('not_your_call', 'it can\'t be answered');
      call.callee_session = request.session;
      request.direct('answered', session(call.caller_session), { call: call.id, by: request.client });
      return { ok: true };
    },
    hangup(request) {
      const call = mine(request);
      calls.delete(call.id);
      const early = request.client === call.caller ? 'cancelled' : 'declined';
      request.direct('ended', otherSide(request, call), { call: call.id, reason: call.callee_session ? 'hangup' : early });
      return { ok: true };
    },
    signal(request) {
      const call = mine(request);
      if (request.body.data === undefined) refuse('bad_message', 'data: any JSON is expected');
      request.direct('signal', otherSide(request, call), { call: call.id, data: request.body.data });
      return { ok: true };
    },
  };
}

export async function services(url = broker) {
  const history = await readHistory(url);
  const all = [history, await service('chat', chatHandlers(history), url),
    await service('tickets', ticketHandlers(), url), await service('voice', voiceHandlers(), url)];
  return { stop: () => Promise.all(all.map((one) => one.stop())) };
}
