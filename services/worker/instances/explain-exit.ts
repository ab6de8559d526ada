/** Why a call lost its instance, in one sentence for its caller. */
import { constants } from 'node:os';
import type { SandboxExit } from '../../../runtime/sandbox/index.ts';
import type { Failure } from '../../core/invocations/types.ts';

/** Who ended an instance: the platform, for one of these reasons, or nobody (`closed`: its process went by itself). */
export type EndReason = 'idle' | 'evicted' | 'retired' | 'killed' | 'timeout' | 'protocol' | 'closed' | 'strays';

export interface EndFacts {
  memoryMb: number;
  endReason: EndReason | undefined;
  protocolError: string | undefined;
  /** It had not been loaded: there was no call yet. */
  loading: boolean;
  /** It was ended for a volume that it filled: which. */
  full?: string | undefined;
}

export function explainExit(
  exit: SandboxExit,
  { memoryMb, endReason, protocolError, loading, full }: EndFacts,
): Failure {
  const when = loading ? 'while the function was being loaded' : 'while the call was running';
  if (exit.reason === 'engine_ended') {
    return { kind: 'function_killed', message: `The sandbox engine ended ${when}; the platform starts it again.` };
  }
  if (exit.reason === 'oom') {
    return {
      kind: 'function_oom',
      message: `The function used more than its ${memoryMb} MiB of memory (memoryMb in wafer.json)${peakOf(exit)}.`,
    };
  }
  if (full !== undefined) return { kind: 'volume_full', message: full };
  if (protocolError !== undefined) {
    return { kind: 'protocol_error', message: `The function broke the runtime protocol: ${protocolError}.` };
  }
  if (exit.reason === 'killed' && endReason === 'closed') {
    return {
      kind: 'protocol_error',
      message: 'The function closed its control socket (file descriptor 3), which belongs to the runtime.',
    };
  }
  if (exit.reason === 'killed') {
    return {
      kind: 'function_killed',
      message: `The platform stopped the instance (${endReason ?? 'no reason given'}) ${when}.`,
    };
  }
  if (exit.reason === 'limit') {
    return {
      kind: 'function_crashed',
      message: `The function's process was ended ${when}: it wrote a larger file than it may (fileMb in wafer.json).`,
    };
  }
  return { kind: 'function_crashed', message: `${describeExit(exit)} ${when}.` };
}

/** With a group, the kernel ends it at the limit; without one, what was seen last may be far above it. */
const peakOf = ({ memoryPeakBytes }: SandboxExit) =>
  memoryPeakBytes === null || memoryPeakBytes === 0
    ? ''
    : `; its peak was ${Math.round(memoryPeakBytes / 1_048_576)} MiB`;

function describeExit({ status, signal }: SandboxExit): string {
  if (signal === null) return `The function's process exited with status ${status ?? 'unknown'}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
  return `The function's process was ended by ${name}`;
}
