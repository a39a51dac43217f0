// Under which addresses others in the local network reach this machine.
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

// Of containers and virtual machines on this machine.
const inside = /^(docker|br-|veth|virbr|lxc|podman|cni|vmnet|vboxnet)/;

// The interface of the default route, or undefined.
function outward() {
  try {
    const lines = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1).map((line) => line.split('\t'));
    return lines.find(([, destination]) => destination === '00000000')?.[0];
  } catch {
    return undefined;
  }
}

// The most likely one first; IPv4, as people type and scan them.
export function lanUrls(port) {
  const first = outward();
  return Object.entries(networkInterfaces())
    .filter(([name]) => !inside.test(name))
    .sort(([a], [b]) => Number(b === first) - Number(a === first))
    .flatMap(([, addresses]) => addresses.filter(({ family, internal }) => family === 'IPv4' && !internal))
    .map(({ address }) => `http://${address}:${port}/`);
}
