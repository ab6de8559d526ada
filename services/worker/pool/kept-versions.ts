/** Whose `minInstances` count: the version's that was kept last, and the one's before it until that has its own. */
import type { FunctionVersion } from '../../core/functions/types.ts';

export interface KeptVersions {
  keep(version: FunctionVersion): void;
  /** It has its own: the one before is kept no more. False when another was kept since, which settles both. */
  settle(version: FunctionVersion): boolean;
  forget(functionName: string): void;
  minimum(version: FunctionVersion): number;
}

export function createKeptVersions(): KeptVersions {
  /** Function -> numbers of versions: the latest and the one before it. */
  const kept = new Map<string, number[]>();
  return {
    keep({ functionName, number }) {
      const before = (kept.get(functionName) ?? []).filter((one) => one !== number);
      kept.set(functionName, [number, ...before.slice(0, 1)]);
    },
    settle({ functionName, number, config }) {
      if (kept.get(functionName)?.[0] !== number) return false;
      if (config.minInstances === 0) kept.delete(functionName);
      else kept.set(functionName, [number]);
      return true;
    },
    forget: (functionName) => void kept.delete(functionName),
    minimum: ({ functionName, number, config }) =>
      kept.get(functionName)?.includes(number) === true ? config.minInstances : 0,
  };
}
