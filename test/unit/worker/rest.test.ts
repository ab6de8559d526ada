import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRest, FREEZE_AFTER_MS } from '../../../services/worker/instances/rest.ts';

/** What the engine is asked, in order. */
function lab(answers: { freeze?: () => Promise<void>; thaw?: () => Promise<void> } = {}) {
  const asked: string[] = [];
  const ask = (what: 'freeze' | 'thaw') => () => {
    asked.push(what);
    return answers[what]?.() ?? Promise.resolve();
  };
  const onStuck = vi.fn();
  const over = vi.fn();
  return { asked, onStuck, over, rest: createRest({ sandbox: { freeze: ask('freeze'), thaw: ask('thaw') }, onStuck }) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the rest of an instance', () => {
  it('freezes it after a while, and is over after its time', async () => {
    const { rest, asked, over } = lab();
    rest.begin(60_000, over);
    await vi.advanceTimersByTimeAsync(FREEZE_AFTER_MS - 1);
    expect(asked).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual(['freeze']);
    expect(over).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(over).toHaveBeenCalledOnce();
    expect(asked).toEqual(['freeze']);
  });

  it('thaws what is frozen before a call, once', async () => {
    const { rest, asked, over } = lab();
    rest.begin(60_000, over);
    await vi.advanceTimersByTimeAsync(FREEZE_AFTER_MS);
    rest.end();
    rest.end();
    expect(asked).toEqual(['freeze', 'thaw']);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(over).not.toHaveBeenCalled();
  });

  it('asks for nothing when a call comes before', async () => {
    const { rest, asked, over } = lab();
    for (let call = 0; call < 5; call++) {
      rest.begin(60_000, over);
      await vi.advanceTimersByTimeAsync(FREEZE_AFTER_MS - 1);
      rest.end();
    }
    await vi.advanceTimersByTimeAsync(120_000);
    expect(asked).toEqual([]);
  });

  it('thaws in the turn of the call, also when the freeze has not been answered', async () => {
    let refuse: (error: Error) => void = () => {};
    const { rest, asked, over, onStuck } = lab({ freeze: () => new Promise((_, reject) => (refuse = reject)) });
    rest.begin(60_000, over);
    await vi.advanceTimersByTimeAsync(FREEZE_AFTER_MS);
    rest.end();
    expect(asked).toEqual(['freeze', 'thaw']);
    refuse(new Error('the sandbox is thawed'));
    await vi.advanceTimersByTimeAsync(0);
    expect(onStuck).not.toHaveBeenCalled();
  });

  it('tells when the instance can not be thawed', async () => {
    const { rest, over, onStuck } = lab({ thaw: () => Promise.reject(new Error('no')) });
    rest.begin(60_000, over);
    await vi.advanceTimersByTimeAsync(FREEZE_AFTER_MS);
    rest.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(onStuck).toHaveBeenCalledOnce();
  });

  it('does not freeze again what is frozen when its time is set anew', async () => {
    const { rest, asked, over } = lab();
    for (let time = 0; time < 3; time++) {
      rest.begin(60_000, over);
      await vi.advanceTimersByTimeAsync(FREEZE_AFTER_MS * 2);
    }
    expect(asked).toEqual(['freeze']);
  });
});
