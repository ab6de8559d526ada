/**
 * The pool: which instance serves which call.
 *
 * A call takes a warm instance with room, else starts one below all ceilings, the memory
 * budget among them (idle instances of other versions make way), else waits in a bounded
 * queue. A version that waits and has no instance comes first, in turn, so one busy
 * function can not starve another. An instance never changes its version.
 */
import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { CallerSignal } from '../../core/invocations/light-signal.ts';
import type { StartCause } from '../../core/invocations/types.ts';
import { createFixedPolicy, type KeepAlivePolicy } from '../keep-alive/policy.ts';
import { createPrewarms, type Prewarms } from '../keep-alive/prewarms.ts';
import { createKeptVersions } from './kept-versions.ts';
import { bindingOf, findReady, isStarved, joinLane, type Lane } from './lane.ts';
import { createLanes, keyOf } from './lanes.ts';
import { createLastEnds } from './last-ends.ts';
import { countLive, sumOf } from './room.ts';
import { createRoomMaker, memoryOf, type RoomMaker } from './room-maker.ts';
import type { Grant, Pool, Pooled, PoolOptions } from './types.ts';

export type { Grant, Pool, Pooled, PoolOptions } from './types.ts';

export function createPool<T extends Pooled>(options: PoolOptions<T>): Pool<T> {
  return new InstancePool(options);
}

/** One that is to be followed by another ahead of the next call: for a call that comes at once after all. */
const LINGER_MS = 1_000;

/** Versions. */
const KNOWN_ENDS = 10_000;

class InstancePool<T extends Pooled> implements Pool<T> {
  readonly #options: PoolOptions<T>;
  readonly #room: RoomMaker<T>;
  readonly #policy: KeepAlivePolicy;
  readonly #prewarms: Prewarms;
  readonly #lanes = createLanes<T>();
  readonly #kept = createKeptVersions();
  /** Had a call. */
  readonly #served = new WeakSet<T>();
  readonly #lastEnds = createLastEnds<T>(KNOWN_ENDS);
  #waitingCalls = 0;
  #closing = false;

  constructor(options: PoolOptions<T>) {
    this.#options = options;
    this.#room = createRoomMaker(options, {
      lanes: this.#lanes,
      minimum: (version) => this.#kept.minimum(version),
      value: ({ version, lastUsedAt }, now) => this.#policy.value(version, lastUsedAt, now),
      evict: (one) => this.#endFor('evicted', one),
    });
    this.#policy = options.keepAlive ?? createFixedPolicy(options.idleMs);
    this.#prewarms = createPrewarms((version, idleSince, keepMs) => this.#prewarm(version, idleSince, keepMs));
  }

  async acquire(version: FunctionVersion, signal: CallerSignal): Promise<Grant<T>> {
    if (this.#closing) throw new WaferError('shutting_down', 'The worker is shutting down; try again in a moment.');
    signal.throwIfAborted();
    const lane = this.#lanes.of(version);
    lane.isRetired = false;
    const ready = findReady(lane);
    this.#prewarms.cancel(version);
    // One that shares a busy instance says nothing about idle times.
    if (ready?.state !== 'busy') this.#policy.onCall(version, Date.now());
    if (ready !== undefined) return this.#grant(lane, ready, null);
    const refusal =
      this.#waitingCalls >= this.#options.maxWaiting ? tooMany(this.#waitingCalls) : this.#room.never(lane);
    if (refusal === null) return this.#wait(lane, signal);
    this.#lanes.forgetIfEmpty(lane);
    throw refusal;
  }

  async keepWarm(version: FunctionVersion): Promise<boolean> {
    this.#prewarms.cancelOthers(version);
    this.#kept.keep(version);
    this.#lanes.of(version).isRetired = false;
    await this.#startMissing(version);
    return this.#kept.settle(version);
  }

  async replace(version: FunctionVersion): Promise<void> {
    const { functionName, number } = version;
    if (!(await this.keepWarm(version))) return;
    const others = this.#lanes.retire((one) => one.functionName === functionName && one.number !== number);
    await Promise.all(others.filter(({ state }) => state === 'idle').map((one) => one.retire()));
    // There was no room for all beside those.
    await this.#startMissing(version);
  }

  instances(): T[] {
    return this.#lanes.instances();
  }

  waiting(): number {
    return this.#waitingCalls;
  }

  usedMb(): number {
    return this.sumOf(memoryOf);
  }

  sumOf(amountOf: (version: FunctionVersion) => number): number {
    return sumOf(this.#lanes.all(), amountOf);
  }

  async retire(functionName: string): Promise<void> {
    this.#kept.forget(functionName);
    this.#prewarms.cancelAll(functionName);
    const mine = this.#lanes.retire((one) => one.functionName === functionName);
    await Promise.all(mine.map((one) => one.retire()));
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    this.#prewarms.cancelAll();
    for (const lane of this.#lanes.all()) {
      for (const waiter of [...lane.waiting])
        waiter.fail(new WaferError('shutting_down', 'The worker is shutting down.'));
    }
    const instances = this.#lanes.instances();
    const cut = () => instances.forEach((one) => void one.end('killed'));
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    await Promise.all(instances.map((one) => one.retire()));
    signal.removeEventListener('abort', cut);
  }

  #wait(lane: Lane<T>, signal: CallerSignal): Promise<Grant<T>> {
    const onLeave = () => {
      this.#waitingCalls--;
      this.#lanes.forgetIfEmpty(lane);
    };
    const granted = joinLane(lane, signal, onLeave, this.#room.patienceOf(lane));
    this.#waitingCalls++;
    this.#pump();
    return granted;
  }

  /** Gives free room to waiting calls and starts what is missing. */
  #pump(): void {
    if (this.#waitingCalls === 0) return; // after most calls; there may be a thousand lanes
    const lanes = this.#lanes.all();
    for (const lane of lanes) if (isStarved(lane)) this.#serve(lane);
    for (const lane of lanes) this.#serve(lane);
  }

  #serve(lane: Lane<T>): void {
    for (let ready = findReady(lane); ready !== undefined && lane.waiting[0] !== undefined; ready = findReady(lane)) {
      lane.waiting[0].settle(this.#grant(lane, ready, null));
    }
    if (lane.waiting.length > lane.starting * lane.version.config.concurrency && this.#room.make(lane, 'call')) {
      void this.#start(lane, { forCall: true });
    }
  }

  #grant(lane: Lane<T>, instance: T, cause: StartCause | null): Grant<T> {
    instance.take();
    this.#served.add(instance);
    this.#lanes.wasServed(lane);
    let held = true;
    return {
      instance,
      started: cause !== null,
      cause,
      release: () => {
        if (!held) return;
        held = false;
        const { isFollowed } = instance;
        instance.give();
        this.#pump();
        if (instance.state === 'idle') this.#rest(lane, instance);
        else if (isFollowed) this.#follow(lane.version);
      },
    };
  }

  /** Resolves when it is there, or will not be. */
  #start(lane: Lane<T>, { forCall }: { forCall: boolean }): Promise<void> {
    lane.starting++;
    this.#lanes.wasServed(lane);
    const startedAt = performance.now();
    const cause = countLive(lane) > 0 ? 'busy' : this.#lastEnds.of(keyOf(lane.version));
    const binding = bindingOf(lane, forCall);
    return this.#options.start(lane.version, binding.isWanted).then(
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
    this.#lanes.forgetIfEmpty(lane);
    this.#pump();
  }

  #adopt(lane: Lane<T>, instance: T, cause: StartCause): void {
    lane.instances.add(instance);
    void instance.ended.then(() => {
      lane.instances.delete(instance);
      this.#lastEnds.note(keyOf(lane.version), instance);
      this.#lanes.forgetIfEmpty(lane);
      this.#pump();
      // Not one that ended without a call: what can not live would be started for ever.
      if ((this.#served.delete(instance) || instance.isOutdated) && !this.#closing)
        void this.#startMissing(lane.version);
    });
    if (this.#closing) return void instance.end('killed');
    if (instance.state === 'ending') {
      // Outdated before it was here.
      this.#pump();
      return;
    }
    const first = lane.waiting[0];
    if (first === undefined && lane.isRetired) void instance.retire();
    else if (first === undefined) this.#endAfter(lane, instance, lane.keepMs ?? this.#options.idleMs);
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

  /** Its call ended with it: another is kept as long as it would have been. */
  #follow(version: FunctionVersion): void {
    const now = Date.now();
    const { keepMs, prewarmAfterMs } = this.#policy.onIdle(version, now);
    if (prewarmAfterMs !== null) return void this.#prewarms.plan(version, now, { prewarmAfterMs, keepMs });
    const lane = this.#lanes.of(version);
    lane.keepMs = keepMs;
    if (!this.#closing && this.#room.make(lane, this.#policy.value(version, now, now)))
      void this.#start(lane, { forCall: false });
    this.#lanes.forgetIfEmpty(lane);
  }

  #endAfter(lane: Lane<T>, instance: T, ms: number): void {
    instance.whenIdleFor(ms, () => {
      if (countLive(lane) <= this.#kept.minimum(lane.version)) this.#endAfter(lane, instance, Math.max(ms, LINGER_MS));
      else this.#endFor('idle', instance);
    });
  }

  /** Ahead of a call that is likely to come. */
  #prewarm(version: FunctionVersion, idleSince: number, keepMs: number): void {
    const lane = this.#lanes.of(version);
    lane.keepMs = keepMs;
    const worth = this.#policy.value(version, idleSince, Date.now());
    if (countLive(lane) + lane.starting === 0 && this.#room.make(lane, worth))
      void this.#start(lane, { forCall: false });
    this.#lanes.forgetIfEmpty(lane);
  }

  /** Resolves when those that were started are there. */
  async #startMissing(version: FunctionVersion): Promise<void> {
    const lane = this.#lanes.of(version);
    const missing = this.#kept.minimum(version) - countLive(lane) - lane.starting;
    const starts: Promise<void>[] = [];
    while (starts.length < missing && this.#room.make(lane, Number.POSITIVE_INFINITY))
      starts.push(this.#start(lane, { forCall: false }));
    this.#lanes.forgetIfEmpty(lane);
    const leaving = starts.length < missing ? this.#room.leaving() : null;
    await Promise.all([...starts, leaving?.then(() => (this.#closing ? undefined : this.#startMissing(version)))]);
  }

  #endFor(cause: 'idle' | 'evicted', instance: T): void {
    this.#lastEnds.because(instance, cause);
    void instance.end(cause);
  }
}

const tooMany = (count: number) =>
  new WaferError('overloaded', `${count} calls are waiting for an instance; try again in a moment.`);
