import { describe, expect, test } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { type BatcherOptions, createBatcher } from '../../../services/core/invocations/batcher.ts';
import { cutText } from '../../../services/core/invocations/cut-text.ts';

function collector(options: Partial<BatcherOptions<number>> = {}) {
  const seen = { batches: [] as number[][], dropped: [] as number[], errors: 0, empty: 0 };
  const batcher = createBatcher<number>({
    flushMs: 1,
    maxBatchItems: 100,
    maxBatchBytes: 1000,
    maxPendingItems: 10,
    maxPendingBytes: 1000,
    sizeOf: (size) => size,
    write: async (batch) => void seen.batches.push(batch),
    onDrop: (items) => void seen.dropped.push(...items),
    onError: () => void seen.errors++,
    onEmpty: () => void seen.empty++,
    ...options,
  });
  return { batcher, seen };
}

const away = () => new WaferError('store_unavailable', 'away');

describe('createBatcher()', () => {
  test('what is added together is written together, in order', async () => {
    const { batcher, seen } = collector();
    for (const item of [1, 2, 3]) batcher.add(item);
    await batcher.flush();
    expect(seen.batches).toEqual([[1, 2, 3]]);
  });

  test('writes by itself, without flush()', async () => {
    const written = await new Promise<number[]>((resolve) => {
      collector({ write: async (batch) => resolve(batch) }).batcher.add(7);
    });
    expect(written).toEqual([7]);
  });

  test('a batch holds no more items and bytes than allowed, but always one', async () => {
    const { batcher, seen } = collector({ maxBatchItems: 2, maxBatchBytes: 50 });
    for (const item of [1, 2, 3, 49, 60, 1]) batcher.add(item);
    await batcher.flush();
    expect(seen.batches).toEqual([[1, 2], [3], [49], [60], [1]]);
  });

  test('holds no more than its limits and tells what it dropped', async () => {
    const { batcher, seen } = collector({ maxPendingBytes: 20 });
    for (const item of [5, 5, 5, 6, 5]) batcher.add(item);
    expect(batcher.pending()).toBe(4);
    expect(seen.dropped).toEqual([6]);
  });

  test('while the store is away nothing is lost, flush() gives up, and one error is told', async () => {
    let isAway = true;
    const written: number[] = [];
    const write = async (batch: number[]) => {
      if (isAway) throw away();
      written.push(...batch);
    };
    const { batcher, seen } = collector({ write });
    batcher.add(1);
    await batcher.flush();
    batcher.add(2);
    await batcher.flush();
    expect(seen.errors).toBe(1);
    isAway = false;
    await batcher.flush();
    expect(written).toEqual([1, 2]);
    expect(seen.dropped).toEqual([]);
  });

  test('a batch that fails for itself is dropped and the next one goes', async () => {
    const written: number[] = [];
    const write = async (batch: number[]) => {
      if (batch.includes(13)) throw new Error('poison');
      written.push(...batch);
    };
    const { batcher, seen } = collector({ write, maxBatchItems: 1 });
    for (const item of [1, 13, 2]) batcher.add(item);
    await batcher.flush();
    expect(written).toEqual([1, 2]);
    expect(seen.dropped).toEqual([13]);
  });

  test('flush() waits for what was added before it, also while a batch is on its way', async () => {
    const written: number[] = [];
    const write = async (batch: number[]) => {
      await new Promise((resolve) => setImmediate(resolve));
      written.push(...batch);
    };
    const { batcher } = collector({ write, maxBatchItems: 1 });
    batcher.add(1);
    const first = batcher.flush();
    batcher.add(2);
    await batcher.flush();
    expect(written).toEqual([1, 2]);
    await first;
  });
});

describe('cutText()', () => {
  test('leaves text alone that fits', () => {
    expect(cutText('grüße', 7)).toBe('grüße');
  });

  test('cuts between characters and says how much is missing', () => {
    expect(cutText('aé€😀b', 10)).toBe('aé€😀… (1 bytes cut)');
    expect(cutText('aé€😀b', 9)).toBe('aé€… (5 bytes cut)');
    expect(cutText('aé€😀b', 5)).toBe('aé… (8 bytes cut)');
  });
});
