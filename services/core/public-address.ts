/** Which IP addresses are the public internet: what others may send us to. Reserved, private and tunnelled ones are not. */
import { BlockList, isIP } from 'node:net';

const NOT_PUBLIC = {
  ipv4: [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '168.63.129.16/32',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
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
