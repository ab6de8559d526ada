/** Compiles code as a deploy does, and loads it as an instance does, without a platform around it. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { openRuntime } from '../../runtime/protocol/index.ts';
import type { SandboxSpec } from '../../runtime/sandbox/index.ts';
import type { ImageStore, LayerInfo } from '../../services/core/images/types.ts';
import { createBuildSandboxes } from '../../services/worker/builder/build-sandbox.ts';
import { compile } from '../../services/worker/builder/compile.ts';
import { BASE_ENV, PROGRAMS } from '../../services/worker/instances/plan.ts';
import { layerOfFolder } from '../helpers/folder-layer.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';

const BASES = { node: 'node24', python: 'python3.11' } as const;
export type Runtime = keyof typeof BASES;
export type Files = Record<string, string | Buffer>;

export interface CompiledHere {
  layer: string | null;
  builtins: string[];
  tar: Buffer;
  output: string[];
}

let test: TestHost;
let folder: string;
const layers: string[] = [];

/** Before the first use of the others. */
export async function openLab(): Promise<void> {
  test = await openTestHost();
  folder = await mkdtemp(join(tmpdir(), 'wafer-compiled-'));
}

export async function closeLab(): Promise<void> {
  for (const layer of layers) await test.host.removeLayer(layer);
  await test?.close();
  await rm(folder, { recursive: true, force: true });
}

export async function layerOf(files: Files): Promise<string> {
  const path = await mkdtemp(join(folder, 'layer-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  const layer = await layerOfFolder(test.host, path);
  layers.push(layer);
  return layer;
}

/** What a deploy does, with a store that has only an unpacked layer of it. */
export async function compileLayers(runtime: Runtime, handler: string, below: string[]): Promise<CompiledHere> {
  const made: CompiledHere = { layer: null, builtins: [], tar: Buffer.alloc(0), output: [] };
  const images = {
    async addLayer(stream: Readable) {
      made.tar = await buffer(stream);
      const name = randomBytes(32).toString('hex');
      await test.host.unpack(name, Readable.from([made.tar]));
      layers.push(name);
      return { diffId: `sha256:${name}` } as LayerInfo;
    },
  } as unknown as ImageStore;
  const inputs = {
    config: { runtime, handler } as Parameters<typeof compile>[1]['config'],
    base: test.base(BASES[runtime]),
    layers: below.map((name) => ({ diffId: `sha256:${name}` }) as LayerInfo),
  };
  const signal = new AbortController().signal;
  const sandboxes = createBuildSandboxes(test.host, test.workDir);
  const result = await compile(runtime, inputs, { images, sandboxes }, (_, line) => made.output.push(line), signal);
  made.layer = result === null ? null : result.layer.diffId.slice('sha256:'.length);
  made.builtins = result?.builtins ?? [];
  return made;
}

const specOf = (runtime: Runtime, codeLayers: string[]): SandboxSpec => ({
  id: `compiled-${randomBytes(6).toString('hex')}`,
  profile: 'function',
  layers: test.base(BASES[runtime]).layers,
  codeLayers,
  argv: PROGRAMS[runtime],
  env: BASE_ENV,
  cwd: '/function',
  control: true,
  memoryBytes: 512 << 20,
  pids: 256,
  tmpBytes: 64 << 20,
});

/** Loads the handler over these layers and calls it once. */
export async function run(runtime: Runtime, handler: string, codeLayers: string[]) {
  const sandbox = await test.host.create(specOf(runtime, codeLayers));
  try {
    if (sandbox.control === null) throw new Error('no control socket');
    const lines: string[] = [];
    const connection = openRuntime(sandbox.control, {
      onLog: (_call, _invocation, _stream, text) => lines.push(text),
      onClose: () => {},
    });
    const settings = { functionName: 'f', version: 1, codePath: '/function', handler, command: [], env: {} };
    await connection.ready;
    const init = await connection.init({ ...settings, maxResultBytes: 1 << 20, maxLogLineBytes: 65_536 });
    if (init.kind === 'error') return { init, value: undefined, lines };
    const head = { invocationId: 'i', deadlineMs: Date.now() + 60_000, attempt: 1, kind: 'event' } as const;
    const result = await connection.call(head, Buffer.from('{"n":1}'), new AbortController().signal).head;
    if (result.kind === 'error') throw new Error(result.message);
    return { init, value: JSON.parse((await buffer(result.body)).toString()) as unknown, lines };
  } finally {
    await sandbox.destroy();
  }
}

/** What Node itself says about its cache while it loads the file as a function would. */
export async function debugOutput(codeLayers: string[], file = 'index.mjs'): Promise<string> {
  const program = `require('node:module').enableCompileCache('/function/.wafer/modules'); require('/function/${file}')`;
  const sandbox = await test.host.create({
    ...specOf('node', codeLayers),
    argv: ['node', '-e', program],
    env: { ...BASE_ENV, NODE_DEBUG_NATIVE: 'COMPILE_CACHE', WAFER_FUNCTION: 'f' },
    control: false,
  });
  let output = '';
  sandbox.onOutput((_stream, chunk) => {
    output += chunk.toString();
  });
  await sandbox.exited;
  await sandbox.destroy();
  return output;
}
