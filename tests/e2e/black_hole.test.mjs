// A node of the broker is black-holed: its packets vanish in both directions, and nobody says so. In a network of its
// own (network namespaces, so root, or a user who may make them): a broker on another "host" that has two addresses, each
// on a cable of its own, which stand for two nodes of a cluster. A cable is cut by a wrong MAC address at both ends.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chat, closeAll, connect, run, selfSigned, serve, sleep, start, until } from './lib.mjs';

after(closeAll);

const hosts = process.env.FOZ_BLACK_HOLE_HOSTS;
const node = (cable) => `10.99.${cable}.2`;
// Everybody is gone from a node after so long, and heard again.
const gone = 6_000;

if (!hosts) {
  test('a black-holed node is left in time', { timeout: 170_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'foz-black-hole-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'hosts');
    writeFileSync(file, `127.0.0.1 localhost\n${node(1)} broker.test\n${node(2)} broker.test\n`);
    const inNamespaces = (command, more) => run('unshare', ['--net', '--mount', 'sh', '-c',
      'mount --bind "$FOZ_BLACK_HOLE_HOSTS" /etc/hosts && ip link set lo up && ' + command],
      { env: { FOZ_BLACK_HOLE_HOSTS: file, NODE_TEST_CONTEXT: '' }, ...more }).catch((error) => ({ code: -1, output: error.message }));
    const probe = await inNamespaces('unshare --net true && ip link add foz0 type veth peer name foz1');
    if (probe.code !== 0) return t.skip('no network namespaces can be made here: ' + probe.output.trim());
    const inner = await inNamespaces(`exec "${process.execPath}" "${fileURLToPath(import.meta.url)}"`, { seconds: 160 });
    console.log(inner.output);
    assert.equal(inner.code, 0, inner.output);
  });
} else {
  const far = await start('unshare', ['--net', 'sleep', '300']);
  const pid = String(far.child.pid);
  await until(() => readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net'), 'there is another host');
  const here = (...args) => execFileSync('ip', args, { stdio: 'pipe' });
  const there = (...args) => execFileSync('nsenter', ['-t', pid, '-n', 'ip', ...args], { stdio: 'pipe' });
  const mac = (cable, end) => `02:00:00:00:0${cable}:0${end}`;
  const cable = (n, whole) => {
    here('neigh', 'replace', node(n), 'lladdr', mac(n, whole ? 2 : 9), 'dev', 'near' + n, 'nud', 'permanent');
    there('neigh', 'replace', `10.99.${n}.1`, 'lladdr', mac(n, whole ? 1 : 9), 'dev', 'far' + n, 'nud', 'permanent');
  };
  there('link', 'set', 'lo', 'up');
  for (const n of [1, 2]) {
    here('link', 'add', 'near' + n, 'address', mac(n, 1), 'type', 'veth', 'peer', 'name', 'far' + n, 'address', mac(n, 2), 'netns', pid);
    here('addr', 'add', `10.99.${n}.1/24`, 'dev', 'near' + n);
    there('addr', 'add', node(n) + '/24', 'dev', 'far' + n);
    here('link', 'set', 'near' + n, 'up');
    there('link', 'set', 'far' + n, 'up');
    cable(n, true);
  }

  const folder = mkdtempSync(join(tmpdir(), 'foz-black-hole-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name) => join(folder, name);
  const { certificate, key } = selfSigned(at('broker'), ['broker.test', node(1), node(2)]);
  writeFileSync(at('definitions.json'), JSON.stringify({
    vhosts: [{ name: '/' }],
    users: [{ name: 'app', password: 'app' }],
    permissions: [{ user: 'app', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
  }));
  const broker = await start('nsenter', ['-t', pid, '-n', process.env.FOZ, 'broker', '--data', at('data'), '--listen', '0.0.0.0:5672',
    '--tls-listen', '0.0.0.0:5671', '--tls-certificate', certificate, '--tls-key', key,
    '--definitions', at('definitions.json')]);
  await broker.until('ready: ', 30);

  // AMQP connections that this host believes in, to each of the nodes.
  const connections = (n, port) => execFileSync('ss', ['-tnH', 'state', 'established', 'dst', node(n), 'dport', '=', String(port)])
    .toString().split('\n').filter(Boolean).length;

  for (const [scheme, port] of [['amqp', 5672], ['amqps', 5671]]) {
    test(scheme + ': everybody leaves a node that has become a black hole, busy or idle', { timeout: 90_000 }, async (t) => {
      const url = (host) => `${scheme}://app:app@${host}:${port}`;
      const ca = ['--broker-ca', certificate];
      const programs = [];
      t.after(async () => {
        [1, 2].forEach((n) => cable(n, true));
        for (const one of programs) await one.kill();
      });
      // All begin on the first node: the second one is not there.
      cable(2, false);
      const foz = await serve([...ca, '--broker', url(node(2)), '--publish-timeout', '30000', '--request-timeout', '30000'], url(node(1)));
      programs.push(foz);
      const service = await chat([...ca, '--broker', url(node(2))], url(node(1)));
      programs.push(service);
      const [ann, bob] = [await connect(foz.url), await connect(foz.url)];
      await ann.consume();
      await bob.consume();
      const say = (text) => ann.publish('say', { room: 'lobby', text });
      assert.equal((await say('first')).event, 'answer');
      const all = await until(() => connections(1, port) >= 7 && connections(1, port), 'all are connected', 20);
      cable(2, true);

      // Busy: a request every 50 ms, and the longest time in which nobody heard anything.
      let cut, last, silence = 0, number = 0, over = false;
      const asked = [];
      const asking = (async () => {
        for (; !over; await sleep(50)) asked.push(say('n' + (number += 1)));
      })();
      await until(() => bob.messages().length > 10, 'bob hears');
      cut = last = performance.now();
      cable(1, false);
      for (let seen = bob.messages().length; performance.now() < cut + gone + 2_000; await sleep(5)) {
        const now = bob.messages().length;
        if (now === seen) continue;
        silence = Math.max(silence, performance.now() - last);
        last = performance.now();
        seen = now;
      }
      over = true;
      await asking;
      // What was in the service's hands waits until the broker, too, knows that nobody is there: as if by its heartbeats.
      execFileSync('nsenter', ['-t', pid, '-n', 'ss', '-K', 'dst', '10.99.1.1'], { stdio: 'pipe' });
      const answers = await Promise.all(asked);
      assert.ok(answers.every((one) => one.event === 'answer'), 'every request has its answer');
      t.diagnostic(`${scheme}, busy: the longest silence was ${silence.toFixed(0)} ms`);
      assert.ok(silence > 1_000 && silence < gone, silence.toFixed(0) + ' ms of silence');
      await until(() => connections(2, port) === all, 'all have moved', 10);
      assert.equal(connections(1, port), 0);
      const texts = () => bob.messages().map((m) => m.text).filter((text) => text !== 'first');
      await until(() => texts().length >= number, 'bob hears everything');
      assert.deepEqual(texts().sort(), Array.from({ length: number }, (_, i) => 'n' + (i + 1)).sort(), 'each once');

      // Idle: nobody says anything.
      cable(1, true);
      await sleep(1_500);
      cut = performance.now();
      cable(2, false);
      await until(() => connections(2, port) === 0, 'nobody is left on the other node', 30);
      const left = performance.now() - cut;
      await until(() => connections(1, port) === all, 'all are connected again', 10);
      const back = performance.now() - cut;
      t.diagnostic(`${scheme}, idle: ${all} connections were given up after ${left.toFixed(0)} ms at the latest, and all were back after ${back.toFixed(0)} ms`);
      assert.ok(back < gone, back.toFixed(0) + ' ms');
      assert.equal((await say('last')).event, 'answer');
      cable(2, true);
      ann.close();
      bob.close();
      await foz.stop();
      await service.stop();
    });
  }

  test('a name of which the first address is a black hole is connected to through the other one', { timeout: 60_000 }, async (t) => {
    for (const dead of [1, 2]) {
      cable(dead, false);
      const begun = performance.now();
      const foz = await serve([], 'amqp://app:app@broker.test:5672');
      t.diagnostic(`ready after ${(performance.now() - begun).toFixed(0)} ms with ${node(dead)} dead`);
      assert.ok(performance.now() - begun < 5_000, 'no address waits for the other one\'s time');
      await foz.stop();
      cable(dead, true);
    }
  });
  after(async () => {
    await broker.kill();
    await far.kill();
  });
}
