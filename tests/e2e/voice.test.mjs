// The voice service: ring, answer, signal, hang up; a tab that closes hangs up.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, connect, secret, serve, until, voice } from './lib.mjs';

let foz, service;
before(async () => {
  foz = await serve();
  service = await voice();
});
after(async () => {
  await closeAll();
  await foz.stop();
  await service.stop();
});

const ask = (client, type, message) => client.ask({ packet_action: 'publish', channel: 'voice', type, message });
const heard = (client, ...types) => client.events('message').filter(({ type }) => types.includes(type)).map((m) => [m.type, m.message]);
// What concerns a call of the client's.
const events = (client) => heard(client, 'ringing', 'answered', 'signal', 'ended');
async function person(resume = secret()) {
  const one = await connect(foz.url, { resume });
  await one.ask({ packet_action: 'consume', channel: 'voice' });
  return one;
}
const hears = (client, type) => until(() => client.events('message').find((m) => m.type === type)?.message, 'someone hears ' + type);
async function talking() {
  const [ann, bob] = [await person(), await person()];
  const { call } = (await ask(ann, 'ring', { to: bob.client })).message;
  assert.deepEqual((await ask(bob, 'answer', { call })).message, { ok: true });
  await hears(ann, 'answered');
  return { ann, bob, call };
}

test('a call: ring at every tab, answer at one, signals both ways, hang up', async () => {
  const resume = secret();
  const [ann, bob, bob2, eve] = [await person(), await person(resume), await person(resume), await person()];
  const { call } = (await ask(ann, 'ring', { to: bob.client, name: 'Ann' })).message;
  for (const tab of [bob, bob2]) assert.deepEqual(await hears(tab, 'ringing'), { call, from: ann.client, name: 'Ann' });
  await ask(bob, 'answer', { call });
  assert.deepEqual(await hears(ann, 'answered'), { call, by: bob.client });
  assert.deepEqual(await hears(bob2, 'ended'), { call, reason: 'answered_elsewhere' });
  const offer = { type: 'offer', sdp: 'v=0\r\n', list: [1, null, '\u2028'] };
  await ask(ann, 'signal', { call, data: offer });
  assert.deepEqual(await hears(bob, 'signal'), { call, data: offer });
  await ask(bob, 'signal', { call, data: 'candidate' });
  assert.deepEqual(await hears(ann, 'signal'), { call, data: 'candidate' });
  await ask(ann, 'hangup', { call });
  assert.deepEqual(await hears(bob, 'ended'), { call, reason: 'hangup' });
  assert.equal(events(bob2).length, 2);
  assert.equal(events(eve).length, 0);
  for (const one of [ann, bob, bob2, eve]) one.close();
});

test('cancelled by the caller, declined by the called', async () => {
  const [ann, bob] = [await person(), await person()];
  const first = (await ask(ann, 'ring', { to: bob.client })).message.call;
  await ask(ann, 'hangup', { call: first });
  assert.deepEqual(await hears(bob, 'ended'), { call: first, reason: 'cancelled' });
  const second = (await ask(ann, 'ring', { to: bob.client })).message.call;
  await ask(bob, 'hangup', { call: second });
  assert.deepEqual(await hears(ann, 'ended'), { call: second, reason: 'declined' });
  ann.close();
  bob.close();
});

test('a tab that closes hangs up, while it rings and while they talk', async () => {
  const { ann, bob, call } = await talking();
  bob.close();
  assert.deepEqual(await hears(ann, 'ended'), { call, reason: 'gone' });
  const eve = await person();
  const ringing = (await ask(eve, 'ring', { to: ann.client })).message.call;
  await until(() => events(ann).some(([type, m]) => type === 'ringing' && m.call === ringing), 'it rings');
  eve.close();
  await until(() => events(ann).some(([type, m]) => type === 'ended' && m.call === ringing && m.reason === 'gone'), 'it stops');
  ann.close();
});

test('who is there says so when it comes or is asked, and that it has left is said for it', async () => {
  const resume = secret();
  const [ann, bob, bob2] = [await person(), await person(resume), await person(resume)];
  await ask(bob, 'here', { name: 'Bob' });
  await hears(ann, 'here');
  assert.deepEqual(heard(ann, 'here'), [['here', { client: bob.client, name: 'Bob' }]]);
  await ask(ann, 'who', {});
  for (const one of [ann, bob, bob2]) assert.deepEqual(await hears(one, 'who'), {});
  bob.close();
  await ask(ann, 'ring', { to: bob.client }); // handled after what the closed socket has said
  assert.deepEqual(heard(ann, 'left'), [], 'another tab is open');
  bob2.close();
  await hears(ann, 'left');
  assert.deepEqual(heard(ann, 'left'), [['left', { client: bob.client }]]);
  ann.close();
});

test('what is wrong is said', async () => {
  const { ann, bob, call } = await talking();
  const [eve, gone] = [await person(), await person()];
  gone.close();
  await until(async () => (await ask(eve, 'ring', { to: gone.client })).error?.service_code === 'not_reachable'
    || (await ask(eve, 'hangup', { call: 'none' }), false), 'the service knows that one has gone');
  const rows = [
    [eve, 'ring', { to: bob.client }, 'busy'],
    [ann, 'ring', { to: eve.client }, 'busy'],
    [eve, 'ring', { to: eve.client }, 'not_reachable'],
    [eve, 'ring', { to: 'session:' + bob.session }, 'not_reachable'],
    [eve, 'ring', {}, 'bad_message', 'to: a string is expected'],
    [eve, 'ring', { to: 'x'.repeat(129) }, 'bad_message', 'to: 1 to 128 bytes are expected'],
    [eve, 'ring', { to: bob.client, name: 7 }, 'bad_message', 'name: a string is expected'],
    [eve, 'ring', 'bob', 'bad_message', 'an object is expected'],
    [ann, 'answer', { call: 5 }, 'bad_message', 'call: a string is expected'],
    [ann, 'hangup', {}, 'bad_message', 'call: a string is expected'],
    [eve, 'answer', { call }, 'not_your_call'],
    [eve, 'hangup', { call }, 'not_your_call'],
    [eve, 'signal', { call, data: 1 }, 'not_your_call'],
    [ann, 'signal', { call }, 'bad_message', 'data: a value is expected'],
    [ann, 'signal', { data: 1 }, 'bad_message', 'call: a string is expected'],
    [ann, 'answer', { call: 'none' }, 'no_such_call'],
    [ann, 'hangup', { call: 'none' }, 'no_such_call'],
    [ann, 'signal', { call: 'none', data: 1 }, 'no_such_call'],
    [ann, 'fly', {}, 'unknown_type'],
  ];
  for (const [who, type, message, code, words] of rows) {
    const { error } = await ask(who, type, message);
    assert.equal(error?.service_code, code, type + ' ' + JSON.stringify(message));
    if (words) assert.equal(error.service?.message, words);
  }
  // None of it did anything to the call, and nobody heard of it.
  await ask(ann, 'signal', { call, data: 'still here' });
  assert.deepEqual(await hears(bob, 'signal'), { call, data: 'still here' });
  assert.deepEqual(events(bob).map(([type]) => type), ['ringing', 'signal']);
  for (const one of [ann, bob, eve]) one.close();
});

test('who is busy is called in vain: from another tab, too, and no call ends by it', async () => {
  const resume = secret();
  const [ann, ann2, bob] = [await person(resume), await person(resume), await person()];
  const { call } = (await ask(ann, 'ring', { to: bob.client })).message;
  await ask(bob, 'answer', { call });
  const others = await talking();
  assert.equal((await ask(ann2, 'ring', { to: others.ann.client })).error?.service_code, 'busy');
  assert.deepEqual((await ask(ann, 'hangup', { call })).message, { ok: true }, 'it was still there');
  assert.deepEqual(await hears(bob, 'ended'), { call, reason: 'hangup' });
  for (const one of [ann, ann2, bob, others.ann, others.bob]) one.close();
});
