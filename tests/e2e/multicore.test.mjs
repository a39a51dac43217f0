// Many clients on several shards; in the TSan build this is what finds data races.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, chat, connect, serve, until } from './lib.mjs';

after(closeAll);

test('every client on every shard hears every message once and in the same order', async () => {
  const foz = await serve(['--threads', '4']);
  const service = await chat();
  const clients = await Promise.all(Array.from({ length: 40 }, () => connect(foz.url)));
  await Promise.all(clients.map((one) => one.consume()));
  const each = 5;
  const answers = await Promise.all(clients.flatMap((one) =>
    Array.from({ length: each }, (_, i) => one.publish('say', { room: 'lobby', text: one.client + ' ' + i }))));
  assert.ok(answers.every((answer) => answer.event === 'answer'));
  const total = clients.length * each;
  await until(() => clients.every((one) => one.messages().length >= total), 'everyone has heard everything', 30);
  const order = clients[0].messages().map((m) => m.text);
  assert.equal(new Set(order).size, total);
  for (const one of clients) assert.deepEqual(one.messages().map((m) => m.text), order);
  // Half of them vanish without a word while messages are under way.
  const speaking = Promise.all(Array.from({ length: 50 }, (_, i) => clients[0].publish('say', { room: 'x', text: 'late ' + i })));
  clients.slice(20).forEach((one) => one.close());
  await speaking;
  await until(() => clients[1].messages().length === total + 50, 'the others go on');
  clients.slice(0, 20).forEach((one) => one.close());
  await foz.stop();
  await service.stop();
});
