// Tokens of a real OpenID provider (oidc-provider): every algorithm, every place, refreshes, and keys that change under load.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { WebSocket, chat, closeAll, configFile, plugged, request, secret, serve, sleep, until } from './lib.mjs';

// It is an ES module of clients/js.
const require = createRequire(process.env.FOZ_ROOT + '/clients/js/package.json');
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'];
const crowd = 60;
const jwk = (pair, kid) => ({ ...pair.privateKey.export({ format: 'jwk' }), kid, use: 'sig' });
const ec = (kid, namedCurve = 'P-256') => jwk(generateKeyPairSync('ec', { namedCurve }), kid);
const rsa = (kid) => jwk(generateKeyPairSync('rsa', { modulusLength: 2048 }), kid);

// A resource says how its tokens are signed and for how long they live: https://foz.test/ES256/600/foz.
const resource = (alg, seconds = 600, audience = 'foz') => 'https://foz.test/' + [alg, seconds, audience].join('/');
const grants = {
  'user-0': { channels: { chat: { consume: ['room.*'], publish: true, request: ['room.#'] } }, groups: ['staff'], meta: { tier: 'gold' } },
};
const client = (client_id, more = {}) => ({ client_id, client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  ...more });
const clients = [...Array.from({ length: crowd }, (_, i) => client('user-' + i)),
  client('page', { grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['https://page.test/back'], response_types: ['code'] })];

const life = (_, token) => token.resourceServer?.accessTokenTTL ?? 600;

// An identity provider: its own server, in which the library's provider is replaced by one with other keys.
async function identityProvider(keys) {
  const self = { asked: 0, keysAnswer: undefined };
  let current, answer;
  const server = http.createServer((incoming, response) => {
    const { pathname } = new URL(incoming.url, 'http://x');
    if (pathname === '/jwks') {
      self.asked += 1;
      if (self.keysAnswer) return self.keysAnswer(response, incoming);
    }
    // Who is asked to log in is alice.
    if (pathname.startsWith('/interaction/')) return current.interactionFinished(incoming, response, { login: { accountId: 'alice' } });
    answer(incoming, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  self.url = 'http://127.0.0.1:' + server.address().port;
  self.setKeys = (all) => {
    current = new Provider(self.url, {
      clients, jwks: { keys: all }, cookies: { keys: ['k'] }, clientDefaults: { id_token_signed_response_alg: 'ES256' },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          useGrantedResource: () => true,
          getResourceServerInfo: (_, indicator) => {
            const [alg, seconds, audience] = new URL(indicator).pathname.slice(1).split('/');
            return { scope: 'talk', audience, accessTokenTTL: Number(seconds), accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
          },
        },
      },
      findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
      extraTokenClaims: (_, token) => ({ foz: grants[token.accountId ?? token.clientId] }),
      // Whoever has logged in has agreed.
      loadExistingGrant: async (ctx) => {
        const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
        grant.addOIDCScope('openid');
        grant.addResourceScope(ctx.oidc.params.resource, 'talk');
        await grant.save();
        return grant;
      },
      issueRefreshToken: () => true,
      ttl: { AccessToken: life, ClientCredentials: life,
        Grant: 600, IdToken: 600, Interaction: 600, RefreshToken: 600, Session: 600 },
    });
    answer = current.callback();
  };
  self.setKeys(keys);
  self.ask = async (client_id, form) => {
    const response = await fetch(self.url + '/token', { method: 'POST',
      headers: { authorization: 'Basic ' + Buffer.from(client_id + ':secret').toString('base64') }, body: new URLSearchParams(form) });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  };
  self.token = async (client_id, of = resource('ES256')) =>
    (await self.ask(client_id, { grant_type: 'client_credentials', resource: of, scope: 'talk' })).access_token;
  self.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return self;
}

let config, provider, server, service;
before(async () => {
  provider = await identityProvider([rsa('r1'), ec('e256'), ec('e384', 'P-384'), ec('e521', 'P-521'), jwk(generateKeyPairSync('ed25519'), 'd1')]);
  service = await chat();
  config = (interval) => configFile(`
[listen]
refresh_notice_ms = 2000
[issuers.idp]
issuer = ${JSON.stringify(provider.url)}
keys_url = ${JSON.stringify(provider.url + '/jwks')}
audience = ["foz"]
algorithms = ${JSON.stringify(algorithms)}
leeway_s = 0
refresh_pause_ms = 1000
refresh_interval_ms = ${interval}
fetch_timeout_ms = 2000
`);
  server = await serve(['--config', config(300_000)]);
  const first = await provider.token('user-0');
  await until(async () => (await enter(first)).client, 'the keys have been fetched');
});
after(async () => {
  provider.stop();
  await closeAll();
  await server?.stop();
  await service.stop();
});

// A socket with this token; `ask` as primus-responder does it, the answer's data.
const sockets = [];
after(() => sockets.forEach((socket) => socket.terminate()));
async function enter(token, { protocols = [], headers, query = '&token=' + token, url = server.url } = {}) {
  const socket = new WebSocket(url.replace('http', 'ws') + '/primus/?hello=1&resume=' + secret() + query, protocols, { headers });
  sockets.push(socket);
  const self = { socket, heard: [], close: undefined, status: undefined, stays_away: false };
  socket.on('message', (data) => {
    const value = JSON.parse(data);
    if (typeof value === 'string' && value.startsWith('primus::ping::')) socket.send(JSON.stringify(value.replace('ping', 'pong')));
    else if (value === 'primus::server::close') self.stays_away = true;
    else self.heard.push(value);
  });
  socket.on('unexpected-response', (_, response) => { self.status = response.statusCode; response.destroy(); socket.terminate(); });
  socket.on('error', () => {});
  socket.on('close', (code) => { self.close = code; });
  self.events = (name) => self.heard.filter((one) => one.event === name);
  self.ask = async (data) => {
    const requestId = randomBytes(8).toString('hex');
    socket.send(JSON.stringify({ plugin: 'primus-responder', requestId, data }));
    return (await until(() => self.heard.find((one) => one.responseId === requestId), 'an answer comes')).data;
  };
  self.refresh = (token) => self.ask({ packet_action: 'refresh', token });
  self.closed = () => until(() => self.close !== undefined, 'the socket closes');
  await until(() => self.close !== undefined || self.events('welcome').length, 'the socket says something', 20);
  self.client = self.events('welcome')[0]?.client;
  self.error = self.client ? undefined : self.events('error')[0]?.error;
  return self;
}
const headerOf = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

for (const alg of algorithms) {
  test(alg + ', in every place', async () => {
    const token = await provider.token('user-0', resource(alg));
    assert.deepEqual([headerOf(token).alg, headerOf(token).typ], [alg, 'at+jwt']);
    for (const how of [{}, { query: '', protocols: ['foz.v1', 'foz.token.' + token] }, { query: '', headers: { Authorization: 'Bearer ' + token } },
      { query: '', headers: { Cookie: 'foz_token=' + token, Origin: server.url } }]) {
      const one = await enter(token, how);
      assert.equal(one.client, 'user-0', JSON.stringify(one.error));
      one.socket.terminate();
    }
  });
}

test('EdDSA, which Foz does not know, is refused as such', async () => {
  const token = await provider.token('user-0', resource('EdDSA'));
  assert.equal(headerOf(token).alg, 'EdDSA');
  const { error, close } = await enter(token);
  assert.deepEqual([error.code, error.reason, close], ['bad_token', 'unknown_algorithm', 4000]);
});

test('a token for somebody else, and an opaque one, are refused', async () => {
  const other = await enter(await provider.token('user-0', resource('RS256', 600, 'other')));
  assert.deepEqual([other.error.reason, other.close], ['wrong_audience', 4000]);
  const { access_token } = await provider.ask('user-0', { grant_type: 'client_credentials' });
  assert.equal((await enter(access_token)).error.reason, 'not_a_token');
});

test('what the provider says of the client holds', async () => {
  const one = await enter(await provider.token('user-0'));
  assert.equal((await one.ask({ packet_action: 'consume', channel: 'voice' })).error.code, 'forbidden');
  assert.equal((await one.ask({ packet_action: 'consume', channel: 'chat', consume_target: ['hall.1'] })).error.field, 'consume_target');
  assert.deepEqual((await one.ask({ packet_action: 'consume', channel: 'chat', distribution: { multicast: ['staff'] } })).channels.chat.groups, ['staff']);
  assert.equal((await one.ask({ packet_action: 'consume', channel: 'chat', distribution: { multicast: ['other'] } })).error.code, 'forbidden');
  assert.equal((await one.ask(request('chat', { type: 'echo', topic: 'room.1', message: 5 }))).message, 5);
  assert.equal((await one.ask(request('chat', { type: 'echo', topic: 'hall.1' }))).error.field, 'topic');
  // Of whom it says nothing, the channels do.
  const plain = await enter(await provider.token('user-1'));
  assert.equal((await plain.ask({ packet_action: 'consume', channel: 'voice' })).event, 'consuming');
});

test('a page logs in with a code, and refreshes with the provider\'s refresh token', async () => {
  const verifier = randomBytes(32).toString('base64url'), jar = new Map();
  const form = { client_id: 'page', response_type: 'code', redirect_uri: 'https://page.test/back', scope: 'openid talk',
    resource: resource('PS256', 4), code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
  let at = provider.url + '/auth?' + new URLSearchParams(form);
  for (let i = 0; at.startsWith(provider.url) && i < 8; ++i) {
    const response = await fetch(at, { redirect: 'manual', headers: { cookie: [...jar].map((one) => one.join('=')).join('; ') } });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split('=');
      if (value) jar.set(name, value); else jar.delete(name);
    }
    assert.ok(response.headers.get('location'), response.status + ' ' + await response.text());
    at = new URL(response.headers.get('location'), at).href;
  }
  const code = new URL(at).searchParams.get('code');
  assert.ok(code, at);
  let held = await provider.ask('page', { grant_type: 'authorization_code', code, redirect_uri: form.redirect_uri, code_verifier: verifier });
  const one = await enter(held.access_token);
  assert.equal(one.client, 'alice', JSON.stringify(one.error));
  for (let i = 1; i <= 2; ++i) {
    // In time.
    await until(() => one.events('auth').length === i, 'it is told that its token ends');
    held = await provider.ask('page', { grant_type: 'refresh_token', refresh_token: held.refresh_token });
    const longer = await one.refresh(held.access_token);
    assert.ok(longer.event === 'auth' && longer.expires_in_ms > 2000, JSON.stringify(longer));
  }
  // Somebody else's token does not make it somebody else.
  assert.equal((await one.refresh(await provider.token('user-1'))).error.reason, 'other_client');
  await one.closed();
  assert.deepEqual([one.events('error').at(-1).error.code, one.close, one.stays_away], ['expired', 4001, true]);
  const late = await enter(held.access_token);
  assert.deepEqual([late.error.code, late.close], ['expired', 4001]);
});

test('the plugin gets a new token from the provider before each one ends', async () => {
  let asked = 0;
  const page = plugged(server.url, { token: async () => { asked += 1; return provider.token('user-2', resource('ES384', asked < 3 ? 3 : 600)); } });
  await until(() => page.foz.state.name === 'connected' && asked >= 3, 'it has got three tokens');
  await sleep(3500); // longer than the first two lived
  assert.deepEqual([page.foz.state.name, page.foz.client, page.states.filter(({ name }) => name === 'connected').length], ['connected', 'user-2', 1]);
  page.close();
});

// Retries what may pass, as long as it is told to; the refusals and the waits are counted.
const count = { tokens: 0, sockets: 0, refreshes: 0, refusals: 0, twice: 0, longest_ms: 0 };
async function patiently(show) {
  const begin = Date.now();
  for (let refusals = 0; ; ++refusals) {
    const error = await show();
    if (!error) return refusals && (count.longest_ms = Math.max(count.longest_ms, Date.now() - begin));
    assert.deepEqual([error.code, error.reason, error.retryable], ['unavailable', 'unknown_key', true], JSON.stringify(error));
    count.refusals += 1;
    if (refusals === 1) count.twice += 1;
    assert.ok(refusals < 5, 'a good token is refused again and again');
    await sleep(error.retry_after_ms);
  }
}
const moreOf = async (name) => {
  count.tokens += 1;
  return provider.token(name);
};

test('keys change three times while ' + crowd + ' clients come, refresh and go', async () => {
  const keys = [1, 2, 3, 4].map((i) => ec('turn-' + i)), kids = new Set();
  provider.setKeys([keys[0]]);
  const first = await provider.token('user-3');
  await until(async () => (await enter(first)).client, 'the first key is known');
  const end = Date.now() + 10_000, asked = provider.asked;
  const one = async (name) => {
    while (Date.now() < end) {
      let socket, next;
      const token = await moreOf(name);
      kids.add(headerOf(token).kid);
      await patiently(async () => {
        socket = await enter(token);
        if (!socket.client) assert.deepEqual([socket.close, socket.stays_away], [4100, false], JSON.stringify(socket.error));
        return socket.error;
      });
      count.sockets += 1;
      for (let i = 0; i < 12; ++i) {
        await sleep(20);
        if (i % 4 === 0) next = await moreOf(name);
        await patiently(async () => (await socket.refresh(next)).error);
        count.refreshes += 1;
      }
      assert.equal(socket.close, undefined);
      socket.socket.terminate();
      sockets.splice(sockets.indexOf(socket.socket), 1);
    }
  };
  const all = Promise.all(Array.from({ length: crowd }, (_, i) => one('user-' + i)));
  const turns = (async () => {
    for (let i = 1; i < 4; ++i) {
      await sleep(2500);
      provider.setKeys([keys[i], keys[i - 1]]); // the first one signs
    }
  })();
  await Promise.all([all, turns]);
  console.log('while keys changed:', JSON.stringify({ ...count, fetches: provider.asked - asked }));
  assert.deepEqual([...kids].sort(), ['turn-1', 'turn-2', 'turn-3', 'turn-4']);
  assert.equal(count.twice, 0);
  assert.ok(count.refusals > 0 && provider.asked - asked <= 12, 'fetches: ' + (provider.asked - asked));

  // The first key has gone.
  const gone = await enter(first);
  assert.deepEqual([gone.client, gone.error.reason], [undefined, 'unknown_key']);
});

test('a key that is withdrawn counts until the next fetch, and no longer', async () => {
  const old = ec('old'), fresh = ec('fresh');
  provider.setKeys([old]);
  const early = await provider.token('user-4');
  await until(async () => (await enter(early)).client, 'the old key is known');
  provider.setKeys([fresh]);
  assert.equal((await enter(early)).client, 'user-4');
  const late = await provider.token('user-4');
  await until(async () => (await enter(late)).client, 'the fresh key is known');
  assert.equal((await enter(early)).error.reason, 'unknown_key');
  provider.setKeys([fresh, old]);
  await until(async () => (await enter(early)).client, 'it is there again');
});

test('a key that is published before it signs is known to everybody by then', async () => {
  const old = ec('signs'), next = ec('next');
  provider.setKeys([old]);
  const { url, stop } = await serve(['--config', config(1000)]);
  const first = await provider.token('user-6');
  await until(async () => (await enter(first, { url })).client, 'the key that signs is known');
  provider.setKeys([old, next]);
  await sleep(2500); // more than twice refresh_interval_ms
  provider.setKeys([next, old]);
  const token = await provider.token('user-6');
  assert.equal(headerOf(token).kid, 'next');
  assert.equal((await enter(token, { url })).client, 'user-6');
  sockets.splice(0).forEach((socket) => socket.terminate());
  await stop();
});

test('a provider that is away or answers nonsense takes no keys away', async () => {
  const stays = ec('stays'), comes = ec('comes');
  provider.setKeys([stays]);
  const good = await provider.token('user-5');
  await until(async () => (await enter(good)).client, 'its key is known');
  provider.setKeys([comes]);
  const early = await provider.token('user-5');
  const set = JSON.stringify({ keys: [stays] });
  const json = (text) => (response) => response.end(text);
  const answers = {
    'no connection': (response) => response.destroy(),
    '503': (response) => { response.statusCode = 503; response.end(set); },
    'no answer': () => {},
    'cut off': (response) => { response.writeHead(200, { 'content-length': 9000 }); response.write(set); setTimeout(() => response.destroy(), 50); },
    'elsewhere': (response) => { response.writeHead(302, { location: provider.url + '/auth' }); response.end(); },
    'HTML': json('<html>'),
    'half of it': json(set.slice(0, -9)),
    'no keys': json('{"keys":[]}'),
    'keys of no use': json('{"keys":[{"kty":"RSA","n":"AQAB","e":"AQ"},7,null]}'),
    'not UTF-8': (response) => response.end(Buffer.from('{"keys":[{"kty":"\xff"}]}', 'latin1')),
    'too large': json(JSON.stringify({ keys: [stays], x: 'x'.repeat(300_000) })),
  };
  for (const [name, how] of Object.entries(answers)) {
    provider.keysAnswer = how;
    const asked = provider.asked;
    await enter(early); // which makes Foz ask
    await until(() => provider.asked >= asked + 1, 'Foz asks while there is: ' + name);
    await sleep(100);
    for (const token of [good, early]) {
      const one = await enter(token);
      assert.deepEqual([one.client, one.error?.reason], token === good ? ['user-5', undefined] : [undefined, 'unknown_key'], name);
    }
  }
  provider.keysAnswer = undefined;
  await until(async () => (await enter(early)).client, 'the new key is known when the provider is back');
  for (const token of [good, early]) for (const piece of token.split('.')) assert.ok(!server.output.includes(piece));
});
