/** A program on a real pseudo-terminal: keys in, screen out, sizes and signals. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { until } from './until.ts';

/** How the program ended, and how it left the terminal. */
export interface PtyEnd {
  /** -n after signal n. */
  code: number;
  echo: boolean;
  canonical: boolean;
  signals: boolean;
}

export interface Pty {
  type(keys: string): void;
  resize(rows: number, columns: number): void;
  signal(name: NodeJS.Signals): void;
  /** What it printed so far. */
  screen(): string;
  /** Waits until it printed that, after what an earlier call found. */
  see(wanted: string | RegExp): Promise<void>;
  /** Waits until it printed all of these, in any order. */
  seeAll(...wanted: string[]): Promise<void>;
  readonly ended: Promise<PtyEnd>;
}

export function startPty(argv: readonly string[], env: Record<string, string | undefined>): Pty {
  const child = spawn('python3', [join(import.meta.dirname, 'pty.py'), ...argv], {
    env,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const [stdin, stdout, stderr, orders, report] = child.stdio as [Writable, Readable, Readable, Writable, Readable];
  for (const stream of [stdin, orders]) stream.on('error', () => {}); // it has ended
  let screen = '';
  let seen = 0;
  let complaint = '';
  stdout.setEncoding('utf8').on('data', (chunk: string) => (screen += chunk));
  stderr.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk));
  const reported = text(report);
  const ended = once(child, 'close').then(async () => {
    const line = await reported;
    if (line === '') throw new Error(`the terminal broke: ${complaint}`);
    return JSON.parse(line) as PtyEnd;
  });
  ended.catch(() => {});
  return {
    type: (keys) => void stdin.write(keys),
    resize: (rows, columns) => void orders.write(`${rows} ${columns}\n`),
    signal: (name) => void orders.write(`signal ${name}\n`),
    screen: () => screen,
    ended,
    seeAll: (...wanted) =>
      until(`the screen shows ${wanted.join(' and ')}`, () => {
        if (wanted.every((one) => screen.includes(one))) return true;
        if (child.exitCode !== null) throw new Error(`it ended before it showed ${wanted.join(' and ')}: ${screen}`);
        return false;
      }).then(() => {}),
    async see(wanted) {
      await until(`the screen shows ${String(wanted)}`, () => {
        const rest = screen.slice(seen);
        const at = typeof wanted === 'string' ? rest.indexOf(wanted) : rest.search(wanted);
        if (at === -1) {
          if (child.exitCode !== null) throw new Error(`it ended before it showed ${String(wanted)}: ${screen}`);
          return false;
        }
        seen += at + (typeof wanted === 'string' ? wanted.length : 1);
        return true;
      });
    },
  };
}
