/** Names of functions and aliases: fit for a URL, a key, a host name and a tag. */
import { WaferError } from '../errors.ts';
import { NAME_PATTERN } from './schema.ts';

export const LIVE_ALIAS = 'live';

const NAME = new RegExp(NAME_PATTERN);
const RULE = '1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit';

export const isName = (text: string) => NAME.test(text);

/** @throws WaferError `invalid_name` */
export function checkFunctionName(name: string): string {
  if (isName(name)) return name;
  throw invalidName('function name', name);
}

/** An alias of digits only could be taken for a version number. @throws WaferError `invalid_name` */
export function checkAlias(alias: string): string {
  if (!isName(alias)) throw invalidName('alias', alias);
  if (!/^\d+$/.test(alias)) return alias;
  throw new WaferError('invalid_name', `"${alias}" is not a valid alias: it could be taken for a version number.`, {
    details: { name: alias },
  });
}

/** `My Function!` -> `my-function`; what is left may still be empty. */
function suggestName(text: string): string {
  const dashed = text
    .slice(0, 256)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  return dashed.replace(/^-+/, '').slice(0, 63).replace(/-+$/, '');
}

function invalidName(what: string, name: string): WaferError {
  const suggestion = suggestName(name);
  const shown = JSON.stringify(name.slice(0, 80));
  return new WaferError('invalid_name', `${shown} is not a valid ${what}: it must be ${RULE}.`, {
    details: { name: name.slice(0, 80) },
    ...(suggestion !== '' && { hint: `For example: ${suggestion}` }),
  });
}
