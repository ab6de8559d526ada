/**
 * The pool: which instance serves which call.
 *
 * A call takes a warm instance with room, else starts one within the memory
 * budget (idle instances of other versions make way), else waits in a bounded
 * queue. A version that waits and has no instance comes first, in turn, so one busy
 * function can not starve another. An instance never changes its version.
 */
import { WaferError } from '../core/errors.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import { countLive, findRoom, type Occupied, sumMb } from './memory-budget.ts';

/** What the pool needs of an instance. */
export interface Pooled {
  readonly version: FunctionVersion;
  readonly state: 'starting' | 'idle' | 'busy' | 'ending';
  /** Calls that may still be given to it. */
  readonly free: number;
  readonly lastUsedAt: number;
  readonly ended: Promise<unknown>;
  take(): void;
  give(): void;
  /** Arms a timer that `take` disarms. */
  whenIdleFor(ms: number, then: () => void): void;
  retire(): Promise<void>;
  end(reason: 'idle' | 'evicted' | 'killed'): Promise<void>;
}

export interface PoolOptions<T extends Pooled> {
  memoryBudgetMb: number;
  /** An instance without calls ends after this time. */
  idleMs: number;
  /** Calls that may wait over all versions; more are refused with `overloaded`. */
  maxWaiting: number;
  start: (version: FunctionVersion) => Promise<T>;
  /** Told about a start that failed and that no call waits for. Must not throw. */
  onStartFailed: (version: FunctionVersion, error: unknown) => void;
}

export interface Grant<T extends Pooled> {
  instance: T;
  /** This call started it: boot and init belong to its receipt. */
  started: boolean;
  /** Must be called once, when the call has ended. */
  release(): void;
}

interface Waiter<T extends Pooled> {
  settle: (grant: Grant<T>) => void;
  fail: (error: unknown) => void;
}

interface Lane<T extends Pooled> extends Occupied<T> {
  waiting: Waiter<T>[];
}

export interface Pool<T extends Pooled> {
  /** @throws WaferError `overloaded | shutting_down | sandbox_failed`, or the signal's reason */
  acquire(version: FunctionVersion, signal: AbortSignal): Promise<Grant<T>>;
  /**
   * Starts instances up to the version's `minInstances`, and keeps them: one that ends with or after a call is
   * followed by another. Those of the function's other versions end when idle.
   */
  keepWarm(version: FunctionVersion): void;
  instances(): T[];
  waiting(): number;
  /** Of the budget, for all instances that live or start. */
  usedMb(): number;
  /** Ends idle instances of the function now and busy ones after their calls. */
  retire(functionName: string): Promise<void>;
  /** Refuses new calls, lets running ones finish until the signal aborts, then ends everything. */
  close(signal: AbortSignal): Promise<void>;
}

export function createPool<T extends Pooled>(options: PoolOptions<T>): Pool<T> {
  return new InstancePool(options);
}

const keyOf = (version: FunctionVersion) => `${version.functionName}@${version.number}`;

class InstancePool<T extends Pooled> implements Pool<T> {
  readonly #options: PoolOptions<T>;
  /** In the order in which they were served: the first has waited longest. */
  readonly #lanes = new Map<string, Lane<T>>();
  /** Function -> number of the version whose `minInstances` count. */
  readonly #kept = new Map<string, number>();
  /** Had a call. */
  readonly #served = new WeakSet<T>();
  #waitingCalls = 0;
  #closing = false;

  constructor(options: PoolOptions<T>) {
    this.#options = options;
  }

  async acquire(version: FunctionVersion, signal: AbortSignal): Promise<Grant<T>> {
    if (this.#closing) throw new WaferError('shutting_down', 'The worker is shutting down; try again in a moment.');
    signal.throwIfAborted();
    const lane = this.#lane(version);
    const ready = findReady(lane);
    if (ready !== undefined) return this.#grant(lane, ready, false);
    if (this.#waitingCalls >= this.#options.maxWaiting) {
      this.#forgetIfEmpty(lane);
      throw new WaferError(
        'overloaded',
        `${this.#waitingCalls} calls are waiting for an instance; try again in a moment.`,
      );
    }
    return this.#wait(lane, signal);
  }

  keepWarm(version: FunctionVersion): void {
    const { functionName, number, config } = version;
    if (config.minInstances === 0) return void this.#kept.delete(functionName);
    this.#kept.set(functionName, number);
    this.#startMissing(version);
  }

  instances(): T[] {
    return [...this.#lanes.values()].flatMap((lane) => [...lane.instances]);
  }

  waiting(): number {
    return this.#waitingCalls;
  }

  usedMb(): number {
    return sumMb([...this.#lanes.values()]);
  }

  async retire(functionName: string): Promise<void> {
    this.#kept.delete(functionName);
    const mine = this.instances().filter((one) => one.version.functionName === functionName);
    await Promise.all(mine.map((one) => one.retire()));
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    for (const lane of this.#lanes.values()) {
      for (const waiter of [...lane.waiting])
        waiter.fail(new WaferError('shutting_down', 'The worker is shutting down.'));
    }
    const instances = this.instances();
    const cut = () => instances.forEach((one) => void one.end('killed'));
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    await Promise.all(instances.map((one) => one.retire()));
    signal.removeEventListener('abort', cut);
  }

  #lane(version: FunctionVersion): Lane<T> {
    const key = keyOf(version);
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane<T> = { version, instances: new Set(), starting: 0, waiting: [] };
    this.#lanes.set(key, lane);
    return lane;
  }

  #wait(lane: Lane<T>, signal: AbortSignal): Promise<Grant<T>> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        lane.waiting = lane.waiting.filter((one) => one !== waiter);
        this.#waitingCalls--;
        signal.removeEventListener('abort', onAbort);
        this.#forgetIfEmpty(lane);
      };
      const waiter: Waiter<T> = {
        settle: (grant) => {
          leave();
          resolve(grant);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = () => waiter.fail(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      lane.waiting.push(waiter);
      this.#waitingCalls++;
      this.#pump();
    });
  }

  /** Gives free room to waiting calls and starts what is missing. */
  #pump(): void {
    const lanes = [...this.#lanes.values()];
    for (const lane of lanes) if (isStarved(lane)) this.#serve(lane);
    for (const lane of lanes) this.#serve(lane);
  }

  #serve(lane: Lane<T>): void {
    for (let ready = findReady(lane); ready !== undefined && lane.waiting[0] !== undefined; ready = findReady(lane)) {
      lane.waiting[0].settle(this.#grant(lane, ready, false));
    }
    if (lane.waiting.length > lane.starting * lane.version.config.concurrency && this.#makeRoom(lane, true)) {
      this.#start(lane);
    }
  }

  #wasServed(lane: Lane<T>): void {
    const key = keyOf(lane.version);
    this.#lanes.delete(key);
    this.#lanes.set(key, lane);
  }

  #forgetIfEmpty(lane: Lane<T>): void {
    if (lane.instances.size + lane.starting + lane.waiting.length === 0) this.#lanes.delete(keyOf(lane.version));
  }

  #grant(lane: Lane<T>, instance: T, started: boolean): Grant<T> {
    instance.take();
    this.#served.add(instance);
    this.#wasServed(lane);
    let held = true;
    return {
      instance,
      started,
      release: () => {
        if (!held) return;
        held = false;
        instance.give();
        if (instance.free > 0) this.#armIdle(lane, instance);
        this.#pump();
      },
    };
  }

  #start(lane: Lane<T>): void {
    lane.starting++;
    this.#wasServed(lane);
    this.#options.start(lane.version).then(
      (instance) => {
        lane.starting--;
        this.#adopt(lane, instance);
      },
      (error: unknown) => {
        lane.starting--;
        // One failed start answers one call: each waiting call gets its own attempt and its own reason.
        const first = lane.waiting[0];
        if (first === undefined) this.#options.onStartFailed(lane.version, error);
        else first.fail(error);
        this.#forgetIfEmpty(lane);
        this.#pump();
      },
    );
  }

  #adopt(lane: Lane<T>, instance: T): void {
    lane.instances.add(instance);
    void instance.ended.then(() => {
      lane.instances.delete(instance);
      this.#forgetIfEmpty(lane);
      this.#pump();
      // Not one that ended without a call: what can not live would be started for ever.
      if (this.#served.delete(instance) && !this.#closing) this.#startMissing(lane.version);
    });
    if (this.#closing) return void instance.end('killed');
    const first = lane.waiting[0];
    if (first === undefined) this.#armIdle(lane, instance);
    else first.settle(this.#grant(lane, instance, true));
    this.#pump();
  }

  #armIdle(lane: Lane<T>, instance: T): void {
    instance.whenIdleFor(this.#options.idleMs, () => {
      if (countLive(lane) <= this.#minimum(lane.version)) return this.#armIdle(lane, instance);
      void instance.end('idle');
    });
  }

  #startMissing(version: FunctionVersion): void {
    const lane = this.#lane(version);
    const missing = this.#minimum(version) - countLive(lane) - lane.starting;
    for (let count = 0; count < missing && this.#makeRoom(lane, false); count++) this.#start(lane);
    this.#forgetIfEmpty(lane);
  }

  #minimum({ functionName, number, config }: FunctionVersion): number {
    return this.#kept.get(functionName) === number ? config.minInstances : 0;
  }

  /** True when one more instance of the lane fits the budget; idle ones of other versions are ended for it. */
  #makeRoom(lane: Lane<T>, forCall: boolean): boolean {
    const victims = findRoom(lane, [...this.#lanes.values()], {
      budgetMb: this.#options.memoryBudgetMb,
      minimum: (version) => this.#minimum(version),
      forCall,
    });
    for (const victim of victims ?? []) void victim.end('evicted');
    return victims !== null;
  }
}

const findReady = <T extends Pooled>(lane: Lane<T>): T | undefined => {
  // Newest use first: the least used ones get old and end.
  const ready = [...lane.instances].filter((instance) => instance.free > 0);
  return ready.sort((a, b) => b.lastUsedAt - a.lastUsedAt)[0];
};

/** Has calls, and nothing that will ever serve one. */
const isStarved = <T extends Pooled>(lane: Lane<T>): boolean =>
  lane.waiting.length > 0 && lane.starting + countLive(lane) === 0;
