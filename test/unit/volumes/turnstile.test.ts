import { describe, expect, it } from 'vitest';
import { LightSignal } from '../../../services/core/invocations/light-signal.ts';
import { createTurnstile } from '../../../services/worker/volumes/turnstile.ts';

const LONG = 60_000;

describe('a turnstile', () => {
  it('lets one in at a time, in order of arrival', async () => {
    const turnstile = createTurnstile();
    const order: number[] = [];
    let inside = 0;
    const one = async (number: number) => {
      const leave = await turnstile.enter(new LightSignal(), LONG);
      expect(++inside).toBe(1);
      order.push(number);
      await Promise.resolve();
      inside--;
      leave?.();
      leave?.(); // a second time says nothing
    };
    await Promise.all([1, 2, 3, 4].map(one));
    expect(order).toEqual([1, 2, 3, 4]);
  });

  it('lets who waits leave, by signal or by time, without losing the turn of the others', async () => {
    const turnstile = createTurnstile();
    const leave = await turnstile.enter(new LightSignal(), LONG);
    const signal = new LightSignal();
    const gone = turnstile.enter(signal, LONG);
    const late = turnstile.enter(new LightSignal(), 1);
    const next = turnstile.enter(new LightSignal(), LONG);
    signal.abort(new Error('left'));
    expect(await gone).toBeNull();
    expect(await late).toBeNull();
    leave?.();
    expect(await next).toBeTypeOf('function');
  });

  it('lets nobody in who has left before', async () => {
    const signal = new LightSignal();
    signal.abort(new Error('left'));
    expect(await createTurnstile().enter(signal, LONG)).toBeNull();
  });
});
