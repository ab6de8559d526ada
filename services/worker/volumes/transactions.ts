/**
 * Transactions: a writer gets an upper of its own over the state as it is, and what is in it
 * becomes one more layer of the state, by the one step that replaces the volume's record. Until
 * then, and after any failure, nothing of it is anywhere but in directories that are removed.
 *
 *   begin    the state and its revision are read; exclusive writers have waited for their turn
 *   seal     the upper is synced and gets a layer's name; nobody writes to it any more
 *   commit   record' = record + layer, if the revision is still the one that was read
 */
import { SandboxError, type VolumeHost } from '../../../runtime/sandbox/index.ts';
import { newVolumeLayerId } from '../../core/ids.ts';
import type { CallerSignal } from '../../core/invocations/light-signal.ts';
import type { Failure } from '../../core/invocations/types.ts';
import type { Log } from '../../core/log.ts';
import type { VolumeLayer, VolumeRecord } from '../../core/volumes/record.ts';
import type { CommitResult, DiscardReason } from '../../core/volumes/totals.ts';
import { sumOf, type VolumeRoom } from './limits.ts';
import type { VolumeShelf } from './shelf.ts';
import type { VolumeTally } from './tally.ts';
import { createTurnstile, type Turnstile } from './turnstile.ts';

export interface Transaction {
  readonly layers: readonly string[];
  readonly upper: string;
  /** After the last write. Null: it is in the state, on the disk; a failure: nothing of it is. @throws what the platform can not do; nothing of it is there either */
  commit(): Promise<Failure | null>;
  /** Idempotent; after `commit` it does nothing. Never rejects. `reason`: what the call ended with; without one it is `aborted`. */
  discard(reason?: DiscardReason): Promise<void>;
}

export interface TransactionRequest {
  volume: string;
  /** Another attempt of an invocation whose transaction is in the state adds nothing to it. */
  invocationId: string;
  signal: CallerSignal;
  /** For a turn. */
  waitMs: number;
}

export interface Transactions {
  /** @throws WaferError `volume_not_found` */
  begin(request: TransactionRequest): Promise<Transaction | Failure>;
  /** Resolves when no layers are being put together any more. */
  settled(): Promise<void>;
}

/** As many as are put together to one, behind the commit that makes one more. */
const MERGE_FROM = 6;
/** A view may have 16. */
const LAYERS_MAX = 14;
/** Attempts of one invocation lie closer together than this many others. */
const COMMITTED_MAX = 1_000;

interface Deps {
  host: Pick<VolumeHost, 'makeUpper' | 'sealUpper' | 'copyVolume' | 'measureVolume' | 'removeVolume'>;
  shelf: VolumeShelf;
  room: Pick<VolumeRoom, 'excess'>;
  tally: VolumeTally;
  log: Log;
}

export function createTransactions(deps: Deps): Transactions {
  const { shelf, tally } = deps;
  const turnstiles = new Map<string, Turnstile>();
  const merger = createMerger(deps);
  const turnFor = async ({ volume, signal, waitMs }: TransactionRequest): Promise<(() => void) | Failure> => {
    if (shelf.get(volume).transactions !== 'exclusive') return () => {};
    const turnstile = turnstiles.get(volume) ?? createTurnstile();
    turnstiles.set(volume, turnstile);
    const leave = await turnstile.enter(signal, waitMs);
    if (leave !== null) return leave;
    if (signal.aborted) return { kind: 'cancelled', message: 'The caller went away before the function was called.' };
    tally.conflict('exclusive');
    return {
      kind: 'volume_conflict',
      message: `The volume ${volume} had other writers for ${waitMs} ms; they go one after the other.`,
    };
  };
  return {
    async begin(request) {
      const leave = await turnFor(request);
      if (typeof leave !== 'function') return leave;
      try {
        if (shelf.get(request.volume).layers.length > LAYERS_MAX) await merger.merge(request.volume);
        return await open(request, leave, deps, merger.soon);
      } catch (error) {
        leave();
        throw error;
      }
    },
    settled: () => merger.settled(),
  };
}

async function open(
  { volume, invocationId }: TransactionRequest,
  leave: () => void,
  { host, shelf, room, tally, log }: Deps,
  mergeSoon: (volume: string) => void,
): Promise<Transaction> {
  const began = shelf.get(volume);
  const release = shelf.hold(began.layers);
  const upper = newVolumeLayerId();
  let isOver = false;
  const end = async () => {
    if (isOver) return;
    isOver = true;
    await host
      .removeVolume(upper)
      .catch((err: unknown) => log.warn({ err, volume }, 'what a transaction wrote could not be removed'));
    release();
    leave();
  };
  try {
    await host.makeUpper(upper, began.layers.at(-1)?.id ?? '');
  } catch (error) {
    await end();
    throw error;
  }
  return {
    layers: began.layers.map(({ id }) => id),
    upper,
    async discard(reason = 'aborted') {
      if (!isOver) countDiscard(reason, began, tally);
      await end();
    },
    async commit() {
      try {
        const result = await commit({ began, upper, invocationId }, { host, shelf, room }).catch((error: unknown) => {
          countDiscard('aborted', began, tally);
          throw error;
        });
        if (typeof result !== 'string') {
          countDiscard(result.kind, began, tally);
          return result;
        }
        tally.commit(result);
        mergeSoon(volume);
        return null;
      } finally {
        await end();
      }
    },
  };
}

function countDiscard(reason: DiscardReason, { transactions }: VolumeRecord, tally: VolumeTally): void {
  tally.discard(reason);
  if (reason === 'volume_full') tally.full('tx');
  if (reason === 'volume_conflict') tally.conflict(transactions ?? 'optimistic');
}

async function commit(
  { began, upper, invocationId }: { began: VolumeRecord; upper: string; invocationId: string },
  { host, shelf, room }: Pick<Deps, 'host' | 'shelf' | 'room'>,
): Promise<CommitResult | Failure> {
  const id = newVolumeLayerId();
  const size = await host.sealUpper(upper, id);
  if (size === null) return 'unchanged';
  let result: CommitResult | Failure = 'kept';
  let kept: VolumeLayer[] = [{ id, ...size }];
  try {
    await shelf.change(began.name, async (record) => {
      if (record.committed.includes(invocationId)) {
        result = 'repeated';
        return record;
      }
      if (record.revision !== began.revision) {
        result = conflict(record.name);
        return record;
      }
      const layers = [...record.layers, { id, ...size }];
      const fitting = room.excess(record, sumOf(layers)) === null ? layers : await merged(layers, host);
      const excess = room.excess(record, sumOf(fitting));
      kept = fitting;
      if (excess !== null) {
        result = { kind: 'volume_full', message: excess };
        return record;
      }
      const committed = [...record.committed, invocationId].slice(-COMMITTED_MAX);
      return { ...record, revision: record.revision + 1, layers: fitting, committed };
    });
  } finally {
    // Whatever of it came into no record.
    await shelf.drop(id, ...kept.map((layer) => layer.id));
  }
  return result;
}

const conflict = (volume: string): Failure => ({
  kind: 'volume_conflict',
  message: `Another call changed the volume ${volume} while this one ran; nothing of what it wrote was kept.`,
});

/** One directory with what the layers show; files are shared with them by links. */
async function merged(layers: readonly VolumeLayer[], host: Deps['host']): Promise<VolumeLayer[]> {
  const id = newVolumeLayerId();
  await host.copyVolume(
    layers.map((layer) => layer.id),
    id,
    { links: true },
  );
  return [{ id, ...(await host.measureVolume(id)) }];
}

/** Puts layers together behind the callers' back. What is appended meanwhile stays on top. */
function createMerger({ host, shelf, log }: Deps) {
  const running = new Map<string, Promise<void>>();
  const merge = async (volume: string): Promise<void> => {
    const { layers } = shelf.get(volume);
    const release = shelf.hold(layers);
    try {
      const whole = await merged(layers, host);
      await shelf.change(volume, (record) => {
        const isPrefix = layers.every(({ id }, at) => record.layers[at]?.id === id);
        return isPrefix ? { ...record, layers: [...whole, ...record.layers.slice(layers.length)] } : record;
      });
      await shelf.drop(...whole.map(({ id }) => id));
    } finally {
      release();
    }
  };
  const shared = (volume: string): Promise<void> => {
    const run =
      running.get(volume) ??
      merge(volume)
        .catch((err: unknown) => {
          const isGone = err instanceof SandboxError && err.code === 'engine_failed';
          if (!isGone) log.warn({ err, volume }, 'the layers of a volume could not be put together');
        })
        .finally(() => running.delete(volume));
    running.set(volume, run);
    return run;
  };
  return {
    merge: shared,
    soon(volume: string) {
      if (shelf.get(volume).layers.length > MERGE_FROM) void shared(volume);
    },
    async settled() {
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}
