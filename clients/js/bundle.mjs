// Primus copies the text of one function into its library: the modules of src become one, with nothing around it. They
// import only from each other, whole lines, and no two of them give one name to different things.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const importLine = /^import \{[^}]*\} from '(\.\/[\w-]+\.js)';\n/gm;

// Modules in the order in which they need each other.
function collect(file, into) {
  if (into.has(file)) return;
  const text = readFileSync(file, 'utf8');
  into.set(file, null);
  const needs = [...text.matchAll(importLine)].map((match) => join(dirname(file), match[1]));
  for (const needed of needs) collect(needed, into);
  into.delete(file); // behind what it needs
  into.set(file, text.replace(importLine, '').replace(/^export /gm, ''));
}

const entry = join(dirname(fileURLToPath(import.meta.url)), 'src', 'plugin.js');

// The text of `function foz(primus, options)`.
export function bundle() {
  const modules = new Map();
  collect(entry, modules);
  const body = [...modules].map(([file, text]) => `// --- ${basename(file)}\n${text}`).join('\n');
  const text = `function foz(primus, options) {\n'use strict';\n${body}\nclient(primus, options);\n}`;
  new vm.Script(`(${text})`, { filename: 'foz.js' }); // a name that is given twice is a SyntaxError
  return text;
}
