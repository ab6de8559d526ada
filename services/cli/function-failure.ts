import { ERRORS, type Problem } from '../core/errors.ts';
import { safeText } from './format.ts';
import { type CallReceipt, showReceipt } from './receipt.ts';
import type { Ui } from './ui.ts';

const textOf = (details: Problem['details'], key: string): string | null => {
  const value = details?.[key];
  return typeof value === 'string' && value !== '' ? value : null;
};

/** The stack without its first lines when they only say the message again. */
function frames(stack: string, message: string): string[] {
  const lines = stack.trimEnd().split('\n');
  const isFrame = (line: string) => /^\s+(at|File) /.test(line);
  const start = lines.findIndex(isFrame);
  const head = start > 0 ? lines.slice(0, start).join('\n') : '';
  return start > 0 && head.includes(message) ? lines.slice(start) : lines;
}

/** Says on stderr what went wrong inside a function, and where to read more. */
export function showFailure(ui: Ui, name: string, problem: Problem, receipt: CallReceipt): void {
  const type = textOf(problem.details, 'errorType');
  const message = problem.detail;
  const title = type === null || message.startsWith(type) ? message : `${type}: ${message}`;
  ui.err(`${ui.paintErr('red', '✗')} ${ui.paintErr('bold', name)}: ${safeText(title)}`);
  const stack = textOf(problem.details, 'stack');
  if (stack !== null) {
    for (const line of frames(stack, message)) ui.err(ui.paintErr('dim', `    ${safeText(line).trimStart()}`));
  }
  ui.err(`  ${ui.paintErr('dim', `${ERRORS[problem.code].title} (${problem.code})`)}`);
  showReceipt(ui, problem.status, receipt);
  if (problem.hint !== undefined) ui.err(`  ${ui.paintErr('cyan', 'fix:')} ${safeText(problem.hint)}`);
  const id = problem.invocation ?? receipt.invocation;
  if (id !== null) ui.err(`  Its output: wafer logs ${name} --invocation ${id}`);
}
