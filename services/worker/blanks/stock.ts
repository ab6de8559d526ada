/** The blanks of one kind, the functions that may need them, and how many that makes. */
import type { SandboxHost } from '../../../runtime/sandbox/index.ts';
import { newInstanceId } from '../../core/ids.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import type { BootQueue } from '../instances/boot-queue.ts';
import { holdRuntime } from '../instances/held-runtime.ts';
import { noDemand, sawBoot, sawFull, sawTake, wantedBlanks } from './demand.ts';
import { type BlankKind, blankSpec } from './kind.ts';
import { type Blank, createShelf, type Shelf } from './shelf.ts';

export interface StockDeps {
  host: Pick<SandboxHost, 'create'>;
  images: Pick<ImageStore, 'lease'>;
  /** How many are at least kept ready for each base image and runtime that a function uses; 0: none ever. */
  perBase: number;
  queue: BootQueue;
  /** Memory that no instance has. */
  freeMb: () => number;
  log: Log;
}

export interface Stock {
  readonly kind: BlankKind;
  readonly shelf: Shelf;
  /** Functions. */
  readonly users: Set<string>;
  /** A blank is wanted, whether there is one or not. */
  onTake(): void;
}

const BOOT_MS = 20_000;
/** What one is counted with: a booted runtime and its sandbox. */
export const BLANK_MB = 16;
/** Of the memory that instances leave: for blanks beyond those that are always kept. */
const DEMAND_PART = 0.5;

/** `countAll`: the spare blanks of every kind. */
export function openStock(kind: BlankKind, deps: StockDeps, countAll: () => number): Stock {
  const { perBase: floor, queue, log } = deps;
  let demand = noDemand(performance.now());
  const size = () => {
    const others = countAll() - shelf.spare();
    const ceiling = Math.floor((deps.freeMb() * DEMAND_PART) / BLANK_MB) - others;
    return wantedBlanks(demand, performance.now(), { floor, ceiling });
  };
  const shelf: Shelf = createShelf({
    size,
    async boot() {
      const blank = await bootBlank(kind, deps);
      demand = sawBoot(demand, blank.took.sandbox + blank.took.boot);
      return blank;
    },
    queue,
    hasRoom: () => (countAll() + 1) * BLANK_MB <= deps.freeMb(),
    onFailed: (err) =>
      log.warn({ base: kind.base.name, runtime: kind.runtime, err }, 'no blank; functions start cold meanwhile'),
  });
  return {
    kind,
    shelf,
    users: new Set(),
    onTake() {
      if (shelf.counts().ready >= size()) demand = sawFull(demand);
      demand = sawTake(demand, performance.now());
    },
  };
}

/** The base image's layers are kept until it has ended. @throws when it does not boot; nothing is left then */
async function bootBlank(kind: BlankKind, { host, images }: StockDeps): Promise<Blank> {
  const lease = images.lease([kind.base.image.digest]);
  const began = performance.now();
  try {
    const sandbox = await host.create({ id: newInstanceId(), ...blankSpec(kind) });
    const created = performance.now();
    void sandbox.exited.then(() => lease.release());
    const held = holdRuntime(sandbox);
    try {
      await within(BOOT_MS, held.runtime.ready);
    } catch (error) {
      await sandbox.destroy();
      throw error;
    }
    return { held, took: { sandbox: created - began, boot: performance.now() - created } };
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
