/** Which calls are made and what is deployed and moved in between: the same for the same seed. */
import { createRandom } from '../../bench/random.ts';
import { FUNCTIONS } from './programs.ts';

export interface PlannedCall {
  functionAt: number;
  way: 'live' | 'stable' | 'number' | 'http';
  /** Which of the versions that there are by then; in [0, 1). */
  pick: number;
  pauseMs: number;
  fail: boolean;
  padBytes: number;
}

export interface PlannedChange {
  kind: 'deploy' | 'live' | 'stable';
  functionAt: number;
  pick: number;
}

export interface Plan {
  calls: PlannedCall[];
  /** By the number of the call that they come before. */
  changes: Map<number, PlannedChange>;
}

export interface PlanOptions {
  seed: number;
  calls: number;
  /** Of each function. */
  versions: number;
  /** Moves of aliases without a deploy. */
  moves: number;
}

export function makePlan({ seed, calls, versions, moves }: PlanOptions): Plan {
  const { uniform } = createRandom(seed);
  const pickFunction = () => Math.floor(FUNCTIONS.length * uniform() ** 2);
  const changes = new Map<number, PlannedChange>();
  const put = (change: Omit<PlannedChange, 'pick'>) => {
    let at = Math.floor(uniform() * calls * 0.95);
    while (changes.has(at)) at++;
    changes.set(at, { ...change, pick: uniform() });
  };
  // The first version of each function is there before the first call.
  for (let functionAt = 0; functionAt < FUNCTIONS.length; functionAt++)
    for (let version = 1; version < versions; version++) put({ kind: 'deploy', functionAt });
  for (let move = 0; move < moves; move++)
    put({ kind: uniform() < 0.5 ? 'live' : 'stable', functionAt: Math.floor(FUNCTIONS.length * uniform()) });
  return { calls: Array.from({ length: calls }, () => planCall(pickFunction(), uniform)), changes };
}

function planCall(functionAt: number, uniform: () => number): PlannedCall {
  const isNode = FUNCTIONS[functionAt]?.runtime === 'node';
  const way = uniform();
  const kind = uniform();
  return {
    functionAt,
    way: way < 0.6 ? 'live' : way < 0.75 ? 'stable' : way < 0.8 ? 'number' : isNode ? 'http' : 'live',
    pick: uniform(),
    pauseMs: kind < 0.02 ? 20 : 0,
    fail: kind > 0.98,
    padBytes: kind > 0.95 ? 40_000 : 0,
  };
}
