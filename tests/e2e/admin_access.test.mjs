// Who gets in at the admin port, who may what there, and what is written down of it. Raw sockets where a client would
// put a request right before it sends it.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { closeAll, configFile, connect, rawHttp, run, selfSigned, serve, sleep, start, until } from './lib.mjs';

const program = process.env.FOZ;
const out = process.env.FOZ_OUT;
const token = 't'.repeat(40);
const tokenFile = out + '/admin-token';
const auditFile = out + '/admin-audit';
const hashOf = (password) => spawnSync(program, ['admin', 'hash'], { input: password + '\n' }).stdout.toString().trim();
const users = () => `
[admin_users.anna]
role = "act"
password_hash = "${hashOf('right')}"
[admin_users.viewer]
password_hash = "${hashOf('only-look')}"
[admin_users.prometheus]
token_file = "${tokenFile}"
[admin_users.robot]
role = "act"
token_variable = "ROBOT_TOKEN"
`;
const robot = 'r'.repeat(32);
const portOf = (server) => server.output.match(/admin: port (\d+)/)[1];
// foz serve with a broker inside that has a user with a password, and this in [admin].
const definitions = out + '/admin-definitions.json';
writeFileSync(definitions, JSON.stringify({ users: [{ name: 'otto', password: 'broker-secret', tags: '' }] }));
const inside = async (admin) => {
  const data = `${out}/admin-data-${Math.random()}`;
  const self = await start(program, ['serve', '--config', configFile(`[admin]\nlisten = "127.0.0.1:0"\n${admin}`), '--data', data,
    '--listen', '127.0.0.1:0', '--amqp-listen', '127.0.0.1:0', '--definitions', definitions],
  { ROBOT_TOKEN: robot, FOZ_CLIENT_DRAIN_GRACE_MS: '0', FOZ_CLIENT_DRAIN_LIMIT_MS: '8000' });
  await self.until('ready: http');
  self.url = self.output.match(/ready: (https?:\/\/[^/]+)\//)[1];
  self.admin = 'http://127.0.0.1:' + portOf(self);
  await until(async () => (await fetch(self.admin + '/readyz')).status === 200, 'the admin port says ready');
  return self;
};
const basic = (user, password) => 'Basic ' + Buffer.from(user + ':' + password).toString('base64');
const right = basic('anna', 'right');
const looking = basic('viewer', 'only-look');
const json = 'Content-Type: application/json\r\n';

let foz;
before(async () => {
  writeFileSync(tokenFile, token + '\n');
  rmSync(auditFile, { force: true });
  foz = await inside(`audit_log = "${auditFile}"\n${users()}`);
});
after(async () => {
  await closeAll();
  await foz.stop();
});

const get = async (path, authorization, url = foz.admin) => {
  const answer = await fetch(url + path, { headers: authorization ? { authorization } : {} });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};
const post = async (body, authorization, headers = { 'content-type': 'application/json' }, path = '/api/clients/disconnect') => {
  const answer = await fetch(foz.admin + path, { method: 'POST', headers: { ...headers, ...(authorization ? { authorization } : {}) },
    body: typeof body === 'string' ? body : JSON.stringify(body) });
  return { status: answer.status, text: await answer.text() };
};
const audit = () => readFileSync(auditFile, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));

test('without a login: whether it is alive and ready, and nothing else', async () => {
  assert.deepEqual([(await get('/healthz')).text, (await get('/readyz')).text], ['alive\n', 'ready\n']);
  for (const path of ['/metrics', '/api/overview', '/api/queues', '/api/definitions', '/api/nothing', '/', '/x', '/api/clients/disconnect']) {
    const { status, headers, text } = await get(path);
    assert.equal(status, 401, path);
    assert.match(headers.get('www-authenticate'), /^Basic realm="foz", charset="UTF-8", Bearer realm="foz"$/);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
    assert.doesNotMatch(text, /queue|foz_/);
  }
  assert.equal((await post({ client: 'a' })).status, 401);
});

test('a password or a token lets in; what is wrong does not', async () => {
  for (const good of [right, looking, 'Bearer ' + token, 'bearer ' + robot])
    assert.equal((await get('/metrics', good)).status, 200, good);
  assert.match((await get('/readyz', looking)).text, /^ready/);
  for (const bad of [basic('anna', 'wrong'), basic('nobody', 'right'), 'Bearer ' + token.slice(1), 'Basic !']) {
    const { status, headers } = await get('/metrics', bad);
    assert.equal(status, 401, bad);
    if (bad.startsWith('Bearer')) assert.match(headers.get('www-authenticate'), /error="invalid_token"/);
  }
  assert.equal((await rawHttp(foz.admin, `GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${right}\r\n` +
    `Authorization: ${right}\r\nConnection: close\r\n\r\n`)).status, 401, 'two are none');
});

test('whoever may view sees no password hash and can not act', async () => {
  const seen = JSON.parse((await get('/api/definitions', looking)).text);
  assert.ok(seen.users.some((one) => one.name === 'otto') && seen.users.every((one) => !('password_hash' in one)));
  assert.ok(seen.queues.length > 0);
  const all = JSON.parse((await get('/api/definitions', right)).text);
  assert.ok(all.users.find((one) => one.name === 'otto').password_hash);
  assert.deepEqual(seen.queues, all.queues);
  assert.equal((await post({ client: 'a' }, looking)).status, 403);
  assert.equal((await post({ client: 'a' }, 'Bearer ' + token)).status, 403);
  assert.equal((await post({ client: 'a' }, right)).status, 404, 'anna may, and there is no such client');
  assert.equal((await post({ client: 'a' }, 'Bearer ' + robot)).status, 404);
});

test('pages of other origins get nothing, and forms can not act', async () => {
  const port = portOf(foz);
  const ask = (path, headers, method = 'GET') => rawHttp(foz.admin,
    `${method} ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: ${right}\r\nConnection: close\r\n${headers}\r\n`);
  assert.equal((await ask('/metrics', `Origin: http://localhost:${port}\r\n`)).status, 200);
  for (const origin of ['http://evil.example', 'null', 'http://localhost', `https://localhost:${port}`, `http://127.0.0.1:${port}`]) {
    assert.equal((await ask('/metrics', `Origin: ${origin}\r\n`)).status, 403, origin);
    assert.equal((await ask('/api/clients/disconnect', `Origin: ${origin}\r\n${json}Content-Length: 0\r\n`, 'POST')).status, 403);
    assert.equal((await ask('/readyz', `Origin: ${origin}\r\n`)).status, 200);
  }
  assert.equal((await ask('/api/overview', 'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n')).status, 403);
  assert.equal((await rawHttp(foz.admin, `GET /metrics HTTP/1.1\r\nHost: evil.example:${port}\r\nAuthorization: ${right}\r\nConnection: close\r\n\r\n`)).status, 421);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
    assert.equal((await post('{"client":"a"}', right, { 'content-type': type })).status, 403, type);
  assert.equal((await post('{"client":"a"}', right, { 'content-type': 'text/plain', 'x-requested-with': 'test' })).status, 404);
});

test('a request is read in one way, or not at all', async () => {
  const head = `POST /api/clients/disconnect HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${right}\r\n${json}`;
  const smuggled = 'GET /api/overview HTTP/1.1\r\nHost: localhost\r\n\r\n';
  for (const [framing, status] of [['Content-Length: 2\r\nContent-Length: 60\r\n', 400], ['Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', 400],
    ['Transfer-Encoding: chunked\r\n', 411], ['Transfer-Encoding: \x0bchunked\r\nContent-Length: 2\r\n', 400], ['Content-Length: 2, 2\r\n', 400],
    ['Content-Length: 65537\r\n', 413], ['Content-Length : 2\r\n', 400], ['Content-Length: 1e3\r\n', 400]]) {
    const answer = await rawHttp(foz.admin, head + framing + '\r\n{}' + smuggled);
    assert.equal(answer.status, status, framing);
    assert.equal(answer.octets.toString().split('HTTP/1.1 ').length, 2, 'one answer: ' + framing);
  }
  // A body that is what it says is followed by the next request.
  const two = await rawHttp(foz.admin, head + 'Content-Length: 14\r\n\r\n{"client":"a"}' + smuggled.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.deepEqual(two.octets.toString().match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 404', 'HTTP/1.1 401']);
  assert.equal((await post('{"client":"' + 'x'.repeat(60_000) + '"}', right)).status, 404, 'large, and whole');
  assert.equal((await rawHttp(foz.admin, `GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${right}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`)).status, 400);
  // The clients' port takes none.
  assert.equal((await rawHttp(foz.url, 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}')).status, 413);
});

test('what an action is asked is checked', async () => {
  for (const body of ['', 'x', '[]', '{}', '{"client":1}', '{"client":"a","session":"b"}', '{"client":"a","stay":true}',
    '{"client":"a","client":"b"}', '{"client":"a","stay_away":"yes"}'])
    assert.equal((await post(body, right)).status, 400, body);
  for (const method of ['PUT', 'DELETE', 'PATCH'])
    assert.equal((await fetch(foz.admin + '/api/clients/disconnect', { method, headers: { authorization: right, 'content-type': 'application/json' } })).status, 405);
  assert.equal((await get('/api/clients/disconnect', right)).status, 405);
});

test('a client is closed and comes back, or is told to stay away', async () => {
  const one = await connect(foz.url);
  const other = await connect(foz.url);
  assert.deepEqual(await post({ client: one.client }, right), { status: 200, text: '{"closed":1}\n' });
  await until(() => one.opened === 2, 'the client comes back');
  assert.equal(other.opened, 1);
  let ended = false;
  other.primus.on('end', () => { ended = true; });
  const { code, output } = await run(program, ['client', 'disconnect', '--session', other.session, '--stay-away', '--admin', 'http://127.0.0.1:' + portOf(foz)],
    { env: { FOZ_ADMIN_USER: 'anna', FOZ_ADMIN_PASSWORD: 'right' } });
  assert.deepEqual([code, output], [0, '{"closed":1}\n']);
  await until(() => ended, 'it has ended');
  await sleep(1_500);
  assert.equal(other.opened, 1);
});

test('the command line says what is missing, and shows no secret', async () => {
  const at = ['--admin', '127.0.0.1:' + portOf(foz)];
  const nobody = await run(program, ['client', 'disconnect', 'x', ...at]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.output, /^foz: .*a login is needed, or this one is wrong: FOZ_ADMIN_USER/);
  const unknown = await run(program, ['client', 'disconnect', 'x', ...at, '--token-file', tokenFile]);
  assert.match(unknown.output, /^foz: .*403: only users of the role act/);
  const none = await run(program, ['client', 'disconnect', 'x', ...at, '--user', 'anna'], { env: { FOZ_ADMIN_PASSWORD: 'right' } });
  assert.match(none.output, /^foz: .*404: no such socket is here/);
  const readable = await run(program, ['client', 'disconnect', 'x', '--admin', '192.0.2.1:9090', '--user', 'anna'], { env: { FOZ_ADMIN_PASSWORD: 'right' } });
  assert.equal(readable.code, 2);
  assert.match(readable.output, /^foz: --admin: a login would cross the network readably: say https:\/\/192\.0\.2\.1:9090 /);
  const silent = await run(program, ['client', 'disconnect', 'x', ...at, '--user', 'anna']);
  assert.match(silent.output, /^foz: the password of anna is expected in the variable FOZ_ADMIN_PASSWORD/);
  assert.equal((await run(program, ['client', 'disconnect'])).code, 2);
  const top = await run(program, ['top', '--json', ...at, '--token-file', tokenFile]);
  assert.equal(JSON.parse(top.output).overview.product, 'Foz');
  assert.match((await run(program, ['top', '--once', ...at])).output, /a login is needed/);
});

test('every action and every refused login is a line, and no password is in any', async () => {
  await until(() => audit().some((one) => one.action === 'clients/disconnect' && one.outcome === 'done'), 'the lines are written');
  const all = audit();
  for (const one of all) assert.deepEqual(Object.keys(one), ['time', 'user', 'address', 'action', 'target', 'outcome']);
  assert.ok(all.every((one) => Math.abs(Date.parse(one.time) - Date.now()) < 600_000));
  const has = (part) => assert.ok(all.some((one) => Object.entries(part).every(([name, value]) => one[name].match(value))), JSON.stringify(part));
  has({ user: /^anna$/, address: /^127\.0\.0\.1$/, action: /^clients\/disconnect$/, target: /^client anon-/, outcome: /^done$/ });
  has({ user: /^anna$/, target: /^session .*, for good$/, outcome: /^done$/ });
  has({ user: /^viewer$/, action: /^clients\/disconnect$/, outcome: /^refused/ });
  has({ user: /^anna$/, action: /^login$/, outcome: /^refused: wrong user or password$/ });
  has({ user: /^nobody$/, action: /^login$/ });
  has({ action: /^login$/, outcome: /^refused: no such token$/ });
  assert.match(foz.output, /admin: refused a login, of "/);
  for (const text of [readFileSync(auditFile, 'utf8'), foz.output])
    for (const secret of ['right', 'only-look', token.slice(0, 20), robot, '$y$']) assert.ok(!text.includes(secret), secret);
  assert.equal(statSync(auditFile).mode & 0o777, 0o600);
});

test('without a file the lines are in the log', async () => {
  const other = await inside(users());
  assert.equal((await get('/metrics', basic('anna\n"x', 'wrong'), other.admin)).status, 401);
  await other.until('audit: {"time":"');
  assert.match(other.output, /audit: .*"user":"anna\\n\\"x","address":"127\.0\.0\.1","action":"login"/);
  await other.stop();
});

test('trying passwords is limited, and whoever is logged in does not notice', async () => {
  const other = await inside('open_metrics = true\n' + users());
  assert.equal((await get('/api/overview', looking, other.admin)).status, 200);
  const seen = new Map();
  let stop = false;
  const attack = async (n) => {
    for (let i = 0; !stop; i += 1) {
      const { status, headers } = await get('/api/overview', basic('anna', n + '-' + i), other.admin);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      if (status === 429) assert.ok(Number(headers.get('retry-after')) >= 1);
    }
  };
  const attackers = Array.from({ length: 16 }, (_, n) => attack(n));
  const times = [];
  for (let i = 0; i < 60; i += 1) {
    const begin = performance.now();
    const [metrics, overview, byToken] = await Promise.all([get('/metrics', undefined, other.admin), get('/api/overview', looking, other.admin),
      get('/api/overview', 'Bearer ' + token, other.admin)]);
    times.push(performance.now() - begin);
    assert.deepEqual([metrics.status, overview.status, byToken.status], [200, 200, 200]);
    await sleep(50);
  }
  stop = true;
  await Promise.all(attackers);
  times.sort((a, b) => a - b);
  assert.ok(seen.get(401) <= 20, 'passwords that were looked at: ' + seen.get(401));
  assert.ok(seen.get(429) > 100, 'refused: ' + seen.get(429));
  const counted = (await get('/metrics', undefined, other.admin)).text;
  assert.equal(Number(counted.match(/^foz_admin_logins_refused_total\{why="limited"\} (\d+)$/m)[1]), seen.get(429));
  assert.ok(Number(counted.match(/^foz_admin_passwords_hashed_total (\d+)$/m)[1]) <= 21);
  assert.ok(times[Math.floor(times.length * 0.9)] < 250, 'the ninth of ten took ' + times[Math.floor(times.length * 0.9)] + ' ms');
  assert.ok(other.output.split('\n').filter((line) => line.includes('audit: ')).length <= 60);
  await other.stop();
});

test('slow bodies and half requests hold nothing up', async () => {
  const sockets = Array.from({ length: 50 }, () => {
    const socket = connectTcp(Number(portOf(foz)), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`POST /api/clients/disconnect HTTP/1.1\r\nHost: localhost\r\n${json}Content-Length: 60000\r\n\r\n{`);
    return socket;
  });
  const begin = Date.now();
  assert.equal((await get('/metrics', 'Bearer ' + token)).status, 200);
  assert.ok(Date.now() - begin < 2_000);
  let told = '';
  sockets[0].on('data', (data) => { told += data; });
  await until(() => told.startsWith('HTTP/1.1 408'), 'the time is over', 15);
  sockets.forEach((socket) => socket.destroy());
});

test('over TLS, with the same rules', async () => {
  const { certificate, key } = selfSigned('admin');
  const text = (listen) => configFile(`[admin]\nlisten = "${listen}"\ntls_certificate = "${certificate}"\ntls_key = "${key}"\n${users()}`);
  const secure = await serve(['--config', text('0.0.0.0:0')], undefined, { ROBOT_TOKEN: robot });
  const port = portOf(secure);
  const ask = (headers, tls = true) => rawHttp('https://127.0.0.1:' + port,
    `GET /metrics HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n${headers}\r\n`, { tls });
  await until(async () => (await ask(`Authorization: ${right}\r\n`)).status === 200, 'it is collected');
  assert.equal((await ask('')).status, 401);
  assert.equal((await ask(`Authorization: ${right}\r\nOrigin: https://localhost:${port}\r\n`)).status, 200);
  assert.equal((await ask(`Authorization: ${right}\r\nOrigin: http://localhost:${port}\r\n`)).status, 403);
  await assert.rejects(async () => { const plain = await ask('', false); assert.ok(plain.status > 0); });
  const top = (...args) => run(program, ['top', '--json', '--admin', 'https://127.0.0.1:' + port, '--token-file', tokenFile, ...args]);
  assert.equal(JSON.parse((await top('--admin-ca', certificate)).output).overview.product, 'Foz');
  const unknown = await top();
  assert.equal(unknown.code, 1);
  assert.match(unknown.output, /TLS: /);
  await secure.stop();
});

test('foz broker has the same port, with the same rules', async () => {
  const file = configFile(`[admin]\nlisten = "127.0.0.1:0"\n${users()}`);
  const alone = await start(program, ['broker', '--config', file, '--data', `${out}/admin-broker-${Math.random()}`, '--listen', '127.0.0.1:0'],
    { ROBOT_TOKEN: robot });
  await alone.until('ready: ');
  const url = 'http://127.0.0.1:' + portOf(alone);
  assert.equal((await get('/metrics', undefined, url)).status, 401);
  await until(async () => (await get('/api/queues', looking, url)).status === 200, 'it is collected');
  await alone.stop();
});

test('foz admin hash: a password typed twice is not to be seen, and two different ones are refused', async () => {
  for (const [second, text] of [['typed-secret', /^\$y\$\S{60,}\r?$/m], ['another', /two different passwords/]]) {
    const child = spawn('/usr/bin/python3', [process.env.FOZ_ROOT + '/tests/support/in_terminal.py', '80', '24', program, 'admin', 'hash']);
    let seen = '';
    child.stdout.setEncoding('utf8').on('data', (data) => { seen += data; });
    child.stderr.resume();
    await until(() => seen.includes('Password: '), 'it asks');
    child.stdin.write('keys "typed-secret\\n"\n');
    await until(() => seen.includes('Once more: '), 'it asks again');
    child.stdin.write(`keys "${second}\\n"\n`);
    await until(() => text.test(seen), 'it answers ' + text);
    assert.ok(!seen.includes('typed-secret') && !seen.includes('another'), seen);
    child.stdin.end();
  }
  assert.equal(spawnSync(program, ['admin', 'hash'], { input: '' }).status, 1);
});

test('it does not start where strangers would be let in', async () => {
  const begin = async (admin) => run(program, ['serve', '--listen', '127.0.0.1:0', '--data', out + '/never', '--config', configFile(`[admin]\n${admin}`)],
    { env: { ROBOT_TOKEN: robot } });
  for (const [admin, text] of [['listen = "0.0.0.0:0"\n', /would be shown everything; make a user/],
    ['listen = "0.0.0.0:0"\n' + users(), /in the clear; say admin\.tls_certificate/],
    ['listen = "127.0.0.1:0"\naudit_log = "/nowhere/audit"\n', /admin\.audit_log: \/nowhere\/audit/],
    ['listen = "127.0.0.1:0"\n[admin_users.x]\ntoken_variable = "NOT_SET_ANYWHERE"\n', /NOT_SET_ANYWHERE.*is not set/]]) {
    const { code, output } = await begin(admin);
    assert.equal(code, 1, output);
    assert.match(output, text);
  }
});

test('without users whoever reaches it may view, and nobody may act or see hashes', async () => {
  const open = await inside('');
  assert.equal((await get('/metrics', undefined, open.admin)).status, 200);
  const { users: told } = JSON.parse((await get('/api/definitions', undefined, open.admin)).text);
  assert.ok(told.some((one) => one.name === 'otto') && told.every((one) => !('password_hash' in one)));
  const answer = await fetch(open.admin + '/api/clients/disconnect', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"client":"a"}' });
  assert.deepEqual([answer.status, await answer.text()], [403, 'nobody may act until there is a user of the role act ([admin_users.NAME])\n']);
  await open.stop();
});
