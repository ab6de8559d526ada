/** An invocation as people and clients see it, whether it was called or accepted. */
import { digestOf, inlineBytes } from './durable/bodies.ts';
import type { DurableRecord, DurableState, DurableTrigger, StoredBody, TimelineEntry } from './durable/types.ts';
import type { InvocationRecord, Outcome, Receipt } from './types.ts';

export interface BodyView {
  contentType: string;
  bytes: number;
  /** sha256 in hex. */
  digest: string;
}

export interface Invocation {
  id: string;
  functionName: string;
  version: number;
  trigger: InvocationRecord['trigger'] | DurableTrigger;
  /** The schedule, the delivery of a webhook, or the invocation that it came from. */
  origin?: string;
  state: DurableState;
  /** Epoch ms. */
  startedAt: number;
  finishedAt?: number;
  /** From acceptance to the end, or until now. */
  durationMs: number;
  attempts: number;
  /** Of an accepted one. */
  timeline?: TimelineEntry[];
  /** Null while it has none. */
  outcome: Outcome | null;
  receipt: Receipt | null;
  bytesOut: number;
  request?: BodyView;
  result?: BodyView;
  runAt?: number;
  concurrencyKey?: string;
  callbackUrl?: string;
  onSuccess?: string;
  onFailure?: string;
  /** How many invocations led to it, one after another. */
  depth?: number;
}

export function viewOfCall(record: InvocationRecord): Invocation {
  const { startedAt, durationMs, outcome } = record;
  const state = outcome.kind === 'ok' ? 'succeeded' : outcome.kind === 'cancelled' ? 'cancelled' : 'failed';
  return { ...record, state, attempts: 1, finishedAt: Math.round(startedAt + durationMs) };
}

export function viewOfDurable(record: DurableRecord, now: number): Invocation {
  const { acceptedAt, request, result, outcome, receipt, crashes: _, depth, startedAt: __, ...rest } = record;
  return {
    ...rest,
    startedAt: acceptedAt,
    durationMs: (record.finishedAt ?? now) - acceptedAt,
    outcome: outcome ?? null,
    receipt: receipt ?? null,
    bytesOut: result?.bytes ?? 0,
    request: describeBody(request),
    ...(result && { result: describeBody(result) }),
    ...(depth > 0 && { depth }),
  };
}

const describeBody = (body: StoredBody): BodyView => ({
  contentType: body.contentType,
  bytes: body.bytes,
  digest: body.inline === undefined ? body.digest : digestOf(inlineBytes(body.inline)),
});
