/** An instance: one sandbox bound to one version, as the dispatcher and the pool know it. */
import type { Readable } from 'node:stream';
import type { CancelSignal, RuntimeCall, RuntimeCallHead, SandboxUsage } from '../../../runtime/sandbox/index.ts';
import type { Failure, InstanceInfo } from '../../core/invocations/types.ts';
import type { FilesRead } from '../calls/receipt.ts';
import type { Pooled } from '../pool/pool.ts';
import type { InstanceVolumes } from '../volumes/index.ts';
import type { EndReason } from './explain-exit.ts';
import type { StartTimings } from './init-failure.ts';

export const MAX_RESULT_BYTES = 6 * 1024 * 1024;
export const MAX_LOG_LINE_BYTES = 64 * 1024;

/** `RuntimeInstance`: a program that stays and speaks the protocol. `ProgramInstance`: one that runs for one call. */
export interface Instance extends Pooled {
  readonly id: string;
  readonly timings: StartTimings;
  /** Undefined where it has none. */
  readonly volumes: InstanceVolumes | undefined;
  /** What of a text is a secret that it was given becomes `***`. */
  mask(text: string): string;
  /** Runs one call; room must have been taken. */
  call(head: RuntimeCallHead, body: Buffer | Readable | null, signal: CancelSignal): RuntimeCall;
  /** Before `give`, when the call has ended. */
  settle(): Promise<void>;
  retire(reason?: EndReason): Promise<void>;
  end(reason: EndReason): Promise<void>;
  /** Why a call lost its program, as the caller is told. Waits until the sandbox is gone. */
  explainEnd(): Promise<Failure>;
  info(): Promise<InstanceInfo>;
  /** Of its sandbox, since it was made; of one that has ended, what it came to. Cheap. */
  usage(): SandboxUsage;
  /** The receipts' own note, from call to call. */
  readonly files: FilesRead;
}
