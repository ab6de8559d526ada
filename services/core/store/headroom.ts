/**
 * Whether Redis has memory for more than what it has already promised. At `maxmemory` it refuses writes, those of
 * workers too, which would free memory: so new work is refused before that, and what goes on has the rest.
 */
import type { Redis } from 'ioredis';
import { WaferError } from '../errors.ts';

export interface Headroom {
  /** @throws WaferError `store_unavailable` when new work would take what running work needs */
  assert(): void;
  /** Looks now; the same as the timer does. */
  look(): Promise<void>;
  close(): void;
}

const EVERY_MS = 2_000;
/** Of `maxmemory`; the rest is for what goes on. */
const SHARE = 0.9;
const RETRY_MS = 5_000;
const MB = 1024 * 1024;

/** One look before it resolves. A Redis without `maxmemory` always has room. */
export async function watchHeadroom(redis: Redis): Promise<Headroom> {
  let used = 0;
  let most = 0;
  const look = async () => {
    const info = await redis.info('memory');
    used = read(info, 'used_memory');
    most = read(info, 'maxmemory');
  };
  // Without Redis nothing is accepted anyway.
  const timer = setInterval(() => void look().catch(() => {}), EVERY_MS).unref();
  await look().catch(() => {});
  return {
    assert() {
      if (most === 0 || used < most * SHARE) return;
      const message = `Redis uses ${Math.round(used / MB)} of ${Math.round(most / MB)} MB; the rest is for calls that were accepted before.`;
      throw new WaferError('store_unavailable', message, {
        hint: 'Try again when some of them have ended; or give Redis more memory (CONFIG SET maxmemory).',
        details: { retryAfterMs: RETRY_MS },
      });
    },
    look,
    close: () => clearInterval(timer),
  };
}

const read = (info: string, name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
