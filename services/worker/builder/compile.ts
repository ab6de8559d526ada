/**
 * Compiles a version's code when it is built, into a layer of its own on top: V8's code for Node, byte code for Python.
 * None of the code is run. A version without this layer works as well, only its first calls take longer; so nothing that
 * goes wrong here fails a deploy. See infra/decisions/0009-code-is-compiled-at-build.md.
 */
import { WaferError } from '../../core/errors.ts';
import type { FunctionConfig } from '../../core/functions/schema.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import type { ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { BaseImage } from '../base-images/index.ts';
import type { BuildCommand, BuildOutput, BuildSandboxes } from './build-sandbox.ts';

export interface CompileInputs {
  config: FunctionConfig;
  base: BaseImage;
  /** Over the base, bottom first: dependencies (if any), code. */
  layers: LayerInfo[];
}

export interface CompileFacts extends Pick<CompileInputs, 'config' | 'layers'> {
  source: SourceTree;
  /** Bytes of code that the build itself made of the source, e.g. a bundle. */
  bundledBytes: number;
}

export interface Compiled {
  layer: LayerInfo;
  /** Modules of the runtime that the code asks for. */
  builtins: string[];
}

type CompiledRuntime = 'node' | 'python';

const STEP = 'compile';
/** Less is compiled by the first call in under a millisecond; to compile it ahead would take the deploy fifty. */
const MIN_BYTES: Record<CompiledRuntime, number> = { node: 32 * 1024, python: 8 * 1024 };
const SUFFIXES: Record<CompiledRuntime, RegExp> = { node: /\.[cm]?js$/, python: /\.py$/ };
const TIMEOUT_MS = 60_000;
const MEMORY_MB = 1024;

/** Null for what has next to no code, or a runtime that has no compiler. */
export function compiledRuntime({ source, config, layers, bundledBytes }: CompileFacts): CompiledRuntime | null {
  const { runtime } = config;
  if (runtime !== 'node' && runtime !== 'python') return null;
  const files = source.entries.filter(({ path }) => SUFFIXES[runtime].test(path));
  const bytes = files.reduce((sum, { size }) => sum + size, bundledBytes);
  // Byte code of Python dependencies is in their own layer.
  const hasMore = runtime === 'node' && layers.length > 1;
  return hasMore || bytes >= MIN_BYTES[runtime] ? runtime : null;
}

/** Null when nothing came of it; why is in the output. @throws what aborted the deploy, and what a full disk throws */
export async function compile(
  runtime: CompiledRuntime,
  inputs: CompileInputs,
  { images, sandboxes }: { images: ImageStore; sandboxes: BuildSandboxes },
  onOutput: BuildOutput,
  signal: AbortSignal,
): Promise<Compiled | null> {
  const said: string[] = [];
  const listen: BuildOutput = (stream, line) => {
    if (stream === 'stdout') said.push(line);
    else onOutput(stream, line);
  };
  const command = { ...commandOf(runtime, inputs), signal };
  try {
    return await sandboxes.runAndPack(command, listen, async ({ pack }) => {
      const { files, builtins } = readReport(said.at(-1));
      if (files === 0) return null;
      const layer = await images.addLayer(await pack(['function']), { createdBy: STEP, fast: true });
      return { layer, builtins };
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WaferError && error.code === 'build_failed')) throw error;
    onOutput('stderr', `${error.message} The function will be compiled when it is loaded.`);
    return null;
  }
}

function commandOf(runtime: CompiledRuntime, { config, base, layers }: CompileInputs): BuildCommand {
  const below = layers.map(({ diffId }) => diffId.slice('sha256:'.length));
  // Its own seeds, so that the same source gives the same bytes.
  const argv = {
    node: ['node', '--hash-seed=42', '--random-seed=42', '/.wafer/node/compile/main.mjs', '/function', config.handler],
    python: ['python3', '-S', '/.wafer/python/compile.py', '/function'],
  };
  return {
    step: STEP,
    layers: [...base.layers, ...below],
    argv: argv[runtime],
    env: { ...base.env, PYTHONHASHSEED: '0' },
    cwd: '/',
    timeoutMs: TIMEOUT_MS,
    memoryMb: MEMORY_MB,
  };
}

/** The last line of what our compiler printed. Its process has parsed code of strangers: nothing of it is believed. */
function readReport(line: string | undefined): { files: number; builtins: string[] } {
  try {
    const { files, builtins } = JSON.parse(line ?? '') as { files?: unknown; builtins?: unknown };
    const names = Array.isArray(builtins) ? builtins.filter((name) => typeof name === 'string') : [];
    return { files: typeof files === 'number' ? files : 0, builtins: names };
  } catch {
    throw new WaferError('build_failed', `The step "${STEP}" did not say what it did.`, { details: { step: STEP } });
  }
}
