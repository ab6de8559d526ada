import type { ApiDeps, Readiness } from '../../../services/api/deps.ts';
import type { BuildEvent, DeployRequest } from '../../../services/core/functions/types.ts';
import type { StoredLogLine } from '../../../services/core/invocations/logs.ts';
import type { Call, CallResult, InvocationRecord, Receipt } from '../../../services/core/invocations/types.ts';

export type Handler = (call: Call) => CallResult | Promise<CallResult>;
export type Deploy = (request: DeployRequest, onEvent: (event: BuildEvent) => void) => Promise<void>;

export interface FakePlatform extends ApiDeps {
  /** What a call does; `hello` and `other` exist from the start. */
  handler: Handler;
  /** Of a call at its end. */
  receiptOf(call: Call): Receipt;
  /** What a build does before its version is published. */
  deploy: Deploy;
  readiness: Readiness;
  calls: Call[];
  records: InvocationRecord[];
  lines: StoredLogLine[];
  write(text: string, invocationId?: string): void;
  /** What was counted: `call ok`, `refused overloaded`, `build failed`. */
  counted: string[];
  /** Streams that follow a log at this moment. */
  followers: number;
}
