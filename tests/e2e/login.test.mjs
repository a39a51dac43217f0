// Who comes in with a token or through a proxy, what it may, and for how long.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { chat, closeAll, configFile, handshake, inSeconds, plugged, request, run, secret, serve, settle, sleep, testIssuer, tokenPart, until, worker }
  from './lib.mjs';

const issuer = testIssuer('test', { aud: 'foz' });
let ids = 0;
// `claims` over the usual ones.
const token = (sub, claims) => issuer.token({ sub, jti: 'jti-' + (ids += 1) }, claims);
const forged = (header, by) => issuer.forged(header, { sub: 'a' }, by);

const settings = `
[listen]
refresh_notice_ms = 2000
proxies = ["127.0.0.2"]
client_header = "X-User"
groups_header = "X-Groups"
meta_headers = ["X-Plan"]
${issuer.toml}audience = ["foz"]
leeway_s = 0
[channels.voice]
delivery = "volatile"
consumers = "single_active"
[channels.chat]
open_groups = ["open.*"]
[channels.tickets]
groups = "token"
may_publish = ["public.*"]
`;

let config, server, service;
before(async () => {
  config = configFile(settings);
  service = await chat();
  server = await serve(['--config', config]);
});
after(async () => {
  await closeAll();
  await server.stop();
  await service.stop();
});

const open = (query, { url = server.url, ...how } = {}) => handshake(url, query, how);

async function enter(what, more) {
  const self = await open('hello=1&token=' + what, more);
  const welcome = self.events('welcome')[0];
  assert.ok(welcome, JSON.stringify(self.heard));
  self.client = welcome.client;
  self.session = welcome.session;
  return self;
}
const refusal = async (query, more) => {
  const self = await open('hello=1' + query, more);
  await self.closed();
  const { error } = self.events('error')[0] ?? {};
  return { ...error, close: self.code, stays_away: self.stays_away, heard: self.heard };
};

test('a token comes as a parameter, a sub-protocol, a header, or a cookie of a page of the same origin', async () => {
  const alice = token('alice');
  assert.equal((await enter(alice)).client, 'alice');
  const offered = await open('hello=1', { protocols: ['foz.v1', 'foz.token.' + alice] });
  assert.equal(offered.events('welcome')[0].client, 'alice');
  assert.equal(offered.socket.protocol, 'foz.v1');
  const bearer = await open('hello=1', { headers: { Authorization: 'Bearer ' + alice } });
  assert.equal(bearer.events('welcome')[0].client, 'alice');
  const own = await open('hello=1', { headers: { Cookie: 'foz_token=' + alice, Origin: server.url } });
  assert.equal(own.events('welcome')[0].client, 'alice');
  for (const Origin of [undefined, 'http://elsewhere.example'])
    assert.equal((await refusal('', { headers: { Cookie: 'foz_token=' + alice, ...(Origin && { Origin }) } })).code, 'login_required');
});

test('without a token nobody comes in, and a page can read why', async () => {
  const told = await refusal('&resume=' + secret());
  assert.deepEqual([told.code, told.retryable, told.close, told.stays_away], ['login_required', false, 4000, true]);
});

test('each broken token is refused for its own reason, and none of it is logged', async () => {
  const good = token('alice');
  const [head, body, signature] = good.split('.');
  const flipped = signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'));
  const cases = {
    not_a_token: ['', 'x', 'a.b', good + '.x'],
    bad_encoding: [head + '.' + body + '.' + signature + '=', head + '!.' + body + '.' + signature],
    bad_header: [tokenPart([]) + '.' + body + '.' + signature],
    unsigned_token: [tokenPart({ alg: 'none' }) + '.' + body + '.', tokenPart({ alg: 'none' }) + '.' + body + '.' + signature],
    unknown_algorithm: [forged({ alg: 'HS1' })],
    algorithm_not_allowed: [forged({ alg: 'HS384' }), forged({ alg: 'RS256' })],
    critical_header: [forged({ crit: ['b64'], b64: false })],
    wrong_type: [forged({ typ: 'secevent+jwt' })],
    bad_signature: [head + '.' + body + '.' + flipped, head + '.' + tokenPart({ iss: 'test', aud: 'foz', sub: 'root', exp: inSeconds(60) }) + '.' + signature,
      forged({}, 'another key that is long enough to be one')],
    missing_issuer: [token('a', { iss: undefined })],
    unknown_issuer: [token('a', { iss: 'other' })],
    missing_expiry: [token('a', { exp: undefined })],
    expires_too_late: [token('a', { exp: inSeconds(400 * 86400) })],
    bad_time: [token('a', { exp: 'soon' }), token('a', { nbf: true })],
    wrong_audience: [token('a', { aud: 'other' }), token('a', { aud: [] })],
    missing_audience: [token('a', { aud: undefined })],
    bad_audience: [token('a', { aud: 7 })],
    missing_subject: [token(undefined)],
    bad_subject: [token(''), token('x'.repeat(129)), token(7), token('a\u0001'), token('/'.repeat(100))],
    reserved_subject: [token('anon-abc'), token('session:x'), token('open.door')],
    bad_token_id: [token('a', { jti: 7 })],
    bad_channels: [token('a', { foz: { channels: [] } }), token('a', { foz: { channels: { chat: { consume: 'all' } } } }),
      token('a', { foz: { channels: { chat: { consume: true, everything: true } } } }), token('a', { foz: { channels: { chat: { consume: ['a*'] } } } })],
    bad_groups: [token('a', { foz: { groups: 'staff' } })],
    bad_limits: [token('a', { foz: { limits: { requests: -1 } } }), token('a', { foz: { limits: { everything: 1 } } })],
    meta_too_large: [token('a', { foz: { meta: 'x'.repeat(5000) } })],
  };
  let all = 0;
  for (const [reason, texts] of Object.entries(cases)) {
    for (const text of texts) {
      const told = await refusal('&token=' + encodeURIComponent(text));
      assert.deepEqual([told.code, told.reason, told.close, told.stays_away], ['bad_token', reason, 4000, true], text);
      assert.equal(told.field, 'token');
      all += 1;
    }
  }
  assert.ok(all >= 40, String(all));
  const expired = await refusal('&token=' + token('a', { exp: inSeconds(-1) }));
  assert.deepEqual([expired.code, expired.reason, expired.close], ['expired', 'expired', 4001]);
  // It may pass: come again.
  for (const claims of [{ nbf: inSeconds(300) }, { iat: inSeconds(300) }]) {
    const early = await refusal('&token=' + token('a', claims));
    assert.deepEqual([early.code, early.close, early.stays_away], ['unavailable', 4100, false]);
    assert.ok(early.reason && early.retry_after_ms > 0);
  }
  const several = await refusal('&token=' + good, { headers: { Authorization: 'Bearer ' + token('bob') } });
  assert.equal(several.reason, 'several_tokens');
  for (const piece of [body, signature]) assert.ok(!server.output.includes(piece));
});

test('what a token grants: channels, topics, types; without a say the channels say it', async () => {
  const some = await enter(token('carol', { foz: { channels: { chat: { consume: ['room.1'], publish: ['room.*'], request: ['room.#'], types: ['say', 'echo*', ''] } } } }));
  assert.equal((await some.ask({ packet_action: 'consume', channel: 'voice' })).error.code, 'forbidden');
  assert.equal((await some.ask({ packet_action: 'consume', channel: 'chat', consume_target: ['room.2'] })).error.field, 'consume_target');
  assert.equal((await some.ask({ packet_action: 'consume', channel: 'chat', consume_target: ['room.*'] })).error.code, 'forbidden');
  // Who names no topic hears those that are granted.
  const heard = await some.ask({ packet_action: 'consume', channel: 'chat' });
  assert.deepEqual(heard.channels.chat.topics, ['room.1']);
  const asks = (type, topic) => some.ask({ packet_action: 'publish', channel: 'chat', type, topic, message: 1, timeout_ms: 5000 });
  assert.equal((await asks('echo', 'room.7')).message, 1);
  assert.equal((await asks('echo', 'hall.7')).error.field, 'topic');
  assert.equal((await asks('echo')).error.field, 'topic');
  assert.equal((await asks('kick', 'room.7')).error.field, 'type');
  some.send({ packet_action: 'publish', channel: 'tickets', id: 'p1', message: 1 });
  assert.equal((await until(() => some.events('error')[0], 'it is refused')).error.code, 'forbidden');

  const plain = await enter(token('dave'));
  assert.equal((await plain.ask({ packet_action: 'publish', channel: 'tickets', topic: 'private.1', message: 1, ack: 'confirmed' })).error.field, 'topic');
  assert.equal((await plain.ask({ packet_action: 'publish', channel: 'tickets', topic: 'public.1', message: 1, ack: 'confirmed' })).event, 'receipt');
  for (const [query, field] of [['&consume=voice', 'consume'], ['&channel=voice', 'channel']]) {
    const told = await refusal('&token=' + token('carol', { foz: { channels: { chat: { consume: true } } } }) + query);
    assert.deepEqual([told.code, told.field, told.stays_away], ['forbidden', field, true]);
  }
});

test('groups: those of the token; open ones by name; never another client', async () => {
  const joins = (one, channel, group) => one.ask({ packet_action: 'consume', channel, distribution: { multicast: [group] } });
  const plain = await enter(token('erin'));
  assert.equal((await joins(plain, 'chat', 'frank')).error.code, 'forbidden');
  assert.equal((await joins(plain, 'chat', 'open.house')).event, 'consuming');
  assert.equal((await joins(plain, 'tickets', 'staff')).error.code, 'forbidden');
  assert.equal((await joins(plain, 'chat', 'erin')).event, 'consuming'); // one's own name
  const staff = await enter(token('gina', { foz: { groups: ['staff'] } }));
  assert.equal((await joins(staff, 'tickets', 'staff')).event, 'consuming');
  assert.equal((await joins(staff, 'chat', 'open.house')).error.code, 'forbidden'); // it names what it may
});

test('services are told what the token or the proxy says of the client', async () => {
  const seen = [];
  const { stop } = await worker('IN_VOICE', (message, body, channel) => {
    seen.push(message.properties.headers);
    channel.ack(message);
  });
  const one = await enter(token('heidi/7', { foz: { meta: { tier: 'gold', n: 1.0 } } }));
  await one.ask({ ...request('voice'), id: 'm1', ack: 'confirmed' });
  const headers = await until(() => seen[0], 'the service hears of it');
  assert.equal(headers['foz-client'], 'heidi/7');
  assert.deepEqual(JSON.parse(headers['foz-meta']), { tier: 'gold', n: 1 });
  await stop();
});

test('two devices of one client count their messages by themselves', async () => {
  const who = token('ivan');
  const devices = [];
  for (let i = 0; i < 2; ++i) devices.push(await open('hello=1&resume=' + secret() + '&token=' + who));
  const answers = devices.map((one, i) => {
    one.send({ packet_action: 'publish', channel: 'chat', id: '1', type: 'echo', ack: 'answer', message: 'device ' + i });
    return until(() => one.events('answer')[0], 'the answer comes');
  });
  assert.deepEqual((await Promise.all(answers)).map((one) => one.message), ['device 0', 'device 1']);
  await settle();
  for (const one of devices) assert.equal(one.events('answer').length, 1);
});

test('a token ends: told before, refreshed without a break, and else the socket is closed for good', async () => {
  const first = await enter(token('judy', { exp: inSeconds(4) }));
  const told = await until(() => first.events('auth')[0], 'it is told');
  assert.ok(told.expires_in_ms > 200 && told.expires_in_ms <= 2000, JSON.stringify(told));
  const longer = await first.ask({ packet_action: 'refresh', token: token('judy', { exp: inSeconds(600) }), id: 'r' });
  assert.equal(longer.event, 'auth');
  assert.ok(longer.expires_in_ms > 590_000);
  assert.deepEqual(longer.channels.chat.consume, ['#']);
  const second = await enter(token('judy', { exp: inSeconds(3) }));
  await second.closed();
  assert.deepEqual([second.events('error')[0].error.code, second.code, second.stays_away], ['expired', 4001, true]);
  await sleep(1500);
  assert.equal(first.code, undefined);
});

test('a refresh changes what is heard and what may be sent; a bad one changes nothing', async () => {
  const grant = (chat, groups) => token('kim', { foz: { channels: { chat }, ...(groups && { groups }) } });
  const one = await enter(grant({ consume: ['a.*', 'b.*'], publish: true, request: true }, ['red', 'blue']));
  await one.ask({ packet_action: 'consume', channel: 'chat', distribution: { broadcast: true, multicast: ['red', 'blue'] } });
  for (const [bad, reason] of [[token('lee'), 'other_client'], ['x', 'not_a_token'], [token('kim', { aud: 'no' }), 'wrong_audience']])
    assert.equal((await one.ask({ packet_action: 'refresh', token: bad })).error.reason, reason);
  await one.ask({ packet_action: 'refresh', token: grant({ consume: ['a.*'] }, ['red']) });
  const narrowed = one.events('consuming').at(-1).channels.chat;
  assert.deepEqual([narrowed.topics, narrowed.groups], [['a.*'], ['red']]);
  assert.equal((await one.ask(request('chat', { type: 'echo' }))).error.code, 'forbidden');
  await one.ask({ packet_action: 'refresh', token: grant({ publish: true }) });
  assert.deepEqual(one.events('consuming').at(-1).channels, {});
  await one.ask({ packet_action: 'refresh', token: grant({ consume: true, publish: true, request: true }, ['blue', 'red']) });
  const widened = one.events('consuming').at(-1).channels.chat;
  assert.deepEqual([widened.topics, widened.groups], [[], ['blue', 'red']]);
  assert.equal((await one.ask(request('chat', { type: 'echo', message: 5 }))).message, 5);
});

test('a token has limits of its own, and a refresh changes them', async () => {
  const limited = (publishes) => token('quentin', { foz: { limits: { publishes } } });
  const one = await enter(limited(1));
  const refused = async (count) => {
    const outcomes = [];
    for (let i = 0; i < count; ++i) outcomes.push((await one.ask({ packet_action: 'publish', channel: 'chat', type: 'say', ack: 'confirmed', message: {} })).error?.code);
    return outcomes.filter((code) => code === 'rate_limited').length;
  };
  assert.ok(await refused(10) >= 3);
  assert.equal((await one.ask({ packet_action: 'refresh', token: limited(0) })).event, 'auth'); // no limit
  assert.equal(await refused(30), 0);
});

test('revoked: by client, token, session, or time; on every aggregator, also on one that starts later', async () => {
  const other = await serve(['--config', config]);
  const revoke = async (...args) => {
    const { code, output } = await run(process.env.FOZ, ['token', 'revoke', '--config', config, '--broker', process.env.FOZ_TEST_BROKER, ...args]);
    assert.equal(code, 0, output);
  };
  const gone = async (one) => {
    await one.closed();
    assert.deepEqual([one.events('error')[0].error.code, one.code, one.stays_away], ['revoked', 4003, true]);
  };
  const name = 'mallory-' + Date.now(); // the stream remembers
  const text = token(name, { jti: name }), again = token(name, { jti: name + '-2' });
  const here = await enter(text), there = await enter(text, { url: other.url }), another = await enter(again);
  await revoke('--token-id', name, '--issuer', 'test');
  await gone(here);
  await gone(there);
  const spare = await enter(again), bystander = await enter(token('bystander'));
  await revoke('--session', another.session);
  await gone(another);
  assert.equal(spare.code, undefined);
  await sleep(1100); // issued in whole seconds
  await revoke('--client', name, '--issued-before', 'now');
  await gone(spare);
  assert.equal((await refusal('&token=' + again)).code, 'revoked');
  await sleep(1100);
  const fresh = token(name);
  const back = await enter(fresh);
  await revoke('--client', name);
  await gone(back);
  await other.stop();
  const later = await serve(['--config', config]);
  for (const one of [text, again, fresh]) assert.equal((await refusal('&token=' + one, { url: later.url })).code, 'revoked');
  assert.equal((await enter(token('bystander'), { url: later.url })).client, 'bystander');
  assert.equal(bystander.code, undefined);
  await later.stop();
});

test('an operator revokes through the admin port', async () => {
  const foz = await serve(['--config', configFile(settings + '[admin]\nlisten = "127.0.0.1:0"\n[admin_users.robot]\nrole = "act"\ntoken_variable = "ROBOT"\n' +
    '[admin_users.eye]\ntoken_variable = "EYE"\n')], undefined, { ROBOT: 'r'.repeat(40), EYE: 'e'.repeat(40) });
  const revoke = async (what, by = 'r'.repeat(40)) => {
    const answer = await fetch(`http://127.0.0.1:${foz.output.match(/admin: port (\d+)/)[1]}/api/tokens/revoke`, { method: 'POST',
      headers: { authorization: 'Bearer ' + by, 'content-type': 'application/json' }, body: JSON.stringify(what) });
    return { status: answer.status, text: await answer.text() };
  };
  const name = 'rupert-' + Date.now();
  const one = await enter(token(name), { url: foz.url });
  assert.equal((await revoke({ client: name }, 'e'.repeat(40))).status, 403);
  for (const wrong of [{}, { clients: 'x' }, { client: 5 }, { issuer: 'test' }, { client: 'x', session: 'y' }, { client: 'x', for_ms: 0 }])
    assert.equal((await revoke(wrong)).status, 400, JSON.stringify(wrong));
  assert.equal(one.code, undefined);
  const { status, text } = await revoke({ client: name, for_ms: 60_000 });
  assert.equal(status, 200, text);
  assert.equal(JSON.parse(text).revoked.client, name);
  await one.closed();
  assert.deepEqual([one.events('error')[0].error.code, one.code], ['revoked', 4003]);
  await until(() => foz.output.includes('tokens/revoke'), 'it is written down');
  await foz.stop();
  const nameless = await serve(['--config', configFile('[admin]\nlisten = "127.0.0.1:0"\n')]);
  const there = await fetch(`http://127.0.0.1:${nameless.output.match(/admin: port (\d+)/)[1]}/api/tokens/revoke`, { method: 'POST',
    headers: { 'content-type': 'application/json' }, body: '{"client":"x"}' });
  assert.ok([401, 403, 404].includes(there.status), String(there.status));
  await nameless.stop();
});

test('a proxy that is trusted names the client; nobody else can', async () => {
  const named = { headers: { 'X-User': 'nina', 'X-Groups': 'staff', 'X-Plan': 'pro' } };
  assert.equal((await refusal('', named)).code, 'login_required');
  const proxy = { localAddress: '127.0.0.2' };
  const nina = await open('hello=1', { ...named, ...proxy });
  assert.equal(nina.events('welcome')[0].client, 'nina');
  assert.equal((await nina.ask({ packet_action: 'consume', channel: 'tickets', distribution: { multicast: ['staff'] } })).event, 'consuming');
  const twice = await refusal('', { headers: { 'X-User': ['nina', 'root'] }, ...proxy });
  assert.deepEqual([twice.code, twice.reason], ['bad_token', 'several_headers']);
  assert.equal((await refusal('', { headers: { 'X-User': 'kong', 'X-Anonymous-Consumer': 'true' }, ...proxy })).code, 'login_required');
  // A token is believed before.
  const both = await open('hello=1&token=' + token('oscar'), { ...named, ...proxy });
  assert.equal(both.events('welcome')[0].client, 'oscar');
  assert.equal((await refusal('&token=x', { ...named, ...proxy })).reason, 'not_a_token');
});

test('the plugin asks the page for tokens, refreshes them, and comes back after an expired one', async () => {
  let life = 3, asked = 0;
  const client = plugged(server.url, { token: async () => { asked += 1; return token('peggy', { exp: inSeconds(life) }); } });
  const auths = [];
  client.foz.on('auth', (event) => auths.push(event));
  await until(() => client.foz.state.name === 'connected', 'it is connected');
  assert.deepEqual([client.foz.client, asked], ['peggy', 1]);
  await until(() => auths.some((event) => event.id), 'it was refreshed');
  await sleep(3500);
  assert.equal(client.states.filter(({ name }) => name === 'connected').length, 1);
  assert.ok(asked >= 2);
  life = 600;
  await until(() => auths.at(-1).expires_in_ms > 100_000, 'it lives longer');
  client.close();

  // The page's clock is wrong, or its token was kept for too long.
  const lives = [-5, 600];
  const late = plugged(server.url, { token: () => token('peggy', { exp: inSeconds(lives.shift() ?? 600) }) });
  await until(() => late.foz.state.name === 'connected', 'it comes back with a good one');
  const never = plugged(server.url, { token: token('peggy', { exp: inSeconds(-5) }) });
  await until(() => never.foz.state.name === 'refused', 'there is no other one');
  assert.equal(never.foz.state.reason.code, 'expired');
  const broken = plugged(server.url, { token: async () => { throw new Error('no network'); } });
  await until(() => broken.foz.state.name === 'refused', 'nobody without a token');
  assert.deepEqual([broken.errors[0].code, broken.foz.state.reason.code], ['no_token', 'login_required']);
});

test('nobody listens to the world without knowing who comes in', async () => {
  const refused = await run(process.env.FOZ, ['serve', '--listen', '0.0.0.0:0', '--broker', process.env.FOZ_TEST_BROKER]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.output, /anyone who reaches 0\.0\.0\.0 would be let in; name issuers of tokens .* or say allow_anonymous/);
  const known = await serve(['--config', config, '--listen', '0.0.0.0:0']);
  await known.stop();
});
