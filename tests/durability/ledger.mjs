// What was promised about each message of a queue, and what came of it.

// Bodies tell who published them, and are checked octet by octet.
export function bodyOf(publisher, sequence, size) {
  return Buffer.from((publisher + ' ' + sequence + ' ').padEnd(size, 'abcdefghijklmnopqrstuvwxyz'));
}

export class Ledger {
  constructor(queue, { ordered = false } = {}) {
    this.queue = queue;
    this.ordered = ordered; // one consumer: first sights are in order over all lives
    this.records = new Map(); // publisher → by sequence number
    this.open = new Set(); // those that may still be in the queue
    this.life = 0;
    this.wrong = [];
    this.last = new Map();
    this.offsets = new Map(); // of a stream: who is there
    this.counts = { published: 0, confirmed: 0, delivered: 0, again: 0, acknowledged: 0, proven: 0 };
  }

  published(publisher, sequence, { size, transient = false }) {
    const record = { publisher, sequence, size, transient, life: this.life, confirmed: false, seen: 0, acked: 0, proven: false };
    if (!this.records.has(publisher)) this.records.set(publisher, []);
    this.records.get(publisher)[sequence] = record;
    this.open.add(record);
    ++this.counts.published;
    return record;
  }

  confirmed(record) {
    record.confirmed = true;
    ++this.counts.confirmed;
  }

  say(record, text) {
    this.wrong.push(`${this.queue}: ${record.publisher} ${record.sequence} (published in life ${record.life}) ${text} in life ${this.life}`);
  }

  find(content) {
    const [publisher, sequence] = content.toString('latin1', 0, 60).split(' ');
    const record = this.records.get(publisher)?.[Number(sequence)];
    if (!record || !content.equals(bodyOf(publisher, sequence, record.size))) {
      this.wrong.push(`${this.queue}: a message that nobody published: ${content.toString('latin1', 0, 60)}`);
      return null;
    }
    return record;
  }

  // `sights`: of its consumer in this life.
  delivered(content, redelivered, sights) {
    const record = this.find(content);
    if (!record) return null;
    ++this.counts.delivered;
    if (record.transient && record.life !== this.life) this.say(record, 'was transient and is still there');
    if (record.proven) this.say(record, 'was acknowledged for good and came back');
    if (record.acked === this.life) this.say(record, 'was acknowledged and came back');
    if (record.seen > 0) {
      ++this.counts.again;
      if (!redelivered) this.say(record, `was delivered in life ${record.seen} and came as fresh`);
    } else {
      const order = this.ordered ? this.last : sights;
      if (record.sequence <= (order.get(record.publisher) ?? -1)) this.say(record, 'came out of order');
      order.set(record.publisher, record.sequence);
    }
    record.seen = this.life;
    return record;
  }

  acknowledged(record) {
    record.acked = this.life;
    ++this.counts.acknowledged;
  }

  proven(record) {
    if (record.proven) return;
    record.proven = true;
    this.open.delete(record);
    ++this.counts.proven;
  }

  // At the begin of a life: how many the queue says that it has.
  check(count) {
    let least = 0;
    let most = 0;
    for (const record of this.open) {
      if (record.transient && record.life !== this.life) {
        this.open.delete(record);
        continue;
      }
      if (record.confirmed && !record.acked) ++least;
      ++most;
    }
    if (count < least || count > most)
      this.wrong.push(`${this.queue}: ${count} messages at the begin of life ${this.life}, there should be ${least} to ${most}`);
  }

  // After a drain: each message that was confirmed has been acknowledged, so it was delivered.
  checkDrained() {
    for (const record of this.open)
      if (record.confirmed && !record.transient && !record.acked) this.say(record, 'was confirmed and is lost');
  }

  // A stream: the same message at an offset, always; each message at one offset.
  read(content, offset, sights) {
    const record = this.find(content);
    if (!record) return null;
    ++this.counts.delivered;
    const known = this.offsets.get(offset);
    if (known && known !== record) this.say(record, `is at offset ${offset}, where ${known.publisher} ${known.sequence} was`);
    if (record.offset !== undefined && record.offset !== offset) this.say(record, `was at offset ${record.offset}, is at ${offset}`);
    this.offsets.set(offset, record);
    record.offset = offset;
    record.read = this.life;
    if (record.sequence <= (sights.get(record.publisher) ?? -1)) this.say(record, 'came out of order');
    sights.set(record.publisher, record.sequence);
    if (sights.offset !== undefined && offset !== sights.offset + 1)
      this.wrong.push(`${this.queue}: offset ${offset} after ${sights.offset}`);
    sights.offset = offset;
    return record;
  }

  // After it was read from its first entry to its end. `retained`: what is older than that entry may be gone.
  checkRead({ retained = false } = {}) {
    for (const records of this.records.values()) {
      const first = retained ? records.findIndex((record) => record?.read === this.life) : 0;
      for (const record of first < 0 ? [] : records.slice(first))
        if (record?.confirmed && record.read !== this.life) this.say(record, 'was confirmed and is lost');
    }
  }
}
