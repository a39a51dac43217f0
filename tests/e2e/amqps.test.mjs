// The embedded broker over TLS: amqps beside amqp, and clients that a certificate vouches for.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amqplib, run, selfSigned, signedBy, start } from './lib.mjs';

const foz = process.env.FOZ;
const folder = mkdtempSync(join(tmpdir(), 'foz-amqps-'));
const at = (name) => join(folder, name);
const connections = [];
after(async () => {
  for (const one of connections) await one.close().catch(() => {});
  rmSync(folder, { recursive: true, force: true });
});

const authority = selfSigned(at('ca'), []);
signedBy(authority, at('server'), 'subjectAltName=DNS:localhost,IP:127.0.0.1', '/CN=localhost');
signedBy(authority, at('anna'), 'extendedKeyUsage=clientAuth', '/O=shop/CN=anna');
signedBy(authority, at('nobody'), 'extendedKeyUsage=clientAuth');
signedBy(authority, at('both'), 'extendedKeyUsage=clientAuth', '/CN=anna/CN=guest');
signedBy(selfSigned(at('other'), []), at('forged'), 'extendedKeyUsage=clientAuth', '/CN=anna');

const definitions = at('definitions.json');
writeFileSync(definitions, JSON.stringify({
  vhosts: [{ name: '/' }],
  users: [{ name: 'anna', password_hash: '', tags: [] }, { name: 'bert', password: 'b', tags: [] }],
  permissions: ['anna', 'bert'].map((user) => ({ user, vhost: '/', configure: '.*', write: '.*', read: '.*' })),
}));

async function broker(data, ...args) {
  const self = await start(foz, ['broker', '--data', at(data), '--listen', '127.0.0.1:0', '--tls-listen', '127.0.0.1:0',
    '--tls-certificate', at('server.pem'), '--tls-key', at('server.key'), '--definitions', definitions, ...args]);
  await self.until('ready: ', 30);
  self.port = Number(self.output.match(/ready: amqp:\/\/[^/]*:(\d+)\//)[1]);
  self.tlsPort = Number(self.output.match(/tls: amqps:\/\/[^/]*:(\d+)\//)[1]);
  return self;
}

async function connect(protocol, port, options = {}, username = 'bert', password = 'b') {
  const one = await amqplib.connect({ protocol, hostname: '127.0.0.1', port, username, password, vhost: '/' }, options);
  one.on('error', () => {});
  connections.push(one);
  return one;
}
const pem = (name) => readFileSync(at(name + '.pem'));
const ca = [pem('ca')];
const certified = (name) => ({ ca, cert: pem(name), key: readFileSync(at(name + '.key')) });
const external = (name) => ({ ...certified(name), credentials: amqplib.credentials.external() });

async function echo(one, text) {
  const channel = await one.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from(text));
  await channel.waitForConfirms();
  assert.ok((await channel.get(queue, { noAck: true })).content.toString() === text);
}

test('amqps and amqp side by side; a large message comes back whole', async () => {
  const self = await broker('plain');
  const large = 'x'.repeat(3_000_000);
  await echo(await connect('amqps', self.tlsPort, { ca }), large);
  await echo(await connect('amqp', self.port), large);
  // Whom the client does not trust it does not talk to.
  await assert.rejects(connect('amqps', self.tlsPort, { ca: [pem('other')] }), /certificate|signature|issuer/);
  // Plain AMQP on the TLS port is closed, and TLS goes on.
  await assert.rejects(connect('amqp', self.tlsPort));
  await echo(await connect('amqps', self.tlsPort, { ca }), 'still there');
  // Nobody is asked for a certificate, and so none counts.
  await assert.rejects(connect('amqps', self.tlsPort, external('anna')), /EXTERNAL|mechanism/);
  await self.stop();
});

test('EXTERNAL: the common name of a verified certificate is the user', async () => {
  const self = await broker('external', '--tls-ca', at('ca.pem'));
  await echo(await connect('amqps', self.tlsPort, external('anna')), 'by certificate');
  // Twice, so that a resumed session is verified too.
  await echo(await connect('amqps', self.tlsPort, external('anna')), 'again');
  // A certificate is no duty: passwords go on, with one and without.
  await echo(await connect('amqps', self.tlsPort, { ca }), 'by password');
  await echo(await connect('amqps', self.tlsPort, certified('anna')), 'with both');
  await assert.rejects(connect('amqps', self.tlsPort, external('nobody')), /ACCESS.REFUSED/);
  // Two names are none; another signer's certificate ends the handshake; without TLS there is no such mechanism.
  await assert.rejects(connect('amqps', self.tlsPort, external('both')), /EXTERNAL|mechanism/);
  await assert.rejects(connect('amqps', self.tlsPort, external('forged')));
  await assert.rejects(connect('amqps', self.tlsPort, { ca, credentials: amqplib.credentials.external() }), /EXTERNAL|mechanism/);
  await assert.rejects(connect('amqp', self.port, { credentials: amqplib.credentials.external() }), /EXTERNAL|mechanism/);
  // A user without a password has none that is right.
  await assert.rejects(connect('amqps', self.tlsPort, { ca }, 'anna', ''), /ACCESS.REFUSED/);
  await self.stop();
});

test('pika and our own client speak amqps with it', async () => {
  const self = await broker('clients', '--tls-ca', at('ca.pem'));
  const script = `
import pika, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.load_cert_chain(sys.argv[2], sys.argv[3])
connection = pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', int(sys.argv[4]),
    credentials=pika.credentials.ExternalCredentials(), ssl_options=pika.SSLOptions(context, 'localhost')))
channel = connection.channel()
channel.queue_declare('pika', exclusive=True)
channel.confirm_delivery()
channel.basic_publish('', 'pika', b'hello')
print(channel.basic_get('pika', auto_ack=True)[2].decode())
connection.close()
`;
  const python = await run('/usr/bin/python3', ['-c', script, at('ca.pem'), at('anna.pem'), at('anna.key'), String(self.tlsPort)]);
  assert.equal(python.output.trim(), 'hello');
  const applied = await run(foz, ['topology', 'apply', '--broker', `amqps://bert:b@127.0.0.1:${self.tlsPort}/%2f`,
    '--broker-ca', at('ca.pem')]);
  assert.equal(applied.code, 0, applied.output);
  await self.stop();
});

test('the parameters of a URL count: files, name, verification, mechanism, limits', async () => {
  const self = await broker('parameters', '--tls-ca', at('ca.pem'));
  const apply = (parameters, user = 'bert:b@', host = '127.0.0.1') => run(foz, ['topology', 'apply', '--broker',
    `amqps://${user}${host}:${self.tlsPort}/%2f?${new URLSearchParams(parameters)}`]);
  const by = (name) => ({ cacertfile: at('ca.pem'), certfile: at(name + '.pem'), keyfile: at(name + '.key') });
  const good = async (...what) => { const got = await apply(...what); assert.equal(got.code, 0, got.output); };
  const bad = async (words, ...what) => {
    const got = await apply(...what);
    assert.notEqual(got.code, 0, got.output);
    assert.match(got.output, words);
  };
  await good({ cacertfile: at('ca.pem') });
  await good({ ...by('anna'), auth_mechanism: 'external' }, ''); // as anna: guest's password is not asked for
  await good({ cacertfile: at('ca.pem'), server_name_indication: 'localhost', channel_max: 20, frame_max: 8192 });
  await good({ verify: 'verify_none' });
  // By default a certificate is verified, with its name.
  await bad(/verify failed/, {});
  await bad(/verify failed/, { cacertfile: at('other.pem') });
  await bad(/verify failed/, { cacertfile: at('ca.pem'), server_name_indication: 'elsewhere.example' });
  await bad(/ACCESS.REFUSED/i, { ...by('nobody'), auth_mechanism: 'external' }, '');
  await bad(/no\.pem/, { cacertfile: at('no.pem') });
  await bad(/server\.key/, { cacertfile: at('ca.pem'), certfile: at('anna.pem'), keyfile: at('server.key') });
  await bad(/certfile needs keyfile/, { certfile: at('anna.pem') });
  await bad(/auth_mechanism external needs certfile/, { auth_mechanism: 'external' });
  await bad(/auth_mechanism must be plain or external/, { auth_mechanism: 'amqplain' });
  await bad(/unknown parameter cacert;/, { cacert: '/x' });
  // foz serve says at its start what it would meet at every attempt, and so does config check.
  const url = (parameters) => `amqps://bert:b@127.0.0.1:${self.tlsPort}/%2f?${new URLSearchParams(parameters)}`;
  for (const words of [['serve', '--listen', '127.0.0.1:0'], ['config', 'check']]) {
    const got = await run(foz, [...words, '--broker', url({ cacertfile: at('no.pem') })]);
    assert.notEqual(got.code, 0, got.output);
    assert.match(got.output, /^foz: amqps:\/\/bert:\*\*\*@127.0.0.1:\d+\/%2f: TLS: .*no\.pem: .*\n$/);
  }
  const unwise = await run(foz, ['config', 'check', '--broker', url({ verify: 'verify_none' })]);
  assert.equal(unwise.code, 0);
  assert.match(unwise.output, /verify_none: the certificate is not checked, so anyone who can answer there receives the password/);
  assert.ok(!unwise.output.includes('bert:b@'));
  await self.stop();
});

test('what is missing or wrong is one line', async () => {
  const args = ['broker', '--data', at('wrong'), '--listen', '127.0.0.1:0', '--tls-listen', '127.0.0.1:0'];
  const none = await run(foz, args);
  assert.equal(none.code, 1);
  assert.match(none.output, /^foz: --tls-listen: amqps needs embedded.tls_certificate and embedded.tls_key\n$/);
  const absent = await run(foz, [...args, '--tls-certificate', at('no.pem'), '--tls-key', at('server.key')]);
  assert.equal(absent.code, 2);
  assert.match(absent.output, /^foz: --tls-certificate: .*no\.pem\n$/);
  const other = await run(foz, [...args, '--tls-certificate', at('server.csr'), '--tls-key', at('server.key')]);
  assert.equal(other.code, 1);
  assert.match(other.output, /^foz: TLS: .*server\.csr: .*\n$/);
});
