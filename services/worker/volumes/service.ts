/** What the API does with volumes. Content is read, written and copied by the engine; the host never walks it. */
import type { Readable } from 'node:stream';
import { SandboxError, type VolumeEntry, type VolumeHost } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import { newInvocationId, newVolumeLayerId } from '../../core/ids.ts';
import { LightSignal } from '../../core/invocations/light-signal.ts';
import { assertVolumeName } from '../../core/volumes/names.ts';
import type { VolumeLayer, VolumeRecord } from '../../core/volumes/record.ts';
import type { Volume, VolumeFile, VolumeLimits, VolumeRequest, Volumes } from '../../core/volumes/types.ts';
import type { VolumeRoom } from './limits.ts';
import type { VolumeShelf } from './shelf.ts';
import type { VolumeTally } from './tally.ts';
import type { Transactions } from './transactions.ts';
import type { VolumeUsers } from './users.ts';

export interface VolumeServiceDeps {
  host: VolumeHost;
  shelf: VolumeShelf;
  transactions: Transactions;
  users: VolumeUsers;
  room: VolumeRoom;
  tally: Pick<VolumeTally, 'full'>;
}

const WRITE_WAIT_MS = 30_000;
const idsOf = (layers: readonly VolumeLayer[]) => layers.map(({ id }) => id);

export function createVolumeService(deps: VolumeServiceDeps): Volumes {
  const { host, shelf, users } = deps;
  const view = async (record: VolumeRecord) => viewOf(record, users, await users.functions());
  /** The state stays while it is looked at. */
  const holding = async <T>(ref: string, look: (layers: string[]) => Promise<T>): Promise<T> => {
    const { layers } = shelf.resolve(ref);
    const release = shelf.hold(layers);
    try {
      return await look(idsOf(layers));
    } catch (error) {
      throw explain(error);
    } finally {
      release();
    }
  };
  const streaming = async (ref: string, open: (layers: string[]) => Promise<Readable>): Promise<Readable> => {
    const { layers } = shelf.resolve(ref);
    const release = shelf.hold(layers);
    try {
      return (await open(idsOf(layers))).once('close', release);
    } catch (error) {
      release();
      throw explain(error);
    }
  };
  return {
    async list() {
      const functions = await users.functions();
      return shelf.all().map((record) => viewOf(record, users, functions));
    },
    get: async (name) => view(shelf.get(name)),
    create: async (name, request) => view(await create(name, request, deps)),
    setLimits: async (name, limits) => view(await shelf.change(name, (record) => ({ ...record, ...limits }))),
    async remove(name) {
      shelf.get(name);
      const functions = (await users.functions()).get(name) ?? [];
      await shelf.remove(name, () => assertFree(name, functions, users.mounts(name)));
    },
    async prune() {
      const functions = await users.functions();
      const unused = shelf.all().filter(({ name }) => !functions.has(name) && users.mounts(name) === 0);
      for (const { name } of unused) await shelf.remove(name, () => assertFree(name, [], users.mounts(name)));
      return unused.map(({ name }) => name);
    },
    usage: (ref) => holding(ref, (layers) => usageOf(layers, deps)),
    files: (ref, path) =>
      holding(ref, async (layers) => {
        const [own, ...inside] = await host.listVolume(layers, path);
        if (own === undefined) throw new WaferError('not_found', `There is nothing at ${path} of ${ref}.`);
        const name = path.split('/').filter(Boolean).at(-1) ?? '/';
        const files = inside.map(fileOf).sort((a, b) => (a.name < b.name ? -1 : 1));
        return { path, ...fileOf({ ...own, name }), ...(own.type === 'dir' ? { files } : {}) };
      }),
    download: (ref, path, part) => streaming(ref, (layers) => host.readVolumePart(layers, path, part)),
    read: (ref, path) => streaming(ref, (layers) => host.readVolume(layers, path)),
    async write(name, path, tar) {
      try {
        await write(name, path, tar, deps);
      } catch (error) {
        throw explain(error);
      } finally {
        tar.destroy();
      }
      return view(shelf.get(name));
    },
    async snapshot(name, snapshot) {
      assertVolumeName(snapshot, 'snapshot');
      return view(await shelf.change(name, (record) => withSnapshot(record, snapshot, deps)));
    },
    removeSnapshot: async (name, snapshot) =>
      view(
        await shelf.change(name, (record) => {
          shelf.resolve(`${name}@${snapshot}`);
          return { ...record, snapshots: record.snapshots.filter((one) => one.name !== snapshot) };
        }),
      ),
    rollback: async (name, snapshot) => view(await rollback(name, snapshot, deps)),
  };
}

function viewOf(record: VolumeRecord, users: VolumeUsers, functions: Map<string, string[]>): Volume {
  const { name, transactions, maxBytes, maxEntries, revision, createdAt } = record;
  return {
    name,
    transactions,
    maxBytes,
    maxEntries,
    revision,
    createdAt,
    snapshots: record.snapshots.map((one) => ({ name: one.name, createdAt: one.createdAt })),
    functions: functions.get(name) ?? [],
    mounts: users.mounts(name),
  };
}

const fileOf = ({ name, type, mode, size, modified }: VolumeEntry): VolumeFile => ({
  name,
  type,
  mode,
  size,
  modified,
});

/** The content first: a record without it would be a volume that can not be mounted. */
async function create(
  name: string,
  {
    transactions = null,
    maxBytes = null,
    maxEntries = null,
  }: Omit<VolumeRequest, 'transactions'> & Partial<Pick<VolumeRecord, 'transactions'>>,
  { host, shelf }: VolumeServiceDeps,
): Promise<VolumeRecord> {
  assertVolumeName(name);
  const id = newVolumeLayerId();
  const record: VolumeRecord = {
    name,
    createdAt: Date.now(),
    transactions,
    maxBytes,
    maxEntries,
    revision: 1,
    layers: [{ id, bytes: 0, entries: 0 }],
    snapshots: [],
    committed: [],
  };
  await host.makeVolume(id);
  try {
    await shelf.add(record);
  } catch (error) {
    await shelf.drop(id);
    throw error;
  }
  return record;
}

function assertFree(name: string, functions: readonly string[], mounts: number): void {
  if (functions.length > 0)
    throw new WaferError('volume_in_use', `The volume ${name} is mounted by ${functions.join(', ')}.`, {
      hint: 'Remove the function, or deploy it without the volume.',
    });
  if (mounts > 0)
    throw new WaferError('volume_in_use', `${mounts} instances still have the volume ${name}.`, {
      hint: 'They end when they have been idle for a while.',
    });
}

/** Of several layers: of what they show together. */
async function usageOf(layers: string[], { host, shelf }: Pick<VolumeServiceDeps, 'host' | 'shelf'>) {
  const [only, ...more] = layers;
  if (more.length === 0) return host.measureVolume(only ?? '');
  const whole = newVolumeLayerId();
  try {
    await host.copyVolume(layers, whole, { links: true });
    return await host.measureVolume(whole);
  } finally {
    await shelf.drop(whole);
  }
}

async function write(name: string, path: string, tar: Readable, deps: VolumeServiceDeps): Promise<void> {
  const { host, shelf, transactions } = deps;
  const record = shelf.get(name);
  if (record.transactions === null) return writeAsItIs(record, path, tar, deps);
  const begun = await transactions.begin({
    volume: name,
    invocationId: newInvocationId(),
    signal: new LightSignal(),
    waitMs: WRITE_WAIT_MS,
  });
  if ('kind' in begun) throw new WaferError(begun.kind, begun.message);
  try {
    const { layers, upper } = begun;
    await host.writeVolume(layers, path, tar, { upper, ...roomOf(record) });
    const failure = await begun.commit();
    if (failure !== null) throw new WaferError(failure.kind, failure.message);
  } finally {
    await begun.discard();
  }
}

/** An archive is refused at what the whole volume may have; what is in it already is looked at before. */
const roomOf = ({ maxBytes, maxEntries }: VolumeLimits) => ({
  ...(maxBytes === null ? {} : { maxBytes }),
  ...(maxEntries === null ? {} : { maxEntries }),
});

async function writeAsItIs(record: VolumeRecord, path: string, tar: Readable, deps: VolumeServiceDeps) {
  const { host, shelf, room, tally } = deps;
  const release = shelf.hold(record.layers);
  try {
    const ids = idsOf(record.layers);
    const usage = room.isLimited(record) ? await host.measureVolume(ids[0] ?? '') : { bytes: 0, entries: 0 };
    const full = room.excess(record, usage);
    if (full !== null) {
      tally.full('rw');
      throw new WaferError('volume_full', full);
    }
    const { maxBytes, maxEntries } = record;
    await host.writeVolume(
      ids,
      path,
      tar,
      roomOf({
        maxBytes: maxBytes === null ? null : maxBytes - usage.bytes,
        maxEntries: maxEntries === null ? null : maxEntries - usage.entries,
      }),
    );
  } finally {
    release();
  }
}

async function withSnapshot(record: VolumeRecord, name: string, deps: VolumeServiceDeps): Promise<VolumeRecord> {
  if (record.snapshots.some((one) => one.name === name))
    throw new WaferError('conflict', `The volume ${record.name} has a snapshot ${name} already.`);
  const layers = record.transactions === null ? await copyToKeep(record, deps) : record.layers;
  return { ...record, snapshots: [...record.snapshots, { name, createdAt: Date.now(), layers }] };
}

/** Another of the same size: there may be no room for both. */
async function copyToKeep(record: VolumeRecord, { host, shelf, room, tally }: VolumeServiceDeps) {
  const layers = await copyOf(record.layers, host);
  const [copy] = layers;
  const full = copy && room.isLimited(record) ? room.excessWith(record, copy.bytes) : null;
  if (full === null) return layers;
  await shelf.drop(...idsOf(layers));
  tally.full('rw');
  throw new WaferError('volume_full', full);
}

async function copyOf(layers: readonly VolumeLayer[], host: VolumeHost): Promise<VolumeLayer[]> {
  const id = newVolumeLayerId();
  await host.copyVolume(idsOf(layers), id);
  return [{ id, ...(await host.measureVolume(id)) }];
}

async function rollback(
  name: string,
  snapshot: string,
  { host, shelf, users }: VolumeServiceDeps,
): Promise<VolumeRecord> {
  return shelf.change(name, async (record) => {
    const { layers } = shelf.resolve(`${name}@${snapshot}`);
    if (record.transactions === null && users.writers(name) > 0)
      throw new WaferError('volume_in_use', `${users.writers(name)} instances have the volume ${name} to write.`, {
        hint: 'They end when they have been idle for a while.',
      });
    const restored = record.transactions === null ? await copyOf(layers, host) : layers;
    return { ...record, revision: record.revision + 1, layers: restored };
  });
}

/** A path that leads nowhere, an archive that can not be unpacked, a full disk. */
function explain(error: unknown): unknown {
  if (!(error instanceof SandboxError)) return error;
  if (error.code === 'not_found') return new WaferError('not_found', `${error.message.slice(error.step.length + 2)}.`);
  if (/No space left|Disk quota/.test(error.message))
    return new WaferError('disk_full', 'There is no space left on the disk of the data directory.', { cause: error });
  if (error.code === 'write_failed')
    return new WaferError('invalid_archive', `${error.message.slice(error.step.length + 2)}.`, { cause: error });
  return new WaferError('engine_failed', error.message, { cause: error });
}
