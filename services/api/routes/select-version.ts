import type { Static } from 'typebox';
import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { ApiDeps } from '../deps.ts';
import type { InvokeQuery } from '../schemas/invocations.ts';

/** The version that a query asks for; `live` when it asks for none. */
export function selectVersion(
  { functions }: ApiDeps,
  name: string,
  { alias, version }: Static<typeof InvokeQuery>,
): Promise<FunctionVersion> {
  if (alias !== undefined && version !== undefined) {
    throw new WaferError('invalid_request', 'Give query/alias or query/version, not both.', {
      details: { path: 'query/version' },
    });
  }
  if (version !== undefined) return functions.resolve(name, { version: Number(version) });
  return functions.resolve(name, alias === undefined ? {} : { alias });
}
