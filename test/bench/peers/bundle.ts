/** One file of some 1.5 MB: fastify and 50 modules of an application on it, as a bundler writes it. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from '../../helpers/paths.ts';

export interface Bundle {
  /** On disk; CommonJS with the export `handler`. */
  path: string;
  bytes: number;
  text: string;
}

const MODULES = 50;

/** A route with a schema and a few functions, as application modules have. */
const moduleText = (number: number) => `
const limits = { items: ${number + 10}, name: 'resource-${number}' };
function select(items, wanted) { return items.filter((one) => one.kind === wanted).slice(0, limits.items); }
function describe(one) { return { id: one.id, kind: one.kind, label: limits.name + ' ' + one.id }; }
module.exports = {
  method: 'GET',
  url: '/resource-${number}/:id',
  schema: { params: { type: 'object', properties: { id: { type: 'string', maxLength: ${number + 20} } } } },
  handler: async (request) => select([{ id: request.params.id, kind: limits.name }], limits.name).map(describe),
};
`;

const entryText = `
const routes = [${Array.from({ length: MODULES }, (_, number) => `require('module-${number}')`)}];
const app = require('fastify').fastify();
for (const route of routes) app.route(route);
exports.handler = async (event) => ({ echo: event, routes: routes.length, from: exports.round });
`;

export async function makeBundle(dir: string): Promise<Bundle> {
  const path = join(dir, 'bundle', 'index.cjs');
  await build({
    stdin: { contents: entryText, resolveDir: ROOT },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    outfile: path,
    logLevel: 'error',
    plugins: [
      {
        name: 'modules of the application',
        setup(made) {
          made.onResolve({ filter: /^module-\d+$/ }, ({ path: name }) => ({ path: name, namespace: 'application' }));
          made.onLoad({ filter: /.*/, namespace: 'application' }, ({ path: name }) => ({
            contents: moduleText(Number(name.slice('module-'.length))),
          }));
        },
      },
    ],
  });
  return { path, bytes: (await stat(path)).size, text: await readFile(path, 'utf8') };
}
