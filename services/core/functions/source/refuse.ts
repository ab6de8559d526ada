import { coerceError, WaferError } from '../../errors.ts';

/** Names come from the archive: shown quoted, control characters escaped, cut. */
export function show(name: string): string {
  const text = JSON.stringify(name);
  return text.length > 120 ? `${text.slice(0, 116)}..."` : text;
}

export function refuseEntry(entry: string, reason: string): WaferError {
  return new WaferError('invalid_archive', `The archive's entry ${show(entry)} is refused: ${reason}.`, {
    details: { entry: entry.slice(0, 1024), reason },
  });
}

export function refuseArchive(reason: string, cause?: unknown): WaferError {
  return new WaferError('invalid_archive', `The archive is refused: ${reason}.`, { details: { reason }, cause });
}

export function tooLarge(reason: string): WaferError {
  return new WaferError('archive_too_large', `The archive is too large: ${reason}.`, {
    details: { reason },
    hint: 'Leave out what the function does not need with a .waferignore file.',
  });
}

/**
 * A parser's own error becomes `invalid_archive`; what the platform threw stays what it is:
 * a `WaferError`, or a failed system call.
 */
export function asRefusal(error: unknown): unknown {
  if (error instanceof WaferError || (error instanceof Error && 'syscall' in error)) return error;
  return refuseArchive(`it is damaged or cut off (${coerceError(error).message})`, error);
}
