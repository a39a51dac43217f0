// Writes the client library: Primus' own client for its "websockets" transformer, with primus-responder's client in it.
//
//     node build.mjs OUT.js
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import Primus from 'primus';
import responder from 'primus-responder';

const out = process.argv[2];
if (!out) {
  console.error('usage: node build.mjs OUT.js');
  process.exit(2);
}
const primus = new Primus(createServer(), { transformer: 'websockets', pathname: '/primus' });
primus.plugin('responder', responder);
writeFileSync(out, primus.library());
process.exit(0); // Primus keeps timers
