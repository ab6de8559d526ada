import { describe, expect, it } from 'vitest';
import { readArguments } from '../../bench/arguments.ts';
import type { Line } from '../../bench/types.ts';

const line = (group: string, name: string): Line => ({ group, name, about: '', measure: async () => [] });
const LINES = [line('calls', 'first'), line('calls', 'python'), line('idle', 'cpu')];
const read = (...argv: string[]) => readArguments(argv, LINES, '/out');
const chosen = (...argv: string[]) => read(...argv).chosen.map(({ name }) => name);

describe('arguments of the bench', () => {
  it('choose lines by their name or their group, in the order of the bench', () => {
    expect(chosen()).toEqual(['first', 'python', 'cpu']);
    expect(chosen('cpu', 'first')).toEqual(['first', 'cpu']);
    expect(chosen('calls')).toEqual(['first', 'python']);
  });

  it('have a whole run write its files, and no other unless it is told where', () => {
    expect(read().out).toBe('/out');
    expect(read('--no-files').out).toBeNull();
    expect(read('--quick').out).toBeNull();
    expect(read('cpu').out).toBeNull();
    expect(read('cpu', '--out', '/here').out).toBe('/here');
  });

  it('that mean nothing are refused with what there is', () => {
    expect(() => read('warm')).toThrow(/no line or group warm; there are calls, first, python, idle, cpu/);
    expect(() => read('--fast')).toThrow(/unknown option --fast: npm run bench/);
    expect(() => read('--out')).toThrow(/--out needs a directory/);
  });
});
