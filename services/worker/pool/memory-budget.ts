/** Which idle instances have to end so that one more fits into the memory that all may use. */
import type { FunctionVersion } from '../../core/functions/types.ts';

interface Resident {
  readonly version: FunctionVersion;
  readonly state: 'starting' | 'idle' | 'busy' | 'ending';
  readonly lastUsedAt: number;
}

/** What one version has in memory. */
export interface Occupied<T extends Resident> {
  version: FunctionVersion;
  instances: Set<T>;
  starting: number;
}

interface Budget<T> {
  budgetMb: number;
  /** Instances of a version that are kept although nobody calls them. */
  minimum: (version: FunctionVersion) => number;
  /** The idle instance of the least value goes first. */
  value: (one: T) => number;
  /** Only instances of less value go; for a call that waits any, also what is kept warm for others. */
  worth: number | 'call';
}

/** Null when there is no room even without them; then none of them has to go. */
export function findRoom<T extends Resident>(
  wanted: Occupied<T>,
  all: readonly Occupied<T>[],
  budget: Budget<T>,
): T[] | null {
  const used = sumMb(all);
  const excess = used + wanted.version.config.memoryMb - budget.budgetMb;
  const victims: T[] = [];
  let freed = 0;
  for (const victim of excess > 0 ? idleOnes(wanted, all, budget) : []) {
    if (freed >= excess) break;
    victims.push(victim);
    freed += victim.version.config.memoryMb;
  }
  // A version that is larger than the budget may still run, alone.
  return freed >= excess || freed === used ? victims : null;
}

/** Those of other versions in the order in which they go: least value first, what is kept warm last. */
function idleOnes<T extends Resident>(
  wanted: Occupied<T>,
  all: readonly Occupied<T>[],
  { minimum, value, worth }: Budget<T>,
): T[] {
  const spare: T[] = [];
  const kept: T[] = [];
  for (const one of all) {
    if (one === wanted) continue;
    const idle = [...one.instances].filter(({ state }) => state === 'idle').sort(byLastUse);
    const count = Math.max(0, countLive(one) - minimum(one.version));
    spare.push(...idle.slice(0, count));
    kept.push(...idle.slice(count));
  }
  if (worth === 'call') return [...byValue(spare, value), ...byValue(kept, value)];
  return byValue(spare, value).filter((one) => value(one) < worth);
}

function byValue<T extends Resident>(all: T[], value: (one: T) => number): T[] {
  const valued = all.map((one) => ({ one, value: value(one) }));
  return valued.sort((a, b) => a.value - b.value || byLastUse(a.one, b.one)).map(({ one }) => one);
}

/** Memory that instances of all of them may use. */
export const sumMb = <T extends Resident>(all: readonly Occupied<T>[]): number =>
  all.reduce((sum, one) => sum + (countLive(one) + one.starting) * one.version.config.memoryMb, 0);

/** Those that are about to end do not count. */
export const countLive = <T extends Resident>({ instances }: Pick<Occupied<T>, 'instances'>): number =>
  [...instances].filter(({ state }) => state !== 'ending').length;

const byLastUse = (a: Resident, b: Resident) => a.lastUsedAt - b.lastUsedAt;
