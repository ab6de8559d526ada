/**
 * The SSRF rule. A registry that the user names may be anywhere. Where it sends us on (a redirect,
 * a token server, an upload) is its own choice, so that must be the public internet, unless the
 * user has named that host too. Checked on the address that is connected to, after resolution.
 */
import { lookup } from 'node:dns';
import { lookup as lookupAll } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { WaferError } from '../../errors.ts';
import { isPublicAddress } from '../../public-address.ts';

function refuse(host: string, address: string): WaferError {
  return new WaferError(
    'registry_denied',
    `The registry sends us to ${host} (${address}), which is not a public address.`,
    {
      hint: 'If that is right, add the host to WAFER_INSECURE_REGISTRIES.',
    },
  );
}

/** For literal addresses, which are never looked up. @throws WaferError `registry_denied` */
export function assertPublicHost(hostname: string): void {
  const literal = hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !isPublicAddress(literal)) throw refuse(hostname, literal);
}

/** For `http.request`: what a name resolves to is checked before it is connected to, and not resolved again. */
export const lookupPublic: LookupFunction = (hostname, options, done) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, []);
    const bad = addresses.find(({ address }) => !isPublicAddress(address));
    if (bad !== undefined) return done(refuse(hostname, bad.address), []);
    if (options.all === true) return done(null, addresses);
    done(null, addresses[0]?.address ?? '', addresses[0]?.family);
  });
};

/** For what a proxy resolves: a name that we can not resolve is the proxy's to judge. @throws WaferError `registry_denied` */
export async function assertResolvesPublic(hostname: string): Promise<void> {
  assertPublicHost(hostname);
  const name = hostname.replace(/^\[|\]$/g, '');
  const addresses = await lookupAll(name, { all: true }).catch(() => []);
  const bad = addresses.find(({ address }) => !isPublicAddress(address));
  if (bad !== undefined) throw refuse(hostname, bad.address);
}
