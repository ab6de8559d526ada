/** Starts ahead of calls, each at its time. */
import type { FunctionVersion } from '../../core/functions/types.ts';

export interface Prewarms {
  /** Instead of what was planned for the version before. */
  plan(version: FunctionVersion, idleSince: number, windows: { prewarmAfterMs: number; keepMs: number }): void;
  cancel(version: FunctionVersion): void;
  /** Of the function's other versions. */
  cancelOthers(version: FunctionVersion): void;
  /** Of the function, or of all. */
  cancelAll(functionName?: string): void;
}

interface Planned {
  version: FunctionVersion;
  timer: NodeJS.Timeout;
}

/** `start` must not throw. */
export function createPrewarms(start: (version: FunctionVersion, idleSince: number, keepMs: number) => void): Prewarms {
  const planned = new Map<string, Planned>();
  const cancel = (version: FunctionVersion) => {
    const key = keyOf(version);
    clearTimeout(planned.get(key)?.timer);
    planned.delete(key);
  };
  const cancelWhere = (matches: (version: FunctionVersion) => boolean) => {
    for (const { version } of [...planned.values()]) if (matches(version)) cancel(version);
  };
  return {
    cancel,
    plan(version, idleSince, { prewarmAfterMs, keepMs }) {
      cancel(version);
      const timer = setTimeout(() => {
        planned.delete(keyOf(version));
        start(version, idleSince, keepMs);
      }, prewarmAfterMs).unref();
      planned.set(keyOf(version), { version, timer });
    },
    cancelOthers: ({ functionName, number }) =>
      cancelWhere((one) => one.functionName === functionName && one.number !== number),
    cancelAll: (functionName) => cancelWhere((one) => functionName === undefined || one.functionName === functionName),
  };
}

const keyOf = ({ functionName, number }: FunctionVersion) => `${functionName}@${number}`;
