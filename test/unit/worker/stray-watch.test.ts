import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createStrayWatch } from '../../../services/worker/instances/stray-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(processes: number | null) {
  const state = { processes, looks: 0, strays: [] as number[] };
  const watch = createStrayWatch({
    count: async () => {
      state.looks++;
      return state.processes;
    },
    onStrays: (count) => state.strays.push(count),
  });
  return { watch, state };
}

describe('stray watch', () => {
  it('looks a moment after the last call and tells how many processes are too many', async () => {
    const { watch, state } = open(4);
    watch.busy();
    watch.idle();
    expect(state.looks).toBe(0);
    await vi.advanceTimersByTimeAsync(100);
    expect(state).toMatchObject({ looks: 1, strays: [2] });
  });
  it('tells nothing of pid 1 and the runtime, nor when the count is not known', async () => {
    for (const processes of [2, 1, null]) {
      const { watch, state } = open(processes);
      watch.idle();
      await vi.advanceTimersByTimeAsync(1000);
      expect(state.strays).toEqual([]);
    }
  });
  it('does not take the processes of a running call for strays', async () => {
    const { watch, state } = open(3);
    watch.idle();
    watch.busy();
    await vi.advanceTimersByTimeAsync(1000);
    expect(state.looks).toBe(0);
    watch.idle();
    const looking = watch.look();
    watch.busy(); // the next call begins before the answer is there
    await looking;
    expect(state.strays).toEqual([]);
  });
  it('is overdue on an instance that was never seen without calls for a second', async () => {
    const { watch, state } = open(2);
    for (let call = 0; call < 25; call++) {
      watch.busy();
      await vi.advanceTimersByTimeAsync(50);
      watch.idle();
    }
    expect(state.looks).toBe(0);
    expect(watch.overdue()).toBe(true);
    await watch.look();
    expect(watch.overdue()).toBe(false);
  });
  it('tells once, and nothing after stop', async () => {
    const { watch, state } = open(9);
    await watch.look();
    await watch.look();
    expect(state.strays).toEqual([7]);
    const stopped = open(9);
    stopped.watch.idle();
    stopped.watch.stop();
    await vi.advanceTimersByTimeAsync(1000);
    expect(stopped.state.strays).toEqual([]);
  });
});
