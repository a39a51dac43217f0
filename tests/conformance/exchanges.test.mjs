// Exchanges and bindings: where a message goes.
import test, { after, beforeEach } from 'node:test';
import { assert, channel, closeAll, confirmChannel, usable, drainTexts, fresh, put, queue, roundTrip, text, drain, vhost } from './lib.mjs';

let ch;
beforeEach(async () => { ch = await usable(ch); });
after(closeAll);

async function exchange(type, options = {}) {
  const name = fresh('x');
  await ch.assertExchange(name, type, { durable: false, autoDelete: false, ...options });
  return name;
}
async function publish(to, key, body = key, options = {}) {
  ch.publish(to, key, Buffer.from(body), options);
  await ch.waitForConfirms();
}
// Which of the queues got the message, each once.
async function reached(queues) {
  const out = [];
  for (const [name, q] of Object.entries(queues)) {
    const got = await drain(ch, q);
    assert.ok(got.length <= 1, name + ' got it ' + got.length + ' times');
    if (got.length) out.push(name);
  }
  return out.sort();
}

test('the default exchange delivers to the queue that the routing key names', async () => {
  const [a, b] = [await queue(ch), await queue(ch)];
  await put(ch, a, 'to a');
  const [got] = await drain(ch, a);
  assert.deepEqual([got.fields.exchange, got.fields.routingKey, text(got)], ['', a, 'to a']);
  assert.deepEqual(await drainTexts(ch, b), []);
});

test('the predeclared exchanges are there, with their types', async () => {
  for (const [name, type] of [['amq.direct', 'direct'], ['amq.fanout', 'fanout'], ['amq.topic', 'topic'],
    ['amq.headers', 'headers'], ['amq.match', 'headers']]) await ch.assertExchange(name, type, { durable: true });
  await ch.checkExchange('amq.rabbitmq.trace');
});

test('direct: equal keys, any number of queues, one copy each; unbinding ends it', async () => {
  const x = await exchange('direct');
  const [a, b] = [await queue(ch), await queue(ch)];
  await ch.bindQueue(a, x, 'one');
  await ch.bindQueue(a, x, 'one'); // the same binding again is the same
  await ch.bindQueue(a, x, 'two');
  await ch.bindQueue(b, x, 'two');
  for (const key of ['one', 'two', 'three', 'on', 'ONE']) await publish(x, key);
  assert.deepEqual(await drainTexts(ch, a), ['one', 'two']);
  assert.deepEqual(await drainTexts(ch, b), ['two']);
  await ch.unbindQueue(a, x, 'two');
  await ch.unbindQueue(a, x, 'two'); // what is not there can be unbound
  await publish(x, 'two');
  assert.deepEqual(await drainTexts(ch, a), []);
  assert.deepEqual(await drainTexts(ch, b), ['two']);
});

test('bindings with the same key and other arguments are others', async () => {
  const x = await exchange('direct');
  const q = await queue(ch);
  await ch.bindQueue(q, x, 'k');
  await ch.bindQueue(q, x, 'k', { note: 'second' });
  await publish(x, 'k');
  assert.deepEqual(await drainTexts(ch, q), ['k']); // a queue gets a message once
  await ch.unbindQueue(q, x, 'k');
  await publish(x, 'k');
  assert.deepEqual(await drainTexts(ch, q), ['k']);
  await ch.unbindQueue(q, x, 'k', { note: 'second' });
  await publish(x, 'k');
  assert.deepEqual(await drainTexts(ch, q), []);
});

test('fanout: every bound queue once, whatever the key', async () => {
  const x = await exchange('fanout');
  const [a, b] = [await queue(ch), await queue(ch)];
  await ch.bindQueue(a, x, 'k1');
  await ch.bindQueue(a, x, 'k2');
  await ch.bindQueue(b, x, '');
  await publish(x, 'anything');
  assert.deepEqual(await reached({ a, b }), ['a', 'b']);
});

test('topic: *, # and empty words', async () => {
  const x = await exchange('topic');
  const patterns = ['#', '*', '', 'a', 'a.*', 'a.#', '#.b', '*.b', 'a.#.b', 'a.*.b', '#.#', '#.*', '*.#', 'a..b', '*.*', '#.b.#', 'a.*.#'];
  const queues = {};
  for (const pattern of patterns) {
    queues[pattern] = await queue(ch);
    await ch.bindQueue(queues[pattern], x, pattern);
  }
  const expected = {
    '': ['', '#', '#.#'],
    'a': ['#', '#.#', '#.*', '*', '*.#', 'a', 'a.#'],
    'b': ['#', '#.#', '#.*', '#.b', '#.b.#', '*', '*.#'],
    'a.b': ['#', '#.#', '#.*', '#.b', '#.b.#', '*.#', '*.*', '*.b', 'a.#', 'a.#.b', 'a.*', 'a.*.#'],
    'a.c.b': ['#', '#.#', '#.*', '#.b', '#.b.#', '*.#', 'a.#', 'a.#.b', 'a.*.#', 'a.*.b'],
    'a..b': ['#', '#.#', '#.*', '#.b', '#.b.#', '*.#', 'a.#', 'a.#.b', 'a.*.#', 'a.*.b', 'a..b'],
    'a.x.y.b': ['#', '#.#', '#.*', '#.b', '#.b.#', '*.#', 'a.#', 'a.#.b', 'a.*.#'],
    'x.b.y': ['#', '#.#', '#.*', '#.b.#', '*.#'],
    'A': ['#', '#.#', '#.*', '*', '*.#'],
    '.': ['#', '#.#', '#.*', '*.#', '*.*'],
    '*': ['#', '#.#', '#.*', '*', '*.#'],
    '#': ['#', '#.#', '#.*', '*', '*.#'],
  };
  for (const [key, wanted] of Object.entries(expected)) {
    await publish(x, key);
    assert.deepEqual(await reached(queues), wanted.sort(), 'key "' + key + '"');
  }
});

test('topic: unbinding a pattern leaves the others', async () => {
  const x = await exchange('topic');
  const [a, b] = [await queue(ch), await queue(ch)];
  await ch.bindQueue(a, x, 'x.*.y');
  await ch.bindQueue(a, x, 'x.#');
  await ch.bindQueue(b, x, 'x.*.y');
  await ch.unbindQueue(a, x, 'x.*.y');
  await publish(x, 'x.1.y');
  assert.deepEqual(await reached({ a, b }), ['a', 'b']);
  await ch.unbindQueue(a, x, 'x.#');
  await publish(x, 'x.1.y');
  assert.deepEqual(await reached({ a, b }), ['b']);
});

// The binding's arguments, the message's headers, whether it matches.
const headerCases = [
  [{ a: 1, b: 'x' }, { a: 1, b: 'x' }, true], // all is what it is without x-match
  [{ a: 1, b: 'x' }, { a: 1 }, false],
  [{ 'x-match': 'all', a: 1, b: 'x' }, { a: 1, b: 'x', c: true }, true],
  [{ 'x-match': 'all', a: 1, b: 'x' }, { a: 1, b: 'y' }, false],
  [{ 'x-match': 'any', a: 1, b: 'x' }, { b: 'x' }, true],
  [{ 'x-match': 'any', a: 1, b: 'x' }, { a: 2, b: 'y' }, false],
  [{ 'x-match': 'any', a: 1, b: 'x' }, undefined, false],
  [{ 'x-match': 'all' }, { any: 'thing' }, true], // nothing is asked for
  [{ 'x-match': 'all' }, undefined, true],
  [{ 'x-match': 'any' }, { any: 'thing' }, false],
  [{ 'x-match': 'all', 'x-a': 1 }, {}, true], // what begins with x- does not count
  [{ 'x-match': 'any', 'x-a': 1 }, { 'x-a': 1 }, false],
  [{ 'x-match': 'all-with-x', 'x-a': 1 }, {}, false],
  [{ 'x-match': 'all-with-x', 'x-a': 1, b: 2 }, { 'x-a': 1, b: 2 }, true],
  [{ 'x-match': 'any-with-x', 'x-a': 1 }, { 'x-a': 1 }, true],
  [{ 'x-match': 'any-with-x', 'x-a': 1 }, { 'x-a': 2 }, false],
  [{ a: null }, { a: 'whatever' }, true], // void: it has to be there
  [{ a: null }, { b: 1 }, false],
  [{ a: 'A' }, { A: 'A' }, false],
  [{ a: true }, { a: true }, true],
  [{ a: true }, { a: false }, false],
  [{ a: '1' }, { a: 1 }, false], // a text is no number
  [{ a: 100_000 }, { a: { '!': 'int64', value: 100_000 } }, true], // integers of whatever width
  [{ a: [1, 2] }, { a: [1, 2] }, true],
  [{ a: { b: 1 } }, { a: { b: 1 } }, true],
  [{ a: { b: 1 } }, { a: { b: 2 } }, false],
  [{ a: 1.5 }, { a: 1.5 }, true],
  [{ a: { '!': 'float', value: 1.5 } }, { a: { '!': 'double', value: 1.5 } }, true],
];
for (const [wanted, headers, matches] of headerCases) {
  test('headers: ' + JSON.stringify(wanted) + (matches ? ' matches ' : ' does not match ') + JSON.stringify(headers), async () => {
    const x = await exchange('headers');
    const q = await queue(ch);
    await ch.bindQueue(q, x, 'ignored', wanted);
    await publish(x, 'other', 'm', { headers });
    assert.deepEqual(await drainTexts(ch, q), matches ? ['m'] : []);
  });
}

test('exchange to exchange: through several, cycles included, one copy for each queue', async () => {
  const [a, b, c] = [await exchange('topic'), await exchange('direct'), await exchange('fanout')];
  const [q, r] = [await queue(ch), await queue(ch)];
  await ch.bindExchange(b, a, 'k.#'); // a → b
  await ch.bindExchange(c, b, 'k.1'); // b → c
  await ch.bindExchange(a, c, ''); // c → a
  await ch.bindQueue(q, a, '#');
  await ch.bindQueue(q, c, '');
  await ch.bindQueue(r, c, '');
  await publish(a, 'k.1', 'all the way');
  await publish(a, 'k.2', 'half of it');
  assert.deepEqual(await drainTexts(ch, q), ['all the way', 'half of it']);
  const [got] = await drain(ch, r);
  assert.deepEqual([text(got), got.fields.exchange, got.fields.routingKey], ['all the way', a, 'k.1']);
  await ch.unbindExchange(b, a, 'k.#');
  await publish(a, 'k.1');
  assert.deepEqual(await drainTexts(ch, r), []);
});

test('alternate exchange: what finds no queue goes there, through several', async () => {
  const last = await exchange('fanout');
  const middle = await exchange('direct', { alternateExchange: last });
  const first = await exchange('direct', { alternateExchange: middle });
  const [known, other, lost] = [await queue(ch), await queue(ch), await queue(ch)];
  await ch.bindQueue(known, first, 'known');
  await ch.bindQueue(other, middle, 'other');
  await ch.bindQueue(lost, last, '');
  for (const key of ['known', 'other', 'lost']) await publish(first, key, key, { mandatory: true });
  assert.deepEqual(await drainTexts(ch, known), ['known']);
  assert.deepEqual(await drainTexts(ch, other), ['other']);
  const [got] = await drain(ch, lost);
  assert.deepEqual([text(got), got.fields.exchange, got.fields.routingKey], ['lost', first, 'lost']);
  assert.deepEqual(ch.returned, []); // it was routed
});

test('an alternate exchange that is not there, or is the exchange itself, changes nothing', async () => {
  const x = fresh('x');
  for (const alternate of [fresh('nowhere'), x]) {
    await ch.assertExchange(x, 'direct', { durable: false, alternateExchange: alternate });
    await publish(x, 'k', 'm', { mandatory: true });
    assert.equal(ch.returned.pop()?.fields.replyCode, 312);
    await ch.deleteExchange(x);
  }
});

test('an auto-delete exchange goes with its last binding, not before its first', async () => {
  const x = await exchange('fanout', { autoDelete: true });
  const other = await exchange('fanout');
  await ch.checkExchange(x);
  const q = await queue(ch);
  await ch.bindQueue(q, x, '');
  await ch.bindExchange(other, x, '');
  await ch.unbindQueue(q, x, '');
  await ch.checkExchange(x);
  await ch.deleteExchange(other); // its binding goes with it
  const probe = await channel();
  await assert.rejects(probe.checkExchange(x), { code: 404 });
});

test('deleting a queue deletes an auto-delete exchange that it was the last one of', async () => {
  const x = await exchange('fanout', { autoDelete: true });
  const q = await queue(ch);
  await ch.bindQueue(q, x, '');
  await ch.deleteQueue(q);
  const probe = await channel();
  await assert.rejects(probe.checkExchange(x), { code: 404 });
});

test('a deleted exchange is gone with its bindings', async () => {
  const x = await exchange('fanout');
  const q = await queue(ch);
  await ch.bindQueue(q, x, '');
  await ch.deleteExchange(x);
  await ch.deleteExchange(x); // deleting what is not there is no error
  await ch.assertExchange(x, 'fanout', { durable: false });
  await publish(x, '');
  assert.deepEqual(await drainTexts(ch, q), []);
});

test('an internal exchange takes messages from exchanges alone', async () => {
  const inner = await exchange('fanout', { internal: true });
  const outer = await exchange('fanout');
  const q = await queue(ch);
  await ch.bindExchange(inner, outer, '');
  await ch.bindQueue(q, inner, '');
  await publish(outer, '', 'through');
  assert.deepEqual(await drainTexts(ch, q), ['through']);
  const direct = await channel();
  direct.publish(inner, '', Buffer.from('no'));
  await roundTrip(direct);
  assert.equal(direct.errors[0]?.code, 403);
  assert.ok(direct.errors[0].message.includes(`cannot publish to internal exchange '${inner}' in vhost '${vhost}'`));
});

test('CC and BCC are routing keys more; BCC is taken out, CC stays', async () => {
  const x = await exchange('direct');
  const queues = {};
  for (const key of ['to', 'cc1', 'cc2', 'bcc']) await ch.bindQueue(queues[key] = await queue(ch), x, key);
  await publish(x, 'to', 'm', { headers: { CC: ['cc1', 'cc2', 'to'], BCC: ['bcc'], other: 1 } });
  for (const q of Object.values(queues)) {
    const all = await drain(ch, q);
    assert.equal(all.length, 1);
    assert.equal(all[0].fields.routingKey, 'to');
    assert.deepEqual(all[0].properties.headers, { CC: ['cc1', 'cc2', 'to'], other: 1 });
  }
});
