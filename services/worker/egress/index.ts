/** What instances of functions may connect to, who counts it, and where it is written down. */
import type { EgressAccount, SandboxSpec } from '../../../runtime/sandbox/index.ts';
import type { Config } from '../../core/config.ts';
import type { EgressSink, EgressVerdictName } from '../../core/egress/types.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { createEgressMeter, type MeterLimits } from './meter.ts';
import { functionPolicy } from './policy.ts';

export interface EgressDeps {
  /** Entries of `WAFER_EGRESS`. */
  ceiling: readonly string[];
  limits: MeterLimits;
  sink: EgressSink;
}

export interface EgressTotals {
  /** Connections that are open. */
  open: number;
  /** Since the start. */
  verdicts: Record<EgressVerdictName, number>;
  bytesUp: number;
  bytesDown: number;
}

export interface FunctionEgress {
  /** What the spec of an instance gets for it; nothing when the version has no egress. */
  of(version: FunctionVersion): Pick<SandboxSpec, 'egress' | 'egressAccount'>;
  totals(): EgressTotals;
}

export function createFunctionEgress({ ceiling, limits, sink }: EgressDeps): FunctionEgress {
  const meter = createEgressMeter(limits, () => performance.now());
  const sums = { verdicts: { allowed: 0, denied: 0, failed: 0 }, bytesUp: 0, bytesDown: 0 };
  const account = ({ functionName, number }: FunctionVersion): EgressAccount => ({
    open: meter.open,
    carry: meter.carry,
    close: meter.close,
    record({ sandboxId, host, address, durationMs, ...verdict }) {
      sums.verdicts[verdict.verdict]++;
      sums.bytesUp += verdict.bytesUp;
      sums.bytesDown += verdict.bytesDown;
      sink.write({
        time: Date.now(),
        functionName,
        version: number,
        instanceId: sandboxId,
        ...(host === null ? {} : { host }),
        ...(address === null ? {} : { address }),
        ...verdict,
        durationMs: Math.round(durationMs),
        count: 1,
      });
    },
  });
  return {
    of(version) {
      const { egress } = version.config;
      if (egress === undefined) return {};
      return { egress: functionPolicy(egress, ceiling), egressAccount: account(version) };
    },
    totals: () => ({ open: meter.totals().open, ...sums, verdicts: { ...sums.verdicts } }),
  };
}

const MIB = 1024 * 1024;

/** As the operator's settings say. */
export const openFunctionEgress = (
  { egress, egressConnections, egressMbPerHour }: Pick<Config, 'egress' | 'egressConnections' | 'egressMbPerHour'>,
  sink: EgressSink,
): FunctionEgress =>
  createFunctionEgress({
    ceiling: egress,
    limits: { connections: egressConnections, bytesPerHour: egressMbPerHour === 0 ? null : egressMbPerHour * MIB },
    sink,
  });
