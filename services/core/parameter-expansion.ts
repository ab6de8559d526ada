/** What `${NAME:-word}` and the like mean, in Dockerfiles and compose files alike (POSIX XCU 2.6.2, without `=`). */

/** At the start of a text: the operator, if one stands there. */
export const OPERATOR = /^:?[-?+]/;

/** With a colon, empty counts as not set. Undefined: `?` asks for a value and there is none. */
export function expandParameter(operator: string, value: string | undefined, word: string): string | undefined {
  const isThere = value !== undefined && (value !== '' || !operator.startsWith(':'));
  if (operator.endsWith('+')) return isThere ? word : '';
  if (isThere) return value;
  return operator.endsWith('?') ? undefined : word;
}
