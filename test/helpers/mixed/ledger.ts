/**
 * What calls may answer while versions come and aliases move, and who answered. A mark is the text that one version
 * has in its code. Times are of one clock (`performance.now()`).
 */

/** What a handler says about itself; see programs.ts. */
export interface Witness {
  /** Literal in its code. */
  mark: string;
  functionName: string;
  version: string;
  /** Random, made when the code was loaded. */
  nonce: string;
  /** Random, in the sandbox's `/tmp` since the first code that ran there. */
  sandbox: string;
  /** Of every code that was loaded in the process, and in the sandbox. */
  loaded: string[];
  marks: string[];
}

export interface Move {
  /** The call that moves the alias was answered. */
  done(): void;
}

export interface Ledger {
  /** Begun before the request is sent. */
  move(functionName: string, alias: string, mark: string): Move;
  /** Marks that a call of the alias may answer that began and ended then. */
  allowed(functionName: string, alias: string, began: number, ended: number): Set<string>;
  answered(witness: Witness): void;
  /** Everything that is wrong about who answered: an instance with two versions, a version with two codes. */
  faults(): string[];
  /** Marks that answered at least once. */
  seen(): Set<string>;
  instances(): number;
}

interface Moved {
  mark: string;
  began: number;
  ended: number;
}

export function createLedger(now: () => number = () => performance.now()): Ledger {
  const moves = new Map<string, Moved[]>();
  const first = new Map<string, string>();
  const seen = new Set<string>();
  const faults = new Set<string>();
  /** The same key always goes with the same value. */
  const bind = (what: string, key: string, value: string) => {
    const known = first.get(`${what} ${key}`) ?? value;
    first.set(`${what} ${key}`, known);
    if (known !== value) faults.add(`${what} ${key} was ${known}, then ${value}`);
  };
  return {
    move(functionName, alias, mark) {
      const key = `${functionName}/${alias}`;
      const moved: Moved = { mark, began: now(), ended: Number.POSITIVE_INFINITY };
      moves.set(key, [...(moves.get(key) ?? []), moved]);
      return {
        done() {
          moved.ended = now();
        },
      };
    },
    allowed(functionName, alias, began, ended) {
      const all = moves.get(`${functionName}/${alias}`) ?? [];
      const settled = all.findLast((one) => one.ended <= began);
      const meanwhile = all.filter((one) => one.began <= ended && one.ended > began);
      return new Set([...(settled === undefined ? [] : [settled]), ...meanwhile].map(({ mark }) => mark));
    },
    answered({ mark, functionName, version, nonce, sandbox, loaded, marks }) {
      seen.add(mark);
      bind('version', `${functionName} v${version}`, mark);
      bind('code', mark, `${functionName} v${version}`);
      bind('instance', nonce, mark);
      bind('sandbox', sandbox, `${nonce} ${mark}`);
      if (String(loaded) !== mark) faults.add(`a process of ${mark} had loaded ${loaded}`);
      if (String(marks) !== mark) faults.add(`a sandbox of ${mark} had run ${marks}`);
    },
    faults: () => [...faults],
    seen: () => seen,
    instances: () => [...first.keys()].filter((key) => key.startsWith('instance ')).length,
  };
}
