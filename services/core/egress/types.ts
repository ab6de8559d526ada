/** Where functions connected to, or tried to. */

export const EGRESS_VERDICTS = ['allowed', 'denied', 'failed'] as const;
export type EgressVerdictName = (typeof EGRESS_VERDICTS)[number];

/** One connection that has ended, or a name that was refused. Equal ones of one moment are one entry. */
export interface EgressEntry {
  /** When it ended, epoch ms. */
  time: number;
  functionName: string;
  version: number;
  instanceId: string;
  /** The name that was asked for; absent when an address was used. */
  host?: string;
  /** The real address; absent when it did not come to one. */
  address?: string;
  /** 0: a name that was looked up and refused. */
  port: number;
  /** `failed`: allowed, but the look-up, the connection or the transfer failed. */
  verdict: EgressVerdictName;
  /** Why, in one clause. */
  reason: string;
  bytesUp: number;
  bytesDown: number;
  /** The longest, where it stands for several. */
  durationMs: number;
  /** How many it stands for. */
  count: number;
}

/** `cursor`: opaque, ascending. */
export type StoredEgressEntry = EgressEntry & { cursor: string };

export interface EgressQuery {
  /** All functions when left out. */
  functionName?: string;
  /** Epoch ms; entries before it are left out. */
  since?: number;
  /** The newest so many; all when left out. */
  limit?: number;
  /** Only entries behind this cursor. */
  after?: string;
  verdict?: EgressVerdictName;
}

/** Never throws, never waits; what can not be stored in time is lost, and counted. */
export interface EgressSink {
  write(entry: EgressEntry): void;
}

export interface EgressLog extends EgressSink {
  /** Oldest first, with all that this process wrote before. @throws WaferError `invalid_request | store_unavailable` */
  read(query: EgressQuery): Promise<StoredEgressEntry[]>;
  /** What `read` gives, then each new one, until `signal` aborts, which ends it without an error. */
  follow(query: EgressQuery, signal: AbortSignal): AsyncGenerator<StoredEgressEntry, void, undefined>;
  /** For shutdown: resolves when all that was written is stored or could not be. */
  flush(): Promise<void>;
}
