/** Why a call lost its instance, in one sentence for its caller. */
import { constants } from 'node:os';
import type { SandboxExit } from '../../runtime/sandbox/index.ts';
import type { Failure } from '../core/invocations/types.ts';

/** Who ended an instance: the platform, for one of these reasons, or nobody (`closed`: its process went by itself). */
export type EndReason = 'idle' | 'evicted' | 'retired' | 'killed' | 'timeout' | 'protocol' | 'closed' | 'strays';

export interface EndFacts {
  memoryMb: number;
  endReason: EndReason | undefined;
  protocolError: string | undefined;
}

export function explainExit(exit: SandboxExit, { memoryMb, endReason, protocolError }: EndFacts): Failure {
  if (exit.reason === 'oom') {
    return {
      kind: 'function_oom',
      message: `The function used more than its ${memoryMb} MiB of memory (memoryMb in wafer.json).`,
    };
  }
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
      message: `The platform stopped the instance (${endReason ?? 'engine ended'}) while the call was running.`,
    };
  }
  return { kind: 'function_crashed', message: describeExit(exit) };
}

function describeExit({ status, signal }: SandboxExit): string {
  const when = 'while the call was running';
  if (signal === null) return `The function's process exited with status ${status ?? 'unknown'} ${when}.`;
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
  return `The function's process was ended by ${name} ${when}.`;
}
