/** Every call begins here: one dispatch, one record. */
import { toProblem } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { CallerSignal } from '../../core/invocations/light-signal.ts';
import type { Trace } from '../../core/invocations/trace.ts';
import {
  type CallReply,
  type CallRequest,
  type InvocationRecord,
  type Outcome,
  type Receipt,
  wallOf,
} from '../../core/invocations/types.ts';
import type { ApiDeps } from '../deps.ts';

type CallDeps = Pick<ApiDeps, 'dispatcher' | 'invocations' | 'telemetry'>;

export interface CallStart {
  id: string;
  trigger: InvocationRecord['trigger'];
  version: FunctionVersion;
  request: CallRequest;
  trace?: Trace | undefined;
  /** By `performance.now()`: when the platform had the request, for an event with its body. */
  acceptedAt: number;
  signal: CallerSignal;
}

/**
 * Resolves when the head of the answer is there. The record is written behind it.
 * A call that the platform refuses was never accepted and leaves no record; its error is in the platform's log.
 * @throws WaferError as `Dispatcher.call`
 */
export async function startCall(deps: CallDeps, start: CallStart): Promise<CallReply> {
  const { id, version, request, trace, acceptedAt, signal } = start;
  const startedAt = Date.now() - Math.round(performance.now() - acceptedAt);
  const write = (outcome: Outcome, receipt: Receipt | null, bytesOut: number) => {
    // Of the receipt, not of a second reading of the clock: between the two the process can be interrupted.
    const durationMs = toMicros(receipt === null ? performance.now() - acceptedAt : wallOf(receipt.phases));
    const { functionName, number } = version;
    const about = { id, functionName, version: number, trigger: start.trigger, startedAt, durationMs };
    deps.telemetry.call({
      outcome: outcome.kind,
      start: receipt?.start ?? null,
      durationMs,
      phases: receipt?.phases ?? null,
    });
    // Only takes it; it is written in its own time.
    deps.invocations.record({ ...about, outcome, receipt, bytesOut });
  };
  try {
    const reply = await deps.dispatcher.call({
      invocationId: id,
      version,
      request,
      trace,
      attempt: 1,
      acceptedAt,
      signal,
    });
    void reply.done.then((end) => write(end.outcome, end.receipt, end.bytesOut));
    return reply;
  } catch (error) {
    if (signal.aborted) write({ kind: 'cancelled', message: 'The caller went away before the call began.' }, null, 0);
    else deps.telemetry.refused(toProblem(error).code);
    throw error;
  }
}

const toMicros = (ms: number): number => Math.round(ms * 1000) / 1000;
