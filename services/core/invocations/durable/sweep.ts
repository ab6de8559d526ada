/**
 * What crashes leave behind: records whose ticket was never pushed, or got lost; and what
 * ended long ago. Any number of sweeps may run at once: each step can be done twice.
 */
import type { Redis } from 'ioredis';
import type { Log } from '../../log.ts';
import type { CallQueue } from '../../queue/types.ts';
import { type Rounds, startRounds } from '../../rounds.ts';
import { keysOf } from '../../store/keys.ts';
import { forgetScript } from '../../store/scripts/durable.ts';
import { runScript } from '../../store/scripts/script.ts';
import type { Bodies, LocalBodies } from './bodies.ts';
import { ticketOf } from './record.ts';

export interface SweepOptions {
  redis: Redis;
  queue: Pick<CallQueue, 'push'>;
  bodies: Pick<Bodies, 'forget'>;
  log: Log;
  namespace?: string;
  keepMs?: number;
  keepPerFunction?: number;
  now?: () => number;
}

const EVERY_MS = 2_500;
/** A push takes milliseconds; what is older got lost. */
const PUSH_MS = 5_000;
const AT_ONCE = 500;

export type Sweep = Pick<Rounds, 'round' | 'close'>;

export function startSweep(options: SweepOptions): Sweep {
  return startRounds({
    everyMs: EVERY_MS,
    work: () => sweepOnce(options),
    onTrouble: (err) => options.log.warn({ err }, 'what crashes left could not be looked for'),
  });
}

async function sweepOnce(options: SweepOptions): Promise<void> {
  const { redis, queue, bodies, namespace, keepMs = 86_400_000, keepPerFunction = 1000, now = Date.now } = options;
  const { root } = keysOf(namespace);
  const unpushed = await redis.zrange(
    `${root}:pushing`,
    '-inf',
    String(now() - PUSH_MS),
    'BYSCORE',
    'LIMIT',
    0,
    AT_ONCE,
  );
  for (const group of unpushed) {
    for (const id of group.split(' ')) {
      const record = await redis.hgetall(`${root}:call:${id}`);
      if (record['state'] === 'queued') await queue.push(ticketOf(id, record));
    }
    await redis.zrem(`${root}:pushing`, group);
  }
  const gone = await runScript(redis, forgetScript, [], [root, now(), now() - keepMs, keepPerFunction, AT_ONCE]);
  await bodies.forget(gone as string[]);
}

/** A body is written before its record, and an answer may come late. */
const STRAY_MS = 3_600_000;

/** Bodies of invocations and of deliveries to webhooks that there are not: the platform ended between the two, or the record is gone. */
export async function forgetStrays(
  redis: Redis,
  bodies: Pick<LocalBodies, 'olderThan' | 'forget'>,
  { namespace, olderThanMs = STRAY_MS }: { namespace?: string; olderThanMs?: number } = {},
): Promise<void> {
  const { root, delivery } = keysOf(namespace);
  for await (const id of bodies.olderThan(olderThanMs)) {
    if ((await redis.exists(`${root}:call:${id}`, delivery(id))) === 0) await bodies.forget([id]);
  }
}
