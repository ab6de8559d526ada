/** What a pull, a push or a load says while it goes on. */
import type { Descriptor, Digest } from './types.ts';

export type TransferState = 'exists' | 'fetching' | 'unpacking' | 'done' | 'sending' | 'mounted';

export interface TransferEvent {
  type: 'layer';
  /** Of the compressed blob. */
  digest: Digest;
  state: TransferState;
  /** So far, and in the end. */
  bytes: number;
  total: number;
}

export type OnTransfer = (event: TransferEvent) => void;

const EVERY_MS = 200;

/** Says each change of state, and how far it is a few times a second. */
export function createReporter(onEvent: OnTransfer): (blob: Descriptor, state: TransferState, bytes?: number) => void {
  const said = new Map<Digest, { state: TransferState; at: number }>();
  return ({ digest, size }, state, bytes) => {
    const last = said.get(digest);
    const now = performance.now();
    if (last?.state === state && now - last.at < EVERY_MS) return;
    said.set(digest, { state, at: now });
    const begins = state === 'fetching' || state === 'sending';
    onEvent({ type: 'layer', digest, state, bytes: bytes ?? (begins ? 0 : size), total: size });
  };
}
