/** `Prefer: respond-async, wait=N` (RFC 7240). What is not understood is passed over, as it says. */

export interface Preference {
  respondAsync: boolean;
  /** Seconds; absent: as the route likes. */
  wait?: number;
}

const MAX_WAIT_S = 60;

export function readPrefer(header: string | string[] | undefined): Preference {
  const tokens = [header ?? []].flat().join(',').split(',');
  const names = new Map(tokens.map(readToken));
  const wait = Number(names.get('wait') ?? Number.NaN);
  return {
    respondAsync: names.has('respond-async'),
    ...(Number.isInteger(wait) && wait >= 0 && { wait: Math.min(wait, MAX_WAIT_S) }),
  };
}

function readToken(token: string): [string, string] {
  const [name = '', value = ''] = token.split(';', 1)[0]?.split('=') ?? [];
  return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')];
}

/** For `Preference-Applied`. */
export const appliedPrefer = ({ respondAsync, wait }: Preference): string =>
  [respondAsync ? 'respond-async' : '', wait === undefined ? '' : `wait=${wait}`]
    .filter((part) => part !== '')
    .join(', ');
