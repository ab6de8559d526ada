/** The part of the API about what functions connect to. */
import type { StoredEgressEntry } from '../core/egress/types.ts';
import { connect, query, stream } from './client.ts';

export interface EgressLogOptions {
  function?: string | undefined;
  verdict?: string | undefined;
  follow: boolean;
  /** Epoch ms. */
  since?: number | undefined;
  limit?: number | undefined;
  signal?: AbortSignal;
}

export function egressLog(
  env: Record<string, string | undefined>,
  { signal, ...wanted }: EgressLogOptions,
): AsyncGenerator<StoredEgressEntry> {
  return stream(connect(env), `/v1/egress/log${query({ ...wanted })}`, signal);
}
