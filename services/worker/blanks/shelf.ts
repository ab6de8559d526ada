/**
 * The blanks of one kind: booted, waiting, each given away once; made again in the background.
 * A call that finds none gets the next that is ready, in order of arrival.
 */
import type { BootQueue, BootRank } from '../instances/boot-queue.ts';
import type { HeldRuntime } from '../instances/held-runtime.ts';

export interface Blank {
  held: HeldRuntime;
  /** Milliseconds. */
  took: { sandbox: number; boot: number };
}

export interface ShelfOptions {
  /** How many are to be ready now. */
  size: () => number;
  /** @throws when it does not boot; nothing is left then */
  boot: () => Promise<Blank>;
  queue: BootQueue;
  /** Whether memory has room for one more. */
  hasRoom: () => boolean;
  /** The first time in a row that one does not boot, or dies while it waits. Must not throw. */
  onFailed: (error: unknown) => void;
}

export interface Shelf {
  /** The caller owns it. Undefined when none is ready. */
  take(): Blank | undefined;
  /**
   * The next one that boots and that nobody waits for longer; undefined when it does not boot, when none is made now,
   * and when it is not wanted any more, which is asked before one boots for it and before it gets one.
   */
  next(isWanted: () => boolean): Promise<Blank | undefined>;
  /** Ends the one that has waited longest; false when there is none. */
  drop(): boolean;
  /** Makes what is missing, a moment later: what was just started comes first. */
  refill(): void;
  counts(): { ready: number; booting: number };
  /** Ready or on their way, without those that a call waits for. */
  spare(): number;
  /** Ends all of them. Resolves when nothing is left. */
  close(): Promise<void>;
}

/** The instance that took one loads its code meanwhile. */
const REFILL_MS = 25;
const NO_ROOM_MS = 2_000;
/** What is too many is looked for this often; how many are too many changes slowly. */
const TRIM_MS = 10_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

interface Caller {
  isWanted: () => boolean;
  give: (blank: Blank | undefined) => void;
}

export function createShelf(options: ShelfOptions): Shelf {
  return new BlankShelf(options);
}

class BlankShelf implements Shelf {
  readonly #options: ShelfOptions;
  readonly #ready: Blank[] = [];
  /** In order of arrival; each has a boot that goes on or is queued. */
  readonly #callers: Caller[] = [];
  readonly #unfinished = new Set<Promise<unknown>>();
  #booting = 0;
  /** To be made ahead, waiting for their turn. */
  #queued = 0;
  #failures = 0;
  #refillTimer: NodeJS.Timeout | undefined;
  #trimTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ShelfOptions) {
    this.#options = options;
  }

  take(): Blank | undefined {
    // One whose socket is closed is about to end.
    const at = this.#ready.findIndex(({ held }) => !held.runtime.closed);
    const [blank] = at < 0 ? [] : this.#ready.splice(at, 1);
    if (blank !== undefined) this.#failures = 0;
    this.refill();
    return blank;
  }

  next(isWanted: () => boolean): Promise<Blank | undefined> {
    // What did not boot a moment ago is not waited for.
    if (this.#isClosed || (this.#failures > 0 && this.#booting === 0)) return Promise.resolve(undefined);
    return new Promise((give) => {
      const caller: Caller = { isWanted, give };
      this.#callers.push(caller);
      this.#inTurn('call', () => this.#bootFor(caller));
    });
  }

  drop(): boolean {
    const blank = this.#ready.shift();
    if (blank !== undefined) this.#end(blank);
    return blank !== undefined;
  }

  refill(): void {
    this.#fillIn(REFILL_MS);
  }

  counts(): { ready: number; booting: number } {
    return { ready: this.#ready.length, booting: this.#booting };
  }

  spare(): number {
    return this.#ready.length + Math.max(0, this.#booting - this.#callers.length) + this.#queued;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#refillTimer);
    clearTimeout(this.#trimTimer);
    for (const { give } of this.#callers.splice(0)) give(undefined);
    for (const blank of this.#ready.splice(0)) this.#end(blank);
    while (this.#unfinished.size > 0) await Promise.all(this.#unfinished);
  }

  #inTurn(rank: BootRank, work: () => Promise<void>): void {
    this.#keep(this.#options.queue.run(async () => (this.#isClosed ? undefined : work()), rank));
  }

  #keep(work: Promise<unknown>): void {
    const kept = work.finally(() => this.#unfinished.delete(kept));
    this.#unfinished.add(kept);
  }

  async #bootFor(caller: Caller): Promise<void> {
    const at = this.#callers.indexOf(caller);
    if (at < this.#booting) return; // it has one, or is about to get one of those
    if (caller.isWanted()) return this.#boot();
    this.#callers.splice(at, 1);
    caller.give(undefined);
  }

  /** Never rejects. */
  async #boot(): Promise<void> {
    this.#booting++;
    try {
      const blank = await this.#options.boot();
      this.#booting--;
      this.#add(blank);
    } catch (error) {
      this.#booting--;
      this.#failed(error);
    }
  }

  #add(blank: Blank): void {
    if (this.#isClosed) return void this.#end(blank);
    for (let caller = this.#callers.shift(); caller !== undefined; caller = this.#callers.shift()) {
      const isWanted = caller.isWanted();
      caller.give(isWanted ? blank : undefined);
      if (!isWanted) continue;
      this.#failures = 0;
      return;
    }
    this.#put(blank);
  }

  #put(blank: Blank): void {
    this.#ready.push(blank);
    if (this.#failures > 0) this.refill(); // of which this was the trial
    this.#trimLater();
    void blank.held.sandbox.exited.then((exit) => {
      const at = this.#ready.indexOf(blank);
      if (at < 0) return; // taken, or dropped
      this.#ready.splice(at, 1);
      this.#failed(new Error(`a blank ended while it waited (${exit.reason})`));
    });
  }

  #failed(error: unknown): void {
    this.#callers.shift()?.give(undefined);
    // Boots that went on beside one another fail once.
    if (this.#isClosed || (this.#failures > 0 && this.#refillTimer !== undefined)) return;
    if (this.#failures++ === 0) this.#options.onFailed(error);
    clearTimeout(this.#refillTimer);
    this.#refillTimer = undefined;
    this.#fillIn(Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LAST_RETRY_MS));
  }

  #fillIn(ms: number): void {
    if (this.#isClosed || this.#refillTimer !== undefined) return;
    this.#refillTimer = setTimeout(() => {
      this.#refillTimer = undefined;
      this.#fill();
    }, ms).unref();
  }

  #fill(): void {
    while (!this.#isClosed && this.spare() < this.#wanted()) {
      if (!this.#options.hasRoom()) return void this.#fillIn(NO_ROOM_MS);
      const rank = this.spare() < this.#wanted() / 2 ? 'few' : 'ahead';
      this.#queued++;
      this.#inTurn(rank, async () => {
        this.#queued--;
        // Less may be wanted by now, or memory be gone.
        if (this.spare() >= this.#wanted()) return;
        if (this.#options.hasRoom()) await this.#boot();
        else this.#fillIn(NO_ROOM_MS);
      });
    }
  }

  /** After a failure one is tried alone. */
  #wanted(): number {
    const size = this.#options.size();
    return this.#failures > 0 && this.#ready.length === 0 ? Math.min(size, 1) : size;
  }

  #trimLater(): void {
    if (this.#isClosed || this.#trimTimer !== undefined) return;
    this.#trimTimer = setTimeout(() => {
      this.#trimTimer = undefined;
      while (this.#ready.length > this.#options.size()) this.drop();
      if (this.#ready.length > 0) this.#trimLater();
    }, TRIM_MS).unref();
  }

  #end({ held }: Blank): void {
    // A sandbox that can not be destroyed is gone with its engine.
    this.#keep(held.sandbox.destroy().catch(() => {}));
  }
}
