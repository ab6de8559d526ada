/** Hosts and networks that the operator names as targets although their addresses are private: `host`, `host:port`, `10.1.0.0/16`. */
import { BlockList, isIP } from 'node:net';

export interface AllowedHosts {
  /** By name, or by an address in the URL: nothing of it is looked at further. */
  hasHost(url: URL): boolean;
  hasAddress(address: string): boolean;
}

const PORTS: Record<string, string> = { 'http:': '80', 'https:': '443' };
const NETWORK = /^([0-9a-f.:]+)\/(\d{1,3})$/i;

type Entry = { kind: 'host'; host: string } | { kind: 'network'; address: string; bits: number; family: 4 | 6 };

/** Null for what is neither. Spelled as URLs spell it: lower case, `127.0.0.1` for `127.1`. */
function readEntry(text: string): Entry | null {
  const [, address = '', bits] = NETWORK.exec(text) ?? [];
  const family = isIP(address);
  if (bits !== undefined)
    return (family === 4 || family === 6) && Number(bits) <= (family === 4 ? 32 : 128)
      ? { kind: 'network', address, bits: Number(bits), family }
      : null;
  const authority = isIP(text) === 6 ? `[${text}]` : text;
  if (!/^[\w.:[\]-]+$/.test(authority) || !URL.canParse(`http://${authority}`)) return null;
  const { hostname } = new URL(`http://${authority}`);
  const port = /:(\d+)$/.exec(authority.replace(/^\[[^\]]*\]/, ''))?.[1];
  return { kind: 'host', host: port === undefined ? hostname : `${hostname}:${Number(port)}` };
}

export const isAllowedHostText = (text: string): boolean => readEntry(text) !== null;

/** What can not be read is left out: settings are checked when they are read. */
export function readAllowedHosts(texts: readonly string[]): AllowedHosts {
  const hosts = new Set<string>();
  const networks = new BlockList();
  for (const entry of texts.map(readEntry)) {
    if (entry?.kind === 'host') hosts.add(entry.host);
    if (entry?.kind === 'network') networks.addSubnet(entry.address, entry.bits, entry.family === 4 ? 'ipv4' : 'ipv6');
  }
  return {
    hasHost: ({ hostname, port, protocol }) =>
      hosts.has(hostname) || hosts.has(`${hostname}:${port || (PORTS[protocol] ?? '')}`),
    hasAddress(address) {
      const family = isIP(address);
      return family !== 0 && networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
    },
  };
}
