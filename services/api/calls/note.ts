import type { FunctionVersion } from '../../core/functions/types.ts';
import type { LogSink } from '../../core/invocations/types.ts';

/** Says something of the platform's in the function's own log, where its developer looks. */
export function createNote(
  logs: LogSink,
  { functionName, number }: FunctionVersion,
  invocationId: string,
  instanceId: string,
): (text: string) => void {
  return (text) =>
    logs.write({ time: Date.now(), functionName, version: number, instanceId, invocationId, stream: 'platform', text });
}
