/** Which version a call is for: that of an alias, or of a number. */
import { WaferError } from '../../core/errors.ts';
import type { FunctionStore, FunctionVersion } from '../../core/functions/types.ts';

/** @throws WaferError `invalid_request | function_not_found | version_not_found | alias_not_found` */
export function selectVersion(
  functions: FunctionStore,
  name: string,
  { alias, version }: { alias?: string; version?: string },
): Promise<FunctionVersion> {
  if (alias !== undefined && version !== undefined) {
    throw new WaferError('invalid_request', 'Give query/alias or query/version, not both.', {
      details: { path: 'query/version' },
    });
  }
  if (version !== undefined) return functions.resolve(name, { version: Number(version) });
  return functions.resolve(name, alias === undefined ? {} : { alias });
}
