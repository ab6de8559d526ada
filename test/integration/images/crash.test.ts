import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GRACE_MS, openImageStore } from '../../../services/core/images/index.ts';
import { bundleProgram } from '../../helpers/bundle.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

const helper = (name: string) => fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));

let steps: Awaited<ReturnType<typeof bundleProgram>>;
let full: typeof steps;
beforeAll(async () => {
  [steps, full] = await Promise.all([bundleProgram(helper('store-steps.ts')), bundleProgram(helper('store-full.ts'))]);
});
afterAll(async () => {
  await Promise.all([steps.remove(), full.remove()]);
});

async function run(dir: string, dieAt: number): Promise<{ signal: string | null; output: string; errors: string }> {
  const child = spawn(process.execPath, ['--import', helper('die-at.mjs'), steps.path, dir], {
    env: { PATH: process.env['PATH'] ?? '', WAFER_DIE_AT: String(dieAt) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors, [, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { signal, output, errors };
}

async function withDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'wafer-crash-'));
  try {
    return await use(join(dir, 'store'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The store after a crash: opens, every tag is whole, and collection leaves exactly what tags need. */
async function checkStore(dir: string, output: string): Promise<void> {
  const problems: string[] = [];
  let elapsed = 0;
  const log = {
    warn: (_: object, message: string) => problems.push(message),
    info: (_: object, message: string) => problems.push(message),
  };
  const clock = { now: () => 1, monotonic: () => elapsed };
  const store = await openImageStore({ dir, unpacker: createTarUnpacker(join(dir, 'layers')), log, clock });
  expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
  const images = await store.list();
  const tags = images.flatMap((image) => image.tags).sort();
  if (output.includes('done=base')) expect(tags).toContain('base');
  if (output.includes('done=one')) expect(tags).toEqual(['base', 'live']);
  if (output.includes('done=two')) expect((await store.get('live')).layers[1]?.createdBy).toBe('two');
  elapsed = GRACE_MS + 1;
  await store.collectGarbage();
  const layers = new Map(images.flatMap((image) => image.layers.map((layer) => [layer.diffId, layer])));
  expect(readdirSync(join(dir, 'layers')).sort()).toEqual([...layers.keys()].map((diffId) => diffId.slice(7)).sort());
  expect(readdirSync(join(dir, 'meta'))).toHaveLength(layers.size);
  expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
  expect(readdirSync(join(dir, 'blobs/sha256'))).toHaveLength(layers.size + 2 * images.length);
  for (const diffId of layers.keys()) await buffer(await store.exportLayer(diffId));
  expect(problems).toEqual([]);
}

it('openImageStore finds a whole store after SIGKILL before any change of a deploy or a collection', {
  timeout: 1_800_000,
}, async () => {
  const whole = await withDir(async (dir) => {
    const result = await run(dir, 0);
    await checkStore(dir, result.output);
    return result;
  });
  expect(whole.errors).toBe('');
  const changes = Number(/changes=(\d+)/.exec(whole.output)?.[1]);
  expect(changes).toBeGreaterThan(40);
  // Every second one: the parity of the points differs between the steps.
  const points = Array.from({ length: Math.floor(changes / 2) }, (_, index) => index * 2 + 1 + (index % 2));
  const killed: number[] = [];
  const next = async (): Promise<void> => {
    for (let point = points.shift(); point !== undefined; point = points.shift()) {
      const at = point;
      await withDir(async (dir) => {
        const { signal, output } = await run(dir, at);
        if (signal === 'SIGKILL') killed.push(at);
        await checkStore(dir, output).catch((error: unknown) => {
          throw new Error(`after SIGKILL before change ${at} of ${changes}: ${output}`, { cause: error });
        });
      });
    }
  };
  await Promise.all([next(), next()]);
  expect(killed.length).toBeGreaterThan(20);
});

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

it.skipIf(!canMount)(
  'addLayer on a full disk fails with disk_full, leaves nothing, and works when there is room again',
  async () => {
    await withDir(async (dir) => {
      const script = `mkdir -p "$1" && mount -t tmpfs -o size=3m wafer "$1" && exec "$2" "$3" "$1"`;
      const result = spawnSync('unshare', ['-rm', 'sh', '-c', script, 'sh', dir, process.execPath, full.path], {
        encoding: 'utf8',
      });
      expect(result.stderr).toBe('');
      expect(JSON.parse(result.stdout)).toEqual({
        code: 'disk_full',
        unpackCode: 'disk_full',
        left: { 'blobs/sha256': 0, layers: 0, meta: 0, tmp: 0 },
        afterwards: 'small',
      });
    });
  },
);
