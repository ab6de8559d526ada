/** A pool of instances without sandboxes: its rules need no more. */
import type { FunctionVersion } from '../../services/core/functions/types.ts';
import { createPool, type Pooled, type PoolOptions } from '../../services/worker/pool/pool.ts';

export class Slot implements Pooled {
  readonly version: FunctionVersion;
  readonly ended: Promise<unknown>;
  lastUsedAt = 0;
  endedBy: string | undefined;
  inFlight = 0;
  isFollowed = false;
  isOutdated = false;
  /** What is left of it after its end goes when it is told. */
  lingers = false;
  idle: (() => void) | undefined;
  #end: (value?: unknown) => void = () => {};
  constructor(version: FunctionVersion) {
    this.version = version;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }
  get state() {
    return this.endedBy !== undefined ? 'ending' : this.inFlight > 0 ? 'busy' : 'idle';
  }
  get free() {
    return this.endedBy === undefined ? this.version.config.concurrency - this.inFlight : 0;
  }
  take() {
    this.inFlight++;
    this.idle = undefined;
  }
  give() {
    this.inFlight--;
  }
  whenIdleFor(_ms: number, then: () => void) {
    if (this.inFlight === 0) this.idle = then;
  }
  async retire() {
    await this.end('killed');
  }
  async end(reason: string) {
    this.endedBy ??= reason;
    if (!this.lingers) this.#end();
    await this.ended;
  }
  /** One that lingers: nothing is left of it. */
  go() {
    this.#end();
  }
}

export const version = (functionName: string, config: object = {}, number = 1) =>
  ({ functionName, number, config: { concurrency: 1, memoryMb: 100, minInstances: 0, ...config } }) as FunctionVersion;
export const never = new AbortController().signal;
export const turn = () => new Promise((resolve) => setImmediate(resolve));

export function pool(
  options: Partial<Pick<PoolOptions<Slot>, 'memoryBudgetMb' | 'maxWaiting' | 'start' | 'ceilings'>> = {},
) {
  const made: Slot[] = [];
  const start = async (one: FunctionVersion) => {
    const slot = new Slot(one);
    made.push(slot);
    return slot;
  };
  const failed: unknown[] = [];
  const onStartFailed = (_version: FunctionVersion, error: unknown) => void failed.push(error);
  const defaults = { memoryBudgetMb: 1000, maxWaiting: 10, idleMs: 1000, start, onStartFailed };
  return { made, failed, pool: createPool<Slot>({ ...defaults, ...options }) };
}
