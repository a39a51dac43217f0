// The folder that aggregators serve: a copy of web/ that follows it, and run.json, which tells the page of this run.
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const settleMs = 50; // an editor writes a file in several steps

function foldersIn(folder) {
  const inner = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...inner.flatMap((entry) => foldersIn(join(folder, entry.name)))];
}

// A reader sees the old file or the new one.
function replace(file, write) {
  write(file + '.new');
  renameSync(file + '.new', file);
}

function update(from, to, kept = []) {
  mkdirSync(to, { recursive: true });
  const there = new Set(readdirSync(from));
  for (const name of there) {
    const [source, target] = [join(from, name), join(to, name)];
    if (statSync(source).isDirectory()) update(source, target);
    else replace(target, (file) => copyFileSync(source, file));
  }
  for (const name of readdirSync(to))
    if (!there.has(name) && !kept.includes(name)) rmSync(join(to, name), { recursive: true });
}

// Copies now and, as long as the process lives, whenever something changes in `from`. `told` becomes run.json.
export function followFolder(from, to, told) {
  let watches = [];
  let timer = null;
  const copy = () => {
    watches.forEach((one) => one.close());
    // Before it is copied: what changes meanwhile is a change.
    watches = foldersIn(from).map((folder) => watch(folder, later).on('error', () => {}));
    update(from, to, ['run.json']);
    replace(join(to, 'run.json'), (file) => writeFileSync(file, JSON.stringify(told) + '\n'));
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      try {
        copy();
      } catch (error) {
        // Something vanished meanwhile; its vanishing is a change, too.
        console.error(`run: ${from} could not be copied: ${error.message}`);
      }
    }, settleMs);
  };
  copy();
}
