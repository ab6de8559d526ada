/** What a call cost. Its phases sum to the time it took. */
import type { SandboxUsage } from '../../../runtime/sandbox/index.ts';
import type { CallRequest, Phases, Receipt, StartCause, Used } from '../../core/invocations/types.ts';
import type { StartTimings } from '../instances/init-failure.ts';

/** What a call waited for; null when the instance was there. */
export type Start = StartTimings & { cause?: StartCause };

/** Milliseconds until the call had an instance, and since then. */
export function makeReceipt(instanceId: string, start: Start | null, waitedMs: number, handlerMs: number): Receipt {
  const phases = splitWait(start, waitedMs);
  phases.handler = handlerMs;
  if (start === null) return { start: 'warm', phases, instanceId };
  const { kind, cause, noBlank } = start;
  return {
    start: kind,
    phases,
    instanceId,
    ...(cause === undefined ? {} : { cause }),
    ...(kind === 'cold' && noBlank !== undefined ? { noBlank } : {}),
  };
}

/** Of an instance: what its files in memory had when it was read last. Nothing changes between calls, so one reading a call is enough. */
export interface FilesRead {
  bytes: number;
}

/** Reads what the instance has used now, and gives what of it came since; asked once, at the end. */
export function startMeter(usage: () => SandboxUsage, files: FilesRead, request: CallRequest): () => Used {
  const { cpuMicros: before } = usage();
  const bytesIn = bodyBytes(request);
  return () => {
    const { cpuMicros, memoryPeakBytes, fileBytes } = usage();
    return {
      ...diskDelta(files, fileBytes ?? null),
      ...(cpuMicros === null ? {} : { cpuMs: Math.max(0, Math.round(cpuMicros - (before ?? 0))) / 1000 }),
      ...(memoryPeakBytes === null ? {} : { memoryPeakBytes }),
      ...(bytesIn === undefined ? {} : { bytesIn }),
    };
  };
}

function diskDelta(files: FilesRead, now: number | null): Pick<Used, 'diskDeltaBytes'> {
  if (now === null) return {};
  const diskDeltaBytes = now - files.bytes;
  files.bytes = now;
  return { diskDeltaBytes };
}

function bodyBytes(request: CallRequest): number | undefined {
  if (request.kind === 'event') return request.body.length;
  if (request.body === null) return 0;
  const length = request.head.headers.find(([name]) => name === 'content-length')?.[1];
  return length === undefined ? undefined : Number(length);
}

/** Of a call that never got an instance. */
export const failedStartReceipt = (instanceId: string, start: StartTimings | null, waitedMs: number): Receipt => ({
  ...makeReceipt(instanceId, start, waitedMs, 0),
  start: start?.kind ?? 'cold',
});

/** A call may come when its instance has been starting for a while: it pays only for what it waited for, the last part. */
function splitWait(start: StartTimings | null, waitedMs: number): Phases {
  if (start === null) return { queue: waitedMs, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 0 };
  let left = waitedMs;
  const pay = (ms: number) => {
    const paid = Math.min(ms, left);
    left -= paid;
    return paid;
  };
  const init = pay(start.init);
  const attach = pay(start.attach);
  const boot = pay(start.boot);
  const sandbox = pay(start.sandbox);
  return { queue: left, sandbox, attach, boot, init, handler: 0 };
}
