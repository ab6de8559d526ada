/**
 * The volumes of one instance: shown before its code is loaded; before each call those that
 * changed are shown anew; for a call with a transaction an upper is made, which lives as long as
 * the call.
 */
import type { Sandbox, ShownVolume, VolumeHost } from '../../../runtime/sandbox/index.ts';
import type { FunctionVolume } from '../../core/functions/schema.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Call, Failure } from '../../core/invocations/types.ts';
import type { VolumeRoom } from './limits.ts';
import type { VolumeShelf } from './shelf.ts';
import type { VolumeTally } from './tally.ts';
import type { Transaction, Transactions } from './transactions.ts';

export interface InstanceVolumes {
  /** When the sandbox is there and no code of the function is. @throws WaferError `volume_not_found`, SandboxError */
  show(sandbox: Pick<Sandbox, 'mount'>): Promise<void>;
  /** Whether `begin` has to be asked before a call. */
  readonly isAsked: boolean;
  /** A transaction, which the caller ends; null: the call may go on; a failure: it can not. */
  begin(call: Pick<Call, 'invocationId' | 'signal'>): Promise<Transaction | Failure | null>;
  /** Told, once, that a volume grew beyond its limits while this instance had it to write. */
  onFull(tell: (message: string) => void): void;
  /** Its sandbox is gone. Idempotent. */
  close(): void;
}

export interface InstanceVolumesDeps {
  host: Pick<VolumeHost, 'measureVolume'>;
  shelf: VolumeShelf;
  transactions: Pick<Transactions, 'begin'>;
  room: VolumeRoom;
  tally: Pick<VolumeTally, 'full'>;
  /** Counts the instances that have a volume. */
  onMounted: (name: string, mode: FunctionVolume['mode']) => () => void;
}

/** How often what is written to is measured, where there is a limit. */
const MEASURE_MS = 500;

interface Place {
  point: number;
  mount: FunctionVolume;
  /** Of what is shown. */
  revision: number;
  release: () => void;
}

export function createInstanceVolumes(
  { config: { volumes = [], timeoutMs } }: FunctionVersion,
  deps: InstanceVolumesDeps,
): InstanceVolumes {
  const { shelf } = deps;
  const places: Place[] = volumes.map((mount, point) => ({ point, mount, revision: -1, release: () => {} }));
  const leaves: (() => void)[] = [];
  const watch = createWatch(deps);
  let sandbox: Pick<Sandbox, 'mount'> | undefined;

  /** As it is now, held until the next time. */
  const stateOf = (place: Place): ShownVolume => {
    const { record, layers } = shelf.resolve(place.mount.volume);
    const before = place.release;
    place.release = shelf.hold(layers);
    place.revision = record.revision;
    before();
    return { point: place.point, layers: layers.map(({ id }) => id), mode: place.mount.mode === 'rw' ? 'rw' : 'ro' };
  };
  /** Not those that show the one directory that everybody writes to. */
  const isStale = ({ mount, revision }: Place) => shelf.resolve(mount.volume).record.revision !== revision;
  const transactional = places.find(({ mount }) => mount.mode === 'tx');
  const limited = () =>
    places.filter(({ mount }) => mount.mode === 'rw' && deps.room.isLimited(shelf.resolve(mount.volume).record));

  return {
    get isAsked() {
      return transactional !== undefined || places.some(isStale) || limited().length > 0;
    },
    async show(shown) {
      sandbox = shown;
      // Of a blank that died before it was bound.
      for (const leave of leaves.splice(0)) leave();
      watch.forget();
      for (const { mount } of places) leaves.push(deps.onMounted(shelf.resolve(mount.volume).record.name, mount.mode));
      await shown.mount(places.map(stateOf));
      for (const { mount } of limited()) watch.add(mount.volume, () => shelf.resolve(mount.volume).layers[0]?.id);
    },
    async begin({ invocationId, signal }) {
      for (const { mount } of limited()) {
        const { record, layers } = shelf.resolve(mount.volume);
        const message = deps.room.excess(record, await deps.host.measureVolume(layers[0]?.id ?? ''));
        if (message === null) continue;
        deps.tally.full('rw');
        return { kind: 'volume_full', message };
      }
      const stale = places.filter((place) => place !== transactional && isStale(place));
      if (stale.length > 0) await sandbox?.mount(stale.map(stateOf));
      if (transactional === undefined) return null;
      const { volume } = transactional.mount;
      const begun = await deps.transactions.begin({ volume, invocationId, signal, waitMs: timeoutMs });
      if ('kind' in begun) return begun;
      const { layers, upper } = begun;
      try {
        await sandbox?.mount([{ point: transactional.point, layers, mode: { upper } }]);
      } catch (error) {
        await begun.discard();
        throw error;
      }
      if (deps.room.isLimited(shelf.get(volume))) watch.add(volume, () => upper);
      return begun;
    },
    onFull: (tell) => watch.onFull(tell),
    close() {
      watch.stop();
      for (const leave of leaves.splice(0)) leave();
      for (const place of places) {
        place.release();
        place.release = () => {};
      }
    },
  };
}

/** Looks at what is written to, for as long as somebody does. */
function createWatch({ host, shelf, room, tally }: Pick<InstanceVolumesDeps, 'host' | 'shelf' | 'room' | 'tally'>) {
  const watched: { volume: string; contentOf: () => string | undefined }[] = [];
  let tell: (message: string) => void = () => {};
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  const look = async (): Promise<string | null> => {
    for (const { volume, contentOf } of watched) {
      const content = contentOf();
      if (content === undefined) continue;
      const { record } = shelf.resolve(volume);
      const message = room.excess(record, await host.measureVolume(content));
      if (message === null) continue;
      if (record.transactions === null && !isStopped) tally.full('rw'); // a transaction says so itself
      return message;
    }
    return null;
  };
  const next = () => {
    if (isStopped) return;
    timer = setTimeout(() => {
      // What can not be measured now is measured later, or has no sandbox any more.
      void look().then(
        (message) => (message === null || isStopped ? next() : tell(message)),
        () => next(),
      );
    }, MEASURE_MS).unref();
  };
  return {
    add(volume: string, contentOf: () => string | undefined) {
      watched.push({ volume, contentOf });
      if (watched.length === 1) next();
    },
    onFull(listener: (message: string) => void) {
      tell = listener;
    },
    forget() {
      clearTimeout(timer);
      watched.splice(0);
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
