/** One key opens everything; what is open without it says so in its route config. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without a key. */
    open?: boolean;
    /** The key may also come as the password of Basic, as registry clients send it. */
    basicAuth?: boolean;
    /** The body goes on as it came; content encodings are the function's business. */
    rawBody?: boolean;
    /** The body is taken whole, but as it came: its bytes are signed. */
    anyEncoding?: boolean;
    /** Only for the OpenAPI document: a body that is not validated by its schema. */
    bodyDocs?: object;
  }
}

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
const BASIC = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i;

const sha256 = (text: string) => hash('sha256', text, 'buffer');

/** Of `user:password`; the user is of no interest. */
function passwordOf(authorization: string): string | undefined {
  const pair = Buffer.from(BASIC.exec(authorization)?.[1] ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon === -1 ? undefined : pair.slice(colon + 1);
}

export type KeyCheck = (authorization: string | undefined, basicToo?: boolean) => boolean;

/** Compares digests, so neither length nor content of the key shows in the time it takes. */
export function createKeyCheck(adminKey: string): KeyCheck {
  const expected = sha256(adminKey);
  return (authorization = '', basicToo = false) => {
    const given = BEARER.exec(authorization)?.[1] ?? (basicToo ? passwordOf(authorization) : undefined);
    return timingSafeEqual(sha256(given ?? ''), expected) && given !== undefined;
  };
}

/** Also for paths that do not exist: without a key nothing can be found out. */
export function requireKey(check: KeyCheck, request: FastifyRequest): void {
  const basicToo = request.routeOptions.config.basicAuth === true;
  if (isOpen(request) || check(request.headers.authorization, basicToo)) return;
  throw new WaferError('unauthorized', 'This needs the header "Authorization: Bearer <key>" with a valid key.', {
    hint: 'The admin key is in admin.key in the data directory of the platform ($WAFER_DATA).',
  });
}

/** The pages of the API browser are registered by a plugin, so they are told by their route's pattern. */
function isOpen({ routeOptions }: FastifyRequest): boolean {
  if (routeOptions.config.open === true) return true;
  const pattern = routeOptions.url ?? '';
  return pattern === '/docs' || pattern.startsWith('/docs/');
}
