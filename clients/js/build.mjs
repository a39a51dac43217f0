// Writes the client libraries: Primus' own client for its "websockets" transformer with primus-responder's client in
// it, and the same with the Foz plugin.
//
//     node build.mjs PRIMUS.js FOZ.js
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import Primus from 'primus';
import responder from 'primus-responder';
import { bundle } from './bundle.mjs';

const [plain, withFoz] = process.argv.slice(2);
if (!withFoz) {
  console.error('usage: node build.mjs PRIMUS.js FOZ.js');
  process.exit(2);
}
const primus = new Primus(createServer(), { transformer: 'websockets', pathname: '/primus' });
primus.plugin('responder', responder);
writeFileSync(plain, primus.library());
const text = bundle();
primus.plugin('foz', { client: Object.assign(() => {}, { toString: () => text }) });
writeFileSync(withFoz, primus.library());
process.exit(0); // Primus keeps timers
