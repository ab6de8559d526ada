/** Runs a container's health check again and again, and tells when the answer changes. */
import type { HealthCheck, HealthStatus } from '../../core/containers/types.ts';

export interface HealthWatch {
  readonly status: HealthStatus;
  stop(): void;
}

export interface HealthOptions {
  check: Pick<HealthCheck, 'intervalSeconds' | 'timeoutSeconds' | 'startPeriodSeconds' | 'retries'>;
  /** One check; true when all is well. It must end soon after the signal aborts. */
  probe: (signal: AbortSignal) => Promise<boolean>;
  /** Paused: nothing can be asked. */
  isSuspended: () => boolean;
}

/** While it starts, it is asked more often than it may be later. */
const START_INTERVAL_SECONDS = 5;

export function watchHealth({ check, probe, isSuspended }: HealthOptions): HealthWatch {
  const begun = performance.now();
  let status: HealthStatus = 'starting';
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  const stopped = new AbortController();

  const isStarting = () => performance.now() - begun < check.startPeriodSeconds * 1000;
  const note = (isWell: boolean) => {
    if (isWell) {
      failures = 0;
      status = 'healthy';
      return;
    }
    if (status === 'starting' && isStarting()) return;
    failures += 1;
    if (failures >= check.retries) status = 'unhealthy';
  };
  const ask = async () => {
    if (!isSuspended()) {
      const late = AbortSignal.timeout(check.timeoutSeconds * 1000);
      const isWell = await probe(AbortSignal.any([late, stopped.signal])).catch(() => false);
      if (stopped.signal.aborted) return;
      note(isWell && !late.aborted);
    }
    plan();
  };
  const plan = () => {
    const early = status === 'starting' && isStarting();
    const seconds = early ? Math.min(check.intervalSeconds, START_INTERVAL_SECONDS) : check.intervalSeconds;
    timer = setTimeout(() => void ask(), seconds * 1000).unref();
  };
  plan();
  return {
    get status() {
      return status;
    },
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}
