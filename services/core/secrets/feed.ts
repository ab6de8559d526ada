/**
 * Who uses which version of a secret in this process, and is told when it is not to be used any more. A use that began
 * with a value of before the change is told at once, however the two crossed.
 */
import type { SecretHead } from './store.ts';

export interface SecretUse {
  /** A newer version is there, or the secret is removed. */
  isOutdated(): boolean;
  /** Calls `listener` once, now if it is outdated already. Must not throw. */
  whenOutdated(listener: () => void): void;
  end(): void;
}

export interface UsedSecret {
  name: string;
  version: number;
  /** A fixed version: only the removal of the secret counts. */
  isPinned: boolean;
}

export interface SecretFeed {
  use(used: readonly UsedSecret[]): SecretUse;
  /** @returns how many uses are outdated by it */
  note(head: SecretHead): number;
}

interface Use {
  used: readonly UsedSecret[];
  isOutdated: boolean;
  listener: (() => void) | undefined;
}

export function createSecretFeed(): SecretFeed {
  const heads = new Map<string, SecretHead>();
  const uses = new Set<Use>();
  const isOld = ({ name, version, isPinned }: UsedSecret) => {
    const head = heads.get(name);
    return head !== undefined && version < head.firstGood && (head.isRemoved || !isPinned);
  };
  const look = (use: Use): boolean => {
    if (use.isOutdated || !use.used.some(isOld)) return false;
    use.isOutdated = true;
    use.listener?.();
    return true;
  };
  return {
    use(used) {
      const use: Use = { used, isOutdated: false, listener: undefined };
      uses.add(use);
      look(use);
      return {
        isOutdated: () => use.isOutdated,
        whenOutdated(listener) {
          use.listener = listener;
          if (use.isOutdated) listener();
        },
        end: () => void uses.delete(use),
      };
    },
    note(head) {
      const known = heads.get(head.name);
      // Two that tell of changes may be out of step.
      if (known !== undefined && known.firstGood >= head.firstGood) return 0;
      heads.set(head.name, head);
      return [...uses].filter(look).length;
    },
  };
}
