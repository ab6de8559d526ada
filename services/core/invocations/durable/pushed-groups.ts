/** Groups of calls that were written, and whose tickets are in the queue by now. */
import type { Redis } from 'ioredis';

export interface PushedGroups {
  add(ids: readonly string[]): void;
  /** Sends what was added. Nobody waits for it: of a group that Redis is not told of, the sweep pushes once more. */
  tell(): void;
}

/** When no other group comes; well before the sweep looks. */
const TELL_MS = 500;

/** Redis is told together with the next group: alone it would wait for the disk, and the next group behind it. */
export function collectPushed(redis: Redis, root: string): PushedGroups {
  let groups: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  const tell = () => {
    clearTimeout(timer);
    timer = undefined;
    if (groups.length === 0) return;
    void redis.zrem(`${root}:pushing`, ...groups).catch(() => {});
    groups = [];
  };
  return {
    tell,
    add(ids) {
      if (ids.length === 0) return;
      groups.push(ids.join(' '));
      timer ??= setTimeout(tell, TELL_MS).unref();
    },
  };
}
