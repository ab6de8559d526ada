/** Tells "no such path" (404) from "not with this method" (405 with `Allow`). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';

/** Call before any route is registered. The result throws for a request that no route has taken. */
export function createRouteMissing(
  app: FastifyInstance,
): (request: FastifyRequest) => { error: WaferError; allow: string } {
  const methodsByPattern = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methodsByPattern.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methodsByPattern.set(url, known);
  });
  let table: { matcher: RegExp; methods: Set<string> }[] | null = null;
  return (request) => {
    table ??= [...methodsByPattern].map(([url, methods]) => ({ matcher: toMatcher(url), methods }));
    const path = request.url.split('?', 1)[0] ?? '';
    const allowed = new Set(table.filter(({ matcher }) => matcher.test(path)).flatMap(({ methods }) => [...methods]));
    // Taken by a route that found nothing below it (a file of /docs): that is 404.
    const allow = allowed.has(request.method) ? '' : [...allowed].sort().join(', ');
    return { error: missing(request.method, path, allow), allow };
  };
}

function missing(method: string, path: string, allow: string): WaferError {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  if (allow === '') {
    return new WaferError('not_found', `There is nothing at ${shown}.`, { hint: 'All routes are listed at /docs.' });
  }
  return new WaferError('method_not_allowed', `${method} is not allowed at ${shown}; allowed: ${allow}.`);
}

function toMatcher(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:[A-Za-z]+/g, '[^/]+')
    .replace(/\*/g, '.*');
  return new RegExp(`^${source}$`);
}
