/** The blanks of one kind: booted, waiting, each given away once; made again in the background. */
import type { HeldRuntime } from '../held-runtime.ts';

export interface ShelfOptions {
  /** How many are to be ready. */
  size: number;
  /** A runtime that is ready. @throws when it does not boot; nothing is left then */
  boot: () => Promise<HeldRuntime>;
  /** Whether memory has room for one more. */
  hasRoom: () => boolean;
  /** The first time in a row that one does not boot, or dies while it waits. Must not throw. */
  onFailed: (error: unknown) => void;
}

export interface Shelf {
  /** The caller owns it. Undefined when none is ready. */
  take(): HeldRuntime | undefined;
  /** Ends the one that has waited longest; false when there is none. */
  drop(): boolean;
  /** Makes what is missing, a moment later: what was just started comes first. */
  refill(): void;
  counts(): { ready: number; booting: number };
  /** Ends all of them. Resolves when nothing is left. */
  close(): Promise<void>;
}

/** The instance that took one loads its code meanwhile. */
const REFILL_MS = 25;
const NO_ROOM_MS = 2_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

export function createShelf({ size, boot, hasRoom, onFailed }: ShelfOptions): Shelf {
  const ready: HeldRuntime[] = [];
  const ending = new Set<Promise<unknown>>();
  const boots = new Set<Promise<void>>();
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const end = (held: HeldRuntime) => {
    // A sandbox that can not be destroyed is gone with its engine.
    const gone = held.sandbox.destroy().catch(() => {});
    ending.add(gone);
    void gone.then(() => ending.delete(gone));
  };
  const later = (ms: number) => {
    if (isClosed || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      fill();
    }, ms).unref();
  };
  const failed = (error: unknown) => {
    if (isClosed) return;
    if (failures++ === 0) onFailed(error);
    later(Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS));
  };
  const add = (held: HeldRuntime) => {
    if (isClosed) return end(held);
    ready.push(held);
    void held.sandbox.exited.then((exit) => {
      const at = ready.indexOf(held);
      if (at < 0) return; // taken, or dropped
      ready.splice(at, 1);
      failed(new Error(`a blank ended while it waited (${exit.reason})`));
    });
  };
  const fill = () => {
    while (!isClosed && ready.length + boots.size < size) {
      if (!hasRoom()) return later(NO_ROOM_MS);
      const booting = boot()
        .then(add, failed)
        .finally(() => boots.delete(booting));
      boots.add(booting);
    }
  };
  return {
    take() {
      // One whose socket is closed is about to end.
      const at = ready.findIndex(({ runtime }) => !runtime.closed);
      const [held] = at < 0 ? [] : ready.splice(at, 1);
      if (held !== undefined) failures = 0;
      later(REFILL_MS);
      return held;
    },
    drop() {
      const held = ready.shift();
      if (held !== undefined) end(held);
      return held !== undefined;
    },
    refill: () => later(REFILL_MS),
    counts: () => ({ ready: ready.length, booting: boots.size }),
    async close() {
      isClosed = true;
      clearTimeout(timer);
      for (const held of ready.splice(0)) end(held);
      await Promise.all(boots);
      await Promise.all(ending);
    },
  };
}
