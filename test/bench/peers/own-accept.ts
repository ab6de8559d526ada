/** What accepts of the platform, in this process as raw BullMQ is, over the platform's own Redis; in a namespace of its own. */
import { Redis } from 'ioredis';
import { type AcceptDeps, createAccept } from '../../../services/core/invocations/durable/accept.ts';
import { inlineBody } from '../../../services/core/invocations/durable/bodies.ts';
import { DEFAULT_RETRY } from '../../../services/core/invocations/durable/retry.ts';
import type { AcceptRequest } from '../../../services/core/invocations/durable/types.ts';
import { openCallQueue } from '../../../services/core/queue/index.ts';
import { keysOf } from '../../../services/core/store/keys.ts';
import { REDIS_SOCKET } from './raw-queue.ts';

export interface OwnAccept {
  accept(): Promise<void>;
  /** Removes all that was accepted. */
  close(): Promise<void>;
}

const NAMESPACE = 'bench-accept';
const REQUEST: AcceptRequest = {
  functionName: 'bench-accept',
  version: 1,
  trigger: 'async',
  depth: 0,
  body: Buffer.from('{"n":1}'),
  contentType: 'application/json',
  retry: DEFAULT_RETRY,
  limits: {},
  followers: {},
};

export async function openOwnAccept(): Promise<OwnAccept> {
  const redis = new Redis({ path: REDIS_SOCKET, maxRetriesPerRequest: null });
  const queue = openCallQueue(redis, { namespace: NAMESPACE, name: 'calls' });
  // The event is small: none of them goes into a file.
  const bodies: AcceptDeps['bodies'] = {
    put: async (_id, _part, bytes, contentType) => inlineBody(bytes, contentType),
    forget: async () => {},
  };
  const { root } = keysOf(NAMESPACE);
  const limits = { mostPending: 10_000_000, idempotencyMs: 60_000 };
  const accept = createAccept({ redis, queue, bodies, root, ...limits, now: Date.now });
  return {
    accept: async () => void (await accept(REQUEST)),
    async close() {
      await queue.close();
      for await (const keys of redis.scanStream({ match: `${root}:*`, count: 1_000 }))
        if ((keys as string[]).length > 0) await redis.unlink(keys as string[]);
      redis.disconnect();
    },
  };
}
