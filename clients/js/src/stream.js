// The parts of an answer that comes in pieces: each is delivered once and in order, whatever arrives twice, late, or from a
// run of the service that was given up.

// deliver(part) is called for each; part.restart: forget what came before, the service has begun anew.
export function makeStream(deliver) {
  const earlyMax = 1000;
  let attempt = -1;
  let joined = false; // this attempt has not begun at 0: its worker says the same each time, and goes on where it was
  let next = 0; // the seq that is to come
  let restart = false; // something was delivered that is void now
  let early = new Map(); // by seq: what came before its turn

  // What may be delivered by now; `all`: also beyond what is missing.
  function inOrder(all) {
    const parts = [];
    for (const seq of [...early.keys()].sort((a, b) => a - b)) {
      if (seq !== next && !all) break;
      const part = Object.assign({}, early.get(seq), { restart });
      early.delete(seq);
      restart = false;
      next = seq + 1;
      parts.push(part);
      deliver(part);
    }
    return parts;
  }

  return {
    // Returns what it has delivered.
    accept(event) {
      if (event.attempt < attempt) return [];
      const anew = event.seq === 0 && (event.attempt > attempt || joined);
      if (event.attempt > attempt) {
        early = new Map();
        joined = !anew && next > 0;
      }
      if (anew) {
        restart = restart || next > 0;
        next = 0;
        joined = false;
      }
      attempt = event.attempt;
      if (event.seq >= next && early.size < earlyMax) early.set(event.seq, event);
      return inOrder(false);
    },
    // The answer has come: nothing that is missing will.
    end: () => inOrder(true),
  };
}

// What `for await` reads: request(onPart, signal) sends the request and returns the promise of its answer.
export function iterate(request, cancel, partsMax) {
  const queue = [];
  let wake = null;
  let ended = null; // { error } when it is over
  const ring = () => {
    if (wake) wake();
    wake = null;
  };
  const answer = request((part) => {
    if (part.restart) queue.length = 0; // nobody has read it, and it is void
    queue.push(part);
    if (queue.length > partsMax) cancel();
    ring();
  });
  answer.then(() => { ended = {}; }, (error) => { ended = { error }; }).then(ring);
  return {
    answer,
    cancel,
    async next() {
      while (queue.length === 0 && !ended) await new Promise((resolve) => { wake = resolve; });
      if (queue.length > 0) return { done: false, value: queue.shift() };
      if (ended.error) throw ended.error;
      return { done: true, value: undefined };
    },
    // The page has left the loop.
    async return() {
      if (!ended) cancel();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() { return this; },
  };
}
