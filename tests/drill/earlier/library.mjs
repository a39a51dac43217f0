// Writes the client library with the plugin of an earlier build, which pages that were opened before an upgrade go on
// using: library.mjs FILE. plugin.js is that plugin, as it was; a release puts its own there.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { client } from './plugin.js';

const require = createRequire(new URL('../../../clients/js/package.json', import.meta.url));
const Primus = require('primus');
const primus = new Primus(createServer(), { transformer: 'websockets', pathname: '/primus' });
primus.plugin('responder', require('primus-responder'));
primus.plugin('foz', { client });
writeFileSync(process.argv[2], primus.library());
process.exit(0); // Primus keeps timers
