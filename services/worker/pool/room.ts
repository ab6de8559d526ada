/** Which idle instances have to end so that one more fits below all ceilings. */
import type { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';

interface Resident {
  readonly version: FunctionVersion;
  readonly state: 'starting' | 'idle' | 'busy' | 'ending';
  readonly lastUsedAt: number;
}

/** What one version has. */
export interface Occupied<T extends Resident> {
  version: FunctionVersion;
  instances: Set<T>;
  starting: number;
}

/** How much of something instances may have together. */
export interface Ceiling {
  limit: number;
  /** What one instance counts with: a whole number. */
  amountOf: (version: FunctionVersion) => number;
  /** Instances whose versions have the same here count together. */
  scopeOf: (version: FunctionVersion) => string;
  /**
   * Why there is no room for one more of the version where others have `used`. With it the ceiling is strict: those that
   * are about to end count until they are gone, and what is larger than the limit never runs. Without it, it runs alone.
   */
  refuse?: (version: FunctionVersion, used: number) => WaferError;
}

interface Rules<T> {
  ceilings: readonly Ceiling[];
  /** Instances of a version that are kept although nobody calls them. */
  minimum: (version: FunctionVersion) => number;
  /** The idle instance of the least value goes first. */
  value: (one: T) => number;
  /** Only instances of less value go; for a call that waits any, also what is kept warm for others. */
  worth: number | 'call';
}

export interface Room<T> {
  /** They have to end. */
  victims: T[];
  /** One more may start at once; otherwise when they are gone. */
  isFree: boolean;
}

/** Null when there is no room even without the idle ones; then none of them has to go. */
export function findRoom<T extends Resident>(
  wanted: Occupied<T>,
  all: readonly Occupied<T>[],
  rules: Rules<T>,
): Room<T> | null {
  const over = rules.ceilings
    .map((ceiling) => ({ ceiling, excess: excessOf(ceiling, wanted, used(ceiling, wanted, all, countLive)) }))
    .filter(({ excess }) => excess > 0);
  const victims: T[] = [];
  for (const victim of over.length > 0 ? idleOnes(wanted, all, rules) : []) {
    const helped = over.filter(({ ceiling, excess }) => excess > 0 && share(ceiling, wanted, victim.version) > 0);
    if (helped.length === 0) continue;
    victims.push(victim);
    for (const one of over) one.excess -= share(one.ceiling, wanted, victim.version);
  }
  const isRoom = over.every(
    ({ ceiling, excess }) => excess <= 0 || (!ceiling.refuse && isAlone(ceiling, wanted, excess)),
  );
  return isRoom ? { victims, isFree: findBlock(wanted, all, rules.ceilings, countAll) === null } : null;
}

/** Why the first strict ceiling that one more would be above has no room for it. */
export function findBlock<T extends Resident>(
  wanted: Occupied<T>,
  all: readonly Occupied<T>[],
  ceilings: readonly Ceiling[],
  count: (one: Occupied<T>) => number = countLive,
): WaferError | null {
  for (const ceiling of ceilings) {
    if (ceiling.refuse === undefined) continue;
    const taken = used(ceiling, wanted, all, count);
    if (excessOf(ceiling, wanted, taken) > 0) return ceiling.refuse(wanted.version, taken);
  }
  return null;
}

const excessOf = <T extends Resident>({ amountOf, limit }: Ceiling, { version }: Occupied<T>, taken: number): number =>
  taken + amountOf(version) - limit;

/** What is left of the others is nothing. */
const isAlone = <T extends Resident>(ceiling: Ceiling, wanted: Occupied<T>, excess: number): boolean =>
  excess === excessOf(ceiling, wanted, 0);

/** What an instance of the version takes of that which `wanted` needs. */
const share = <T extends Resident>({ amountOf, scopeOf }: Ceiling, wanted: Occupied<T>, version: FunctionVersion) =>
  scopeOf(version) === scopeOf(wanted.version) ? amountOf(version) : 0;

const used = <T extends Resident>(
  ceiling: Ceiling,
  wanted: Occupied<T>,
  all: readonly Occupied<T>[],
  count: (one: Occupied<T>) => number,
): number => all.reduce((sum, one) => sum + (count(one) + one.starting) * share(ceiling, wanted, one.version), 0);

/** Those of other versions in the order in which they go: least value first, what is kept warm last. */
function idleOnes<T extends Resident>(
  wanted: Occupied<T>,
  all: readonly Occupied<T>[],
  { minimum, value, worth }: Rules<T>,
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

/** What instances of all of them may use together, those that are about to end left out. */
export const sumOf = <T extends Resident>(
  all: readonly Occupied<T>[],
  amountOf: (version: FunctionVersion) => number,
): number => all.reduce((sum, one) => sum + (countLive(one) + one.starting) * amountOf(one.version), 0);

/** Those that are about to end do not count. */
export const countLive = <T extends Resident>({ instances }: Pick<Occupied<T>, 'instances'>): number =>
  [...instances].filter(({ state }) => state !== 'ending').length;

const countAll = <T extends Resident>({ instances }: Pick<Occupied<T>, 'instances'>): number => instances.size;

const byLastUse = (a: Resident, b: Resident) => a.lastUsedAt - b.lastUsedAt;
