/** Errors of `/v2/` have the body that registry clients read, not problem+json. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import { DistributionError } from '../../core/images/distribution/errors.ts';
import { toWaferError } from '../http/problem.ts';

interface WireError {
  status: number;
  code: string;
  message: string;
  detail: unknown;
  headers: Record<string, string>;
}

/** Codes for what is not about the protocol. The last two are Docker's. */
const BY_STATUS: Record<number, string> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  405: 'UNSUPPORTED',
  409: 'DENIED',
  413: 'SIZE_INVALID',
  415: 'UNSUPPORTED',
  429: 'TOOMANYREQUESTS',
  503: 'UNAVAILABLE',
  507: 'UNAVAILABLE',
};

const RETRY_AFTER: Record<number, string> = { 429: '1', 503: '2' };

function toWire(error: unknown, request: FastifyRequest): WireError {
  if (error instanceof DistributionError) {
    const { wireStatus: status, refusal: code, message, detail, headers } = error;
    return { status, code, message, detail, headers };
  }
  const known = toWaferError(error, request);
  if (!(known instanceof WaferError)) {
    const message = 'Something went wrong inside the platform; its log has the details.';
    return { status: 500, code: 'UNKNOWN', message, detail: null, headers: {} };
  }
  const { status, message, hint } = known;
  const code = BY_STATUS[status] ?? (status < 500 ? 'UNSUPPORTED' : 'UNKNOWN');
  const headers = status === 401 ? { 'www-authenticate': 'Basic realm="wafer"' } : {};
  return { status, code, message: hint === undefined ? message : `${message} ${hint}`, detail: null, headers };
}

export function sendDistributionError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, code, message, detail, headers } = toWire(error, request);
  const place = { code, method: request.method, url: request.url };
  if (status >= 500) request.log.error({ err: error, ...place }, 'a request of a registry client failed');
  else request.log.debug({ ...place, message }, 'a request of a registry client was refused');
  const retry = RETRY_AFTER[status];
  if (retry !== undefined) reply.header('retry-after', retry);
  reply.removeHeader('connection');
  reply.removeHeader('content-length');
  const body = JSON.stringify({ errors: [{ code, message, detail }] });
  return reply.code(status).headers(headers).header('content-type', 'application/json').send(Buffer.from(body));
}
