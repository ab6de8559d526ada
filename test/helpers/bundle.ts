/** A program of the tests as one JavaScript file: it starts in the time of Node alone, where `--import tsx` takes a second of processor time. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

/** Packages that are CommonJS ask for modules of Node by `require`. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** Path of the bundle of a TypeScript file, in a folder of its own that `remove` removes. */
export async function bundleProgram(entry: string): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'wafer-bundle-'));
  const path = join(folder, `${basename(entry, '.ts')}.mjs`);
  const shape = { bundle: true, platform: 'node', format: 'esm', banner: { js: REQUIRE } } as const;
  await build({ entryPoints: [entry], outfile: path, logLevel: 'error', ...shape });
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}
