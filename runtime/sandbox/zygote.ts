/** Zygotes: programs of a base image that fork themselves into sandboxes (../engine/zygote.h). */
import type { EngineClient } from './engine-client.ts';
import type { Pair } from './engine-frames.ts';
import { idPair, programPairs } from './requests.ts';
import type { Zygote, ZygoteSpec } from './types.ts';

export interface Zygotes {
  start(spec: ZygoteSpec): Promise<Zygote>;
  ended(id: string): void;
  engineGone(): void;
}

export function createZygotes(engine: () => Pick<EngineClient, 'request'>): Zygotes {
  const live = new Map<string, () => void>();
  return {
    async start({ id, layers, argv, env }) {
      let settle: () => void = () => {};
      const exited = new Promise<void>((resolve) => {
        settle = resolve;
      });
      // Before the request: its end may come right after the reply.
      live.set(id, settle);
      try {
        const pairs: Pair[] = [idPair(id), ['profile', 'function'], ...layers.map((layer): Pair => ['layer', layer])];
        const reply = await engine().request('zygote', [...pairs, ...programPairs(argv, { env }, {})]);
        const end = async () => {
          await engine()
            .request('end-zygote', [idPair(id)])
            .catch(() => {}); // it is gone with its engine
          await exited;
        };
        return { id, pid: reply.number('pid') ?? 0, exited, end };
      } catch (error) {
        live.delete(id);
        throw error;
      }
    },
    ended(id) {
      live.get(id)?.();
      live.delete(id);
    },
    engineGone() {
      for (const settle of live.values()) settle();
      live.clear();
    },
  };
}
