/** Tells of invocations that end, as they end: one subscription for a whole process. */
import type { Redis } from 'ioredis';
import { keysOf } from '../../store/keys.ts';

export interface Endings {
  /** Resolves when it ends after this call, when `signal` aborts, or when the connection is lost: look again. Never rejects. */
  of(id: string, signal: AbortSignal): Promise<void>;
  /** Told when one has ended that something follows, unless the connection is lost just then. Must not throw. */
  onFollowed(told: () => void): void;
  close(): void;
}

/** `redis` is copied: a connection that listens can do nothing else. */
export async function listenForEndings(redis: Redis, namespace?: string): Promise<Endings> {
  const waiting = new Map<string, Set<() => void>>();
  const followed = new Set<() => void>();
  const { root } = keysOf(namespace);
  const connection = redis.duplicate({
    maxRetriesPerRequest: null,
    enableOfflineQueue: true,
    commandTimeout: undefined,
  });
  const tell = (id: string) => {
    for (const told of waiting.get(id) ?? []) told();
  };
  connection.on('error', () => {}); // it connects again, and subscribes again
  connection.on('close', () => {
    for (const id of [...waiting.keys()]) tell(id);
  });
  connection.on('message', (channel: string, id: string) => {
    if (channel === `${root}:ended`) return tell(id);
    for (const told of followed) told();
  });
  await connection.subscribe(`${root}:ended`, `${root}:outbox`);
  return {
    of: (id, signal) =>
      new Promise((resolve) => {
        const told = waiting.get(id) ?? new Set();
        waiting.set(id, told);
        const done = () => {
          told.delete(done);
          if (told.size === 0) waiting.delete(id);
          signal.removeEventListener('abort', done);
          resolve();
        };
        told.add(done);
        signal.addEventListener('abort', done, { once: true });
        if (signal.aborted) done();
      }),
    onFollowed: (told) => void followed.add(told),
    close: () => connection.disconnect(),
  };
}
