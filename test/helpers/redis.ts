/** A real embedded Redis for one test file, in a directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../services/core/log.ts';
import { connectRedis, type RedisConnection } from '../../services/core/store/connect.ts';
import { type EmbeddedRedis, startEmbeddedRedis } from '../../services/core/store/embedded-redis.ts';

export const silentLog = createLog({ level: 'silent' });

export interface TestRedis {
  directory: string;
  server: EmbeddedRedis;
  connection: RedisConnection;
  close(): Promise<void>;
}

export async function startTestRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'wafer-redis-'));
  const server = await startEmbeddedRedis({ directory, log: silentLog });
  const connection = await connectRedis({ address: { socketPath: server.socketPath }, log: silentLog });
  return {
    directory,
    server,
    connection,
    close: async () => {
      await connection.close();
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Waits until `check` gives a value other than `null`/`false`; fails with `what` when it never does. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | null | false> | T | null | false,
  patienceMs = 100_000,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  while (Date.now() < deadline) {
    const value = await check();
    if (value !== null && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`never happened: ${what}`);
}
