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
import type { CallerSignal } from '../core/invocations/light-signal.ts';
import type { StartCause } from '../core/invocations/types.ts';
import { createFixedPolicy, type KeepAlivePolicy } from './keep-alive/policy.ts';
import { createPrewarms, type Prewarms } from './keep-alive/prewarms.ts';
import { createLastEnds } from './last-ends.ts';
import { countLive, findRoom, sumMb } from './memory-budget.ts';
import { bindingOf, findReady, isStarved, type Lane, type Waiter } from './pool-lane.ts';
import type { Grant, Pool, Pooled, PoolOptions } from './pool-types.ts';

export type { Grant, Pool, Pooled, PoolOptions } from './pool-types.ts';

export function createPool<T extends Pooled>(options: PoolOptions<T>): Pool<T> {
  return new InstancePool(options);
}

/** One that is to be followed by another ahead of the next call: for a call that comes at once after all. */
const LINGER_MS = 1_000;

/** Versions. */
const KNOWN_ENDS = 10_000;

const keyOf = (version: FunctionVersion) => `${version.functionName}@${version.number}`;

class InstancePool<T extends Pooled> implements Pool<T> {
  readonly #options: PoolOptions<T>;
  readonly #policy: KeepAlivePolicy;
  readonly #prewarms: Prewarms;
  /** In the order in which they were served: the first has waited longest. */
  readonly #lanes = new Map<string, Lane<T>>();
  /** Function -> number of the version whose `minInstances` count. */
  readonly #kept = new Map<string, number>();
  /** Had a call. */
  readonly #served = new WeakSet<T>();
  readonly #lastEnds = createLastEnds<T>(KNOWN_ENDS);
  #waitingCalls = 0;
  #closing = false;

  constructor(options: PoolOptions<T>) {
    this.#options = options;
    this.#policy = options.keepAlive ?? createFixedPolicy(options.idleMs);
    this.#prewarms = createPrewarms((version, idleSince, keepMs) => this.#prewarm(version, idleSince, keepMs));
  }

  async acquire(version: FunctionVersion, signal: CallerSignal): Promise<Grant<T>> {
    if (this.#closing) throw new WaferError('shutting_down', 'The worker is shutting down; try again in a moment.');
    signal.throwIfAborted();
    const lane = this.#lane(version);
    const ready = findReady(lane);
    this.#prewarms.cancel(version);
    // One that shares a busy instance says nothing about idle times.
    if (ready?.state !== 'busy') this.#policy.onCall(version, Date.now());
    if (ready !== undefined) return this.#grant(lane, ready, null);
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
    this.#prewarms.cancelOthers(version);
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
    this.#prewarms.cancelAll(functionName);
    const mine = this.instances().filter((one) => one.version.functionName === functionName);
    await Promise.all(mine.map((one) => one.retire()));
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    this.#prewarms.cancelAll();
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
    const lane: Lane<T> = { version, instances: new Set(), starting: 0, bound: 0, waiting: [] };
    this.#lanes.set(key, lane);
    return lane;
  }

  #wait(lane: Lane<T>, signal: CallerSignal): Promise<Grant<T>> {
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
    if (this.#waitingCalls === 0) return; // after most calls; there may be a thousand lanes
    const lanes = [...this.#lanes.values()];
    for (const lane of lanes) if (isStarved(lane)) this.#serve(lane);
    for (const lane of lanes) this.#serve(lane);
  }

  #serve(lane: Lane<T>): void {
    for (let ready = findReady(lane); ready !== undefined && lane.waiting[0] !== undefined; ready = findReady(lane)) {
      lane.waiting[0].settle(this.#grant(lane, ready, null));
    }
    if (lane.waiting.length > lane.starting * lane.version.config.concurrency && this.#makeRoom(lane, 'call')) {
      this.#start(lane, { forCall: true });
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

  #grant(lane: Lane<T>, instance: T, cause: StartCause | null): Grant<T> {
    instance.take();
    this.#served.add(instance);
    this.#wasServed(lane);
    let held = true;
    return {
      instance,
      started: cause !== null,
      cause,
      release: () => {
        if (!held) return;
        held = false;
        instance.give();
        this.#pump();
        if (instance.state === 'idle') this.#rest(lane, instance);
      },
    };
  }

  #start(lane: Lane<T>, { forCall }: { forCall: boolean }): void {
    lane.starting++;
    this.#wasServed(lane);
    const startedAt = performance.now();
    const cause = countLive(lane) > 0 ? 'busy' : this.#lastEnds.of(keyOf(lane.version));
    const binding = bindingOf(lane, forCall);
    this.#options.start(lane.version, binding.isWanted).then(
      (instance) => {
        lane.starting--;
        binding.settle();
        if (instance === null) return this.#wentOn(lane);
        this.#policy.onStarted(lane.version, performance.now() - startedAt);
        this.#adopt(lane, instance, cause);
      },
      (error: unknown) => {
        lane.starting--;
        binding.settle();
        // One failed start answers one call: each waiting call gets its own attempt and its own reason.
        const first = lane.waiting[0];
        if (first === undefined) this.#options.onStartFailed(lane.version, error);
        else first.fail(error);
        this.#wentOn(lane);
      },
    );
  }

  /** Without the instance that was starting. */
  #wentOn(lane: Lane<T>): void {
    this.#forgetIfEmpty(lane);
    this.#pump();
  }

  #adopt(lane: Lane<T>, instance: T, cause: StartCause): void {
    lane.instances.add(instance);
    void instance.ended.then(() => {
      lane.instances.delete(instance);
      this.#lastEnds.note(keyOf(lane.version), instance);
      this.#forgetIfEmpty(lane);
      this.#pump();
      // Not one that ended without a call: what can not live would be started for ever.
      if (this.#served.delete(instance) && !this.#closing) this.#startMissing(lane.version);
    });
    if (this.#closing) return void instance.end('killed');
    const first = lane.waiting[0];
    if (first === undefined) this.#endAfter(lane, instance, lane.keepMs ?? this.#options.idleMs);
    else first.settle(this.#grant(lane, instance, cause));
    this.#pump();
  }

  /** Its last call has ended, and no other waits for it. */
  #rest(lane: Lane<T>, instance: T): void {
    const now = Date.now();
    const { keepMs, prewarmAfterMs } = this.#policy.onIdle(lane.version, now);
    this.#endAfter(lane, instance, prewarmAfterMs === null ? keepMs : LINGER_MS);
    if (prewarmAfterMs !== null) this.#prewarms.plan(lane.version, now, { prewarmAfterMs, keepMs });
  }

  #endAfter(lane: Lane<T>, instance: T, ms: number): void {
    instance.whenIdleFor(ms, () => {
      if (countLive(lane) <= this.#minimum(lane.version)) this.#endAfter(lane, instance, Math.max(ms, LINGER_MS));
      else this.#endFor('idle', instance);
    });
  }

  /** Ahead of a call that is likely to come. */
  #prewarm(version: FunctionVersion, idleSince: number, keepMs: number): void {
    const lane = this.#lane(version);
    lane.keepMs = keepMs;
    const worth = this.#policy.value(version, idleSince, Date.now());
    if (countLive(lane) + lane.starting === 0 && this.#makeRoom(lane, worth)) this.#start(lane, { forCall: false });
    this.#forgetIfEmpty(lane);
  }

  #startMissing(version: FunctionVersion): void {
    const lane = this.#lane(version);
    const missing = this.#minimum(version) - countLive(lane) - lane.starting;
    for (let count = 0; count < missing && this.#makeRoom(lane, Number.POSITIVE_INFINITY); count++)
      this.#start(lane, { forCall: false });
    this.#forgetIfEmpty(lane);
  }

  #minimum({ functionName, number, config }: FunctionVersion): number {
    return this.#kept.get(functionName) === number ? config.minInstances : 0;
  }

  /** True when one more instance of the lane fits the budget; idle ones of other versions of less worth are ended for it. */
  #makeRoom(lane: Lane<T>, worth: number | 'call'): boolean {
    const now = Date.now();
    const victims = findRoom(lane, [...this.#lanes.values()], {
      budgetMb: this.#options.memoryBudgetMb,
      minimum: (version) => this.#minimum(version),
      value: ({ version, lastUsedAt }) => this.#policy.value(version, lastUsedAt, now),
      worth,
    });
    for (const victim of victims ?? []) this.#endFor('evicted', victim);
    return victims !== null;
  }

  #endFor(cause: 'idle' | 'evicted', instance: T): void {
    this.#lastEnds.because(instance, cause);
    void instance.end(cause);
  }
}
