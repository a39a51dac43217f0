// A fourth channel, made only in the configuration file, with a worker in Python that knows nothing of Foz but AMQP.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { closeAll, broker, connect, serve, start, until, withoutStream, configFile } from './lib.mjs';

let foz, service;
before(async () => {
  foz = await serve(['--config', configFile('[channels.notices]\nredeliver = 3\nretention_hours = 24\n')]);
  service = await start('/usr/bin/python3', [process.env.FOZ_ROOT + '/examples/notices-python/notices.py', '--broker', broker]);
  await service.until('ready', 30);
});
after(async () => {
  await closeAll();
  await foz.stop();
  await service.stop();
});

const post = (client, message) => client.ask({ packet_action: 'publish', channel: 'notices', type: 'post', message });

test('a notice is posted, heard by topic, and there for who comes later', async () => {
  const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
  await bob.ask({ packet_action: 'consume', channel: 'notices', consume_target: 'notice' });
  assert.deepEqual(await post(ann, { title: 'High water', text: 'Tonight' }), { event: 'answer', message: { ok: true } });
  const heard = await until(() => bob.events('message')[0], 'bob hears the notice');
  assert.deepEqual([heard.channel, heard.via, heard.topic, heard.type], ['notices', 'broadcast', 'notice', 'posted']);
  assert.deepEqual([heard.message.title, heard.message.text], ['High water', 'Tonight']);
  const late = await connect(foz.url);
  await late.ask({ packet_action: 'consume', channel: 'notices', from: 'first' });
  await until(() => late.messages().length, 'it is there for who comes later');
  assert.deepEqual(late.messages(), bob.messages());
  [ann, bob, late].forEach((one) => one.close());
});

test('a notice that no queue takes is posted again until one does', async () => {
  const ann = await connect(foz.url);
  await ann.ask({ packet_action: 'consume', channel: 'notices' });
  const answer = await withoutStream('notices', () => post(ann, { title: 'Low water', text: 'Tomorrow' }));
  assert.deepEqual(answer, { event: 'answer', message: { ok: true } });
  await until(() => ann.messages().length, 'ann hears the notice');
  ann.close();
});

test('what is wrong is said, and the other channels do not exist here', async () => {
  const ann = await connect(foz.url);
  assert.equal((await post(ann, { title: 5 })).error.service_code, 'bad_message');
  assert.equal((await ann.consume()).error.code, 'unknown_channel');
  ann.close();
});
