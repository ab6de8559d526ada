/** What every instance has, whatever its program is: a version in a sandbox, a log, and one end for one reason. */
import type { Sandbox, SandboxExit, SandboxUsage } from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Lease } from '../../core/images/types.ts';
import type { InstanceInfo, LogSink } from '../../core/invocations/types.ts';
import { logOutput, type Origin, type OutputLines } from '../output/lines.ts';
import { createMeteredLog, type MeteredLog } from '../output/metered-log.ts';
import type { Mask } from '../secrets/mask.ts';
import type { EndReason } from './explain-exit.ts';
import { MAX_LOG_LINE_BYTES } from './instance.ts';

export interface LifeOptions {
  version: FunctionVersion;
  /** Owned. */
  sandbox: Sandbox;
  /** Owned. */
  lease: Lease;
  logs: LogSink;
  /** For what it prints. */
  mask: Mask;
  /** Whose output it is now; undefined: nobody's alone. */
  invocationId: () => string | undefined;
  /** Told before `ended` settles. Must not throw. */
  onEnded: () => void;
}

export interface InstanceLife {
  readonly startedAt: number;
  readonly origin: Origin;
  readonly log: MeteredLog;
  readonly lines: OutputLines;
  /** How the sandbox ended; never rejects. All that was logged is written by then, and the lease is released. */
  readonly ended: Promise<SandboxExit>;
  /** Why the platform ended it; undefined: it did not. */
  endReason(): EndReason | undefined;
  /** The first one counts. */
  because(reason: EndReason): void;
  usage(): SandboxUsage;
  info(now: Pick<InstanceInfo, 'state' | 'calls' | 'inFlight'>): Promise<InstanceInfo>;
}

export function beginLife({ version, sandbox, lease, logs, mask, invocationId, onEnded }: LifeOptions): InstanceLife {
  const origin: Origin = { functionName: version.functionName, version: version.number, instanceId: sandbox.id };
  const log = createMeteredLog(origin, logs, mask);
  const lines = logOutput(origin, log, MAX_LOG_LINE_BYTES, invocationId);
  const startedAt = Date.now();
  let endReason: EndReason | undefined;
  let last: SandboxExit | undefined;
  return {
    startedAt,
    origin,
    log,
    lines,
    ended: sandbox.exited.then((exit) => {
      last = exit;
      onEnded();
      lines.flush();
      log.flush();
      lease.release();
      return exit;
    }),
    endReason: () => endReason,
    because(reason) {
      endReason ??= reason;
    },
    usage: () => last ?? sandbox.usage(),
    async info(now) {
      const stats = now.state === 'ending' ? null : await sandbox.stats().catch(() => null);
      return {
        id: sandbox.id,
        functionName: version.functionName,
        version: version.number,
        ...now,
        pid: sandbox.pid,
        hostUid: sandbox.hostUid,
        startedAt,
        memoryBytes: stats?.memoryBytes ?? null,
      };
    },
  };
}
