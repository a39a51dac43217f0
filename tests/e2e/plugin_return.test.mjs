// The Foz plugin: when it comes back, when it stays away, and what it has then.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, plugged, settle, sleep, until } from './lib.mjs';
import { scripted, stopAll } from './scripted.mjs';

after(async () => {
  await closeAll();
  await stopAll();
});

const connected = (client) => until(() => client.foz.state.name === 'connected', 'it is connected');
const back = (server, times) => until(() => server.opened.length >= times, 'it comes back');

test('the first retry is spread over 200 to 500 ms, the pause ends at 3 s, and it never gives up', async () => {
  const server = await scripted();
  const clients = Array.from({ length: 12 }, () => plugged(server.url));
  for (const client of clients) await connected(client);
  const plans = [];
  for (const { primus } of clients) primus.on('reconnect scheduled', (plan) => plans.push(plan.scheduled));
  server.cut();
  await until(() => plans.length >= 12, 'all of them plan to come back');
  const first = plans.slice(0, 12);
  assert.ok(first.every((ms) => ms >= 200 && ms <= 500), String(first));
  assert.ok(new Set(first.map(Math.round)).size > 6, 'they are spread: ' + first);
  const { recovery } = clients[0].primus;
  assert.deepEqual([recovery.max, recovery.retries], [3000, Infinity]);
});

test('what the page sets itself wins', async () => {
  const server = await scripted();
  const client = plugged(server.url, {}, { reconnect: { min: 50, max: 80, retries: 2 } });
  await connected(client);
  const { min, max, retries } = client.primus.recovery;
  assert.deepEqual([min, max, retries], [50, 80, 2]);
  const plans = [];
  client.primus.on('reconnect scheduled', (plan) => plans.push(plan.scheduled));
  await server.stop();
  await until(() => client.foz.state.name === 'closed', 'it gives up after two attempts');
  assert.deepEqual(plans, [50, 80]);
  assert.equal(client.foz.state.reason.code, 'closed');
});

test('a drain, or a refusal for a while, says when to come back', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  await connected(client);
  server.spark.write({ event: 'drain', retry_after_ms: 900 });
  await until(() => client.foz.state.reason?.code === 'draining', 'the drain is told');
  assert.ok(client.foz.state.next_at > Date.now() + 500);
  const cutAt = Date.now();
  server.cut();
  server.script.welcome = (spark) => {
    spark.write({ event: 'error', error: { code: 'overloaded', message: 'too many', retryable: true, retry_after_ms: 1200 } });
    server.close(spark, 4100);
  };
  await back(server, 2);
  assert.ok(server.opened[1] - cutAt >= 650, 'not before the drain said');
  await until(() => client.foz.state.next_at && client.foz.state.reason?.code === 'overloaded', 'the refusal is told');
  delete server.script.welcome;
  await back(server, 3);
  assert.ok(server.opened[2] - server.opened[1] >= 1150, 'not before the refusal said');
  await connected(client);
  assert.equal(client.foz.state.reason, null);
});

test('sockets that are accepted and closed again without a word are tried ever more slowly', async () => {
  const server = await scripted({ welcome: (spark) => server.close(spark, 4101) });
  const client = plugged(server.url, {}, { reconnect: { min: 100, max: 1000 } });
  await back(server, 5);
  const pauses = server.opened.slice(1).map((at, i) => at - server.opened[i]);
  assert.ok(pauses[3] > pauses[0] * 2, String(pauses));
  delete server.script.welcome;
  await connected(client);
});

for (const [name, refuse, reason] of [
  ['an error, primus::server::close and 4001', (server, spark) => {
    spark.write({ event: 'error', error: { code: 'unknown_channel', message: 'there is no channel nothing', retryable: false } });
    spark._write('primus::server::close');
    server.close(spark, 4001);
  }, { code: 'unknown_channel', close_code: 4001 }],
  ['4003 alone', (server, spark) => server.close(spark, 4003), { code: 'closed', close_code: 4003 }],
  ['1009', (server, spark) => server.close(spark, 1009), { code: 'closed', close_code: 1009 }],
]) {
  test('refused for good: told, and final: ' + name, async () => {
    const server = await scripted({ welcome: (spark) => refuse(server, spark) });
    const client = plugged(server.url);
    const waiting = client.foz.publish('chat', 1);
    const heard = client.foz.consume('chat');
    const failures = Promise.allSettled([waiting, heard]);
    await until(() => client.foz.state.name === 'refused', 'it is refused');
    const { code, close_code } = client.foz.state.reason;
    assert.deepEqual({ code, close_code }, reason);
    assert.deepEqual((await failures).map((one) => one.reason.code), [reason.code, reason.code]);
    assert.deepEqual(client.states.map((state) => state.name), ['refused']);
    await sleep(700); // longer than its first retry takes
    assert.equal(server.opened.length, 1);
    // The page may open it again, with another token perhaps.
    delete server.script.welcome;
    client.primus.open();
    await connected(client);
    await client.foz.publish('chat', 1);
  });
}

test('states tell where the connection is', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  assert.deepEqual([client.foz.state.name, client.foz.state.reason], ['waiting', null]);
  await connected(client);
  server.cut();
  await until(() => client.foz.state.next_at, 'it says when it will be tried again');
  assert.equal(client.foz.state.name, 'waiting');
  assert.ok(client.foz.state.next_at - Date.now() <= 500);
  await connected(client);
  client.primus.end();
  assert.equal(client.foz.state.name, 'closed');
  const names = client.states.map((state) => state.name).filter((name, i, all) => name !== all[i - 1]);
  assert.deepEqual(names, ['connected', 'waiting', 'connected', 'closed']);
});

test('a browser that goes offline ends nothing', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  await connected(client);
  const { primus } = client;
  primus.NETWORK_EVENTS = true; // what a browser does then, see Primus' offlineHandler
  primus.online = false;
  primus.emit('offline');
  primus.end();
  primus.recovery.reset();
  assert.deepEqual([client.foz.state.name, client.foz.state.reason.code], ['waiting', 'offline']);
  const kept = client.foz.publish('chat', 'written meanwhile');
  primus.online = true;
  primus.emit('online');
  primus.recovery.reconnect();
  await kept;
  primus.NETWORK_EVENTS = false;
});

test('after the last topic or group has been left a reconnect consumes nothing of the channel', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  await client.foz.consume('chat', { topics: ['a'] });
  await client.foz.consume('tickets', { distribution: { multicast: ['crew', 'team'] } });
  await client.foz.consume('voice', { topics: ['x', 'y'] });
  client.foz.leave('chat', { topics: ['a'] });
  client.foz.leave('tickets', { groups: ['crew'] });
  client.foz.leave('tickets', { groups: ['team'] });
  client.foz.leave('voice', { topics: ['x'] });
  server.cut();
  await back(server, 2);
  await client.foz.publish('chat', 1);
  assert.deepEqual(server.sent('consume', server.spark).map((frame) => [frame.channel, frame.consume_target]), [['voice', ['y']]]);
});

test('a consume that fails for a while after a reconnect is told, and tried again ever more slowly', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  await client.foz.consume('chat', { topics: ['a'] });
  const at = [];
  server.script.consume = (spark, frame) => {
    at.push(Date.now());
    if (at.length < 4) return server.error(spark, frame.id, 'no_service', { retryable: true });
    delete server.script.consume;
    spark.write({ event: 'consuming', id: frame.id, channels: { chat: { topics: ['a'], groups: [] } } });
  };
  server.cut();
  const later = client.foz.consume('chat', { topics: ['b'] }); // waits with it
  await until(() => at.length === 4, 'it is tried until it succeeds', 20);
  await later;
  assert.deepEqual(client.errors.map((error) => [error.code, error.channel]), Array(3).fill(['no_service', 'chat']));
  assert.ok(client.errors[2].retry_in_ms > client.errors[0].retry_in_ms);
  assert.ok(at[3] - at[2] > at[1] - at[0], String(at));
  assert.deepEqual(server.sent('consume').at(-1).consume_target.sort(), ['a', 'b']);
});

test('what was left before it was granted is not asked for again, and ends', async () => {
  const refuse = (spark, frame) => server.error(spark, frame.id, 'no_service', { retryable: true });
  const server = await scripted({ consume: refuse });
  const client = plugged(server.url);
  const ended = [];
  for (const name of ['chat', 'tickets']) client.foz.consume(name, { topics: ['a'] }).then((event) => ended.push(event.channels));
  await until(() => client.errors.length === 2, 'both will be tried again');
  server.script.consume = () => {}; // what comes now is not answered yet
  client.foz.leave('chat');
  client.foz.leave('tickets');
  client.foz.consume('chat', { topics: ['b'] }).catch(() => {});
  const frames = server.sent('consume').length;
  await until(() => ended.length === 2, 'what was left ends');
  assert.deepEqual(ended, [{}, {}]);
  assert.deepEqual(server.sent('consume').slice(frames).map((frame) => frame.consume_target), [['b']], 'nothing else is asked for');
});

test('a consume that is refused for good after a reconnect is told; what others wanted of the channel stays', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  await client.foz.consume('chat', { topics: ['a'] });
  await client.foz.consume('tickets');
  server.script.consume = (spark, frame) => {
    if (frame.channel === 'tickets' || frame.consume_target.includes('bad')) return server.error(spark, frame.id, 'forbidden');
    spark.write({ event: 'consuming', id: frame.id, channels: {} });
  };
  server.cut();
  await assert.rejects(client.foz.consume('chat', { topics: ['bad'] }), { code: 'forbidden', channel: 'chat' });
  await until(() => client.errors.length === 1, 'the other one is told');
  assert.deepEqual([client.errors[0].code, client.errors[0].channel], ['forbidden', 'tickets']);
  await until(() => server.sent('consume').at(-1).channel === 'chat', 'chat is consumed without it');
  assert.deepEqual(server.sent('consume').at(-1).consume_target, ['a']);
  await settle();
  server.cut();
  await back(server, 3);
  await client.foz.publish('chat', 1);
  assert.deepEqual(server.sent('consume', server.spark).map((frame) => frame.channel), ['chat']);
});

test('what is refused as too much keeps its place before what was written later on the channel', async () => {
  const server = await scripted();
  const client = plugged(server.url);
  await connected(client);
  const taken = [];
  let refusals = 3;
  server.script.publish = (spark, frame) => {
    if (frame.channel === 'chat' && refusals > 0) {
      refusals -= 1;
      // The later one may come back sooner.
      return server.error(spark, frame.id, 'overloaded', { retryable: true, retry_after_ms: 200 + refusals * 100 });
    }
    taken.push([frame.channel, frame.message]);
    spark.write({ event: 'receipt', id: frame.id });
  };
  const sent = [1, 2, 3].map((i) => client.foz.publish('chat', i));
  await until(() => refusals === 0, 'three are refused');
  await settle();
  sent.push(client.foz.publish('chat', 4), client.foz.publish('tickets', 'other'));
  await Promise.all(sent);
  assert.deepEqual(taken, [['tickets', 'other'], ['chat', 1], ['chat', 2], ['chat', 3], ['chat', 4]]);
});
