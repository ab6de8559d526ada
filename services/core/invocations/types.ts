/**
 * What a call is, what it ends with, and who carries it out.
 *
 * The API knows only `Dispatcher`; the worker implements it in process, a remote
 * implementation will speak HTTP to another machine's worker. The sync path
 * never touches the queue.
 */
import type { Readable } from 'node:stream';
import type { ErrorCode } from '../errors.ts';
import type { FunctionVersion } from '../functions/types.ts';
import type { CallerSignal } from './light-signal.ts';
import type { Trace } from './trace.ts';

export const START_KINDS = ['cold', 'blank', 'warm'] as const;
export type StartKind = (typeof START_KINDS)[number];

/**
 * Why a call had to wait for an instance to start, by what became of the version's last one:
 * `first`: there was none yet; `idle`: nobody called it for a while; `evicted`: another version needed its memory;
 * `ended`: a failure, or a new version; `busy`: it is there and has all the calls that it takes.
 */
export const START_CAUSES = ['first', 'idle', 'evicted', 'ended', 'busy'] as const;
export type StartCause = (typeof START_CAUSES)[number];

/**
 * Why no blank was there for a cold start: the image has a root of its own; its program is no runtime that blanks have;
 * the version was built on another image than its base is now, or has too many layers; none are kept
 * (`WAFER_BLANKS=0`, or no live version has its base); or all were taken.
 */
export const NO_BLANK = ['own_root', 'own_program', 'other_base', 'off', 'unused', 'none_ready'] as const;
export type NoBlank = (typeof NO_BLANK)[number];

/** Milliseconds spent in each phase of a call, in this order; they sum to the wall time. */
export const PHASES = ['queue', 'sandbox', 'attach', 'boot', 'init', 'handler'] as const;
export type Phase = (typeof PHASES)[number];
export type Phases = Record<Phase, number>;
/** Milliseconds from the request to the answer. */
export const wallOf = (phases: Phases): number => PHASES.reduce((sum, phase) => sum + phases[phase], 0);

/** A whole HTTP request for `ANY /fn/{name}/*`. Header names are lower case; hop-by-hop headers are already gone. */
export interface HttpRequestHead {
  method: string;
  /** Path below the function, always starting with `/`. */
  path: string;
  /** Raw query string without `?`. */
  query: string;
  headers: [name: string, value: string][];
}

export type CallRequest =
  | { kind: 'event'; body: Buffer }
  | { kind: 'http'; head: HttpRequestHead; body: Readable | null };

export interface Call {
  invocationId: string;
  version: FunctionVersion;
  request: CallRequest;
  attempt: number;
  /** Of an event: the trace that its caller is in. */
  trace?: Trace | undefined;
  /** When the request was accepted, by `performance.now()`: its receipt counts from here. */
  acceptedAt: number;
  /** Aborted when the caller goes away; the function sees `context.signal`. */
  signal: CallerSignal;
}

/** How a call ended. `ok` or the code of a guest failure; platform failures are thrown as WaferError instead. */
export type Outcome =
  | { kind: 'ok' }
  | {
      kind: Extract<
        ErrorCode,
        | 'function_error'
        | 'function_timeout'
        | 'function_oom'
        | 'function_crashed'
        | 'function_killed'
        | 'function_init_failed'
        | 'handler_not_found'
        | 'result_not_serialisable'
        | 'result_too_large'
        | 'protocol_error'
        | 'volume_conflict'
        | 'volume_full'
        | 'worker_lost'
        | 'expired'
        | 'cancelled'
      >;
      /** One sentence that names the cause. */
      message: string;
      /** Guest's error class, e.g. `TypeError`. */
      errorType?: string;
      /** Guest's stack, paths as seen inside the sandbox. */
      stack?: string;
    };
export type Failure = Exclude<Outcome, { kind: 'ok' }>;

/**
 * What a call used, as the kernel counts it for its instance while the call ran: calls beside it are in it, too.
 * Absent where it can not be told: limits mode `none` counts nothing of a sandbox that lives.
 */
export interface Used {
  /** Milliseconds of processor time, of all processes of the instance. */
  cpuMs?: number;
  /** The most that the instance had at once since it was made. */
  memoryPeakBytes?: number;
  /**
   * How much more its files in memory had at the end (`/tmp`, `/dev/shm`, a writable root) than after its last call;
   * less than zero: it removed some. Volumes are not in it: they have figures of their own.
   */
  diskDeltaBytes?: number;
  /** Of the event or request body, where its length is known before it has been read. */
  bytesIn?: number;
}

export interface Receipt {
  start: StartKind;
  phases: Phases;
  instanceId: string;
  /** Of a call that has ended on an instance. */
  used?: Used;
  /** Of a call that waited for a start. */
  cause?: StartCause;
  /** Of a cold start. */
  noBlank?: NoBlank;
}

/** What `done` settles to once the last byte of the answer is out or the call has failed. It never rejects. */
export interface CallEnd {
  outcome: Outcome;
  receipt: Receipt;
  bytesOut: number;
}

/** The answer's head. For a failure before the head, `result` is the failure. A body that came whole with its head is bytes. */
export type CallResult =
  | { kind: 'value'; contentType: string; body: Buffer | Readable }
  | { kind: 'http'; status: number; headers: [string, string][]; body: Buffer | Readable }
  | { kind: 'failure'; failure: Failure };

export interface CallReply {
  result: CallResult;
  /** Phases known when the head arrived (`handler` is time to the head). */
  receipt: Receipt;
  done: Promise<CallEnd>;
}

export interface InstanceInfo {
  id: string;
  functionName: string;
  version: number;
  state: 'starting' | 'idle' | 'busy' | 'ending';
  pid: number;
  hostUid: number;
  startedAt: number;
  calls: number;
  inFlight: number;
  memoryBytes: number | null;
}

/** Sandboxes with a booted runtime that wait for the code of a first call. */
export interface BlankInfo {
  /** Of the base image. */
  base: string;
  runtime: string;
  /** For functions with so many. */
  volumes: number;
  /** For functions with a way out. */
  egress: boolean;
  ready: number;
  booting: number;
}

/** What is true now of a version's next start. */
export interface StartFacts {
  /** `fits`: a blank that is ready serves it. */
  blank: 'fits' | Exclude<NoBlank, 'none_ready'>;
  /** Blanks that are at least kept ready (`WAFER_BLANKS`). */
  blanksKept: number;
  memoryBudgetMb: number;
  /** Of the budget, by all instances. */
  memoryUsedMb: number;
  /** What a start may load: layers above the base image, bytes as stored (compressed). Empty when the image is its whole root. */
  layers: { createdBy: string; bytes: number }[];
}

export interface Dispatcher {
  /**
   * Runs one call. Resolves when the head of the answer is there.
   * @throws WaferError `overloaded`, `namespace_limit`, `shutting_down`, `sandbox_failed`, `engine_failed`
   */
  call(call: Call): Promise<CallReply>;
  instances(): Promise<InstanceInfo[]>;
  /** One for each base image and runtime that is kept ready. */
  blanks(): BlankInfo[];
  startFacts(version: FunctionVersion): Promise<StartFacts>;
  /** Ends idle instances of versions that were removed. Busy ones finish their calls first. */
  retire(functionName: string): Promise<void>;
}

/** One line of output of a function. */
export interface LogLine {
  /** Epoch ms. */
  time: number;
  functionName: string;
  version: number;
  instanceId: string;
  /** Absent for output outside any call (module load, background work). */
  invocationId?: string;
  stream: 'stdout' | 'stderr' | 'platform';
  text: string;
}

/** Where the worker puts log lines. Never throws, never blocks; drops with a counted mark when the store is slow. */
export interface LogSink {
  write(line: LogLine): void;
}

export interface InvocationRecord {
  id: string;
  functionName: string;
  version: number;
  trigger: 'http' | 'invoke';
  startedAt: number;
  durationMs: number;
  outcome: Outcome;
  receipt: Receipt | null;
  bytesOut: number;
}
