import { ERRORS, WaferError } from '../core/errors.ts';
import { safeText } from './format.ts';
import type { Ui } from './ui.ts';

const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Details a person can use; the rest is for programs (`--json`). */
function detailLines(details: Record<string, unknown>): string[] {
  return Object.entries(details)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .flatMap(([key, value]) => {
      const lines = asText(value).trimEnd().split('\n');
      return lines.length === 1 ? [`  ${key}: ${lines[0]}`] : [`  ${key}:`, ...lines.map((line) => `    ${line}`)];
    });
}

/** Prints the error on stderr, as JSON when a program asked. @returns the exit code */
export function reportError(error: unknown, ui: Ui, asJson: boolean): number {
  if (!(error instanceof WaferError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (asJson) ui.err(JSON.stringify({ error: { code: 'internal', message: text } }));
    else ui.err(`${ui.paintErr('red', 'bug in wafer:')} ${text}`);
    return ERRORS.internal.exit;
  }
  const { code, message, hint, details } = error;
  if (asJson) {
    ui.err(JSON.stringify({ error: { code, message, hint, details } }));
    return error.exitCode;
  }
  ui.err(`${ui.paintErr('red', 'error:')} ${safeText(message)}`);
  for (const line of detailLines(details ?? {})) ui.err(ui.paintErr('dim', safeText(line)));
  if (hint !== undefined) ui.err(`  ${ui.paintErr('cyan', 'fix:')} ${safeText(hint)}`);
  return error.exitCode;
}
