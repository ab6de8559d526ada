import { describe, expect, it } from 'vitest';
import type { BuildOutput } from '../../../services/worker/builder/build-sandbox.ts';
import { createSharedWork } from '../../../services/worker/builder/shared-work.ts';

/** Work that ends when the test says so, or when it is cut. */
function handWork() {
  const runs: { output: BuildOutput; signal: AbortSignal; finish: (value: string) => void }[] = [];
  const work = (output: BuildOutput, signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      runs.push({ output, signal, finish: resolve });
    });
  return { runs, work };
}

describe('shared work', () => {
  it('runs once for all who want it, and each sees its output', async () => {
    const { runs, work } = handWork();
    const shared = createSharedWork<string>();
    const lines: string[] = [];
    const ask = (who: string) =>
      shared({
        key: 'k',
        signal: new AbortController().signal,
        onOutput: (_stream, line) => void lines.push(`${who} ${line}`),
        work,
      });
    const all = [ask('a'), ask('b')];
    runs[0]?.output('stdout', 'hello');
    runs[0]?.finish('made');
    expect(await Promise.all(all)).toEqual([
      { value: 'made', isOwn: true },
      { value: 'made', isOwn: false },
    ]);
    expect([runs.length, lines]).toEqual([1, ['a hello', 'b hello']]);
  });

  it('goes on for the second when the first leaves, and is cut when both have left', async () => {
    const { runs, work } = handWork();
    const shared = createSharedWork<string>();
    const callers = [new AbortController(), new AbortController()];
    const [first, second] = callers.map(({ signal }) => shared({ key: 'k', signal, onOutput: () => {}, work }));
    callers[0]?.abort(new Error('first left'));
    await expect(first).rejects.toThrow('first left');
    expect(runs[0]?.signal.aborted).toBe(false);
    callers[1]?.abort(new Error('second left'));
    await expect(second).rejects.toThrow('second left');
    expect(runs[0]?.signal.aborted).toBe(true);
  });

  it('starts anew for who comes while the work of others is being cut, and after a failure', async () => {
    const { runs, work } = handWork();
    const shared = createSharedWork<string>();
    const caller = new AbortController();
    const left = shared({ key: 'k', signal: caller.signal, onOutput: () => {}, work });
    caller.abort(new Error('left'));
    const next = shared({ key: 'k', signal: new AbortController().signal, onOutput: () => {}, work });
    await expect(left).rejects.toThrow('left');
    runs[1]?.finish('made');
    expect(await next).toEqual({ value: 'made', isOwn: true });
  });
});
