/** Durable calls over a real Redis and a real queue; what runs is what the test says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAttempts } from '../../../services/core/invocations/durable/attempts.ts';
import { type Bodies, openBodies } from '../../../services/core/invocations/durable/bodies.ts';
import { createDurableCalls } from '../../../services/core/invocations/durable/calls.ts';
import { listenForCancellations } from '../../../services/core/invocations/durable/cancellations.ts';
import { listenForEndings } from '../../../services/core/invocations/durable/endings.ts';
import { DEFAULT_RETRY } from '../../../services/core/invocations/durable/retry.ts';
import { startSweep } from '../../../services/core/invocations/durable/sweep.ts';
import type {
  AcceptRequest,
  Attempt,
  AttemptEnd,
  Attempts,
  DurableCalls,
} from '../../../services/core/invocations/durable/types.ts';
import type { Receipt } from '../../../services/core/invocations/types.ts';
import { type Claim, consumeCalls, openCallQueue } from '../../../services/core/queue/index.ts';
import { type Headroom, watchHeadroom } from '../../../services/core/store/headroom.ts';
import { silentLog, startTestRedis, type TestRedis } from '../../helpers/redis.ts';

export const RECEIPT: Receipt = {
  start: 'warm',
  phases: { queue: 0, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 1 },
  instanceId: 'i-test',
};
export const ok = (text: string): AttemptEnd => ({
  kind: 'ok',
  result: Buffer.from(text),
  contentType: 'application/json',
  receipt: RECEIPT,
});
export const failed = (message: string, more: object = {}): AttemptEnd => ({
  kind: 'failure',
  failure: { kind: 'function_error', message, ...more },
  receipt: RECEIPT,
  final: false,
});
/** Until a call comes again whose event could not be read. */
export const AGAIN_MS = 20;
/** Soon again, and without chance. */
export const QUICK = { ...DEFAULT_RETRY, backoff: { kind: 'fixed', delayMs: 20, maxDelayMs: 20, jitter: 0 } } as const;

export type Run = (attempt: Attempt, claim: Claim) => Promise<AttemptEnd>;

export interface DurableLab {
  redis: TestRedis;
  /** Of bodies. */
  dir: string;
  calls: DurableCalls;
  bodies: ReturnType<typeof openBodies>;
  queue: ReturnType<typeof openCallQueue>;
  attempts: ReturnType<typeof createAttempts>;
  /** Of a worker that knows nothing of volumes. */
  elsewhere: ReturnType<typeof createAttempts>;
  sweep: ReturnType<typeof startSweep>;
  headroom: Headroom;
  request(more?: Partial<AcceptRequest>): AcceptRequest;
  /** One more worker. */
  work(run: Run, concurrency?: number, attempts?: Attempts): { close(): Promise<void> };
  /** Of a worker whose events and results lie elsewhere. */
  attemptsOver(bodies: Bodies): Attempts;
  close(): Promise<void>;
}

const PLACE = { name: 'calls' };

export async function openDurableLab(): Promise<DurableLab> {
  const server = await startTestRedis();
  const { redis } = server.connection;
  const dir = mkdtempSync(join(tmpdir(), 'wafer-durable-'));
  const bodies = openBodies(dir);
  const queue = openCallQueue(redis, PLACE);
  const endings = await listenForEndings(redis);
  const headroom = await watchHeadroom(redis);
  const cancellations = await listenForCancellations(redis);
  const calls = createDurableCalls({ redis, queue, bodies, endings, headroom });
  const attempts = createAttempts({ redis, queue, bodies, cancellations, worker: 'test', knowsVolumes: true });
  const elsewhere = createAttempts({ redis, queue, bodies, cancellations, worker: 'elsewhere' });
  const sweep = startSweep({ redis, queue, bodies, log: silentLog });
  const workers: { close(): Promise<void> }[] = [];
  return {
    redis: server,
    dir,
    calls,
    bodies,
    queue,
    attempts,
    elsewhere,
    sweep,
    headroom,
    request: (more = {}) => ({
      functionName: 'f',
      version: 1,
      trigger: 'async',
      depth: 0,
      body: Buffer.from('{}'),
      contentType: 'application/json',
      retry: QUICK,
      limits: { pending: 1000 },
      followers: {},
      ...more,
    }),
    attemptsOver: (others) =>
      createAttempts({ redis, queue, bodies: others, cancellations, worker: 'far away', unreachableMs: AGAIN_MS }),
    work(run, concurrency = 8, by = attempts) {
      const worker = consumeCalls(redis, PLACE, {
        concurrency,
        onError: () => {},
        async turn(claim) {
          const attempt = await by.begin(claim);
          const { next } = 'number' in attempt ? await by.settle(claim, attempt, await run(attempt, claim)) : attempt;
          return next === null ? { kind: 'done' } : { kind: 'again', at: next };
        },
      });
      workers.push(worker);
      return worker;
    },
    async close() {
      for (const worker of workers) await worker.close();
      await sweep.close();
      await queue.close();
      endings.close();
      headroom.close();
      cancellations.close();
      await server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
