/** The lanes of all versions that have an instance, one on its way, or a call that waits. */
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Lane } from './lane.ts';
import type { Pooled } from './types.ts';

export interface Lanes<T extends Pooled> {
  /** Made when there is none; whoever leaves it without anything in it forgets it again. */
  of(version: FunctionVersion): Lane<T>;
  /** In the order in which they were served: the first has waited longest. */
  all(): Lane<T>[];
  wasServed(lane: Lane<T>): void;
  forgetIfEmpty(lane: Lane<T>): void;
  instances(): T[];
  /** What they start from now on ends when it arrives; the instances that there are come back. */
  retire(matches: (version: FunctionVersion) => boolean): T[];
}

export const keyOf = (version: FunctionVersion): string => `${version.functionName}@${version.number}`;

export function createLanes<T extends Pooled>(): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const all = () => [...lanes.values()];

  return {
    of: (version) => {
      const key = keyOf(version);
      const known = lanes.get(key);
      if (known !== undefined) return known;
      const lane: Lane<T> = { version, instances: new Set(), starting: 0, bound: 0, waiting: [] };
      lanes.set(key, lane);
      return lane;
    },
    all,
    wasServed: (lane) => {
      const key = keyOf(lane.version);
      lanes.delete(key);
      lanes.set(key, lane);
    },
    forgetIfEmpty: (lane) => {
      if (lane.instances.size + lane.starting + lane.waiting.length === 0) lanes.delete(keyOf(lane.version));
    },
    instances: () => all().flatMap((lane) => [...lane.instances]),
    retire: (matches) => {
      const matching = all().filter(({ version }) => matches(version));
      for (const lane of matching) lane.isRetired = true;
      return matching.flatMap(({ instances }) => [...instances]);
    },
  };
}
