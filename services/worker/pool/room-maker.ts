/** Room for one more instance: idle ones of less worth end for it, calls wait for it as long as they may. */
import type { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Lane, Patience } from './lane.ts';
import type { Lanes } from './lanes.ts';
import { type Ceiling, findBlock, findRoom } from './room.ts';
import type { Pooled, PoolOptions } from './types.ts';

export interface RoomMakerDeps<T extends Pooled> {
  lanes: Pick<Lanes<T>, 'all' | 'instances'>;
  minimum: (version: FunctionVersion) => number;
  value: (one: T, now: number) => number;
  evict: (one: T) => void;
}

export interface RoomMaker<T extends Pooled> {
  /** True when one more instance of the lane may start now; `worth`: idle ones of other versions that have less may end for it. */
  make(lane: Lane<T>, worth: number | 'call'): boolean;
  /** Why the lane can have no instance, ever. */
  never(lane: Lane<T>): WaferError | null;
  patienceOf(lane: Lane<T>): Patience | undefined;
  /** Resolves when those that are about to end, and take room meanwhile, are gone; null when there are none. */
  leaving(): Promise<unknown> | null;
}

export const memoryOf = ({ config }: FunctionVersion): number => config.memoryMb;

export function createRoomMaker<T extends Pooled>(
  { memoryBudgetMb, ceilings: more = [] }: Pick<PoolOptions<T>, 'memoryBudgetMb' | 'ceilings'>,
  { lanes, minimum, value, evict }: RoomMakerDeps<T>,
): RoomMaker<T> {
  const ceilings: Ceiling[] = [{ limit: memoryBudgetMb, amountOf: memoryOf, scopeOf: () => '' }, ...more];
  return {
    make(lane, worth) {
      const now = Date.now();
      const room = findRoom(lane, lanes.all(), { ceilings, minimum, value: (one) => value(one, now), worth });
      // What is only likely to be called ends nothing whose end it would have to wait for.
      if (room === null || (!room.isFree && Number.isFinite(worth))) return false;
      for (const victim of room.victims) evict(victim);
      return room.isFree;
    },
    never: (lane) => findBlock(lane, [], more),
    patienceOf(lane) {
      if (more.length === 0) return undefined;
      const over = () => (lane.starting > 0 ? null : findBlock(lane, lanes.all(), more));
      return { ms: lane.version.config.timeoutMs, over };
    },
    leaving() {
      const ending = more.length === 0 ? [] : lanes.instances().filter(({ state }) => state === 'ending');
      return ending.length === 0 ? null : Promise.all(ending.map(({ ended }) => ended));
    },
  };
}
