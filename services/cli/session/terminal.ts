/** The caller's terminal while a program inside has it: raw, with its size told on, given back on every way out. */
import { spawnSync } from 'node:child_process';
import type { ReadStream, WriteStream } from 'node:tty';
import type { TerminalSize } from '../../core/containers/types.ts';

export interface RawTerminal {
  /** Idempotent. */
  restore(): void;
}

/** Undefined where there is no terminal: the program keeps the size it has. */
export function terminalSize(out: Pick<WriteStream, 'isTTY' | 'rows' | 'columns'>): TerminalSize | undefined {
  if (!out.isTTY || !(out.rows > 0) || !(out.columns > 0)) return undefined;
  return { rows: out.rows, columns: out.columns };
}

/**
 * Every key goes to the program, ctrl-C too. Restored by `restore`, and by whatever ends this
 * process short of SIGKILL: an 'exit' listener covers returns, crashes and `process.exit`.
 */
export function makeRaw(input: Pick<ReadStream, 'isTTY' | 'setRawMode'>): RawTerminal {
  if (!input.isTTY) return { restore: () => {} };
  const restore = () => {
    process.off('exit', restore);
    input.setRawMode(false);
  };
  process.on('exit', restore);
  input.setRawMode(true);
  // Node leaves newline translation on, which moves full-screen programs to the first column at each line
  // feed. Giving raw mode up restores this, too. Without stty such programs are less pretty.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  return { restore };
}
