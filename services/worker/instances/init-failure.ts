/** A function that could not be loaded: the guest's failure, and what the attempt cost. */
import type { Failure, NoBlank, StartKind } from '../../core/invocations/types.ts';

/** Thrown while an instance starts; the dispatcher turns it into the call's outcome. */
export class InitFailure extends Error {
  override readonly name = 'InitFailure';
  readonly failure: Failure;
  readonly timings: StartTimings;
  readonly instanceId: string;
  constructor(failure: Failure, timings: StartTimings, instanceId: string) {
    super(failure.message);
    this.failure = failure;
    this.timings = timings;
    this.instanceId = instanceId;
  }
}

/** Milliseconds. Of a blank that was ready `sandbox` and `boot` are 0: it had them behind it. */
export interface StartTimings {
  kind: Exclude<StartKind, 'warm'>;
  sandbox: number;
  attach: number;
  boot: number;
  init: number;
  /** Of a cold one. */
  noBlank?: NoBlank;
}
