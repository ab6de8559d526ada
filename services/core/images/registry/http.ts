/** One HTTP exchange with a registry, or with a host that it names. No retries, no credentials of its own. */
import { type ClientRequest, Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { coerceError, WaferError } from '../../errors.ts';
import { assertPublicHost, assertResolvesPublic, lookupPublic } from './addresses.ts';
import type { RegistryLimits } from './limits.ts';
import { createProxied } from './proxied.ts';
import { NO_PROXIES, type Proxies } from './proxies.ts';

export interface Exchange {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body?: Buffer;
  /** The host is the registry's choice, not the user's: only public addresses. */
  onlyPublic: boolean;
  signal: AbortSignal;
}

export interface Reply {
  status: number;
  header(name: string): string | undefined;
  url: URL;
  /** The caller reads it to its end or destroys it. */
  body: Readable;
}

export interface Http {
  send(exchange: Exchange): Promise<Reply>;
  close(): void;
}

/** Marks failures that another try may mend. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  /** The registry's wish, ms. */
  readonly retryAfterMs: number | null;
  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number | null } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

function explain(error: unknown, url: URL, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof WaferError || error instanceof TransientError) return error;
  const { message, code } = coerceError(error) as NodeJS.ErrnoException;
  if (/^(ERR_SSL|EPROTO|DEPTH_ZERO|SELF_SIGNED|CERT_|UNABLE_TO|ERR_TLS)/.test(code ?? '')) {
    return new WaferError('registry_failed', `There is no safe connection to ${url.host}: ${message}`, {
      cause: error,
      hint: `If ${url.host} speaks plain HTTP, name it in WAFER_INSECURE_REGISTRIES.`,
    });
  }
  return new TransientError(`${url.host}: ${message === '' ? (code ?? 'the connection failed') : message}`, {
    cause: error,
  });
}

const OWN_HEADERS = { 'user-agent': 'wafer', 'accept-encoding': 'identity' };

export function createHttp(limits: RegistryLimits, proxies: Proxies = NO_PROXIES): Http {
  const proxied = createProxied(limits.idleMs);
  const options = { keepAlive: true, maxSockets: 8 };
  const agents = { plain: new HttpAgent(options), secure: new HttpsAgent(options) };
  const open = (exchange: Exchange): ClientRequest => {
    const { method, url, headers, body, onlyPublic, signal } = exchange;
    if (onlyPublic) assertPublicHost(url.hostname);
    const settings = {
      method,
      headers: {
        ...OWN_HEADERS,
        ...headers,
        ...(body && { 'content-length': body.length }),
      },
      timeout: limits.idleMs,
      signal,
      ...(onlyPublic ? { lookup: lookupPublic } : {}),
    };
    if (url.protocol === 'http:') return requestHttp(url, { ...settings, agent: agents.plain });
    return requestHttps(url, { ...settings, agent: agents.secure });
  };
  const sendDirectly = (exchange: Exchange): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const { url, body, signal } = exchange;
      const request = open(exchange);
      request.on('timeout', () => request.destroy(new TransientError(`${url.host} is silent for ${limits.idleMs} ms`)));
      request.on('error', (error) => reject(explain(error, url, signal)));
      request.on('response', (reply) => {
        const header = (name: string) => [reply.headers[name]].flat()[0];
        resolve({ status: reply.statusCode ?? 0, header, url, body: reply });
      });
      request.end(body);
    });
  const sendThrough = async (proxy: URL, exchange: Exchange): Promise<Reply> => {
    const { url, headers, signal, onlyPublic } = exchange;
    // The proxy resolves names; what we can resolve ourselves must be public too.
    if (onlyPublic) await assertResolvesPublic(url.hostname);
    try {
      return await proxied.send(proxy, { ...exchange, headers: { ...OWN_HEADERS, ...headers } });
    } catch (error) {
      throw explain(error, url, signal);
    }
  };
  return {
    async send(exchange) {
      exchange.signal.throwIfAborted();
      const proxy = proxies.forUrl(exchange.url);
      return proxy === null ? sendDirectly(exchange) : sendThrough(proxy, exchange);
    },
    close() {
      proxied.close();
      agents.plain.destroy();
      agents.secure.destroy();
    },
  };
}

/** The whole body, capped. @throws TransientError when it breaks off; WaferError `registry_failed` when it is too long */
export async function readSmall(reply: Reply, maxBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        throw new WaferError('invalid_image', `${what} of ${reply.url.host} is larger than ${maxBytes} bytes.`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    reply.body.destroy();
    if (error instanceof WaferError) throw error;
    throw new TransientError(`${reply.url.host}: the answer broke off`, { cause: error });
  }
  return Buffer.concat(chunks);
}
