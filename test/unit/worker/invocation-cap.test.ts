import { expect, test } from 'vitest';
import type { LogLine } from '../../../services/core/invocations/types.ts';
import { capInvocations } from '../../../services/worker/output/invocation-cap.ts';

const KIB = 1024;

function open(maxBytes: number) {
  const kept: LogLine[] = [];
  const sink = capInvocations({ write: (line) => void kept.push(line) }, maxBytes);
  const print = (invocationId: string | undefined, bytes: number, more: Partial<LogLine> = {}) =>
    sink.write({
      time: 1,
      functionName: 'f',
      version: 1,
      instanceId: 'i',
      ...(invocationId === undefined ? {} : { invocationId }),
      stream: 'stdout',
      text: 'x'.repeat(bytes),
      ...more,
    });
  return { kept, print };
}

test('an invocation that prints more than its share leaves one mark, and others go on', () => {
  const { kept, print } = open(10 * KIB);
  for (let line = 0; line < 100; line++) print('inv_1', KIB);
  print('inv_2', KIB);
  expect(kept.map(({ invocationId, stream }) => `${invocationId} ${stream}`)).toEqual([
    ...new Array(9).fill('inv_1 stdout'),
    'inv_1 platform',
    'inv_2 stdout',
  ]);
  expect(kept[9]?.text).toContain('more than 10 KiB');
});

test('many short lines count too', () => {
  const { kept, print } = open(10 * KIB);
  for (let line = 0; line < 10_000; line++) print('inv_1', 0);
  expect(kept.length).toBeLessThan(200);
});

test('lines of no invocation, and what the platform says, are not counted', () => {
  const { kept, print } = open(KIB);
  for (let line = 0; line < 10; line++) print(undefined, KIB);
  for (let line = 0; line < 10; line++) print('inv_1', KIB, { stream: 'platform' });
  expect(kept).toHaveLength(20);
});

test('what is known of invocations is bounded', () => {
  const { kept, print } = open(KIB);
  print('inv_first', 2 * KIB);
  for (let other = 0; other < 10_000; other++) print(`inv_${other}`, 1);
  print('inv_first', 1);
  expect(kept.at(-1)).toMatchObject({ invocationId: 'inv_first', stream: 'stdout' });
});
