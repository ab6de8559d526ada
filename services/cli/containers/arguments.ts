import type { ArgsDef } from 'citty';
import { coerceError, WaferError } from '../../core/errors.ts';
import { reportError } from '../report-error.ts';
import type { Ui } from '../ui.ts';

export const containerArgument = {
  container: { type: 'positional', description: 'Name, id, or the beginning of an id', required: true },
} as const satisfies ArgsDef;

/** Does it for each name; a failure is told and the others go on. @returns the exit code of the first failure, else 0 */
export async function forEach(names: readonly string[], ui: Ui, work: (name: string) => Promise<unknown>) {
  let code = 0;
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      if (!(error instanceof WaferError) || error.code === 'not_reachable') throw coerceError(error);
      const failed = reportError(error, ui, false);
      code ||= failed;
    }
  }
  return code;
}
