/** Bundles a TypeScript handler with esbuild, inside a build sandbox: the source is not trusted with the host's files. */

import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { WaferError } from '../../core/errors.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import type { BaseImage } from '../base-images/index.ts';
import { openBuildLeases } from './build-leases.ts';
import type { BuildOutput, BuildSandboxes } from './build-sandbox.ts';

export interface Bundle {
  /** Path in the function's folder, e.g. `index.mjs`. */
  path: string;
  content: Buffer;
}

/** `index.ts` for handler `index.handler`, when that is what the source has. */
export function typescriptEntry(source: SourceTree, handler: string): string | null {
  const stem = handler.slice(0, handler.lastIndexOf('.'));
  const has = (path: string) => source.entries.some((entry) => entry.path === path);
  if (['.mjs', '.js', '.cjs'].some((extension) => has(stem + extension))) return null;
  return ['.ts', '.mts', '.cts', '.tsx'].map((extension) => stem + extension).find(has) ?? null;
}

export interface BundleInputs {
  entry: string;
  base: BaseImage;
  /** Dependency layer, when there is one. */
  dependencies: string | null;
  source: SourceTree;
}

export async function bundleTypescript(
  { entry, base, dependencies, source }: BundleInputs,
  { images, sandboxes, log }: { images: ImageStore; sandboxes: BuildSandboxes; log: Log },
  onOutput: BuildOutput,
  signal: AbortSignal,
): Promise<Bundle> {
  const step = 'bundle typescript';
  const path = entry.replace(/\.[a-z]+$/, '.mjs');
  const sources = await images.addLayer(source.toTar('function/'), { createdBy: step });
  const leases = openBuildLeases(images, log);
  leases.made(sources);
  const flags = [
    '--bundle',
    '--platform=node',
    '--format=esm',
    '--packages=external',
    '--target=node20',
    '--sourcemap=inline',
    '--log-level=info',
    '--color=false',
  ];
  const layers = [
    ...base.layers,
    ...base.toolLayers,
    ...(dependencies === null ? [] : [dependencies]),
    sources.diffId.slice('sha256:'.length),
  ];
  try {
    const argv = ['esbuild', entry, ...flags, `--outfile=/out/${path}`];
    const content = await sandboxes.run(
      { step, layers, argv, cwd: '/function', env: base.env, signal },
      ['out'],
      onOutput,
      (stream) => readOnly(stream, `out/${path}`),
    );
    if (content === null) throw new WaferError('build_failed', `esbuild made no ${path}.`, { details: { step } });
    return { path, content };
  } finally {
    await leases.discard(); // the bundle is what counts
  }
}

/** The one file of a tar that was packed from a build sandbox. */
export async function readOnly(stream: Readable, wanted: string): Promise<Buffer | null> {
  let found: Buffer | null = null;
  const extract = tar.extract();
  // `pipe` would pass no error on: a packing that fails would end the process.
  const piped = pipeline(stream, extract);
  piped.catch(() => {}); // reading the entries fails with it
  for await (const entry of extract) {
    if (entry.header.name === wanted && entry.header.type === 'file') found = await buffer(entry);
    else entry.resume();
  }
  await piped;
  return found;
}
