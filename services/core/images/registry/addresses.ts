/**
 * The SSRF rule. A registry that the user names may be anywhere. Where it sends us on (a redirect,
 * a token server, an upload) is its own choice, so that must be the public internet, unless the
 * user has named that host too. Checked on the address that is connected to, after resolution.
 */
import { lookup } from 'node:dns';
import { lookup as lookupAll } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { WaferError } from '../../errors.ts';

const NOT_PUBLIC = {
  ipv4: [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '224.0.0.0/3',
  ],
  // Everything that is not 2000::/3, and inside it what leads back: Teredo, documentation, 6to4.
  ipv6: ['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
} as const;

type Family = keyof typeof NOT_PUBLIC;

/** Two lists: one alone would find every IPv4 address in `::/3`, where the mapped ones are. */
function blockList(family: Family): BlockList {
  const list = new BlockList();
  for (const network of NOT_PUBLIC[family]) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}

const blocked = { ipv4: blockList('ipv4'), ipv6: blockList('ipv6') };

export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  const family: Family = version === 6 ? 'ipv6' : 'ipv4';
  return version !== 0 && !blocked[family].check(address, family);
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

/** For what a proxy resolves: a name that we can not resolve is the proxy's to judge. @throws WaferError `registry_denied` */
export async function assertResolvesPublic(hostname: string): Promise<void> {
  assertPublicHost(hostname);
  const name = hostname.replace(/^\[|\]$/g, '');
  const addresses = await lookupAll(name, { all: true }).catch(() => []);
  const bad = addresses.find(({ address }) => !isPublicAddress(address));
  if (bad !== undefined) throw refuse(hostname, bad.address);
}
