/** Exchanges through an HTTP proxy: plain HTTP is asked of it, HTTPS goes through a tunnel and stays end to end. */
import { ProxyAgent, request } from 'undici';
import { WaferError } from '../../errors.ts';
import type { Exchange, Reply } from './http.ts';

export interface Proxied {
  send(proxy: URL, exchange: Exchange): Promise<Reply>;
  close(): void;
}

/** A tunnel that was refused: another try would be refused too. */
const REFUSED = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/;

export function createProxied(idleMs: number): Proxied {
  const agents = new Map<string, ProxyAgent>();
  const agentOf = (proxy: URL) => {
    const known = agents.get(proxy.href) ?? new ProxyAgent({ uri: proxy.href, proxyTunnel: false, connections: 8 });
    agents.set(proxy.href, known);
    return known;
  };
  return {
    async send(proxy, { method, url, headers, body, signal }) {
      const answer = await request(url, {
        dispatcher: agentOf(proxy),
        method: method as 'GET',
        headers: { ...headers, ...(body && { 'content-length': String(body.length) }) },
        body: body ?? null,
        headersTimeout: idleMs,
        bodyTimeout: idleMs,
        signal,
      }).catch((error: unknown) => {
        throw explain(error, proxy);
      });
      // One that nobody reads to its end must not end the process.
      answer.body.on('error', () => {});
      const header = (name: string) => [answer.headers[name]].flat()[0];
      return { status: answer.statusCode, header, url, body: answer.body };
    },
    close() {
      for (const agent of agents.values()) void agent.destroy();
    },
  };
}

function explain(error: unknown, proxy: URL): unknown {
  const found = error instanceof Error ? REFUSED.exec(error.message) : null;
  if (found === null) return error;
  return new WaferError('registry_failed', `The proxy ${proxy.host} answered ${found[1] ?? found[2]}.`, {
    cause: error,
    hint: 'Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the platform.',
  });
}
