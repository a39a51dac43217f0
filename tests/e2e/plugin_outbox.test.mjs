// The Foz plugin's outbox in a storage: what outlives the page, and who sends it then.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, plugged, settle, sleep, until } from './lib.mjs';
import { scripted, stopAll } from './scripted.mjs';

after(async () => {
  await closeAll();
  await stopAll();
});

// What several pages share: localStorage, as each page sees it, and the browser's locks. A page that has died does nothing
// more, and its locks are free.
function browser({ asynchronous = false, locks = true } = {}) {
  const items = new Map();
  const held = new Map(); // name: owner
  const later = (value) => (asynchronous ? new Promise((resolve) => { setTimeout(resolve, 5, value); }) : value);
  function page(options = {}) {
    const self = { alive: true };
    self.storage = {
      get length() { return items.size; },
      key: (i) => [...items.keys()][i] ?? null,
      getItem: (key) => later(items.get(key) ?? null),
      setItem(key, value) {
        if (!self.alive) return later();
        if (self.quota !== undefined && items.size >= self.quota) {
          if (asynchronous) return Promise.reject(new Error('full'));
          throw new Error('full');
        }
        items.set(key, value);
        return later();
      },
      removeItem(key) {
        if (self.alive) items.delete(key);
        return later();
      },
      ...(asynchronous ? { keys: () => later([...items.keys()]) } : {}),
    };
    self.locks = locks ? {
      async request(name, ...rest) {
        const work = rest.at(-1);
        await null;
        while (held.has(name)) {
          if (rest[0].ifAvailable) return work(null);
          await sleep(5);
        }
        held.set(name, self);
        try { return await work({ name }); } finally { if (held.get(name) === self) held.delete(name); }
      },
    } : null;
    self.open = (url) => {
      Object.assign(self, plugged(url, { storage: self.storage, locks: self.locks, ...options }));
      self.outcomes = [];
      self.restored = [];
      self.foz.on('outcome', (event) => self.outcomes.push(event));
      self.foz.on('restored', (messages) => self.restored.push(...messages));
      return self;
    };
    // As a browser ends a page: without a word, and at once.
    self.die = () => {
      self.alive = false;
      for (const [name, owner] of held) if (owner === self) held.delete(name);
      self.close();
    };
    return self;
  }
  return { items, page, of: (kind) => [...items.keys()].filter((key) => key.startsWith('foz.' + kind)) };
}

const ignored = (promise) => { promise.catch(() => {}); return promise; };
const connected = (page) => until(() => page.foz.state.name === 'connected', 'it is connected');

for (const asynchronous of [false, true]) {
  test(`what waits outlives a reload, in order, with its ids and who it is (${asynchronous ? 'a storage with promises' : 'localStorage'})`, async () => {
    const server = await scripted();
    const shared = browser({ asynchronous });
    const before = shared.page().open(server.url);
    await connected(before);
    server.script.publish = () => {}; // no outcome comes
    const ids = [1, 2, 3].map((i) => ignored(before.foz.publish('chat', i)).id);
    ids.push(ignored(before.foz.request('tickets', 'q', { type: 'list' })).id);
    await until(() => shared.of('msg').length === 4 && server.sent('publish').length === 4, 'they are kept');
    before.die();
    delete server.script.publish;
    const page = shared.page().open(server.url);
    const own = page.foz.publish('chat', 4);
    await own;
    await until(() => page.outcomes.length === 4, 'the outcomes of the page before are told');
    assert.deepEqual(server.sent('publish', server.spark).map((frame) => [frame.message, frame.id]),
      [[1, ids[0]], [2, ids[1]], [3, ids[2]], ['q', ids[3]], [4, own.id]]);
    assert.deepEqual(page.restored.map((one) => one.id), ids);
    assert.deepEqual(page.outcomes.map((one) => [one.id, one.value.event ?? one.value]),
      [[ids[0], 'receipt'], [ids[1], 'receipt'], [ids[2], 'receipt'], [ids[3], 'q']]);
    await until(() => shared.of('msg').length === 0, 'nothing is left');
    const secrets = server.sparks.map((spark) => spark.query.resume);
    assert.equal(secrets[0], secrets[1]);
    assert.deepEqual([page.errors, page.foz.waiting], [[], 0]);
  });
}

test('two tabs do not send each other\'s messages; who lives on takes what a dead one has left', async () => {
  const server = await scripted({ publish() {} });
  const shared = browser();
  const [one, two] = [shared.page().open(server.url), shared.page().open(server.url)];
  await Promise.all([connected(one), connected(two)]);
  const id = ignored(one.foz.publish('chat', 'of one')).id;
  await until(() => server.sent('publish').length === 1, 'it is sent');
  server.cut();
  await until(() => server.sparks.length === 4 && server.sent('publish').length === 2, 'its own page sends it again');
  await settle();
  assert.deepEqual([two.restored, server.sent('publish').length], [[], 2]);
  one.die();
  server.cut();
  await until(() => two.restored.length === 1, 'the other one takes it');
  await until(() => server.sent('publish', server.spark).length === 1, 'and sends it');
  assert.equal(server.sent('publish', server.spark)[0].id, id);
  // Three pages that come at once: one of them has it.
  two.die();
  const three = [1, 2, 3].map(() => shared.page().open(server.url));
  await Promise.all(three.map(connected));
  await until(() => three.some((page) => page.restored.length === 1), 'one takes it');
  await settle();
  assert.equal(three.reduce((sum, page) => sum + page.restored.length, 0), 1);
});

test('without locks a lease does the same', async () => {
  const server = await scripted({ publish() {} });
  const shared = browser({ locks: false });
  const one = shared.page().open(server.url);
  await connected(one);
  ignored(one.foz.publish('chat', 'of one'));
  await until(() => server.sent('publish').length === 1, 'it is sent');
  const two = shared.page().open(server.url);
  await connected(two);
  assert.deepEqual(two.restored, [], 'its page is alive');
  one.die();
  const [box] = shared.of('box').filter((key) => JSON.parse(shared.items.get(key)).page && shared.of('msg')[0].startsWith(key.replace('box', 'msg')));
  shared.items.set(box, JSON.stringify({ ...JSON.parse(shared.items.get(box)), until: Date.now() - 1 })); // time passes
  const later = [shared.page().open(server.url), shared.page().open(server.url)];
  await Promise.all(later.map(connected));
  assert.equal(later[0].restored.length + later[1].restored.length, 1);
});

test('a message of another client, or whose time has passed, is not sent', async () => {
  const server = await scripted({ publish() {} });
  const shared = browser();
  const before = shared.page().open(server.url);
  await connected(before);
  ignored(before.foz.publish('chat', 'short', { expires_ms: 1 }));
  ignored(before.foz.publish('chat', 'long', { expires_ms: 60000 }));
  before.die();
  server.script.welcome = (spark) => server.welcome(spark, { client: 'somebody-else' });
  const other = shared.page().open(server.url);
  await connected(other);
  assert.deepEqual(other.restored, []);
  const wrote = ignored(other.foz.publish('chat', 'of somebody else'));
  await until(() => server.sent('publish', server.spark).length === 1, 'it is sent');
  // The same page, as another client now: it does not speak in the name of the former.
  delete server.script.welcome;
  server.cut();
  await assert.rejects(wrote, { code: 'client_changed' });
  await until(() => other.restored.length === 2, 'what the first client has left is its own again');
  await until(() => server.sent('publish', server.spark).length === 1, 'what is not too old is sent');
  assert.equal(server.sent('publish', server.spark)[0].message, 'long');
  assert.deepEqual(other.outcomes.map((one) => one.error.code), ['expired']);
});

test('it is bounded: what does not fit is told to its caller, and what another page has left waits for room', async () => {
  const server = await scripted({ publish() {} });
  const shared = browser();
  const before = shared.page({ outboxMessages: 3 }).open(server.url);
  await connected(before);
  const kept = [1, 2, 3].map((i) => ignored(before.foz.publish('chat', i)).id);
  await assert.rejects(before.foz.publish('chat', 4), { code: 'outbox_full', retryable: true });
  await assert.rejects(before.foz.publish('chat', 'x'.repeat(300000)), { code: 'too_large' });
  before.die();
  const page = shared.page({ outboxMessages: 2 }).open(server.url);
  await until(() => page.restored.length === 2, 'two fit');
  delete server.script.publish;
  server.cut();
  await until(() => page.outcomes.length === 2, 'the first two are through');
  server.cut();
  await until(() => page.outcomes.length === 3, 'the third comes when there is room');
  assert.deepEqual(page.outcomes.map((one) => one.id), kept);
  page.quota = 0;
  await assert.rejects(page.foz.publish('chat', 5), { code: 'outbox_full' });
});

test('positions are kept where the page wants it: a reload goes on where the page was', async () => {
  const server = await scripted();
  const shared = browser();
  const before = shared.page({ keep: { positions: true } }).open(server.url);
  await before.foz.consume('chat', { from: 'now' });
  server.spark.write({ event: 'message', channel: 'chat', via: 'broadcast', id: 'm1', position: '0.17.aa', message: 1 });
  await until(() => shared.of('box').some((key) => JSON.parse(shared.items.get(key)).positions.chat === '0.17.aa'), 'it is kept');
  before.die();
  const page = shared.page({ keep: { positions: true } }).open(server.url);
  await page.foz.consume('chat');
  assert.equal(server.sent('consume', server.spark)[0].from, '0.17.aa');
  page.foz.leave('chat');
  await page.foz.consume('chat');
  assert.equal(server.sent('consume', server.spark)[1].from, undefined, 'what was left begins anew');
  page.die();
  const without = shared.page().open(server.url);
  await without.foz.consume('chat');
  assert.equal(server.sent('consume', server.spark)[0].from, undefined);
});

test('a storage that refuses is told to the caller; one that hangs is not waited for', async () => {
  const server = await scripted();
  const broken = { getItem() { throw new Error('denied'); }, setItem() { throw new Error('denied'); }, removeItem() { throw new Error('denied'); }, keys() { throw new Error('denied'); } };
  const client = plugged(server.url, { storage: broken });
  await client.foz.consume('chat');
  await assert.rejects(client.foz.publish('chat', 1), { code: 'outbox_full' });
  const hangs = { getItem: () => new Promise(() => {}), setItem: () => new Promise(() => {}), removeItem: () => new Promise(() => {}), keys: () => new Promise(() => {}) };
  const patient = plugged(server.url, { storage: hangs, resume: 'x'.repeat(22) });
  await patient.foz.publish('chat', 1);
});
