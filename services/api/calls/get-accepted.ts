import { WaferError } from '../../core/errors.ts';
import type { DurableRecord } from '../../core/invocations/durable/types.ts';
import type { ApiDeps } from '../deps.ts';

/** Of what only accepted invocations have. @throws WaferError `invocation_not_found`, `conflict` for one that was answered at once */
export async function getAccepted({ durable, invocations }: ApiDeps, id: string): Promise<DurableRecord> {
  try {
    return await durable.get(id);
  } catch (error) {
    if (!(error instanceof WaferError) || error.code !== 'invocation_not_found') throw error;
    // Not known there either: that is said.
    await invocations.get(id);
    throw new WaferError(
      'conflict',
      `${id} was answered at once: of such a call only the record and the logs are kept.`,
      {
        hint: 'Requests, results, replays and deliveries are there for calls that are accepted first: wafer invoke --async.',
      },
    );
  }
}
