// The services that ./run starts, one line each: foz-NAME of examples/NAME, the settings of its channel (as in
// docs/configuration.md; what is not said is the default), and its flags. `data`: the folder for what it keeps.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const table = [
  { name: 'chat', channel: {}, args: () => ['--demo'] },
  { name: 'tickets', channel: {}, args: (data) => ['--database', join(data, 'tickets.db')] },
  { name: 'voice', channel: { delivery: 'volatile', consumers: 'single_active', presence: true }, args: () => [] },
  { name: 'guide', channel: {}, args: () => [] },
];

// Those whose sources are there.
export const services = (root) => table.filter(({ name }) => existsSync(join(root, 'examples', name, 'CMakeLists.txt')));

// The configuration of aggregators that have exactly the channels of these services.
export function configuration(all) {
  const channels = all.map(({ name, channel }) =>
    `[channels.${name}]\n` + Object.entries(channel).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`).join(''));
  return '# Written by ./run.\n[client]\ndrain_spread_ms = 0\ndrain_limit_ms = 5000\n' + channels.join('');
}

// For our own broker: a message that kills its worker is a dead letter after seconds instead of a minute. A policy, so
// that the queue is declared as everywhere else.
export const definitions = {
  policies: [{ vhost: '/', name: 'run-chat', pattern: '^IN_CHAT$', 'apply-to': 'queues', priority: 0,
    definition: { 'delivery-limit': 3 } }],
};
