import { describe, expect, it } from 'vitest';
import { applyDefaults } from '../../../services/core/functions/defaults.ts';
import { validateConfig } from '../../../services/core/functions/validate.ts';

const facts = { files: ['index.mjs'], defaultBase: () => 'node24' };
const configOf = (volumes: unknown, more: object = {}) =>
  applyDefaults(validateConfig({ runtime: 'node', volumes, ...more }), facts);
const problemOf = (volumes: unknown, more: object = {}): string => {
  try {
    configOf(volumes, more);
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
};
const DATA = { volume: 'reports', path: '/data' };

describe('"volumes" of wafer.json', () => {
  it('has mode rw where none is said, and is absent where there is none', () => {
    expect(configOf([DATA])).toMatchObject({ volumes: [{ ...DATA, mode: 'rw' }], reuse: true });
    expect(configOf([])).not.toHaveProperty('volumes');
    expect(configOf(undefined)).not.toHaveProperty('volumes');
  });

  it('with mode tx gives each call an instance of its own', () => {
    expect(configOf([{ ...DATA, mode: 'tx' }])).toMatchObject({ reuse: false });
    expect(problemOf([{ ...DATA, mode: 'tx' }], { reuse: true })).toContain('/reuse: must be false');
    expect(problemOf([{ ...DATA, mode: 'tx' }], { concurrency: 2 })).toContain('/concurrency: must be 1');
  });

  it.each([
    [[{ ...DATA, mode: 'x' }], '/volumes/0/mode: must be one of "rw", "ro", "tx"'],
    [[{ volume: 'reports' }], '/volumes/0/path: is needed'],
    [[{ ...DATA, paht: '/x' }], '/volumes/0/paht: is not a known setting. Did you mean "path"'],
    [[{ ...DATA, path: '/etc/x' }], '/volumes/0/path: lies in /etc'],
    [[DATA, { volume: 'b', path: '/data/b' }], '/volumes/1/path: lies in that of another volume'],
    [[{ volume: '../x', path: '/data' }], '/volumes/0/volume'],
    [[{ volume: 'a@b', path: '/data', mode: 'rw' }], '/volumes/0/mode: must be "ro" for a snapshot'],
    [[{ volume: 'a@b', path: '/data' }], '/volumes/0/mode: must be "ro" for a snapshot'],
    [
      [
        { volume: 'a', path: '/a', mode: 'tx' },
        { volume: 'b', path: '/b', mode: 'tx' },
      ],
      '/volumes: may have one volume of mode "tx"',
    ],
    [{}, '/volumes: must be a list of at most 8 objects'],
  ])('refuses %j', (volumes, problem) => {
    expect(problemOf(volumes)).toContain(problem);
  });
});
