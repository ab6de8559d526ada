/** What Wafer tells a handler about the call. */
export interface Context {
  readonly invocationId: string;
  readonly functionName: string;
  readonly version: number;
  /** Epoch ms at which the call is ended. */
  readonly deadlineMs: number;
  readonly attempt: number;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
}
