/**
 * The SSRF rule. A registry that the user names may be anywhere. Where it sends us on (a redirect,
 * a token server, an upload) is its own choice, so that must be the public internet, unless the
 * user has named that host too. Checked on the address that is connected to, after resolution.
 */
import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { WaferError } from '../../errors.ts';

const NOT_PUBLIC: [string, number, 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  // Everything that is not 2000::/3, and inside it what leads back: Teredo, documentation, 6to4.
  ['::', 3, 'ipv6'],
  ['4000::', 2, 'ipv6'],
  ['8000::', 1, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['3fff::', 20, 'ipv6'],
];

const blocked = new BlockList();
for (const [address, bits, family] of NOT_PUBLIC) blocked.addSubnet(address, bits, family);

export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !blocked.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

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
