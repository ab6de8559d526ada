/** Who is asked to stop, as it is asked: one subscription for a whole worker. */
import type { Redis } from 'ioredis';
import { keysOf } from '../../store/keys.ts';

export interface Cancellations {
  /** Aborted when it is cancelled from now on. */
  watch(id: string): AbortSignal;
  forget(id: string): void;
  close(): void;
}

/** `redis` is copied: a connection that listens can do nothing else. */
export async function listenForCancellations(redis: Redis, namespace?: string): Promise<Cancellations> {
  const { root } = keysOf(namespace);
  const running = new Map<string, AbortController>();
  const connection = redis.duplicate({
    maxRetriesPerRequest: null,
    enableOfflineQueue: true,
    commandTimeout: undefined,
  });
  connection.on('error', () => {}); // it connects again, and subscribes again
  connection.on('message', (_channel: string, id: string) => running.get(id)?.abort());
  await connection.subscribe(`${root}:cancel`);
  return {
    watch(id) {
      const controller = running.get(id) ?? new AbortController();
      running.set(id, controller);
      return controller.signal;
    },
    forget: (id) => void running.delete(id),
    close: () => connection.disconnect(),
  };
}
