/** Files of the internet, for ADD: http and https, public addresses only, with caps. The URL is the Dockerfile's; where it leads is not trusted. */
import type { Readable } from 'node:stream';
import { WaferError } from '../errors.ts';
import { createHttp, type Http, type Reply, TransientError } from './registry/http.ts';
import { REGISTRY_LIMITS } from './registry/limits.ts';
import type { Proxies } from './registry/proxies.ts';
import { withRetries } from './registry/retry.ts';

export const REMOTE_LIMITS = {
  /** Of one file. */
  bytes: 2 * 1024 ** 3,
  /** From the first request to the last byte, with all redirects. */
  ms: 10 * 60_000,
  redirects: 5,
  attempts: REGISTRY_LIMITS.attempts,
  backoffMs: REGISTRY_LIMITS.backoffMs,
  idleMs: REGISTRY_LIMITS.idleMs,
};

export interface RemoteFile {
  body: Readable;
  /** Seconds; null when the server does not say. */
  lastModified: number | null;
}

export interface RemoteFiles {
  /**
   * `use` reads the body; it is called again after a failure that may pass.
   * @throws WaferError `build_failed` when it can not be had, `invalid_request` for a URL that is not taken
   */
  fetch<T>(url: string, signal: AbortSignal, use: (file: RemoteFile) => Promise<T>): Promise<T>;
}

export interface RemoteFilesOptions {
  proxies?: Proxies;
  /** `host:port` that need not be public; for the operator's own. */
  allow?: readonly string[];
  limits?: Partial<typeof REMOTE_LIMITS>;
}

const REDIRECTS = [301, 302, 303, 307, 308];

const failed = (url: URL, why: string, hint?: string) =>
  new WaferError('build_failed', `${shown(url)} can not be had: ${why}.`, hint === undefined ? {} : { hint });

/** Without what may be secret. */
const shown = ({ origin, pathname }: URL) => JSON.stringify(`${origin}${pathname}`.slice(0, 200));

/** @throws WaferError `invalid_request` */
export function readRemoteUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const refuse = (why: string) =>
    new WaferError('invalid_request', `${JSON.stringify(text.slice(0, 200))} is not fetched: ${why}.`);
  if (url === null) throw refuse('it is not a URL');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse('only http and https are');
  if (url.username !== '' || url.password !== '')
    throw refuse('a name or password in it would stay in the history of the image');
  return url;
}

export function createRemoteFiles({ proxies, allow = [], ...options }: RemoteFilesOptions = {}): RemoteFiles {
  const limits = { ...REMOTE_LIMITS, ...options.limits };
  const retry = { ...REGISTRY_LIMITS, ...limits };

  const get = async (http: Http, first: URL, signal: AbortSignal): Promise<Reply> => {
    let url = first;
    for (let hops = 0; ; hops++) {
      const reply = await http.send({ method: 'GET', url, headers: {}, onlyPublic: !allow.includes(url.host), signal });
      const location = reply.header('location');
      if (!REDIRECTS.includes(reply.status) || location === undefined) return reply;
      reply.body.destroy();
      if (hops >= limits.redirects) throw failed(first, 'it redirects too often');
      url = follow(location, url, first);
    }
  };

  return {
    async fetch(text, caller, use) {
      const url = readRemoteUrl(text);
      const late = AbortSignal.timeout(limits.ms);
      const signal = AbortSignal.any([caller, late]);
      const http = createHttp(retry, proxies);
      try {
        return await withRetries(`Fetching ${shown(url)}`, retry, signal, async () => {
          const reply = await get(http, url, signal);
          try {
            return await use(accepted(reply, url, limits.bytes));
          } finally {
            reply.body.destroy();
          }
        });
      } catch (error) {
        caller.throwIfAborted();
        if (late.aborted) throw failed(url, `it did not come in ${limits.ms / 1000} s`);
        throw asFailure(error, url);
      } finally {
        http.close();
      }
    },
  };
}

function follow(location: string, from: URL, first: URL): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  const isTaken =
    url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && from.protocol === 'http:'));
  if (isTaken && url.username === '' && url.password === '') return url;
  throw failed(first, `it redirects to ${JSON.stringify(location.replace(/[^\x20-\x7e]/g, '?').slice(0, 120))}`);
}

function accepted(reply: Reply, url: URL, maxBytes: number): RemoteFile {
  const { status, header, body } = reply;
  if (status === 408 || status === 429 || status >= 500) throw new TransientError(`${url.host} answered ${status}`);
  if (status !== 200) throw failed(url, `the server answered ${status}`);
  const encoding = header('content-encoding');
  if (encoding !== undefined && encoding !== 'identity') throw failed(url, `it comes encoded with ${encoding}`);
  if (Number(header('content-length') ?? 0) > maxBytes) throw tooLarge(url, maxBytes);
  const modified = Date.parse(header('last-modified') ?? '');
  return {
    body: body.once('error', () => {}),
    lastModified: modified > 0 ? Math.floor(modified / 1000) : null,
  };
}

export const tooLarge = (url: URL, maxBytes: number): WaferError => failed(url, `it has more than ${maxBytes} bytes`);

function asFailure(error: unknown, url: URL): unknown {
  if (!(error instanceof WaferError)) return error;
  if (error.code === 'registry_denied')
    return failed(url, 'it is not at a public address', 'Put the file into the build context.');
  if (error.code === 'registry_failed') return failed(url, error.message.replace(/\.$/, ''));
  return error;
}
