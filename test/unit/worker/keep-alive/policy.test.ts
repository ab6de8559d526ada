import { describe, expect, it } from 'vitest';
import {
  createFixedPolicy,
  createLearnedPolicy,
  type KeepAlivePolicy,
} from '../../../../services/worker/keep-alive/policy.ts';
import { createRandom } from '../../../bench/random.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const version = (functionName = 'f', number = 1, memoryMb = 100) => ({ functionName, number, config: { memoryMb } });
const learned = (capacity?: number) =>
  createLearnedPolicy({ standardMs: MINUTE, ...(capacity === undefined ? {} : { capacity }) });
const STANDARD = { keepMs: MINUTE, prewarmAfterMs: null };

/** Calls that take no time, after these pauses; what the policy says after the last one. */
function replay(policy: KeepAlivePolicy, pauses: readonly number[], one = version(), from = 0) {
  let now = from;
  const call = () => {
    policy.onCall(one, now);
    return policy.onIdle(one, now);
  };
  let windows = call();
  for (const pause of pauses) {
    now += pause;
    windows = call();
  }
  return { windows, now };
}
const times = <T>(count: number, value: (at: number) => T) => Array.from({ length: count }, (_, at) => value(at));

describe('learned keep-alive', () => {
  it('keeps a version that it knows nothing of for the standard time', () => {
    expect(replay(learned(), []).windows).toEqual(STANDARD);
    expect(replay(learned(), [HOUR]).windows).toEqual(STANDARD);
  });

  it.each([5, 10, 15, 60, 180])('starts an instance ahead of a call that comes every %i minutes', (minutes) => {
    const period = minutes * MINUTE;
    const { keepMs, prewarmAfterMs } = replay(
      learned(),
      times(10, (at) => period + (at % 3) * SECOND),
    ).windows;
    expect(prewarmAfterMs).toBeGreaterThan(period * 0.9);
    expect(prewarmAfterMs).toBeLessThanOrEqual(period);
    expect((prewarmAfterMs ?? 0) + keepMs).toBeGreaterThan(period + 2 * SECOND);
    expect(keepMs).toBeLessThan(period * 0.2);
  });

  it('keeps the instance of a version that is called every few seconds', () => {
    const { windows } = replay(
      learned(),
      times(50, (at) => (2 + (at % 5)) * SECOND),
    );
    expect(windows.prewarmAfterMs).toBeNull();
    expect(windows.keepMs).toBeGreaterThanOrEqual(MINUTE);
    expect(windows.keepMs).toBeLessThan(2 * MINUTE);
  });

  it('keeps the instance of a version whose calls come in bursts until the burst is over, and no longer', () => {
    const random = createRandom(1);
    const burst = () => [
      ...times(9, () => 3 * SECOND + random.exponential(SECOND)),
      HOUR + random.exponential(5 * HOUR),
    ];
    const { windows } = replay(learned(), times(20, burst).flat());
    expect(windows.prewarmAfterMs).toBeNull();
    expect(windows.keepMs).toBeGreaterThan(3 * SECOND);
    expect(windows.keepMs).toBeLessThan(30 * SECOND);
  });

  it('keeps a version whose calls are too spread for a window for the standard time', () => {
    const random = createRandom(2);
    expect(
      replay(
        learned(),
        times(60, () => 20 * MINUTE + random.uniform() * 4 * HOUR),
      ).windows,
    ).toEqual(STANDARD);
  });

  it('keeps a version whose pauses are out of bounds for the standard time', () => {
    expect(
      replay(
        learned(),
        times(20, () => 24 * HOUR),
      ).windows,
    ).toEqual(STANDARD);
    expect(
      replay(
        learned(),
        times(20, (at) => (at % 3 === 0 ? 5 * SECOND : 24 * HOUR)),
      ).windows,
    ).toEqual(STANDARD);
  });

  it('follows a version that changes its ways', () => {
    const policy = learned();
    const { now } = replay(
      policy,
      times(50, () => HOUR),
    );
    const { windows } = replay(
      policy,
      times(100, () => 10 * MINUTE),
      version(),
      now + HOUR,
    );
    expect(windows.prewarmAfterMs).toBeLessThanOrEqual(10 * MINUTE);
  });

  it('learns how long the second instance of a version waits for its next call', () => {
    const policy = learned();
    // Every second a call, every fifth minute two at once.
    for (let second = 0; second < 3_600; second++) {
      const now = second * SECOND;
      const calls = second % 300 === 0 ? 2 : 1;
      for (let call = 0; call < calls; call++) policy.onCall(version(), now);
      for (let call = 0; call < calls; call++) policy.onIdle(version(), now + 100);
    }
    expect(policy.onIdle(version(), HOUR).keepMs).toBeGreaterThan(5 * MINUTE);
  });

  it('does not count a call that found no idle instance', () => {
    const policy = learned();
    for (let call = 0; call < 20; call++) policy.onCall(version(), call * HOUR);
    expect(policy.onIdle(version(), 20 * HOUR)).toEqual(STANDARD);
  });

  it('goes on with what it knows of the version before', () => {
    const policy = learned();
    const { windows, now } = replay(
      policy,
      times(10, () => HOUR),
    );
    policy.onCall(version('f', 2), now + HOUR);
    expect(policy.onIdle(version('f', 2), now + HOUR)).toEqual(windows);
    expect(policy.onIdle(version('g', 2), now)).toEqual(STANDARD);
  });

  it('takes a clock that goes backwards for a pause of nothing', () => {
    const policy = learned();
    policy.onIdle(version(), HOUR);
    policy.onCall(version(), 0);
    expect(policy.onIdle(version(), 0)).toEqual(STANDARD);
  });

  it('forgets the version that was not called for longest when it knows too many', () => {
    const policy = learned(100);
    const { windows } = replay(
      policy,
      times(10, () => HOUR),
      version('old'),
    );
    replay(
      policy,
      times(10, () => HOUR),
      version('used'),
    );
    for (let other = 0; other < 98; other++) policy.onIdle(version(`f${other}`), 0);
    expect(policy.onIdle(version('used'), 0)).toEqual(windows);
    policy.onIdle(version('one more'), 0);
    expect(policy.onIdle(version('used'), 0)).toEqual(windows);
    expect(policy.onIdle(version('old'), 0)).toEqual(STANDARD);
  });
});

describe('the value of an idle instance', () => {
  it('is higher when a call is due soon', () => {
    const policy = learned();
    const { now } = replay(
      policy,
      times(20, () => 10 * MINUTE),
      version('due'),
    );
    replay(
      policy,
      times(20, () => 3 * HOUR),
      version('later'),
    );
    const at = now + 9.5 * MINUTE;
    expect(policy.value(version('due'), now, at)).toBeGreaterThan(policy.value(version('later'), now, at));
    expect(policy.value(version('due'), now, at)).toBeGreaterThan(policy.value(version('due'), now, now + MINUTE));
  });

  it('falls with the time without a call when nothing is known', () => {
    const policy = learned();
    const value = (idleMs: number) => policy.value(version(), 0, idleMs);
    expect(value(SECOND)).toBeGreaterThan(value(MINUTE));
    expect(value(MINUTE)).toBeGreaterThan(value(HOUR));
    expect(value(HOUR)).toBeGreaterThan(0);
  });

  it('is higher for less memory, and for a start that takes longer', () => {
    const policy = learned();
    expect(policy.value(version('f', 1, 64), 0, MINUTE)).toBe(4 * policy.value(version('f', 1, 256), 0, MINUTE));
    for (let start = 0; start < 10; start++) {
      policy.onStarted(version('slow'), 500);
      policy.onStarted(version('fast'), 2);
    }
    expect(policy.value(version('slow'), 0, MINUTE)).toBeCloseTo(250 * policy.value(version('fast'), 0, MINUTE), 6);
  });
});

describe('fixed keep-alive', () => {
  it('keeps all for the same time, and lets the least recently used go first', () => {
    const policy = createFixedPolicy(5_000);
    expect(
      replay(
        policy,
        times(10, () => HOUR),
      ).windows,
    ).toEqual({ keepMs: 5_000, prewarmAfterMs: null });
    expect(policy.value(version('a'), 10, 100)).toBeLessThan(policy.value(version('b'), 20, 100));
  });
});
