/**
 * Blanks: sandboxes whose runtime has booted and knows no code. The first call of a
 * version takes one, has the code attached, and saves the time of a sandbox and a boot.
 * A blank is bound once, to one version. They only have the memory that instances leave.
 */
import type { SandboxHost } from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { newInstanceId } from '../../core/ids.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { BlankInfo } from '../../core/invocations/types.ts';
import type { Log } from '../../core/log.ts';
import type { BaseImage } from '../base-images/index.ts';
import { type HeldRuntime, holdRuntime } from '../held-runtime.ts';
import type { InstancePlan } from '../instance-plan.ts';
import { type BlankKind, blankSpec, fits, keyOf, kindOf } from './kind.ts';
import { createShelf, type Shelf } from './shelf.ts';

export interface BlanksDeps {
  host: Pick<SandboxHost, 'create'>;
  images: Pick<ImageStore, 'lease'>;
  getBase: (name: string) => BaseImage | undefined;
  /** How many are kept ready for each base image and runtime that a function uses; 0: none. */
  perBase: number;
  /** Memory that no instance has. */
  freeMb: () => number;
  log: Log;
}

export interface Blanks {
  /** The version that `live` is: has its kind kept ready from now on, until no function uses it any more. */
  use(version: FunctionVersion): void;
  forget(functionName: string): void;
  /** Its runtime is ready; the caller owns it. Undefined when there is none that fits. */
  take(version: FunctionVersion, plan: InstancePlan): HeldRuntime | undefined;
  list(): BlankInfo[];
  /** Resolves when nothing is left of them. */
  close(): Promise<void>;
}

interface Stock {
  kind: BlankKind;
  shelf: Shelf;
  /** Functions. */
  users: Set<string>;
}

const BOOT_MS = 20_000;
/** What one is counted with: a booted runtime and its sandbox. */
const BLANK_MB = 64;

export function createBlanks(deps: BlanksDeps): Blanks {
  const stocks = new Map<string, Stock>();
  const closing = new Set<Promise<void>>();
  let isClosed = false;

  const countAll = () => {
    const counts = [...stocks.values()].map(({ shelf }) => shelf.counts());
    return counts.reduce((sum, { ready, booting }) => sum + ready + booting, 0);
  };
  const openStock = (kind: BlankKind): Stock => {
    const shelf = createShelf({
      size: deps.perBase,
      boot: () => bootBlank(kind, deps),
      hasRoom: () => (countAll() + 1) * BLANK_MB <= deps.freeMb(),
      onFailed: (err) =>
        deps.log.warn({ base: kind.base.name, runtime: kind.runtime, err }, 'no blank; functions start cold meanwhile'),
    });
    return { kind, shelf, users: new Set() };
  };
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
    const stock = stocks.get(keyOf(kind)) ?? openStock(kind);
    stocks.set(keyOf(kind), stock);
    stock.users.add(version.functionName);
    leave(version.functionName, stock);
    stock.shelf.refill();
  };
  /** Those that wait make way for instances. */
  const makeWay = () => {
    for (const { shelf } of stocks.values()) while (countAll() * BLANK_MB > deps.freeMb() && shelf.drop());
  };
  return {
    use,
    forget: (functionName) => leave(functionName),
    take(version, plan) {
      const kind = kindHere(version);
      const stock = kind && stocks.get(keyOf(kind));
      const held = stock !== undefined && fits(stock.kind, plan) ? stock.shelf.take() : undefined;
      makeWay();
      return held;
    },
    list: () =>
      [...stocks.values()].map(({ kind, shelf }) => ({
        base: kind.base.name,
        runtime: kind.runtime,
        ...shelf.counts(),
      })),
    async close() {
      isClosed = true;
      for (const { users } of stocks.values()) users.clear();
      closeUnused();
      await Promise.all(closing);
    },
  };
}

/** The base image's layers are kept until it has ended. @throws when it does not boot; nothing is left then */
async function bootBlank(kind: BlankKind, { host, images }: BlanksDeps): Promise<HeldRuntime> {
  const lease = images.lease([kind.base.image.digest]);
  try {
    const sandbox = await host.create({ id: newInstanceId(), ...blankSpec(kind) });
    void sandbox.exited.then(() => lease.release());
    const held = holdRuntime(sandbox);
    try {
      await within(BOOT_MS, held.runtime.ready);
    } catch (error) {
      await sandbox.destroy();
      throw error;
    }
    return held;
  } catch (error) {
    lease.release();
    throw error;
  }
}

async function within<T>(ms: number, value: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not boot within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}
