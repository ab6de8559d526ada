/**
 * IP addresses as bytes, networks, and the classes of addresses that a sandbox may
 * not reach unless a rule names them: whatever is not plainly the public internet.
 */
import { isIP } from 'node:net';

/** 4 or 16 bytes in network order. */
export type Address = Uint8Array;

export interface Network {
  address: Address;
  bits: number;
}

/** Strict text forms only (no octal, no short forms, no zone). `null` when it is no address. */
export function parseAddress(text: string): Address | null {
  if (isIP(text) === 4) return Uint8Array.from(text.split('.'), Number);
  if (isIP(text) === 6 && !text.includes('%')) return parseV6(text);
  return null;
}

function parseV6(text: string): Address {
  const [head = '', tail] = text.split('::');
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  return Uint8Array.from([...front, ...zeros, ...back].flatMap((group) => [group >> 8, group & 255]));
}

/** 16-bit groups; a dotted IPv4 tail makes two. */
function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** `10.0.0.0/8`, `fd00::/8`, or a single address. `null` when it is neither. */
export function parseNetwork(text: string): Network | null {
  const [host = '', prefix, ...rest] = text.split('/');
  const address = parseAddress(host);
  if (address === null || rest.length > 0) return null;
  const most = address.length * 8;
  if (prefix === undefined) return { address, bits: most };
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > most) return null;
  return { address, bits: Number(prefix) };
}

export function contains(network: Network, address: Address): boolean {
  if (network.address.length !== address.length) return false;
  const whole = network.bits >> 3;
  for (let i = 0; i < whole; i++) if (network.address[i] !== address[i]) return false;
  const mask = 0xff00 >> (network.bits & 7);
  return ((network.address[whole] ?? 0) & mask & 255) === ((address[whole] ?? 0) & mask & 255);
}

/** Is `inner` wholly inside `outer`? */
export function covers(outer: Network, inner: Network): boolean {
  return outer.bits <= inner.bits && contains(outer, inner.address);
}

interface AddressClass {
  network: Network;
  name: string;
}

const cls = (text: string, name: string): AddressClass => {
  const network = parseNetwork(text);
  if (network === null) throw new TypeError(`bad network ${text}`);
  return { network, name };
};

/** The most specific names come first; the last ones catch what is left. */
const NOT_PUBLIC: AddressClass[] = [
  cls('0.0.0.0/8', 'unspecified'),
  cls('10.0.0.0/8', 'private'),
  cls('100.64.0.0/10', 'carrier-grade NAT'),
  cls('127.0.0.0/8', 'loopback'),
  cls('168.63.129.16/32', 'metadata'), // Azure's, at an address that looks public
  cls('169.254.169.254/32', 'metadata'),
  cls('169.254.0.0/16', 'link-local'),
  cls('172.16.0.0/12', 'private'),
  cls('192.0.0.0/24', 'protocol assignments'),
  cls('192.0.2.0/24', 'documentation'),
  cls('192.88.99.0/24', '6to4 relay'),
  cls('192.168.0.0/16', 'private'),
  cls('198.18.0.0/15', 'benchmarking'),
  cls('198.51.100.0/24', 'documentation'),
  cls('203.0.113.0/24', 'documentation'),
  cls('224.0.0.0/4', 'multicast'),
  cls('240.0.0.0/4', 'reserved'),
  cls('::/128', 'unspecified'),
  cls('::1/128', 'loopback'),
  cls('::ffff:0:0/96', 'IPv4-mapped'),
  cls('::/96', 'IPv4-compatible'),
  cls('64:ff9b::/96', 'NAT64'),
  cls('64:ff9b:1::/48', 'NAT64'),
  cls('2001::/32', 'Teredo'),
  cls('2001::/23', 'protocol assignments'),
  cls('2001:db8::/32', 'documentation'),
  cls('2002::/16', '6to4'),
  cls('3fff::/20', 'documentation'),
  cls('fc00::/7', 'private'),
  cls('fe80::/10', 'link-local'),
  cls('fec0::/10', 'site-local'),
  cls('ff00::/8', 'multicast'),
];

const GLOBAL_V6 = cls('2000::/3', 'global');

/** Why the address is not the public internet, or `null` when it is. */
export function notPublic(address: Address): { name: string; network: Network } | null {
  const found = NOT_PUBLIC.find(({ network }) => contains(network, address));
  if (found !== undefined) return found;
  if (address.length === 16 && !contains(GLOBAL_V6.network, address)) {
    return { name: 'reserved', network: { address, bits: 128 } };
  }
  return null;
}
