/**
 * `egress` in wafer.json and the operator's ceiling: where functions may connect to. Both are
 * lists of `host:port`, where the host is a name, `*.suffix` (one label in front), an address or
 * a network. Here they are read and compared; what decides on a connection is the sandbox host.
 */
import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { isPublicAddress } from '../public-address.ts';

/** The internet: any name and any public address, on any port. */
export const PUBLIC = 'public';
export const MAX_EGRESS_RULES = 100;

export interface EgressHost {
  kind: 'name' | 'suffix' | 'network';
  /** Lower case, ASCII: `api.example.com`, `*.example.com`, `10.0.0.0/8`, `fd00::1`. */
  host: string;
  port: number | '*';
}

const NO_PORT = 'needs a port, like api.example.com:443 (or :* for every port)';
const URL_PROBLEM = 'is a URL or a path; it takes the host alone, like api.example.com:443';
const ACCOUNT = 'has an account in front of an @; it takes the host alone, like api.example.com:443';
/** What readers of URLs leave out of a host, or let it end at: two of them may understand two hosts. */
const NOT_OF_HOSTS = /[?#\\\s\p{Cc}]/u;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** As URLs and resolvers of C read them: 127.1, 0x7f.1, 2130706433. */
const NUMBER_FORM = /(^|\.)(\d+|0x[0-9a-f]*)$/;

/** What the text means, or one clause that says why it means nothing. */
export function readEgressHost(text: string): EgressHost | { problem: string } {
  if (text.includes('://')) return { problem: URL_PROBLEM };
  if (text.includes('@')) return { problem: ACCOUNT };
  if (!text.startsWith('[') && text.split(':').length > 2)
    return { problem: 'is an IPv6 address without brackets: write [2001:db8::1]:443' };
  const { host, port } = splitPort(text);
  if (port === undefined) return { problem: NO_PORT };
  if (port !== '*' && !(/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536))
    return { problem: `has no port from 1 to 65535, but ${JSON.stringify(port.slice(0, 20))}` };
  const found = readHost(host);
  return 'problem' in found ? found : { ...found, port: port === '*' ? '*' : Number(port) };
}

/** IPv6 stands in brackets, as in URLs; the bits of a network inside or behind them. */
function splitPort(text: string): { host: string; port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](\/\d+)?(?::(.*))?$/s.exec(text);
  if (bracketed !== null) return { host: `${bracketed[1]}${bracketed[2] ?? ''}`, port: bracketed[3] };
  const [, host = '', port] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  return { host, port };
}

function readHost(text: string): Pick<EgressHost, 'kind' | 'host'> | { problem: string } {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family !== 0 && !address.includes('%')) {
    const most = family === 4 ? 32 : 128;
    const isGood = more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
    return isGood
      ? { kind: 'network', host: text.toLowerCase() }
      : { problem: `is no network: the bits behind / are from 0 to ${most}` };
  }
  if (text.includes('%')) return { problem: 'has a % in it, which no host has' };
  const isSuffix = text.startsWith('*.');
  const name = domainToASCII(isSuffix ? text.slice(2) : text).replace(/\.$/, '');
  if (text.includes('/')) return { problem: URL_PROBLEM };
  if (text === '*') return { problem: 'is every host; write "public", without a list' };
  if (text.includes('*', isSuffix ? 1 : 0))
    return { problem: 'may have a star for the first label only: *.example.com' };
  if (isIP(name) !== 0 || NUMBER_FORM.test(text.toLowerCase()))
    return { problem: 'is an address in a number form; write it as 192.0.2.1' };
  if (
    NOT_OF_HOSTS.test(text) ||
    name === '' ||
    name.length > 253 ||
    !name.split('.').every((label) => LABEL.test(label))
  )
    return { problem: 'is no host name, *.suffix, address or network' };
  return isSuffix ? { kind: 'suffix', host: `*.${name}` } : { kind: 'name', host: name };
}

/** `none` is absent; empty lists are not stored. */
export type EgressSetting = typeof PUBLIC | readonly string[];

/** What is written in wafer.json, as a version stores it. */
export function storedEgress(value: string | readonly string[] | undefined): { egress?: typeof PUBLIC | string[] } {
  if (value === undefined || value === 'none' || value.length === 0) return {};
  return { egress: typeof value === 'string' ? PUBLIC : [...value] };
}

/** Problems of a setting by the index of the entry, -1 for the whole. */
export function egressProblems(value: unknown): { index: number; problem: string }[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((text: unknown, index) => {
    const read = typeof text === 'string' ? readEgressHost(text) : null;
    return read !== null && 'problem' in read ? [{ index, problem: read.problem }] : [];
  });
}

/**
 * Why a function with that setting could never connect as it says under the ceiling (entries as of
 * `WAFER_EGRESS`: `public` or `host:port`); null: it may, as far as can be said before names are looked up.
 */
export function aboveCeiling(
  setting: EgressSetting,
  ceiling: readonly string[],
): { index: number; problem: string } | null {
  if (setting === PUBLIC) {
    if (ceiling.includes(PUBLIC)) return null;
    return {
      index: -1,
      problem: 'can not be "public": the operator of this platform does not allow it (WAFER_EGRESS)',
    };
  }
  const hosts = ceiling.map(readEgressHost).filter((one) => !('problem' in one)) as EgressHost[];
  const index = setting.findIndex((text) => !isWithin(text, ceiling.includes(PUBLIC), hosts));
  if (index < 0) return null;
  return { index, problem: 'is not among what the operator of this platform allows (WAFER_EGRESS)' };
}

function isWithin(text: string, internet: boolean, hosts: readonly EgressHost[]): boolean {
  const rule = readEgressHost(text);
  if ('problem' in rule) return false;
  const [address = '', bits] = rule.host.split('/');
  // A wide network holds both kinds of addresses; it opens the public ones.
  const isPublic = rule.kind !== 'network' || Number(bits ?? 128) < 8 || isPublicAddress(address);
  return (internet && isPublic) || hosts.some((host) => meets(host, rule));
}

/** Whether there is anything that both cover. */
function meets(ceiling: EgressHost, rule: EgressHost): boolean {
  if (ceiling.port !== '*' && rule.port !== '*' && ceiling.port !== rule.port) return false;
  if (ceiling.kind === 'network' || rule.kind === 'network')
    return ceiling.kind === rule.kind && (hasFirst(ceiling.host, rule.host) || hasFirst(rule.host, ceiling.host));
  return covers(ceiling.host, rule.host) || covers(rule.host, ceiling.host);
}

const covers = (pattern: string, name: string) =>
  pattern === name || (pattern.startsWith('*.') && !name.startsWith('*.') && name.replace(/^[^.]+/, '*') === pattern);

/** Whether the network holds the first address of the other; of two, one holds the other or they share nothing. */
function hasFirst(network: string, other: string): boolean {
  const [address = '', bits] = network.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  const [first = ''] = other.split('/');
  if ((isIP(first) === 6) !== (family === 'ipv6')) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
  return list.check(first, family);
}
