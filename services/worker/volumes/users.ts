/** Who has which volume: instances now, functions by their live version. */
import type { FunctionVolume } from '../../core/functions/schema.ts';
import type { FunctionStore } from '../../core/functions/types.ts';
import { parseVolumeRef } from '../../core/volumes/names.ts';

export interface VolumeUsers {
  /** Gives the function that says it is over. */
  mounted(name: string, mode: FunctionVolume['mode']): () => void;
  mounts(name: string): number;
  /** Of all volumes. */
  allMounts(): number;
  /** Instances that write to it as it is. */
  writers(name: string): number;
  /** Volume -> functions, by name. */
  functions(): Promise<Map<string, string[]>>;
}

export function createUsers(functions: Pick<FunctionStore, 'list' | 'resolve'>): VolumeUsers {
  const mounts = new Map<string, number>();
  const writers = new Map<string, number>();
  const add = (counts: Map<string, number>, name: string, more: number) => {
    const now = (counts.get(name) ?? 0) + more;
    if (now > 0) counts.set(name, now);
    else counts.delete(name);
  };
  return {
    mounted(name, mode) {
      const change = (more: number) => {
        add(mounts, name, more);
        if (mode === 'rw') add(writers, name, more);
      };
      change(1);
      return () => change(-1);
    },
    mounts: (name) => mounts.get(name) ?? 0,
    allMounts: () => [...mounts.values()].reduce((sum, count) => sum + count, 0),
    writers: (name) => writers.get(name) ?? 0,
    async functions() {
      const users = new Map<string, string[]>();
      for (const { name } of await functions.list()) {
        const { config } = await functions.resolve(name);
        const names = new Set((config.volumes ?? []).map(({ volume }) => parseVolumeRef(volume).name));
        for (const volume of names) users.set(volume, [...(users.get(volume) ?? []), name].sort());
      }
      return users;
    },
  };
}
