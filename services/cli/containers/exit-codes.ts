/**
 * Exit codes of commands that give the program's own: as docker's, so that scripts can tell
 * Wafer's failures from the program's. 125: Wafer refused or failed; 126: the program is there
 * but can not be run; 127: it is not there.
 */
import { WaferError } from '../../core/errors.ts';

export const WAFER_FAILED = 125;

/** The platform says which of the two it was. */
export function programExit(error: unknown): number {
  if (!(error instanceof WaferError) || error.code !== 'container_start_failed') return WAFER_FAILED;
  const exitCode = error.details?.['exitCode'];
  return exitCode === 126 || exitCode === 127 ? exitCode : WAFER_FAILED;
}
