import type { ArgsDef } from 'citty';
import { describe, expect, it, test } from 'vitest';
import { splitArguments } from '../../../services/cli/arguments.ts';
import { COMMANDS } from '../../../services/cli/registry.ts';
import { runCli } from '../../../services/cli/run.ts';
import { createUi } from '../../../services/cli/ui.ts';

const ARGS: ArgsDef = {
  image: { type: 'positional', required: true },
  interactive: { type: 'boolean', alias: 'i' },
  tty: { type: 'boolean', alias: 't' },
  publish: { type: 'string', alias: 'p' },
  env: { type: 'string', alias: 'e' },
};

describe('splitArguments()', () => {
  it.each([
    ['letters are written out', ['-it', 'img'], ['-i', '-t', 'img'], []],
    ['a value may stick to its letter', ['-p80:80', 'img'], ['--publish=80:80', 'img'], []],
    ['-e=x is -e x', ['-e=A=b', 'img'], ['--env=A=b', 'img'], []],
    ['the last letter may take the next word', ['-ite', 'A=b', 'img'], ['-i', '-t', '-e', 'A=b', 'img'], []],
    ['unknown letters stay, to be refused', ['-ix', 'img'], ['-ix', 'img'], []],
    ["the program's flags are its own", ['-i', 'img', 'ls', '-t', '--env'], ['-i', 'img'], ['ls', '-t', '--env']],
    ['a value of a flag is no image', ['--env', 'A=b', 'img', 'x'], ['--env', 'A=b', 'img'], ['x']],
    ['"--" ends the flags', ['-i', '--', 'img', '-x'], ['-i', '--', 'img'], ['-x']],
    ['"--" before the program is left out once', ['img', '--', 'ls', '--'], ['img'], ['ls', '--']],
    ['a number is not letters', ['-p', '-5', 'img'], ['-p', '-5', 'img'], []],
  ])('%s', (_fact, words, own, rest) => {
    expect(splitArguments(ARGS, words, 1)).toEqual({ own, rest });
  });

  it('takes everything as its own where no program follows', () => {
    expect(splitArguments(ARGS, ['a', '-i', '--', '-b']).own).toEqual(['a', '-i', '--', '-b']);
  });
});

function capture() {
  const written: string[] = [];
  const stream = { isTTY: false, columns: 80, write: (chunk: Uint8Array | string) => written.push(String(chunk)) > 0 };
  return {
    context: { ui: createUi(stream, stream, {}), env: { WAFER_URL: 'http://127.0.0.1:1' }, cwd: '/' },
    text: () => written.join(''),
  };
}

test('--help of a program inside is not ours; before the image it is', async () => {
  const ours = capture();
  expect(await runCli(['run', '--help'], ours.context)).toBe(0);
  expect(ours.text()).toContain('wafer run [flags] IMAGE [COMMAND...]');
  const theirs = capture();
  expect(await runCli(['run', 'img', 'ls', '--help'], theirs.context)).toBe(125);
  expect(theirs.text()).toContain('No Wafer platform answers');
});

test('wrong usage of run and exec is 125, so that no program can be blamed for it', async () => {
  for (const words of [['run', '--nope', 'img'], ['run'], ['exec', 'web'], ['run', '-p', 'x', 'img']])
    expect([words, await runCli(words, capture().context)]).toEqual([words, 125]);
});

test.each([
  [['compose', '-f', 'x.yaml', 'up', '-d'], /x\.yaml/],
  [['compose', '--file=y.yaml', 'ps'], /y\.yaml/],
])('flags of the project may stand before the command: %j', async (words, message) => {
  const { context, text } = capture();
  expect(await runCli(words, context)).toBe(2);
  expect(text()).toMatch(message);
});

test('no command is a synonym of another, and each name is there once', () => {
  const names = COMMANDS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, synonyms = [] } of COMMANDS)
    for (const synonym of synonyms) expect(names, `synonym of ${name}`).not.toContain(synonym);
});
