/** The log file of a container: whole, in order, within its cap, through crashes. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ContainerLog, openContainerLog } from '../../../services/core/containers/log.ts';
import type { LogRead } from '../../../services/core/containers/log-reader.ts';
import type { ContainerLogLine } from '../../../services/core/containers/types.ts';

let dir: string;
const problems: unknown[] = [];
const openLog = (maxBytes?: number) =>
  openContainerLog({
    dir,
    onProblem: (error) => problems.push(error),
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
const signal = new AbortController().signal;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-log-'));
  problems.length = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function read(log: ContainerLog, query: Partial<LogRead> = {}): Promise<ContainerLogLine[]> {
  const lines: ContainerLogLine[] = [];
  for await (const line of log.read({ signal, ...query })) lines.push(line);
  return lines;
}
const texts = (lines: ContainerLogLine[]) => lines.map(({ text, partial }) => text + (partial ? '' : '\n')).join('');
const say = (log: ContainerLog, text: string) => log.write('stdout', Buffer.from(text));

describe('the log of a container', () => {
  it('has every line of both streams, and the end without a newline', async () => {
    const log = await openLog();
    await say(log, 'one\ntw');
    await log.write('stderr', Buffer.from('oops\n'));
    await say(log, 'o\nprompt$ ');
    await log.end();
    const lines = await read(log);
    expect(lines.map(({ stream, text, partial }) => [stream, text, partial])).toEqual([
      ['stdout', 'one', undefined],
      ['stderr', 'oops', undefined],
      ['stdout', 'two', undefined],
      ['stdout', 'prompt$ ', true],
    ]);
  });

  it('keeps a character that came in two pieces, and a line that is longer than an entry', async () => {
    const log = await openLog();
    const euro = Buffer.from('€');
    await log.write('stdout', euro.subarray(0, 1));
    await log.write('stdout', euro.subarray(1));
    const long = 'x'.repeat(40_000);
    await say(log, `${long}\nend\n`);
    await log.end();
    expect(texts(await read(log))).toBe(`€${long}\nend\n`);
  });

  it('up to a moment has what came before it, also of a line that goes on, and nothing else', async () => {
    const log = await openLog();
    await say(log, 'a\nhalf');
    const until = log.cut();
    await say(log, ' and half\nb\n');
    await log.end();
    expect(texts(await read(log, { until }))).toBe('a\nhalf');
    expect(texts(await read(log))).toBe('a\nhalf and half\nb\n');
  });

  it('goes on where the last process stopped, also behind a line that a crash tore', async () => {
    const first = await openLog();
    await say(first, 'a\nb\n');
    await first.end();
    appendFileSync(join(dir, 'log.ndjson'), '{"n":2,"time":1,"str');
    const second = await openLog();
    await say(second, 'c\n');
    await second.end();
    expect(texts(await read(second))).toBe('a\nb\nc\n');
  });

  it('stays within its cap, and says that the beginning is gone', async () => {
    const log = await openLog(64 * 1024);
    for (let n = 0; n < 5_000; n += 1) await say(log, `line ${n} ${'.'.repeat(40)}\n`);
    await log.end();
    const bytes = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
    expect(bytes).toBeLessThan(80 * 1024);
    const lines = await read(log);
    expect(lines[0]?.text).toMatch(/^\[wafer: \d+ lines are missing here/);
    expect(lines.at(-1)?.text).toMatch(/^line 4999 /);
    const numbers = lines.slice(1).map(({ text }) => Number(text.split(' ')[1]));
    expect(numbers).toEqual(numbers.map((_, at) => (numbers[0] ?? 0) + at));
  });

  it('gives the newest lines, and those since a time, without calling the others missing', async () => {
    const log = await openLog();
    await say(log, 'a\nb\nc\nd');
    await log.end();
    expect(texts(await read(log, { tail: 2 }))).toBe('c\nd');
    expect(texts(await read(log, { tail: 0 }))).toBe('');
    const since = Date.now() + 1;
    while (Date.now() < since) await new Promise((resolve) => setTimeout(resolve, 1));
    const again = await openLog();
    await say(again, 'e\n');
    await again.end();
    expect(texts(await read(again, { since }))).toBe('e\n');
  });

  it('is followed through rotations, each line once, until there is no more to come', async () => {
    const log = await openLog(256 * 1024);
    let goesOn = true;
    await say(log, 'line 0\n');
    const following = read(log, { follow: () => goesOn });
    for (let n = 1; n < 6_000; n += 1) {
      await say(log, `line ${n}\n`);
      if (n % 500 === 0) await log.flush();
    }
    await log.end();
    goesOn = false;
    log.poke();
    const lines = await following;
    const numbers = lines.filter(({ text }) => text.startsWith('line')).map(({ text }) => Number(text.slice(5)));
    const gaps = lines.filter(({ text }) => text.startsWith('[wafer'));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(numbers.length === 6_000 || gaps.length > 0).toBe(true);
    expect(numbers.at(-1)).toBe(5_999);
  });

  it('holds back who writes faster than the disk takes', async () => {
    const log = await openLog();
    const flood = Buffer.from(`${'y'.repeat(1023)}\n`.repeat(2_000));
    expect(log.write('stdout', flood)).toBeInstanceOf(Promise);
    await log.end();
    expect((await read(log)).length).toBe(2_000);
  });

  it('tells the platform when the disk takes nothing, and the readers what is missing', async () => {
    const log = await openLog();
    await say(log, 'before\n');
    await log.end();
    const saved = readFileSync(join(dir, 'log.ndjson'));
    rmSync(dir, { recursive: true });
    await say(log, 'lost\n');
    await log.end();
    expect(problems).toHaveLength(1);
    const { mkdirSync, writeFileSync } = await import('node:fs');
    mkdirSync(dir);
    writeFileSync(join(dir, 'log.ndjson'), saved);
    await say(log, 'later\n');
    await log.end();
    expect((await read(log)).map(({ text }) => text)).toEqual([
      'before',
      expect.stringMatching(/^\[wafer: 1 line is missing here/),
      'later',
    ]);
  });
});
