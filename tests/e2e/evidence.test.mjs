// What an aggregator believes of its streams: what entries show, and nothing that silence or a clock suggests.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { amqp, broker, closeAll, configFile, connect, inSeconds, serve, settle, sleep, until } from './lib.mjs';

const relays = [], programs = [];
after(async () => {
  await closeAll();
  await Promise.all(programs.map((one) => one.kill()));
  relays.forEach((one) => one.close());
});
async function aggregator(...how) {
  programs.push(await serve(...how));
  return programs.at(-1);
}

const consumeOk = Buffer.from([0, 60, 0, 21]); // AMQP 0-9-1 §1.8.3.4
// The first octet behind it.
function behindConsumeOk(octets) {
  const at = octets.indexOf(consumeOk);
  return at < 0 ? undefined : at + consumeOk.length + 1 + octets[at + consumeOk.length] + 1;
}

// Between an aggregator and its broker. cut() ends all connections and takes none until mend(); from then on what the
// broker says on a connection for streams stops behind its first consume-ok, until release().
async function relay() {
  const self = { away: false, holding: false, held: 0 };
  const { hostname, port } = new URL(broker);
  const sockets = new Set();
  let releases = [];
  const server = net.createServer((near) => {
    if (self.away) return near.destroy();
    const far = net.connect(Number(port), hostname);
    let streams = false, said = self.holding ? Buffer.alloc(0) : undefined, stopped;
    near.on('data', (data) => {
      streams ||= data.includes('foz streams');
      far.write(data);
    });
    far.on('data', (data) => {
      if (stopped) return stopped.push(data);
      if (!streams || !said || !self.holding) return near.write(data);
      const before = said.length;
      said = Buffer.concat([said, data]);
      const end = behindConsumeOk(said);
      if (end === undefined) return near.write(data);
      near.write(data.subarray(0, end - before));
      stopped = [data.subarray(end - before)];
      self.held += 1;
      releases.push(() => {
        stopped.forEach((octets) => near.write(octets));
        stopped = said = undefined;
      });
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  self.url = broker.replace(hostname + ':' + port, '127.0.0.1:' + server.address().port);
  self.cut = () => {
    self.away = self.holding = true;
    sockets.forEach((one) => one.destroy());
  };
  self.mend = () => { self.away = false; };
  self.release = () => {
    self.holding = false;
    releases.splice(0).forEach((release) => release());
  };
  self.close = () => {
    server.close();
    sockets.forEach((one) => one.destroy());
  };
  relays.push(self);
  return self;
}

async function publisher() {
  const channel = await (await amqp()).createConfirmChannel();
  return {
    say: (body, options = {}, key = 'chat') => channel.publish('OUTBOUND', key, Buffer.from(JSON.stringify(body)),
      { headers: { 'foz-broadcast': true }, timestamp: inSeconds(0), ...options }),
    confirmed: () => channel.waitForConfirms(),
  };
}

test('a broker that is silent for ten seconds after it took the consumers back: nothing is skipped, no gap is told', async () => {
  const between = await relay();
  const foz = await aggregator(['--config', configFile('[channels.chat]\n')], between.url);
  const ann = await connect(foz.url);
  await ann.consume();
  const { say, confirmed } = await publisher();
  say('before');
  await confirmed();
  await until(() => ann.messages().includes('before'), 'ann is live');
  between.cut();
  for (let i = 0; i < 10; i += 1) say(i);
  await confirmed();
  between.mend();
  await until(() => between.held > 0, 'the consumers are there again', 20);
  await sleep(10_000);
  assert.deepEqual(ann.messages(), ['before'], 'the broker was silent');
  between.release();
  await until(() => ann.messages().includes(9) || ann.events('gap').length, 'what was said meanwhile comes', 40);
  say('after');
  await until(() => ann.messages().includes('after'), 'ann is live again', 20);
  assert.deepEqual([ann.events('gap'), ann.messages()], [[], ['before', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'after']]);
  ann.close();
  await foz.stop();
});

test('what its publisher\'s clock says has expired is delivered live, and not replayed', async () => {
  const foz = await aggregator();
  const ann = await connect(foz.url);
  const from = (await ann.consume()).channels.chat.position;
  const { say, confirmed } = await publisher();
  const old = { timestamp: inSeconds(-60), expiration: '5000' };
  say('old', old);
  say('a little late', { timestamp: inSeconds(-7), expiration: '5000' });
  say('end');
  await confirmed();
  await until(() => ann.messages().includes('end'), 'it is live');
  assert.deepEqual(ann.messages(), ['old', 'a little late', 'end']);
  // From memory, and by an aggregator that was not there.
  const other = await aggregator();
  for (const url of [foz.url, other.url]) {
    const back = await connect(url);
    await back.consume({ from });
    await until(() => back.messages().includes('end'), 'what was missed comes');
    assert.deepEqual(back.messages(), ['a little late', 'end'], 'clocks differ by some seconds');
    back.close();
  }
  ann.close();
  await foz.stop();
  await other.stop();
});

test('a starting aggregator knows what was said before: what is said again is heard once', async () => {
  const count = 1500;
  const foz = await aggregator();
  const ann = await connect(foz.url);
  await ann.consume();
  const { say, confirmed } = await publisher();
  say('again', { messageId: 'again' });
  await confirmed();
  await until(() => ann.messages().includes('again'), 'it is heard');
  const from = ann.events('message').at(-1).position;
  ann.close();
  await foz.kill();
  for (let i = 0; i < count; i += 1) say(i, { messageId: 'in between ' + i });
  say('again', { messageId: 'again' }); // its publisher didn't see the confirm
  say('end');
  await confirmed();
  const fresh = await aggregator();
  const [back, live] = [await connect(fresh.url), await connect(fresh.url)];
  await live.consume();
  await back.consume({ from });
  await until(() => back.messages().includes('end') || back.events('gap').length, 'what was missed comes', 20);
  assert.deepEqual([back.events('gap'), back.messages()], [[], [...Array(count).keys(), 'end']]);
  say('again', { messageId: 'again' });
  say(count - 1, { messageId: 'in between ' + (count - 1) });
  say('new');
  await confirmed();
  await until(() => live.messages().includes('new') && back.messages().includes('new'), 'both are live');
  await settle();
  assert.deepEqual(live.messages(), ['new']);
  assert.deepEqual(back.messages().slice(-2), ['end', 'new']);
  [back, live].forEach((one) => one.close());
  await fresh.stop();
});
