import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArgsDef } from 'citty';
import { expect, test } from 'vitest';
import { checkArguments } from '../../../services/cli/arguments.ts';
import { formatAge, formatAgo, formatBytes, formatMs, safeText } from '../../../services/cli/format.ts';
import { parseCount, parseDuration } from '../../../services/cli/numbers.ts';
import { readReceipt } from '../../../services/cli/receipt.ts';
import { COMMANDS } from '../../../services/cli/registry.ts';
import { renderSchema } from '../../../services/cli/schema-file.ts';
import { suggest } from '../../../services/cli/suggest.ts';
import { createUi } from '../../../services/cli/ui.ts';
import { parseConfigText, validateConfig } from '../../../services/core/functions/validate.ts';
import { packageRoot } from '../../../services/core/package-root.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [10 * 1024, '10 KiB'],
  [1024 ** 2 * 340, '340 MiB'],
  [1024 ** 5 * 3, '3072 TiB'],
])('formatBytes() shows %d as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [0.842, '0.84 ms'],
  [21.4, '21 ms'],
  [1400, '1.4 s'],
  [125_000, '2 min 5 s'],
])('formatMs() shows %d as %s', (ms, text) => expect(formatMs(ms)).toBe(text));

test.each([
  [0, 'now'],
  [5_000, '5 s'],
  [59 * 60_000, '59 min'],
  [3 * 86_400_000 + 5, '3 d'],
  [-5_000, 'now'],
])('formatAge() of %d ms is %s', (ms, text) => expect(formatAge(1_000_000_000_000, 1_000_000_000_000 + ms)).toBe(text));

test.each([
  [0, 'now'],
  [5_000, '5 s ago'],
])('formatAgo() of %d ms is %s', (ms, text) => expect(formatAgo(1_000_000_000_000, 1_000_000_000_000 + ms)).toBe(text));

test.each([
  ['colours stay', '\u001b[31mred\u001b[0m', '\u001b[31mred\u001b[0m'],
  ['the screen is not cleared', 'a\u001b[2Jb', 'ab'],
  ['the cursor is not moved', 'a\u001b[1;1Hb', 'ab'],
  ['the title is not set', 'a\u001b]0;owned\u0007b', 'ab'],
  ['a link is not made', '\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\', 'text'],
  ['a line is not overwritten', 'safe\rowned', 'safeowned'],
  ['8-bit controls go', 'a\u009b2Jb', 'a2Jb'],
  ['tabs and line ends stay', 'a\tb\nc', 'a\tb\nc'],
])('safeText(): %s', (_fact, text, expected) => expect(safeText(text)).toBe(expected));

test.each([
  ['lsit', 'list'],
  ['desc', 'describe'],
  ['rollbak', 'rollback'],
  ['xyzzy', null],
])('suggest() finds for %s the command %s', (word, expected) => {
  expect(
    suggest(
      word,
      COMMANDS.map(({ name }) => name),
    ),
  ).toBe(expected);
});

test.each([
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
])('parseDuration() reads %s', (text, ms) => expect(parseDuration('--since', text)).toBe(ms));

test.each(['10', 'm', '-5m', '5 m', ''])('parseDuration() refuses "%s" and names the flag', (text) => {
  expect(() => parseDuration('--since', text)).toThrow(/--since/);
});

test('parseCount() takes 3 and v3, and refuses 0, 1.5 and words', () => {
  expect([parseCount('--to', '3'), parseCount('--to', 'v3')]).toEqual([3, 3]);
  for (const text of ['0', '1.5', 'x', '-1', '']) expect(() => parseCount('--to', text)).toThrow(/--to/);
});

const ARGS: ArgsDef = {
  name: { type: 'positional', required: true },
  data: { type: 'string', alias: 'd' },
  kind: { type: 'enum', options: ['warm', 'cold'] },
  json: { type: 'boolean' },
};

test.each([
  [['a']],
  [['a', '--json', '--data', '{}']],
  [['--data={"a":1}', 'a']],
  [['a', '-d', '-5']],
  [['a', '-d', '-']],
  [['a', '--data=--json']],
  [['--kind', 'warm', '--', '--name']],
])('checkArguments() takes %j', (args) => expect(() => checkArguments('x', ARGS, args)).not.toThrow());

test.each([
  [['a', '--jsn'], /no flag --jsn/],
  [['a', '-x'], /no flag -x/],
  [['a', '--no-json'], /no flag --no-json/],
  [['a', '--json=yes'], /takes no value/],
  [['a', '--data'], /--data needs a value/],
  [['a', '--data', '--json'], /--data needs a value/],
  [['a', '--kind', 'hot'], /one of warm, cold/],
  [['a', '--kind=hot'], /one of warm, cold/],
  [[], /needs NAME/],
  [['a', 'b'], /argument "b"/],
])('checkArguments() refuses %j', (args, message) => {
  expect(() => checkArguments('x', ARGS, args)).toThrow(message);
});

test('readReceipt() reads Server-Timing and leaves out what it does not know', () => {
  const receipt = readReceipt({
    'server-timing': 'queue;dur=0.1, handler;dur=2.5;desc="x", other;dur=9, boot',
    'x-wafer-start': 'blank',
    'x-wafer-invocation': 'inv_1',
  });
  expect(receipt).toEqual({ start: 'blank', invocation: 'inv_1', phases: { queue: 0.1, handler: 2.5 } });
});

test('wafer.schema.json at the package root is what the schema gives now (renew it: wafer schema > wafer.schema.json)', async () => {
  expect(await readFile(join(packageRoot(), 'wafer.schema.json'), 'utf8')).toBe(renderSchema());
});

function capture(isTTY: boolean, env: Record<string, string>) {
  const written: string[] = [];
  const stream = { isTTY, columns: 80, write: (chunk: Uint8Array | string) => written.push(String(chunk)) > 0 };
  return { ui: createUi(stream, stream, env), text: () => written.join('') };
}

test.each([
  ['a terminal has colours', true, {}, true],
  ['a pipe has none', false, {}, false],
  ['NO_COLOR wins', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
  ['FORCE_COLOR colours a pipe', false, { FORCE_COLOR: '1' }, true],
  ['a dumb terminal has none', true, { TERM: 'dumb' }, false],
])('colours: %s', (_fact, isTTY, env, expected) => {
  expect(capture(isTTY, env).ui.paint('red', 'x') !== 'x').toBe(expected);
});

test('table() aligns columns, numbers to the right, also with colours', () => {
  const { ui, text } = capture(false, {});
  ui.table(
    [{ header: 'NAME' }, { header: 'SIZE', align: 'right' }],
    [
      ['a', '1 B'],
      ['longer', '12 KiB'],
    ],
  );
  expect(text()).toBe('NAME       SIZE\na           1 B\nlonger   12 KiB\n');
});

test('task() off a terminal prints only its end', () => {
  const { ui, text } = capture(false, {});
  const task = ui.task('working');
  task.update('still');
  task.done('finished');
  expect(text()).toBe('✓ finished\n');
});

test('every command has a help text and examples that begin with its own name', async () => {
  for (const entry of COMMANDS) {
    const { default: command } = await entry.load();
    expect(command.name).toBe(entry.name);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const [line] of command.examples) expect(line).toContain(`wafer ${entry.name}`);
  }
});

const configFiles = async (folder: string): Promise<[string, string][]> =>
  (await readdir(join(packageRoot(), folder))).map((name) => [name, join(packageRoot(), folder, name, 'wafer.json')]);

test.each([...(await configFiles('services/cli/templates')), ...(await configFiles('functions-examples'))])(
  'wafer.json of %s is valid',
  async (name, path) => {
    const text = (await readFile(path, 'utf8')).replaceAll('__NAME__', name);
    const config = validateConfig(parseConfigText(text, path));
    expect(config.name).toBe(name);
    const schema = join(dirname(path), config.$schema ?? 'missing');
    if (path.includes('functions-examples')) expect(schema).toBe(join(packageRoot(), 'wafer.schema.json'));
  },
);

test('a value that is given to a secret as an argument is refused, and is not repeated', () => {
  const name: ArgsDef = { name: { type: 'positional', required: true } };
  for (const command of ['secret set', 'secret rotate']) {
    const error = caught(() => checkArguments(command, name, ['db', 'hunter2']));
    expect(error).toMatchObject({ code: 'usage', hint: expect.stringContaining('on stdin') });
    expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
  }
});

function caught(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
