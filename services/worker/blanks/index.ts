/**
 * Blanks: sandboxes whose runtime has booted and knows no code. The first call of a
 * version takes one, has the code attached, and saves the time of a sandbox and a boot.
 * A blank is bound once, to one version. How many are ready follows how many are taken
 * (demand.ts); they only have the memory that instances leave.
 */
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { BlankInfo, NoBlank } from '../../core/invocations/types.ts';
import type { BaseImage } from '../base-images/index.ts';
import type { InstancePlan } from '../instances/plan.ts';
import { type BlankKind, fits, keyOf, kindOf, whyNoKind } from './kind.ts';
import type { Blank } from './shelf.ts';
import { BLANK_MB, openStock, type Stock, type StockDeps } from './stock.ts';

export interface BlanksDeps extends StockDeps {
  getBase: (name: string) => BaseImage | undefined;
}

export interface Blanks {
  /** The version that `live` is: has its kind kept ready from now on, until no function uses it any more. */
  use(version: FunctionVersion): void;
  forget(functionName: string): void;
  /**
   * Its runtime is ready; the caller owns it. Where none is, the next that boots, unless it `isWanted` no more by then.
   * Undefined also when none fits, or will be there sooner than the caller's own. Never rejects.
   */
  take(version: FunctionVersion, plan: InstancePlan, isWanted: () => boolean): Promise<TakenBlank | undefined>;
  /** Why none serves its first call; `none_ready` when one would that is ready. */
  whyNone(version: FunctionVersion, plan: Pick<InstancePlan, 'spec'>): NoBlank;
  list(): BlankInfo[];
  /** Resolves when nothing is left of them. */
  close(): Promise<void>;
}

export interface TakenBlank extends Blank {
  /** It booted while the caller waited. */
  waited: boolean;
}

export function createBlanks(deps: BlanksDeps): Blanks {
  const stocks = new Map<string, Stock>();
  const closing = new Set<Promise<void>>();
  let isClosed = false;

  const countAll = () => [...stocks.values()].reduce((sum, { shelf }) => sum + shelf.spare(), 0);
  const closeUnused = () => {
    for (const [key, { shelf, users }] of stocks) {
      if (users.size > 0) continue;
      stocks.delete(key);
      const closed = shelf.close().finally(() => closing.delete(closed));
      closing.add(closed);
    }
  };
  const leave = (functionName: string, but?: Stock) => {
    for (const stock of stocks.values()) if (stock !== but) stock.users.delete(functionName);
    closeUnused();
  };
  const kindHere = (version: FunctionVersion) => (isClosed ? undefined : kindOf(version, deps.getBase));
  const use = (version: FunctionVersion) => {
    const kind = deps.perBase === 0 ? undefined : kindHere(version);
    if (kind === undefined) return leave(version.functionName);
    const stock = stocks.get(keyOf(kind)) ?? openStock(kind, deps, countAll);
    stocks.set(keyOf(kind), stock);
    stock.users.add(version.functionName);
    leave(version.functionName, stock);
    stock.shelf.refill();
  };
  /** Those that wait make way for instances. */
  const makeWay = () => {
    for (const { shelf } of stocks.values()) while (countAll() * BLANK_MB > deps.freeMb() && shelf.drop());
  };
  const takeSimilar = (wanted: BlankKind) => {
    const alike = keyOf({ ...wanted, preload: undefined });
    for (const { kind, shelf } of stocks.values()) {
      const found = keyOf({ ...kind, preload: undefined }) === alike ? shelf.take() : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    use,
    forget: (functionName) => leave(functionName),
    async take(version, plan, isWanted) {
      const kind = kindHere(version);
      const stock = kind && stocks.get(keyOf(kind));
      if (stock === undefined || !fits(stock.kind, plan)) return void makeWay();
      stock.onTake();
      // One of another preload is better than none: what it lacks is loaded by the call, what it has too much is memory.
      const ready = stock.shelf.take() ?? takeSimilar(stock.kind);
      makeWay();
      if (ready !== undefined) return { ...ready, waited: false };
      const next = await stock.shelf.next(isWanted);
      return next && { ...next, waited: true };
    },
    whyNone(version, plan) {
      const kind = kindOf(version, deps.getBase);
      if (kind === undefined) return whyNoKind(version);
      if (!fits(kind, plan)) return 'other_base';
      if (deps.perBase === 0) return 'off';
      return stocks.has(keyOf(kind)) ? 'none_ready' : 'unused';
    },
    list: () => addUp([...stocks.values()]),
    async close() {
      isClosed = true;
      for (const { users } of stocks.values()) users.clear();
      closeUnused();
      await Promise.all(closing);
    },
  };
}

/** What was loaded into them, and at which paths volumes go, makes no difference to who looks at them. */
function addUp(stocks: Stock[]): BlankInfo[] {
  const sums = new Map<string, BlankInfo>();
  for (const { kind, shelf } of stocks) {
    const { ready, booting } = shelf.counts();
    const volumes = kind.points.length;
    const { base, runtime, egress } = kind;
    const key = keyOf({ ...kind, preload: undefined, points: [String(volumes)] });
    const sum = sums.get(key) ?? { base: base.name, runtime, volumes, egress, ready: 0, booting: 0 };
    sums.set(key, { ...sum, ready: sum.ready + ready, booting: sum.booting + booting });
  }
  return [...sums.values()];
}
