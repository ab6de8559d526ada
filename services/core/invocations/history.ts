/** Calls and accepted invocations as one list, newest first. */
import { WaferError } from '../errors.ts';
import type { DurableCalls, DurableState } from './durable/types.ts';
import type { InvocationStore } from './records.ts';
import type { Outcome } from './types.ts';
import { type Invocation, viewOfCall, viewOfDurable } from './view.ts';

export interface HistoryQuery {
  functionName?: string;
  state?: DurableState;
  outcome?: Outcome['kind'];
  /** 1 to 1000. */
  limit: number;
  /** From the page before. */
  cursor?: string;
}

export interface History {
  /** @throws WaferError `invocation_not_found | store_unavailable` */
  get(id: string): Promise<Invocation>;
  /** A page may be short although there is another; `cursor` is null on the last. @throws WaferError `invalid_request | store_unavailable` */
  list(query: HistoryQuery): Promise<{ invocations: Invocation[]; cursor: string | null }>;
}

export function createHistory(
  calls: Pick<InvocationStore, 'get' | 'list'>,
  durable: Pick<DurableCalls, 'get' | 'list'>,
  now: () => number = Date.now,
): History {
  return {
    async get(id) {
      const accepted = await durable.get(id).catch(unlessMissing);
      return accepted === undefined ? viewOfCall(await calls.get(id)) : viewOfDurable(accepted, now());
    },
    async list(query) {
      const { functionName, state, outcome, limit, cursor } = query;
      const about = { limit, ...(functionName !== undefined && { functionName }) };
      const [called, accepted] = await Promise.all([
        calls.list({ ...about, ...(cursor !== undefined && { cursor }), ...(outcome && { outcome }) }),
        durable.list({ ...about, ...(cursor !== undefined && { before: cursor }), ...(state && { state }) }),
      ]);
      const all = [
        ...called.records.map(viewOfCall),
        ...accepted.records.map((record) => viewOfDurable(record, now())),
      ];
      // Behind this id one of the two lists has not been read.
      const boundary = latest(called.cursor, accepted.cursor);
      const known = all.filter(({ id }) => boundary === null || id >= boundary).sort((a, b) => (a.id < b.id ? 1 : -1));
      const page = known.slice(0, limit);
      const next = known.length > limit ? (page.at(-1)?.id ?? null) : boundary;
      const wanted = (one: Invocation) =>
        (state === undefined || one.state === state) && (outcome === undefined || one.outcome?.kind === outcome);
      return { invocations: page.filter(wanted), cursor: next };
    },
  };
}

const latest = (a: string | null, b: string | null): string | null => {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
};

function unlessMissing(error: unknown): undefined {
  if (error instanceof WaferError && error.code === 'invocation_not_found') return undefined;
  throw error;
}
