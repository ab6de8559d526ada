import { describe, expect, it } from 'vitest';
import { oneRange } from '../../../services/api/http/range.ts';

describe('a range of bytes', () => {
  it.each([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=2-4', { start: 2, end: 4 }],
    ['bytes=2-', { start: 2, end: 9 }],
    ['bytes=2-99', { start: 2, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-99', { start: 0, end: 9 }],
  ])('%s of ten bytes', (header, wanted) => {
    expect(oneRange(header, 10, true)).toEqual(wanted);
  });

  it.each(['bytes=10-', 'bytes=99-100', 'bytes=-0'])('%s is not there', (header) => {
    expect(oneRange(header, 10, true)).toBe('unsatisfiable');
  });

  it.each([undefined, '', 'bytes=', 'bytes=4-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=a-b', 'bytes=1e3-'])(
    '%s is none: the whole is given',
    (header) => {
      expect(oneRange(header, 10, true)).toBeNull();
    },
  );

  it('is none of a file that was replaced, nor of an empty one', () => {
    expect(oneRange('bytes=0-1', 10, false)).toBeNull();
    expect(oneRange('bytes=-5', 0, true)).toBe('unsatisfiable');
    expect(oneRange('bytes=0-', 0, true)).toBe('unsatisfiable');
  });
});
