/** What a container does and has changed; its whole root. */

import { assertAllowed } from '../../core/containers/state.ts';
import type { Containers } from '../../core/containers/types.ts';
import { readIndex } from '../../core/images/dockerfile/layer-index.ts';
import { changesOf } from './changes.ts';
import type { Context } from './context.ts';
import { type Entry, upperOf } from './entry.ts';
import { asWaferError } from './exits.ts';

type Views = Pick<Containers, 'top' | 'stats' | 'changes'>;
const MIB = 1024 * 1024;

export function createViews(context: Context): Views {
  const { shelf } = context;
  const sandboxOf = (entry: Entry, action: 'top' | 'stats') => {
    assertAllowed(action, entry.record);
    if (entry.run === null) throw new Error(`${entry.record.name} is ${entry.record.status} and has no run`);
    return entry.run.sandbox;
  };
  const explained = async <T>(entry: Entry, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw asWaferError(error, `The container ${entry.record.name} could not be asked`);
    }
  };
  return {
    async top(ref) {
      const entry = shelf.find(ref);
      return explained(entry, sandboxOf(entry, 'top').processes());
    },
    async stats(ref) {
      const entry = shelf.find(ref);
      const { memoryBytes, cpuMicros, pids } = await explained(entry, sandboxOf(entry, 'stats').stats());
      const { memoryMb } = entry.record.config;
      return {
        time: Date.now(),
        memoryBytes,
        memoryLimitBytes: memoryMb === undefined ? null : memoryMb * MIB,
        cpuMicros,
        pids,
      };
    },
    changes: (ref) =>
      shelf.alone(ref, async (entry) => {
        const image = await context.images.get(entry.record.imageDigest);
        if (entry.record.startedAt === null) return [];
        const upper = await explained(entry, packed(context, entry));
        return changesOf(await context.indexes.tree(image.layers), upper);
      }),
  };
}

async function packed({ host }: Context, entry: Entry) {
  return readIndex(await host.pack(upperOf(entry)), upperOf(entry));
}
