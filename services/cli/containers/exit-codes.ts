/**
 * Exit codes of commands that give the program's own: as docker's, so that scripts can tell
 * Wafer's failures from the program's. 125: Wafer refused or failed; 126: the program is there
 * but can not be run; 127: it is not there.
 */
import { WaferError } from '../../core/errors.ts';

export const WAFER_FAILED = 125;

export function programExit(error: unknown): number {
  if (!(error instanceof WaferError) || error.code !== 'container_start_failed') return WAFER_FAILED;
  const reason = `${error.message} ${String(error.details?.['errno'] ?? '')}`;
  if (/ENOENT|no such file|not found/i.test(reason)) return 127;
  if (/EACCES|ENOEXEC|EISDIR|permission denied|exec format|is a directory/i.test(reason)) return 126;
  return WAFER_FAILED;
}
