/**
 * Compiles a function without running any of it: `node FLAGS compile/main.mjs CODE_PATH HANDLER`, in a build sandbox
 * over the layers of a version, as the same program that will load it. See infra/decisions/0009.
 *
 *   graph.mjs       which files the handler leads to     pack.mjs    code of CommonJS, in one file of ours
 *   es-modules.mjs  code of ES modules, in Node's own cache
 *
 * Writes below CODE_PATH/.wafer, and what it did to standard output: `{"files","builtins"}`.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import v8 from 'node:v8';
import { compileModules } from './es-modules.mjs';
import { createGraph } from './graph.mjs';
import { writePack } from './pack.mjs';

const EXTENSIONS = ['.mjs', '.js', '.cjs'];

// Given on the command line, so that the same source gives the same bytes. Code is only taken by a process whose flags
// are those that it was compiled under, and the seed is in use already.
v8.setFlagsFromString('--hash-seed=0');
process.umask(0o022);

const [codePath = '', handler = ''] = process.argv.slice(2);
const stem = join(codePath, handler.slice(0, handler.lastIndexOf('.')));
const entry = EXTENSIONS.map((extension) => stem + extension).find((path) => existsSync(path));
const out = join(codePath, '.wafer');
rmSync(out, { recursive: true, force: true });

const graph = createGraph(codePath);
if (entry !== undefined) graph.add(entry);
await compileModules(graph, join(out, 'modules'));
const packed = writePack(graph, codePath, join(out, 'code'));
const files = packed + graph.modules.size;
process.stdout.write(`${JSON.stringify({ files, builtins: [...graph.builtins].sort() })}\n`);
