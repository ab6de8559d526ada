/** Runs what was accepted before once more, as an invocation of its own: an outcome that was seen does not change. */
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import type { AcceptOptions } from './options.ts';
import type { Accepted, DurableCalls, DurableRecord } from './types.ts';

export interface Again {
  /** Of any version; the request is the stored one. */
  replay(id: string, options: AgainOptions): Promise<Accepted>;
  /** Dead letters run again and are none any more. */
  redrive(records: readonly DurableRecord[], options: AgainOptions): Promise<{ id: string; again: string }[]>;
  /** They stay as records, and are no dead letters any more. */
  bury(records: readonly DurableRecord[]): Promise<void>;
}

export interface AgainOptions {
  /** Default: the version that it was accepted for. */
  version?: number;
  idempotencyKey?: string;
  /** What its version says of retries and limits. */
  options: (functionName: string, version: number) => Promise<AcceptOptions>;
}

export function createAgain(
  redis: Redis,
  calls: Pick<DurableCalls, 'accept' | 'get' | 'readBody'>,
  namespace?: string,
): Again {
  const { root } = keysOf(namespace);
  const bury = async (records: readonly DurableRecord[]) => {
    const pipeline = redis.pipeline();
    for (const { id, functionName } of records) {
      pipeline.zrem(`${root}:dead`, id);
      pipeline.zrem(`${root}:dead:${functionName}`, id);
    }
    await withStore('clear dead letters', () => pipeline.exec());
  };
  const run = async (
    record: DurableRecord,
    { version = record.version, options, idempotencyKey: key }: AgainOptions,
  ) => {
    const { functionName, concurrencyKey, callbackUrl } = record;
    return calls.accept({
      ...(await options(functionName, version)),
      functionName,
      version,
      trigger: 'replay',
      origin: record.id,
      depth: 0,
      body: await calls.readBody(record, 'event'),
      contentType: record.request.contentType,
      ...(concurrencyKey !== undefined && { concurrencyKey }),
      ...(callbackUrl !== undefined && { callbackUrl }),
      ...(key !== undefined && { idempotencyKey: `replay:${record.id}:${version}:${key}` }),
    });
  };
  return {
    replay: async (id, options) => run(await calls.get(id), options),
    bury,
    async redrive(records, options) {
      const driven: { id: string; again: string }[] = [];
      for (const record of records) {
        if (record.state !== 'failed' && record.state !== 'expired')
          throw new WaferError('conflict', `${record.id} is ${record.state}; only what failed or expired is redriven.`);
        // Accepted first: a crash between the two leaves a dead letter that was redriven, never one that is lost.
        const { id } = await run(record, options);
        await bury([record]);
        driven.push({ id: record.id, again: id });
      }
      return driven;
    },
  };
}
