/** What all volumes may take together, whatever each may have. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = `import { readdirSync, writeFileSync } from 'node:fs';
export const handler = async ({ write, mib = 0, ms } = {}) => {
  if (write) writeFileSync('/data/' + write, Buffer.alloc(mib << 20, 1));
  if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
  return readdirSync('/data').sort();
};`;
const files = { 'index.mjs': CODE };
const FUNCTIONS = ['sum-rw', 'sum-more', 'sum-tx'];
const VOLUMES = ['sum-rw', 'sum-more', 'sum-tx'];
const MIB = 1024 * 1024;

let wafer: TestPlatform;
const cleanUp = async () => {
  for (const name of FUNCTIONS) await wafer.remove(name);
  for (const name of VOLUMES)
    await until(`${name} is removed`, async () =>
      [204, 404].includes((await wafer.fetch(`/v1/volumes/${name}`, { method: 'DELETE' })).status),
    );
};
beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_NAMESPACE_VOLUMES_MB: '8' });
  await cleanUp();
  await wafer.wafer(['volume', 'prune']);
});
afterAll(async () => {
  if (wafer === undefined) return;
  await cleanUp();
  await wafer.stop();
});

const make = async (name: string, mode: 'rw' | 'tx') => {
  const { status, stderr } = await wafer.wafer([
    'volume',
    'create',
    name,
    ...(mode === 'tx' ? ['--tx', 'exclusive'] : []),
  ]);
  expect(status, stderr).toBe(0);
  await wafer.deploy(name, files, { volumes: [{ volume: name, path: '/data', mode }] });
};
const bytes = async () =>
  Number(/^wafer_volume_bytes (\d+)$/m.exec(await (await wafer.fetch('/metrics')).text())?.[1] ?? Number.NaN);
const told = ({ status, body }: Reply) => [
  status,
  (body as { code?: string }).code,
  (body as { detail?: string }).detail,
];
const FULL = [507, 'volume_full', expect.stringContaining('may have 8 MiB (WAFER_NAMESPACE_VOLUMES_MB)')];

it('volumes without limits of their own are full when all together are, of each mode, and are not when one goes', async () => {
  for (const [name, mode] of [
    ['sum-rw', 'rw'],
    ['sum-more', 'rw'],
    ['sum-tx', 'tx'],
  ] as const)
    await make(name, mode);
  expect((await wafer.invoke('sum-rw', { write: 'a', mib: 3 })).body).toEqual(['a']);
  await until('it is measured', async () => (await bytes()) >= 3 * MIB);
  expect((await wafer.invoke('sum-tx', { write: 'a', mib: 3 })).body).toEqual(['a']);

  // Two more MiB are left.
  expect(told(await wafer.invoke('sum-tx', { write: 'b', mib: 3 }))).toEqual(FULL);
  expect((await wafer.invoke('sum-tx', {})).body).toEqual(['a']);
  expect((await wafer.wafer(['volume', 'snapshot', 'sum-rw', 'one'])).stderr).toContain('WAFER_NAMESPACE_VOLUMES_MB');
  expect(told(await wafer.invoke('sum-more', { write: 'c', mib: 3, ms: 600_000 }))).toEqual(FULL);
  expect(told(await wafer.invoke('sum-more', {}))).toEqual(FULL);
  expect(told(await wafer.invoke('sum-rw', {}))).toEqual(FULL);

  await wafer.remove('sum-more');
  await until(
    'its volume is removed',
    async () => (await wafer.fetch('/v1/volumes/sum-more', { method: 'DELETE' })).ok,
  );
  expect((await wafer.invoke('sum-rw', {})).body).toEqual(['a']);
  expect((await wafer.invoke('sum-tx', { write: 'b', mib: 1 })).body).toEqual(['a', 'b']);
});
