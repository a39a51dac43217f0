// What went wrong, as a sentence for people. Codes of the aggregator: spec/codes.json; the others are the services' own.

const ofAggregator = {
  no_service: 'Nobody is there to handle this at the moment. Please try again in a little while.',
  timeout: 'No answer came in time. Trying again is safe: it happens once.',
  unavailable: 'The service can’t be reached at the moment, and nothing was sent. Please try again in a little while.',
  overloaded: 'There is too much to do at the moment. Please try again in a little while.',
  interrupted: 'The connection to the service was cut. Trying again is safe: it happens once.',
  unknown: 'It is not certain that this arrived. Trying again is safe: it happens once.',
  bad_answer: 'The service gave an answer that makes no sense. Its operator can find it in the log.',
  dead_lettered: 'The service could not handle this, even after several attempts. It was kept for someone to look at.',
  unroutable: 'This is set up wrongly on our side: nothing takes these messages.',
  unknown_channel: 'This service does not exist here.',
  channel_mismatch: 'This connection is for another service.',
  forbidden: 'This is not allowed.',
  unsupported: 'This is not possible here.',
};

const ofPlugin = {
  outbox_full: 'Too much waits for the connection already. Please try again when it is back.',
  too_large: 'This is too long to be sent.',
  cancelled: 'You have stopped this.',
  expired: 'Its time had passed before it could be sent.',
  client_changed: 'This was written by somebody else who used this page.',
  storage_failed: 'This browser keeps nothing for this page: what is not sent is lost when the page is closed.',
  closed: 'The server has closed the connection for good. Load the page again.',
};

const ofServices = {
  not_reachable: 'They can’t be reached: no open page of theirs is listening for calls.',
  busy: 'The line is busy: one of you is in a call already.',
  no_such_call: 'This call is over.',
  not_your_call: 'This call belongs to someone else.',
  no_such_ticket: 'There is no such ticket.',
  ticket_closed: 'This ticket is closed; it can’t be changed any more.',
  unknown_type: 'The service does not know how to do this.',
};

const fields = { text: 'text', title: 'title', name: 'name', room: 'room', to: 'receiver', id: 'number', call: 'call' };

// "title: 1 to 200 bytes are expected" names the field and what it should be.
function ofBadMessage(message = '') {
  const [, field, expected] = message.match(/^(\w+): (.+)$/) ?? [];
  if (!field) return 'The service did not understand this' + (message ? ': ' + message : '') + '.';
  return `The ${fields[field] ?? field} is not right: ${expected}.`;
}

export function sentence({ code, message, service_code, service }) {
  if (code !== 'service') return ofAggregator[code] ?? ofPlugin[code] ?? `This did not work: ${message || code}.`;
  const own = service_code ?? service?.code;
  if (own === 'bad_message') return ofBadMessage(service?.message);
  return ofServices[own] ?? `The service said: ${service?.message || own}.`;
}

// Why a call ended, as the voice service or this page itself put it.
const ends = {
  hangup: 'has hung up.',
  declined: 'has declined the call.',
  cancelled: 'has given up calling.',
  gone: 'is gone: their page was closed or lost its connection.',
  unanswered: 'did not answer.',
  failed: 'can’t be heard any more: no way between the two computers was found, or it broke.',
};

export function ending(reason, who) {
  if (reason === 'answered_elsewhere') return 'You answered this call in another window.';
  return ends[reason] ? `${who} ${ends[reason]}` : 'The call has ended.';
}

// What getUserMedia() throws.
export function microphoneTrouble(error) {
  switch (error.name) {
    case 'NotAllowedError':
      return 'The microphone was refused. Allow it for this page in the browser’s address bar, then try again.';
    case 'NotFoundError': return 'There is no microphone on this device.';
    case 'NotReadableError': return 'The microphone is in use by another program.';
    case 'InsecureContext': return 'Browsers give a microphone only to pages on https or on this computer itself.';
    default: return 'The microphone can’t be used: ' + error.message;
  }
}
