/**
 * Builds `dist/`: the CLI, and the platform behind `wafer up`, as a few files. Node takes half a millisecond of processor
 * time for each file that it loads, and typebox alone has 700: with them in few, `wafer up` loads in half the time.
 * Types are not looked at here; `npm run types` does.
 */
import { chmod, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Of many small files. Both may be in a process twice: what others load of them are types, or meets ours in a global. */
const BUNDLED = ['typebox', '@opentelemetry/api'];

const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
// Names of parts carry their content: what an earlier build made would stay.
await rm(join(root, 'dist/services'), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ['services/cli/main.ts'],
  outdir: 'dist/services/cli',
  bundle: true,
  splitting: true,
  chunkNames: 'parts/[name]-[hash]',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: Object.keys(dependencies).filter((name) => !BUNDLED.includes(name)),
  logLevel: 'warning',
});
await chmod(join(root, 'dist/services/cli/main.js'), 0o755);
