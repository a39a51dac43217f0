// Tokens as an attacker makes them: none lets anybody in, and each is refused with the code that says what is wrong.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants, createHash, createHmac, generateKeyPairSync, privateEncrypt, publicEncrypt, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { WebSocket, closeAll, configFile, inSeconds, secret, serve, sleep, until } from './lib.mjs';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ec384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const others = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const attackers = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const jwk = (pair, kid) => ({ ...pair.publicKey.export({ format: 'jwk' }), kid });
const b64 = (octets) => Buffer.from(octets).toString('base64url');

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const signers = {
  RS256: (input, pair = rsa) => sign('sha256', input, pair.privateKey),
  PS256: (input, pair = rsa) => sign('sha256', input, { key: pair.privateKey, ...pss }),
  ES256: (input, pair = ec) => sign('sha256', input, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }),
};
const kids = { RS256: 'r1', PS256: 'r1', ES256: 'e1' };
const usual = () => ({ iss: 'main', aud: 'foz', sub: 'eve', exp: inSeconds(600), iat: inSeconds(0) });
// A text or octets stay as they are; of an object, members that are undefined are left out.
const octetsOf = (what) => (typeof what === 'object' && !Buffer.isBuffer(what) ? JSON.stringify(what) : what);
// `claims` and `header` over the usual ones, or the whole as octets; `by`: what signs.
function token(claims = {}, header = {}, by = signers.RS256, alg = 'RS256') {
  const raw = (what) => typeof what === 'string' || Buffer.isBuffer(what) || Array.isArray(what);
  const input = b64(octetsOf(raw(header) ? header : { alg, typ: 'JWT', kid: kids[alg], ...header })) + '.' +
    b64(octetsOf(raw(claims) ? claims : { ...usual(), ...claims }));
  return input + '.' + b64(by(Buffer.from(input)));
}
const by = (alg, claims = {}, header = {}, signer = signers[alg]) => token(claims, header, signer, alg);
// The usual claims as text, with more of it before the end.
const textWith = (more) => JSON.stringify(usual()).slice(0, -1) + more + '}';
const hmac = (key) => (input) => createHmac('sha256', key).update(input).digest();
// A good one of so many octets.
function exact(octets) {
  for (const x of ['', 'x', 'xx', 'xxx']) {
    const guess = Math.floor((octets - token({ pad: '' }, { x }).length) * 3 / 4);
    for (let pad = guess - 2; pad <= guess + 2; ++pad) {
      const text = token({ pad: 'x'.repeat(pad) }, { x });
      if (text.length === octets) return text;
    }
  }
  throw new Error('no token has ' + octets + ' octets');
}
// One whose signature begins with an octet 0.
function withZeroFirst() {
  for (let i = 0; ; ++i) {
    const text = token({ jti: 'z' + i });
    const signature = Buffer.from(text.split('.')[2], 'base64url');
    if (signature[0] === 0) return { text, input: text.slice(0, text.lastIndexOf('.') + 1), signature };
  }
}
// One whose signature has a character that base64url writes differently.
function withDash() {
  for (let i = 0; ; ++i) {
    const text = by('ES256', { jti: 'd' + i });
    if (/[-_]/.test(text.split('.')[2])) return text;
  }
}

// Nobody may ask here.
let asked = 0, attacker, config, server, mixedSecret;
before(async () => {
  attacker = http.createServer((request, response) => response.end(JSON.stringify({ keys: [jwk(attackers, 'a1')] })));
  attacker.on('connection', () => { asked += 1; });
  await new Promise((resolve) => attacker.listen(0, '127.0.0.1', resolve));
  const keys = (name, all) => {
    const file = process.env.FOZ_OUT + '/forged-' + name + '.json';
    writeFileSync(file, JSON.stringify({ keys: all }));
    return JSON.stringify(file);
  };
  mixedSecret = randomBytes(32);
  config = configFile(`
[issuers.main]
issuer = "main"
keys_file = ${keys('main', [jwk(rsa, 'r1'), jwk(ec, 'e1')])}
algorithms = ["RS256", "PS256", "ES256"]
audience = ["foz"]
leeway_s = 0
refresh_pause_ms = 1000
[issuers.other]
issuer = "other"
client_prefix = "other:"
keys_file = ${keys('other', [jwk(others, 'o1')])}
audience = ["foz"]
[issuers.mixed]
issuer = "mixed"
client_prefix = "mixed:"
keys_file = ${keys('mixed', [jwk(rsa, 'r1'), { kty: 'oct', kid: 's1', k: b64(mixedSecret) }])}
algorithms = ["HS256"]
audience = ["foz"]
`);
  server = await serve(['--config', config]);
});
after(async () => {
  sockets.forEach((socket) => socket.terminate());
  attacker.closeAllConnections();
  attacker.close();
  await closeAll();
  await server?.stop();
});

// What a client with this token is told: { client } or { code, reason, close, status }.
async function enter(text, { protocols = [], headers, query = '&token=' + encodeURIComponent(text) } = {}) {
  const socket = new WebSocket(server.url.replace('http', 'ws') + '/primus/?hello=1' + query, protocols, { headers });
  const heard = [];
  let close, status;
  socket.on('message', (data) => heard.push(JSON.parse(data)));
  socket.on('unexpected-response', (_, response) => { status = response.statusCode; response.destroy(); socket.terminate(); });
  socket.on('error', () => {});
  socket.on('close', (code) => { close = code; });
  try {
    await until(() => close !== undefined || heard.some((one) => one.event === 'welcome'), 'the socket says something', 20);
  } finally {
    socket.terminate();
  }
  const { code, reason } = heard.find((one) => one.event === 'error')?.error ?? {};
  return { client: heard.find((one) => one.event === 'welcome')?.client, code, reason, close, status, heard };
}

// A socket of a good token that refreshes it.
const sockets = [];
async function opened() {
  const socket = new WebSocket(server.url.replace('http', 'ws') + '/primus/?hello=1&resume=' + secret() + '&token=' + token());
  const heard = [];
  socket.on('message', (data) => heard.push(JSON.parse(data)));
  await until(() => heard.some((one) => one.event === 'welcome'), 'it is welcomed');
  sockets.push(socket);
  return { ask: (id, text) => {
    socket.send(JSON.stringify({ packet_action: 'refresh', id, token: text }));
    return until(() => heard.find((one) => (one.error ?? one).id === id), 'the refresh is answered');
  } };
}

// Name: [reason, token]. They are shown in the query, percent-encoded.
function forgeries() {
  const good = token(), [head, body, signature] = good.split('.');
  const elliptic = by('ES256'), ecInput = elliptic.slice(0, elliptic.lastIndexOf('.') + 1);
  const zero = withZeroFirst(), dash = withDash();
  const url = 'http://127.0.0.1:' + attacker.address().port + '/keys';
  const attack = (input) => signers.RS256(input, attackers);
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }), n = Buffer.from(jwk(rsa).n, 'base64url');
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' });
  const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
  const deep = (n) => '['.repeat(n) + ']'.repeat(n);
  return {
    // Its form.
    'nothing': ['not_a_token', ''],
    'one part': ['not_a_token', 'x'],
    'two parts': ['not_a_token', head + '.' + body],
    'four parts': ['not_a_token', good + '.'],
    'dots alone': ['bad_header', '..'],
    'a dot that only looks like one': ['not_a_token', good.replace('.', '\u2024')],
    'a percent-encoded dot': ['not_a_token', good.replace('.', '%2E')],
    'percent-encoded twice': ['bad_encoding', good.replace(/^e/, '%65')],
    'a blank behind it': ['bad_encoding', good + ' '],
    'a blank before it': ['bad_encoding', ' ' + good],
    'a line end behind it': ['bad_encoding', good + '\n'],
    'a line end within': ['bad_encoding', head + '.\r\n' + body + '.' + signature],
    'a tab within': ['bad_encoding', head + '\t.' + body + '.' + signature],
    'an octet 0 behind it': ['bad_encoding', good + '\0'],
    'a zero-width space within': ['bad_encoding', head + '\u200b.' + body + '.' + signature],
    'a letter that only looks like e': ['bad_encoding', good.replace(/^e/, '\u0435')],
    'base64 with padding': ['bad_encoding', good + '=='],
    'base64 with padding in the header': ['bad_encoding', head + '=.' + body + '.' + signature],
    'the standard alphabet': ['bad_encoding', dash.slice(0, dash.lastIndexOf('.') + 1) + dash.split('.')[2].replaceAll('-', '+').replaceAll('_', '/')],
    'stray bits': ['bad_encoding', good.slice(0, -1) + String.fromCharCode(good.charCodeAt(good.length - 1) + 1)],
    'an encrypted token': ['encrypted', [b64(JSON.stringify({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: 'r1' })),
      b64(publicEncrypt(rsa.publicKey, randomBytes(32))), b64(randomBytes(12)), b64(randomBytes(200)), b64(randomBytes(16))].join('.')],
    'JSON serialization': ['not_a_token', JSON.stringify({ payload: body, protected: head, signature })],
    // Its header.
    'a header that is a list': ['bad_header', token({}, Buffer.from('[{"alg":"RS256"}]'))],
    'a header that is null': ['bad_header', token({}, 'null')],
    'a header that is cut off': ['bad_header', token({}, '{"alg":"RS256"')],
    'a header with something behind it': ['bad_header', token({}, '{"alg":"RS256","kid":"r1"}{}')],
    'a header that is not UTF-8': ['bad_header', token({}, Buffer.from('{"alg":"RS256","kid":"r1","x":"\xff"}', 'latin1'))],
    'a header with an octet 0': ['bad_header', token({}, '{"alg":"RS256","kid":"r1"\0}')],
    'a deep header': ['bad_header', token({}, '{"alg":"RS256","kid":"r1","x":' + deep(3000) + '}')],
    'alg twice': ['duplicate_header_member', token({}, '{"alg":"RS256","kid":"r1","alg":"RS256"}')],
    'alg twice, once escaped': ['duplicate_header_member', token({}, '{"alg":"RS256","kid":"r1","\\u0061lg":"none"}')],
    'kid twice': ['duplicate_header_member', token({}, '{"alg":"RS256","kid":"r1","kid":"e1"}')],
    'crit': ['critical_header', token({}, { crit: ['exp'] })],
    'crit, empty': ['critical_header', token({}, { crit: [] })],
    'b64 false': ['critical_header', token({}, { crit: ['b64'], b64: false })],
    'b64 false, and the claims as they are': ['bad_encoding', b64(JSON.stringify({ alg: 'RS256', kid: 'r1', b64: false })) + '.' +
      JSON.stringify({ sub: 'eve' }) + '.' + signature],
    'a token in a token': ['nested', token(Buffer.from(good), { cty: 'JWT' })],
    'cty of a token before claims': ['nested', token({}, { cty: 'application/jwt' })],
    'cty that is a number': ['bad_header', token({}, { cty: 1 })],
    'typ of a security event': ['wrong_type', token({}, { typ: 'secevent+jwt' })],
    'typ of a logout': ['wrong_type', token({}, { typ: 'logout+jwt' })],
    'typ of a proof': ['wrong_type', token({}, { typ: 'dpop+jwt' })],
    'typ that is null': ['bad_header', token({}, { typ: null })],
    // The algorithm.
    'none': ['unsigned_token', token({}, { alg: 'none' }, () => '')],
    'nOnE': ['unsigned_token', token({}, { alg: 'nOnE' }, () => '')],
    'none with a signature': ['unsigned_token', token({}, { alg: 'none' })],
    'none with a blank': ['unknown_algorithm', token({}, { alg: 'none ' }, () => '')],
    'no alg': ['missing_algorithm', token({}, { alg: undefined })],
    'alg that is a number': ['bad_header', token({}, { alg: 256 })],
    'alg that is a list': ['bad_header', token({}, { alg: ['RS256'] })],
    'alg that is empty': ['unknown_algorithm', token({}, { alg: '' })],
    'alg in lower case': ['unknown_algorithm', token({}, { alg: 'rs256' })],
    'alg with full-width letters': ['unknown_algorithm', token({}, { alg: '\uff32\uff33256' })],
    'alg with an octet 0': ['unknown_algorithm', token({}, { alg: 'RS256\0' })],
    'EdDSA': ['unknown_algorithm', token({}, { alg: 'EdDSA', kid: 'd1' }, (input) => sign(null, input, ed.privateKey))],
    'ES256K': ['unknown_algorithm', token({}, { alg: 'ES256K' })],
    'RS1': ['unknown_algorithm', token({}, { alg: 'RS1' }, (input) => sign('sha1', input, rsa.privateKey))],
    'RS512, which is not configured': ['algorithm_not_allowed', token({}, { alg: 'RS512' }, (input) => sign('sha512', input, rsa.privateKey))],
    'HS256 with the public key (PEM) as the secret': ['algorithm_not_allowed', token({}, { alg: 'HS256' }, hmac(pem))],
    'HS256 with the public key (DER) as the secret': ['algorithm_not_allowed', token({}, { alg: 'HS256' }, hmac(der))],
    'HS256 with an empty secret': ['algorithm_not_allowed', token({}, { alg: 'HS256' }, hmac(''))],
    // An issuer with a secret, in whose file there is a public key, too.
    'HS256 with the public key, by its kid': ['key_mismatch', token({ iss: 'mixed' }, { alg: 'HS256' }, hmac(pem))],
    'HS256 with the modulus, by its kid': ['key_mismatch', token({ iss: 'mixed' }, { alg: 'HS256' }, hmac(n))],
    'HS256 with the public key, by the kid of the secret': ['bad_signature', token({ iss: 'mixed' }, { alg: 'HS256', kid: 's1' }, hmac(pem))],
    'HS256 with the public key, without a kid': ['bad_signature', token({ iss: 'mixed' }, { alg: 'HS256', kid: undefined }, hmac(pem))],
    'RS256 by the kid of the secret': ['algorithm_not_allowed', token({ iss: 'mixed' }, { kid: 's1' })],
    // The key.
    'kid of a key of another type': ['key_mismatch', token({}, { kid: 'e1' })],
    'kid that is a number': ['bad_header', token({}, { kid: 1 })],
    'kid that is a list': ['bad_header', token({}, { kid: ['r1'] })],
    'kid that is empty': ['bad_header', token({}, { kid: '' })],
    'kid with an octet 0': ['bad_header', token({}, { kid: 'r1\0' })],
    'kid of 10,000 octets': ['bad_header', token({}, { kid: 'r'.repeat(10_000) })],
    'kid that is a path': ['unknown_key', token({}, { kid: '../../../../../../dev/null' }, hmac(''))],
    'kid that is a file of keys': ['unknown_key', token({}, { kid: process.env.FOZ_OUT + '/forged-other.json' }, attack)],
    'kid that is SQL': ['unknown_key', token({}, { kid: "r1' UNION SELECT 'secret'; --" }, attack)],
    'kid that is a command': ['unknown_key', token({}, { kid: '|/bin/sleep 9' }, attack)],
    'kid that is an address': ['unknown_key', token({}, { kid: url }, attack)],
    'kid with a letter that only looks like r': ['unknown_key', token({}, { kid: '\u0433' + '1' }, attack)],
    'kid of another issuer': ['unknown_key', by('ES256', {}, { kid: 'o1' }, (input) => signers.ES256(input, others))],
    'the key of another issuer under our kid': ['bad_signature', by('ES256', {}, {}, (input) => signers.ES256(input, others))],
    'the key of another issuer without a kid': ['bad_signature', by('ES256', {}, { kid: undefined }, (input) => signers.ES256(input, others))],
    'another issuer with our key': ['unknown_key', by('ES256', { iss: 'other' })],
    'jwk': ['bad_signature', token({}, { jwk: jwk(attackers, 'r1') }, attack)],
    'jwk without a kid': ['bad_signature', token({}, { kid: undefined, jwk: jwk(attackers) }, attack)],
    'jwk with a kid of its own': ['unknown_key', token({}, { kid: 'a1', jwk: jwk(attackers, 'a1') }, attack)],
    'jwk that is a secret': ['algorithm_not_allowed', token({}, { alg: 'HS256', jwk: { kty: 'oct', k: b64('x'.repeat(32)) } }, hmac('x'.repeat(32)))],
    'jku': ['bad_signature', token({}, { jku: url }, attack)],
    'jku with a kid of its own': ['unknown_key', token({}, { jku: url, kid: 'a1' }, attack)],
    'x5u': ['bad_signature', token({}, { x5u: url }, attack)],
    'x5u with a kid of its own': ['unknown_key', token({}, { x5u: url, kid: 'a1' }, attack)],
    'x5c': ['bad_signature', token({}, { x5c: [attackers.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] }, attack)],
    'x5t': ['bad_signature', token({}, { x5t: b64(createHash('sha1').update(der).digest()) }, attack)],
    // The signature.
    'no signature': ['bad_signature', head + '.' + body + '.'],
    'no signature, ES256': ['bad_signature', ecInput],
    'another signature of the same key': ['bad_signature', head + '.' + body + '.' + token({ sub: 'other' }).split('.')[2]],
    'other claims': ['bad_signature', head + '.' + b64(JSON.stringify({ ...usual(), sub: 'root' })) + '.' + signature],
    'another header': ['bad_signature', b64(JSON.stringify({ alg: 'RS256', kid: 'r1' })) + '.' + body + '.' + signature],
    'claims elsewhere': ['bad_claims', head + '..' + signature],
    'one bit': ['bad_signature', head + '.' + body + '.' + (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1)],
    'an attacker\'s key under our kid': ['bad_signature', token({}, {}, attack)],
    'PS256 said to be RS256': ['bad_signature', token({}, {}, signers.PS256)],
    'RS256 said to be PS256': ['bad_signature', by('PS256', {}, {}, signers.RS256)],
    'RS256 said to be ES256': ['bad_signature', by('ES256', {}, {}, signers.RS256)],
    'RS256 over SHA-1': ['bad_signature', token({}, {}, (input) => sign('sha1', input, rsa.privateKey))],
    'RS256 over SHA-512': ['bad_signature', token({}, {}, (input) => sign('sha512', input, rsa.privateKey))],
    'RS256 without the name of the hash': ['bad_signature', token({}, {}, (input) => privateEncrypt(rsa.privateKey, createHash('sha256').update(input).digest()))],
    'PS256 without salt': ['bad_signature', by('PS256', {}, {}, (input) => sign('sha256', input, { key: rsa.privateKey, padding: pss.padding, saltLength: 0 }))],
    'PS256 with too much salt': ['bad_signature', by('PS256', {}, {}, (input) => sign('sha256', input, { key: rsa.privateKey, padding: pss.padding, saltLength: 64 }))],
    'RS256 without its first octet, a 0': ['bad_signature', zero.input + b64(zero.signature.subarray(1))],
    'RS256 with a 0 more before it': ['bad_signature', head + '.' + body + '.' + b64(Buffer.concat([Buffer.alloc(1), Buffer.from(signature, 'base64url')]))],
    'RS256 of zeros': ['bad_signature', head + '.' + body + '.' + b64(Buffer.alloc(256))],
    'RS256 of the number 1': ['bad_signature', head + '.' + body + '.' + b64(Buffer.concat([Buffer.alloc(255), Buffer.from([1])]))],
    'ES256 in DER': ['bad_signature', by('ES256', {}, {}, (input) => sign('sha256', input, ec.privateKey))],
    'ES256 of zeros': ['bad_signature', ecInput + b64(Buffer.alloc(64))],
    'ES256 of the order': ['bad_signature', ecInput + b64(Buffer.concat([order, order]))],
    'ES256 with r = 0': ['bad_signature', ecInput + b64(Buffer.concat([Buffer.alloc(32), Buffer.from(elliptic.split('.')[2], 'base64url').subarray(32)]))],
    'ES256 cut in half': ['bad_signature', ecInput + b64(Buffer.from(elliptic.split('.')[2], 'base64url').subarray(0, 32))],
    'ES256 with something behind it': ['bad_signature', ecInput + b64(Buffer.concat([Buffer.from(elliptic.split('.')[2], 'base64url'), Buffer.alloc(1)]))],
    'ES256 by a key of P-384': ['bad_signature', by('ES256', {}, {}, (input) => signers.ES256(input, ec384))],
    // Its claims, well signed.
    'claims that are a list': ['bad_claims', token(Buffer.from('["eve"]'))],
    'claims that are text': ['bad_claims', token('"eve"')],
    'claims that are cut off': ['bad_claims', token(JSON.stringify(usual()).slice(0, -1))],
    'claims with something behind them': ['bad_claims', token(JSON.stringify(usual()) + 'x')],
    'claims that are not UTF-8': ['bad_claims', token(Buffer.from(textWith(',"x":"\xff"'), 'latin1'))],
    'claims with UTF-8 that is too long': ['bad_claims', token(Buffer.from(textWith(',"x":"\xc0\xaf"'), 'latin1'))],
    'claims with half a surrogate pair': ['bad_claims', token(textWith(',"x":"\\ud800"'))],
    'claims with an octet 0': ['bad_claims', token(textWith(',"x":"\0"'))],
    'claims with a comment': ['bad_claims', token(textWith('/**/'))],
    'deep claims': ['bad_claims', token(textWith(',"x":' + deep(3000)))],
    'sub twice': ['duplicate_claim', token(textWith(',"sub":"root"'))],
    'sub twice, once escaped': ['duplicate_claim', token(textWith(',"s\\u0075b":"root"'))],
    'iss twice': ['duplicate_claim', token(textWith(',"iss":"other"'))],
    'something twice in foz': ['duplicate_claim', token(textWith(',"foz":{"groups":[],"groups":["staff"]}'))],
    'no iss': ['missing_issuer', token({ iss: undefined })],
    'iss with a slash': ['unknown_issuer', token({ iss: 'main/' })],
    'iss in capitals': ['unknown_issuer', token({ iss: 'Main' })],
    'iss with a blank': ['unknown_issuer', token({ iss: 'main ' })],
    'iss with an octet 0': ['unknown_issuer', token({ iss: 'main\0' })],
    'iss with a letter that only looks like a': ['unknown_issuer', token({ iss: 'm\u0430in' })],
    'no exp': ['missing_expiry', token({ exp: undefined })],
    'exp in a text': ['bad_time', token({ exp: String(inSeconds(600)) })],
    'exp that is null': ['bad_time', token({ exp: null })],
    'exp that is a list': ['bad_time', token({ exp: [inSeconds(600)] })],
    'exp before 1970': ['bad_time', token({ exp: -1 })],
    'exp that is huge': ['bad_time', token(textWith('').replace(/"exp":\d+/, '"exp":1e300'))],
    'exp in milliseconds': ['bad_time', token({ exp: Date.now() + 600_000 })],
    'exp in 100 years': ['expires_too_late', token({ exp: inSeconds(100 * 365 * 86400) })],
    'nbf that is a text': ['bad_time', token({ nbf: 'now' })],
    'nbf far away': ['not_yet_valid', token({ nbf: 253_402_300_799 })],
    'iat far away': ['issued_in_future', token({ iat: inSeconds(86400) })],
    'iat that is true': ['bad_time', token({ iat: true })],
    'no aud': ['missing_audience', token({ aud: undefined })],
    'aud with a number behind ours': ['bad_audience', token({ aud: ['foz', 7] })],
    'aud with a list in it': ['bad_audience', token({ aud: [['foz']] })],
    'aud that is an object': ['bad_audience', token({ aud: { foz: true } })],
    'aud that is null': ['bad_audience', token({ aud: null })],
    'aud in capitals': ['wrong_audience', token({ aud: 'FOZ' })],
    'aud that begins with ours': ['wrong_audience', token({ aud: ['foz.evil.example', 'foz ', 'foz\0'] })],
    'an empty aud': ['wrong_audience', token({ aud: [] })],
    'no sub': ['missing_subject', token({ sub: undefined })],
    'sub that is a list': ['bad_subject', token({ sub: ['eve'] })],
    'sub that is empty': ['bad_subject', token({ sub: '' })],
    'sub with an octet 0': ['bad_subject', token({ sub: 'eve\0root' })],
    'sub with a line end': ['bad_subject', token({ sub: 'eve\nfoz-client: root' })],
    'sub of 129 octets': ['bad_subject', token({ sub: 'e'.repeat(129) })],
    'sub of somebody without a name': ['reserved_subject', token({ sub: 'anon-c4z4gxmu6ylx2dxvyn6kfrvgj2' })],
    'sub of a session': ['reserved_subject', token({ sub: 'session:ZaARb-1-JyA0t0IYnKEGng' })],
    'jti that is a number': ['bad_token_id', token({ jti: 7 })],
    'channels that are true': ['bad_channels', token({ foz: { channels: true } })],
    'a right that nobody knows': ['bad_channels', token({ foz: { channels: { chat: { admin: true } } } })],
    'groups that are a text': ['bad_groups', token({ foz: { groups: '*' } })],
    'limits with a fraction': ['bad_limits', token({ foz: { limits: { requests: 1.5 } } })],
    'meta of 5,000 octets': ['meta_too_large', token({ foz: { meta: 'x'.repeat(5000) } })],
  };
}
// They may pass: the client is to come again.
const headerOf = (text) => {
  try { return JSON.parse(Buffer.from(text.split('.')[0], 'base64url')); } catch { return null; }
};
const passing = ['unknown_key', 'not_yet_valid', 'issued_in_future'];

test('good tokens of every issuer are accepted, at the edges too', async () => {
  const zero = withZeroFirst();
  for (const [text, client] of [[token(), 'eve'], [by('PS256'), 'eve'], [by('ES256'), 'eve'], [zero.text, 'eve'],
    [by('ES256', { iss: 'other' }, { kid: 'o1' }, (input) => signers.ES256(input, others)), 'other:eve'],
    [token({ iss: 'mixed' }, { alg: 'HS256', kid: 's1' }, hmac(mixedSecret)), 'mixed:eve'],
    [token({}, { kid: undefined }), 'eve'], [token({}, { typ: 'at+jwt' }), 'eve'], [token({ aud: ['x', 'foz'] }), 'eve'],
    [token({ exp: inSeconds(600.5) }), 'eve']]) {
    const got = await enter(text);
    assert.equal(got.client, client, JSON.stringify(got) + ' for ' + text);
  }
});

test('each forgery is refused with its own code', async () => {
  const all = Object.entries(forgeries()), wrong = [];
  const one = async ([name, [reason, text]]) => {
    const got = await enter(text);
    const outcome = (why) => [passing.includes(why) ? 'unavailable' : 'bad_token', why, passing.includes(why) ? 4100 : 4000];
    const expected = outcome(reason);
    const found = [got.code, got.reason, got.close];
    // Without a kid it may be signed with a key that is newer than those that were fetched last.
    const kidless = reason === 'bad_signature' && !(headerOf(text) ?? {}).kid;
    const good = [expected, ...(kidless ? [outcome('unknown_key')] : [])];
    if (got.client !== undefined || !good.some((one) => JSON.stringify(one) === JSON.stringify(found)))
      wrong.push(name + ': ' + JSON.stringify({ found, expected, client: got.client, status: got.status }));
  };
  const left = [...all];
  await Promise.all(Array.from({ length: 8 }, async () => { while (left.length) await one(left.shift()); }));
  assert.deepEqual(wrong, []);
  assert.ok(all.length >= 150, String(all.length));
  for (const [, [, text]] of all)
    for (const piece of text.split('.')) assert.ok(piece.length < 20 || !server.output.includes(piece), 'a piece of a token is in the log');
  assert.equal((await enter(token())).client, 'eve');
});

test('one that has expired is told so, and a fraction of a second does not help', async () => {
  for (const exp of [inSeconds(-1), inSeconds(-0.5), 0, 0.5]) {
    const got = await enter(token({ exp }));
    assert.deepEqual([got.code, got.reason, got.close], ['expired', 'expired', 4001], String(exp));
  }
});

test('the same in a header, in a sub-protocol and in a refresh', async () => {
  const bad = { bad_signature: token({}, {}, signers.PS256), unsigned_token: token({}, { alg: 'none' }, () => ''), wrong_audience: token({ aud: 'x' }),
    duplicate_claim: token(textWith(',"sub":"root"')), unknown_algorithm: token({}, { alg: 'EdDSA' }) };
  for (const [reason, text] of Object.entries(bad)) {
    for (const how of [{ headers: { Authorization: 'Bearer ' + text } }, { protocols: ['foz.v1', 'foz.token.' + text] },
      { headers: { Cookie: 'foz_token=' + text, Origin: server.url } }]) {
      const got = await enter(text, { query: '', ...how });
      assert.deepEqual([got.client, got.code, got.reason, got.close], [undefined, 'bad_token', reason, 4000], JSON.stringify(how));
    }
  }
  const { ask } = await opened();
  for (const [reason, text] of Object.entries(bad)) {
    const { error } = await ask(reason, text);
    assert.deepEqual([error?.code, error?.reason], ['bad_token', reason]);
  }
  assert.equal((await ask('good', token())).event, 'auth');
  const several = await enter('', { query: '&token=' + token() + '&token=' + token({ jti: 'b' }) });
  assert.deepEqual([several.code, several.reason], ['bad_token', 'several_tokens']);
});

// A refresh has room for 16 KiB of token, a handshake for a little less.
test('tokens that are too large', async () => {
  const bearer = (text) => ({ query: '', headers: { Authorization: 'Bearer ' + text } });
  for (const text of [exact(8192), exact(15_000)])
    for (const how of [{}, bearer(text)]) assert.equal((await enter(text, how)).client, 'eve', String(text.length));
  for (const text of [exact(16 * 1024), exact(16 * 1024 + 1)])
    for (const how of [{}, bearer(text)]) assert.deepEqual([(await enter(text, how)).status, (await enter(text, how)).client], [431, undefined]);
  const check = (text) => spawnSync(process.env.FOZ, ['token', 'check', '--config', config], { input: text, encoding: 'utf8' }).stdout;
  assert.match(check(exact(16 * 1024)), /^accepted$/m);
  assert.match(check(exact(16 * 1024 + 1)), /^refused {3}too_large: /m);

  const { ask } = await opened();
  const told = await ask('large', exact(16 * 1024 + 1));
  assert.deepEqual([told.error?.code, told.error?.field], ['bad_envelope', 'token']);
  assert.equal((await ask('largest', exact(16 * 1024))).event, 'auth');
});

test('nobody has asked the attacker for keys', async () => {
  await sleep(1500); // longer than refresh_pause_ms
  assert.equal(asked, 0);
  await fetch('http://127.0.0.1:' + attacker.address().port); // which would have been noticed
  assert.equal(asked, 1);
});
