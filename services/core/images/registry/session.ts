/**
 * Talks to one registry for one purpose. Adds credentials for the registry's own origin only,
 * follows redirects by the rule in hosts.ts, and tries again what may pass.
 */
import { WaferError } from '../../errors.ts';
import { type AuthDeps, createAuthorizer } from './auth.ts';
import { failureOf, transientOf } from './failure.ts';
import type { Target } from './hosts.ts';
import type { Reply } from './http.ts';
import type { RegistryLimits } from './limits.ts';
import { withRetries } from './retry.ts';

export interface RegistryRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT';
  /** Below `/v2/`, or what `locate` gave. */
  to: string | Target;
  headers?: Record<string, string>;
  body?: Buffer;
  /** Other statuses are errors. */
  expect: readonly number[];
  /** For messages: `the manifest of a/b:c`. */
  what: string;
  signal: AbortSignal;
}

export interface RegistrySession {
  readonly registry: string;
  readonly limits: RegistryLimits;
  /** One request with its retries. The caller reads or destroys the body. */
  request(request: RegistryRequest): Promise<Reply>;
  /** The same without retries: for a body whose reading may fail and go on. @throws TransientError */
  attempt(request: RegistryRequest): Promise<Reply>;
  /** A `Location` of an answer. @throws WaferError `registry_denied` */
  locate(location: string, from: URL): Target;
}

const REDIRECTS = [301, 302, 303, 307, 308];

/** The reply, if it is one that was expected. */
async function accepted(
  reply: Reply,
  request: RegistryRequest,
  registry: string,
  limits: RegistryLimits,
): Promise<Reply> {
  const encoding = reply.header('content-encoding');
  if (encoding !== undefined && encoding !== 'identity') {
    reply.body.destroy();
    throw new WaferError(
      'registry_failed',
      `${registry} encodes ${request.what} a second time, which nobody asked for.`,
    );
  }
  if (request.expect.includes(reply.status)) return reply;
  const transient = transientOf(reply);
  if (transient === null) throw await failureOf(reply, registry, request.what, limits.smallBytes);
  reply.body.destroy();
  throw transient;
}

export function createSession(registry: string, scopes: readonly string[], deps: AuthDeps): RegistrySession {
  const { http, hosts, limits } = deps;
  const authorizer = createAuthorizer(registry, scopes, deps);
  const origin = hosts.origin(registry);

  const targetOf = (to: RegistryRequest['to']): Target =>
    typeof to === 'string' ? { url: new URL(`v2/${to}`, origin), isOrigin: true, onlyPublic: false } : to;

  const sendTo = ({ url, isOrigin, onlyPublic }: Target, { method, headers, body, signal }: RegistryRequest) =>
    http.send({
      method,
      url,
      headers: { ...headers, ...(isOrigin ? authorizer.header() : {}) },
      ...(body === undefined ? {} : { body }),
      onlyPublic,
      signal,
    });

  /** One answer to one 401; the next 401 is the answer. */
  const sendAuthorized = async (target: Target, request: RegistryRequest): Promise<Reply> => {
    const used = authorizer.header();
    const reply = await sendTo(target, request);
    if (reply.status !== 401 || !target.isOrigin) return reply;
    if (!(await authorizer.answer(reply, used, request.signal))) return reply;
    reply.body.destroy();
    return sendTo(target, request);
  };

  const sendFollowing = async (request: RegistryRequest): Promise<Reply> => {
    let target = targetOf(request.to);
    for (let hops = 0; ; hops++) {
      const reply = await sendAuthorized(target, request);
      const location = reply.header('location');
      const isRedirect = REDIRECTS.includes(reply.status) && location !== undefined;
      if (!isRedirect || (request.method !== 'GET' && request.method !== 'HEAD')) return reply;
      reply.body.destroy();
      if (hops >= limits.redirects)
        throw new WaferError('registry_failed', `${registry} redirects too often for ${request.what}.`);
      target = hosts.follow(location, target.url, registry);
    }
  };

  const attempt = async (request: RegistryRequest): Promise<Reply> =>
    accepted(await sendFollowing(request), request, registry, limits);

  return {
    registry,
    limits,
    attempt,
    request: (request) =>
      withRetries(`${request.method} of ${request.what} at ${registry}`, limits, request.signal, () =>
        attempt(request),
      ),
    locate: (location, from) => hosts.follow(location, from, registry),
  };
}
