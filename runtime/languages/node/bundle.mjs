/**
 * Writes build/main.cjs: the runtime as one file. Each file of its own would be looked for, read and compiled when a
 * sandbox boots, which is an eighth of its boot. Only what `require('./…')` names is taken; the functions stay as they are.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const ENTRY = './main.cjs';
const source = new URL('./', import.meta.url);
const built = new URL('build/', source);
const found = new Map();

function add(name) {
  if (found.has(name)) return;
  const text = readFileSync(new URL(name, source), 'utf8');
  found.set(name, text);
  for (const [, inner] of text.matchAll(/\brequire\('(\.\/[^']+)'\)/g)) add(inner);
}

add(ENTRY);
const parts = [...found].map(([name, text]) => `'${name}'(require, module) {\n${text}\n},\n`);
const bundle = `'use strict';
const loaded = {};
const load = (name) => {
  if (!name.startsWith('./')) return require(name);
  if (loaded[name] === undefined) {
    loaded[name] = { exports: {} };
    files[name](load, loaded[name]);
  }
  return loaded[name].exports;
};
const files = {
${parts.join('')}};
load('${ENTRY}');
`;
mkdirSync(built, { recursive: true });
write('rehearsal-handler.mjs', readFileSync(new URL('rehearsal-handler.mjs', source)));
write('main.cjs', bundle);

/** Renamed into place: sandboxes that boot meanwhile see the old one or the new one. */
function write(name, content) {
  writeFileSync(new URL(`${name}.new`, built), content);
  renameSync(new URL(`${name}.new`, built), new URL(name, built));
}
