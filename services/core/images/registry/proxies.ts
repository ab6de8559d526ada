/**
 * HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the host (lower case wins), by the rules that curl and Go share: a list of
 * names with their subdomains, `host:port`, addresses, networks, `*`. Loopback is never sent through a proxy.
 */
import { BlockList, isIP } from 'node:net';
import { WaferError } from '../../errors.ts';

export interface Proxies {
  /** Null: directly. */
  forUrl(url: URL): URL | null;
}

export const NO_PROXIES: Proxies = { forUrl: () => null };

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function readProxy(env: NodeJS.ProcessEnv, name: string): URL | null {
  const text = env[name] ?? env[name.toUpperCase()] ?? '';
  if (text === '') return null;
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new WaferError('usage', `${name.toUpperCase()} is not the address of an HTTP proxy.`, {
    hint: 'Write it like http://proxy.example:3128, or unset it.',
  });
}

type Matches = (host: string, port: string) => boolean;

function matcher(entry: string): Matches {
  if (entry === '*') return () => true;
  const [, network = '', bits] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(entry) ?? [];
  if (isIP(network) !== 0) {
    const list = new BlockList();
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
    if (Number(bits) > (family === 'ipv6' ? 128 : 32)) return () => false;
    list.addSubnet(network, Number(bits), family);
    return (host) => isIP(host) !== 0 && list.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  }
  const [, name = '', wanted] = /^(.*?)(?::(\d{1,5}))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
  const plain = name.replace(/^\*?\./, '').replace(/^\[|\]$/g, '');
  return (host, port) =>
    plain !== '' && (wanted === undefined || wanted === port) && (host === plain || host.endsWith(`.${plain}`));
}

/** @throws WaferError `usage` for a setting that is no proxy */
export function readProxies(env: NodeJS.ProcessEnv): Proxies {
  const proxies = { 'http:': readProxy(env, 'http_proxy'), 'https:': readProxy(env, 'https_proxy') };
  const excepted = (env['no_proxy'] ?? env['NO_PROXY'] ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map(matcher);
  return {
    forUrl(url) {
      const proxy = proxies[url.protocol as 'http:' | 'https:'] ?? null;
      if (proxy === null || LOOPBACK.test(url.hostname)) return null;
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
      return excepted.some((matches) => matches(host, port)) ? null : proxy;
    },
  };
}
