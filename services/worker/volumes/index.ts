/** Volumes on this worker: their records, their content, and who has them. */
import { readdir } from 'node:fs/promises';
import type { VolumeHost } from '../../../runtime/sandbox/index.ts';
import type { Config } from '../../core/config.ts';
import { WaferError } from '../../core/errors.ts';
import type { ConfigFile } from '../../core/functions/schema.ts';
import type { FunctionStore, FunctionVersion } from '../../core/functions/types.ts';
import type { Log } from '../../core/log.ts';
import { layersOf } from '../../core/volumes/record.ts';
import { openVolumeRecords } from '../../core/volumes/records.ts';
import type { VolumeTotals } from '../../core/volumes/totals.ts';
import type { Volumes } from '../../core/volumes/types.ts';
import { createFootprint, type Footprint } from './footprint.ts';
import { createInstanceVolumes, type InstanceVolumes } from './instance-volumes.ts';
import { createVolumeRoom } from './limits.ts';
import { createVolumeService } from './service.ts';
import { createVolumeShelf, type VolumeShelf } from './shelf.ts';
import { createVolumeTally } from './tally.ts';
import { createTransactions } from './transactions.ts';
import { createUsers, type VolumeUsers } from './users.ts';

export type { InstanceVolumes } from './instance-volumes.ts';

export interface WorkerVolumes {
  readonly volumes: Volumes;
  /** Of one instance; undefined when its version has none. @throws WaferError `volume_not_found` */
  of(version: FunctionVersion): InstanceVolumes | undefined;
  /** Before a version is kept. @throws WaferError `volume_not_found | invalid_config` */
  assertMounts(config: Pick<ConfigFile, 'volumes'>): void;
  /** Whether an attempt of the invocation was committed to a volume, and is remembered: the last thousand of each are. */
  hasWritten(invocationId: string): boolean;
  totals(): VolumeTotals;
  close(): Promise<void>;
}

export interface WorkerVolumesDeps {
  config: Pick<Config, 'namespaceVolumesMb'>;
  host: VolumeHost;
  /** Of the records. */
  dir: string;
  /** Of the content. */
  volumesDir: string;
  functions: Pick<FunctionStore, 'list' | 'resolve'>;
  log: Log;
}

export async function openVolumes({
  config,
  host: bare,
  dir,
  volumesDir,
  functions,
  log,
}: WorkerVolumesDeps): Promise<WorkerVolumes> {
  const records = await openVolumeRecords(dir);
  const shelf = createVolumeShelf({ host: bare, records, log });
  const tally = createVolumeTally();
  const footprint = createFootprint({ host: bare, shelf }, () => performance.now());
  const host = notingSizes(bare, footprint);
  const room = createVolumeRoom(config, footprint.othersOf);
  const transactions = createTransactions({ host, shelf, room, tally, log });
  const users = createUsers(functions);
  for (const file of records.damaged) log.error({ file }, 'the record of a volume can not be read');
  if (records.damaged.length === 0) await removeLeftOvers(volumesDir, shelf);
  return {
    volumes: createVolumeService({ host, shelf, transactions, users, room, tally }),
    of(version) {
      if (version.config.volumes === undefined) return undefined;
      for (const { volume } of version.config.volumes) shelf.resolve(volume);
      return createInstanceVolumes(version, { host, shelf, transactions, room, tally, onMounted: users.mounted });
    },
    assertMounts({ volumes = [] }) {
      for (const [at, mount] of volumes.entries()) assertMount(mount, at, shelf);
    },
    hasWritten: (invocationId) => shelf.all().some(({ committed }) => committed.includes(invocationId)),
    totals: () => ({ now: contentNow(shelf, users, footprint), ...tally.counts() }),
    async close() {
      await footprint.close();
      await transactions.settled();
      await shelf.settled();
    },
  };
}

/** What is measured for whatever reason is known to all. */
const notingSizes = (host: VolumeHost, footprint: Pick<Footprint, 'note'>): VolumeHost => ({
  ...host,
  async measureVolume(id) {
    const usage = await host.measureVolume(id);
    footprint.note(id, usage);
    return usage;
  },
});

function contentNow(shelf: VolumeShelf, users: VolumeUsers, footprint: Footprint): VolumeTotals['now'] {
  const records = shelf.all();
  return {
    volumes: records.length,
    snapshots: records.reduce((sum, { snapshots }) => sum + snapshots.length, 0),
    layers: new Set(records.flatMap(layersOf)).size,
    mounts: users.allMounts(),
    usage: footprint.read(),
  };
}

/** Uppers and layers that a crash left. */
async function removeLeftOvers(volumesDir: string, shelf: VolumeShelf): Promise<void> {
  const known = new Set(shelf.all().flatMap(layersOf));
  const left = (await readdir(volumesDir)).filter((name) => name.startsWith('_') && !known.has(name));
  await shelf.drop(...left);
}

function assertMount(
  { volume, mode = 'rw' }: NonNullable<ConfigFile['volumes']>[number],
  at: number,
  shelf: VolumeShelf,
): void {
  const { record } = shelf.resolve(volume);
  const { name, transactions } = record;
  if (mode === 'ro' || (mode === 'tx') === (transactions !== null)) return;
  const problem =
    mode === 'tx'
      ? `"tx" is for a volume with transactions, which ${name} was not made with`
      : `"rw" is not for ${name}, whose states change by transactions only`;
  throw new WaferError('invalid_config', `/volumes/${at}/mode: ${problem}.`, {
    details: { path: `/volumes/${at}/mode` },
    hint: mode === 'tx' ? 'Make another one: wafer volume create NAME --tx exclusive' : 'Use "tx", or "ro".',
  });
}
