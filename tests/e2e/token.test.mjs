// foz token: tokens are made and checked; keys come over HTTPS that is verified; wrong input is told, and no secret ever.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inSeconds, run, selfSigned, tokenPart } from './lib.mjs';

const foz = process.env.FOZ;
const folder = mkdtempSync(join(tmpdir(), 'foz-token-'));
const secret = 'hunter2-hunter2-hunter2-hunter2-';
const file = (name, text) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...pair.publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' };
const pem = file('key.pem', pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
const secretFile = file('secret', secret + '\n');

let server, config;
let answer = (response) => response.end(JSON.stringify({ keys: [jwk] }));
before(async () => {
  const own = selfSigned(join(folder, 'tls'), ['localhost']);
  server = https.createServer({ key: readFileSync(own.key), cert: readFileSync(own.certificate) },
    (request, response) => answer(response, request));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  config = (host, ca) => file('foz.toml', `
[issuers.dev]
issuer = "dev"
secret_file = ${JSON.stringify(secretFile)}
audience = ["foz"]
[issuers.idp]
issuer = "https://idp.example"
client_prefix = "idp:"
keys_url = "https://${host}:${server.address().port}/keys"
${ca ? `ca = ${JSON.stringify(own.certificate)}` : ''}
`);
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const token = (args, options) => run(foz, ['token', ...args], options);
const make = async (args, options) => {
  const { code, output } = await token(['make', ...args], options);
  assert.equal(code, 0, output);
  return output.trim();
};
const byIdp = (claims = {}) => {
  const input = tokenPart({ alg: 'ES256', kid: 'k1' }) + '.' + tokenPart({ iss: 'https://idp.example', sub: 'bob', exp: inSeconds(60), ...claims });
  return input + '.' + sign('sha256', Buffer.from(input), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
};

test('a token that was made for an issuer of the configuration is accepted, from standard input too', async () => {
  const path = config('localhost', true);
  const made = await make(['--config', path, '--as', 'dev', '--sub', 'alice', '--expires', '10m', '--claims',
    '{"foz":{"channels":{"chat":{"consume":["room.*"],"publish":true}},"groups":["staff"],"meta":{"a":1}}}']);
  const input = made.slice(0, made.lastIndexOf('.'));
  assert.equal(made, input + '.' + createHmac('sha256', secret).update(input).digest('base64url'));
  const claims = JSON.parse(Buffer.from(made.split('.')[1], 'base64url'));
  assert.deepEqual([claims.iss, claims.sub, claims.aud, claims.exp - claims.iat], ['dev', 'alice', 'foz', 600]);
  assert.match(claims.jti, /^[\w-]{22}$/);
  const { code, output } = await token(['check', '--config', path, made]);
  assert.equal(code, 0, output);
  for (const line of ['header    {"alg":"HS256","typ":"JWT"}', 'client    alice', 'groups    staff', 'meta      {"a":1}',
    'channel   chat: consume room.*; publish all; request none', 'accepted']) assert.ok(output.includes(line + '\n'), line + ' in ' + output);
  const piped = spawnSync(foz, ['token', 'check', '--config', path], { input: made + '\n', encoding: 'utf8' });
  assert.equal(piped.status, 0, piped.stdout + piped.stderr);
});

test('keys are fetched over HTTPS; a certificate that nobody vouches for, or of another name, is not believed', async () => {
  const check = (path) => token(['check', '--config', path, byIdp()]);
  const good = await check(config('localhost', true));
  assert.equal(good.code, 0, good.output);
  assert.match(good.output, /^client {4}idp:bob$/m);
  for (const path of [() => config('localhost', false), () => config('127.0.0.1', true)]) {
    const { code, output } = await check(path());
    assert.equal(code, 1);
    assert.match(output, /^foz: issuer idp: keys_url: SSL peer certificate/m);
    assert.match(output, /^refused {3}keys_unavailable: /m);
  }
  answer = (response) => { response.writeHead(302, { location: '/elsewhere' }); response.end(); };
  const moved = await check(config('localhost', true));
  assert.match(moved.output, /keys_url: the answer's status is 302/);
  answer = (response) => response.end(JSON.stringify({ keys: [jwk] }));
});

test('a refused token is told with its code, and its control characters do not reach the terminal', async () => {
  const path = config('localhost', true);
  const refused = async (text, code) => {
    const result = await token(['check', '--config', path, text]);
    assert.equal(result.code, 1, result.output);
    assert.match(result.output, new RegExp(`^refused   ${code}: `, 'm'));
    return result.output;
  };
  await refused('nonsense', 'not_a_token');
  await refused(byIdp({ exp: inSeconds(-3600) }), 'expired');
  await refused(tokenPart({ alg: 'none' }) + '.' + tokenPart({ iss: 'dev', sub: 'alice' }) + '.', 'unsigned_token');
  await refused(await make(['--secret-file', secretFile, '--issuer', 'other', '--sub', 'a']), 'unknown_issuer');
  await refused(await make(['--secret-file', secretFile, '--issuer', 'dev', '--sub', 'a']), 'missing_audience');
  const output = await refused(byIdp({ sub: '\u001b[2J\u009b2J\u007f' }), 'bad_subject');
  assert.doesNotMatch(output, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  const nobody = await token(['check', byIdp()]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.output, /the configuration has no \[issuers\.NAME\]/);
});

test('a private key signs, PEM or JWK', async () => {
  const made = await make(['--key', pem, '--issuer', 'https://idp.example', '--sub', 'carol', '--kid', 'k1']);
  assert.equal((await token(['check', '--config', config('localhost', true), made])).code, 0);
  const own = createPrivateKey(readFileSync(pem)).export({ format: 'jwk' });
  const withJwk = await make(['--key', file('key.jwk', JSON.stringify({ ...own, kid: 'k1' })), '--issuer', 'https://idp.example', '--sub', 'carol']);
  assert.equal((await token(['check', '--config', config('localhost', true), withJwk])).code, 0);
  const byVariable = await make(['--secret-variable', 'TOKEN_SECRET', '--issuer', 'dev', '--sub', 'a', '--audience', 'foz'],
    { env: { TOKEN_SECRET: secret } });
  assert.equal((await token(['check', '--config', config('localhost', true), byVariable])).code, 0);
});

// Arguments, exit code, what is said.
const short = file('short', 'hunter2');
const dev = ['--secret-file', secretFile, '--issuer', 'dev'];
const wrong = [
  [['make', ...dev], 2, /--sub is required/],
  [['make', '--sub', 'a', '--issuer', 'dev'], 2, /One of --secret-file, --secret-variable, --key and --as is needed/],
  [['make', '--sub', 'a', ...dev, '--key', pem], 2, /One of --secret-file/],
  [['make', '--sub', 'a', '--secret-file', secretFile], 2, /--issuer is needed/],
  [['make', '--sub', 'a', ...dev, '--expires', 'soon'], 2, /--expires: a time like .* is expected, not soon/],
  [['make', '--sub', 'a', ...dev, '--claims', '{'], 1, /the claims are not a JSON object/],
  [['make', '--sub', 'a', ...dev, '--claims', '{"sub":"b"}'], 1, /the claims say sub again/],
  [['make', '--sub', 'a', ...dev, '--algorithm', 'RS256'], 1, /this key can't be used for RS256/],
  [['make', '--sub', 'a', '--issuer', 'dev', '--secret-file', short], 1, /a secret has at least 32 octets/],
  [['make', '--sub', 'a', '--issuer', 'dev', '--secret-file', '/nowhere'], 1, /\/nowhere can't be read/],
  [['make', '--sub', 'a', '--issuer', 'dev', '--secret-variable', 'NOT_THERE'], 1, /the variable NOT_THERE is not set/],
  [['make', '--sub', 'a', '--issuer', 'dev', '--key', secretFile], 1, /neither a JWK nor PEM/],
  [['make', '--sub', 'a', '--as', 'dev'], 1, /the configuration has no \[issuers\.dev\]/],
  [['make', '--sub', 'a', ...dev, '--audence', 'x'], 2, /there is no flag "--audence"; did you mean --audience\?/],
  [['check', ''], 2, /no token/],
  [['check', '--config', '/nowhere', 'a.b.c'], 1, /\/nowhere: can't be read/],
  [['chek'], 2, /did you mean token check/],
  [[], 2, /subcommand/],
];

test('wrong input is told, with an exit code, and never with the secret', async () => {
  for (const [args, code, said] of wrong) {
    const result = spawnSync(foz, ['token', ...args], { input: '', encoding: 'utf8' });
    const output = result.stdout + result.stderr;
    assert.equal(result.status, code, args.join(' ') + ': ' + output);
    assert.match(output, said, args.join(' '));
    assert.doesNotMatch(output, /hunter2/, args.join(' '));
  }
  const shown = await run(foz, ['config', 'show', '--config', config('localhost', true)]);
  assert.equal(shown.code, 0, shown.output);
  assert.match(shown.output, /\[issuers\.dev\]/);
  assert.doesNotMatch(shown.output, /hunter2/);
});
