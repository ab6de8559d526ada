/**
 * Which version a call goes to, kept in memory so that a warm call need not ask Redis.
 *
 * Who deploys, moves an alias or removes through this store never sees an old version after
 * that was acknowledged: what is known of the function is forgotten before the change is sent and after
 * it is answered, and an answer that was asked for before is not kept. What another
 * process changes in the same Redis is seen after `MAX_AGE_MS` at the latest.
 */
import type { FunctionStore, FunctionVersion } from './types.ts';

/** The bound for changes by other processes. */
export const MAX_AGE_MS = 2_000;
/** Routes that are known at once; the oldest goes. */
const CAPACITY = 4_096;

export interface RouteOptions {
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number;
  capacity?: number;
}

interface Route {
  /** Frozen: calls share it. */
  version: FunctionVersion;
  expiresAt: number;
}

/** A change of one function that is under way, or lookups that began before one ended. */
interface Watch {
  lookups: number;
  changes: number;
  /** Counts beginnings and ends of changes. */
  epoch: number;
}

/** The same store, with `resolve` answered from memory where it may be. */
export function withRoutes(store: FunctionStore, options: RouteOptions = {}): FunctionStore {
  const { now = () => performance.now(), capacity = CAPACITY } = options;
  const routes = createTable(capacity, now);
  const watches = new Map<string, Watch>();

  const watch = (name: string): Watch => {
    const known = watches.get(name) ?? { lookups: 0, changes: 0, epoch: 0 };
    watches.set(name, known);
    return known;
  };
  const unwatch = (name: string, { lookups, changes }: Watch) => {
    if (lookups + changes === 0) watches.delete(name);
  };
  const lookUp = async (name: string, selector: Selector): Promise<FunctionVersion> => {
    const mine = watch(name);
    mine.lookups++;
    const { epoch } = mine;
    const askedAt = now();
    try {
      const version = await store.resolve(name, selector);
      if (mine.epoch === epoch && mine.changes === 0) return routes.keep(name, selectorKey(selector), version, askedAt);
      return version;
    } finally {
      mine.lookups--;
      unwatch(name, mine);
    }
  };
  /** Also one that failed: it may have been done all the same. */
  const change = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const mine = watch(name);
    mine.changes++;
    mine.epoch++;
    routes.forget(name);
    try {
      return await run();
    } finally {
      mine.changes--;
      mine.epoch++;
      routes.forget(name);
      unwatch(name, mine);
    }
  };
  return {
    ...store,
    resolve: async (name, selector = {}) => routes.find(name, selectorKey(selector)) ?? (await lookUp(name, selector)),
    publish: (version) => change(version.functionName, () => store.publish(version)),
    setAlias: (name, alias, version) => change(name, () => store.setAlias(name, alias, version)),
    remove: (name) => change(name, () => store.remove(name)),
  };
}

type Selector = NonNullable<Parameters<FunctionStore['resolve']>[1]>;

/** `@` is in no alias. */
const selectorKey = ({ alias, version }: Selector) => (version === undefined ? (alias ?? 'live') : `@${version}`);

/** Two steps, so that a change forgets all of a function; the functions in the order in which they were asked for last. */
function createTable(capacity: number, now: () => number) {
  const functions = new Map<string, Map<string, Route>>();
  let count = 0;
  const forget = (name: string) => {
    count -= functions.get(name)?.size ?? 0;
    functions.delete(name);
  };
  /** Those of functions that nobody calls any more, and what is too much. */
  const tidy = () => {
    for (const [name, known] of functions) {
      const isOld = [...known.values()].every(({ expiresAt }) => expiresAt <= now());
      if (!isOld && count <= capacity) return;
      forget(name);
    }
  };
  return {
    forget,
    find(name: string, selector: string): FunctionVersion | undefined {
      const route = functions.get(name)?.get(selector);
      return route !== undefined && now() < route.expiresAt ? route.version : undefined;
    },
    keep(name: string, selector: string, version: FunctionVersion, askedAt: number): FunctionVersion {
      const known = functions.get(name) ?? new Map<string, Route>();
      functions.delete(name);
      functions.set(name, known);
      if (!known.has(selector)) count++;
      known.set(selector, { version: deepFreeze(version), expiresAt: askedAt + MAX_AGE_MS });
      tidy();
      return version;
    },
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
