/** What is kept warm follows `live`. */
import { LIVE_ALIAS } from '../core/functions/names.ts';
import type { FunctionStore, FunctionVersion } from '../core/functions/types.ts';
import type { Blanks } from './blanks/index.ts';
import type { Instance } from './instances/instance.ts';
import type { Pool } from './pool/types.ts';

export interface LiveVersions {
  /** The store; where `live` moves, what is kept warm moves with it. */
  readonly functions: FunctionStore;
  /** Older versions serve their calls in flight to the end, then make room. */
  published(version: FunctionVersion): void;
  /** Starts the instances that versions ask to be kept, and the blanks for the others. */
  keepWarm(): Promise<void>;
}

export function followLive(
  functions: FunctionStore,
  { pool, blanks }: { pool: Pool<Instance>; blanks: Pick<Blanks, 'use'> },
): LiveVersions {
  const keep = async (name: string, number?: number) => {
    const version = await functions.resolve(name, number === undefined ? undefined : { version: number });
    void pool.keepWarm(version);
    blanks.use(version);
  };
  return {
    functions: {
      ...functions,
      async setAlias(...move) {
        const record = await functions.setAlias(...move);
        const [name, alias, number] = move;
        if (alias === LIVE_ALIAS) await keep(name, number);
        return record;
      },
    },
    published(version) {
      blanks.use(version);
      void pool.replace(version);
    },
    async keepWarm() {
      for (const { name } of await functions.list()) await keep(name);
    },
  };
}
