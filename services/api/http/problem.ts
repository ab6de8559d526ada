/** Everything that goes wrong leaves as `application/problem+json` with a registered code. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, isErrno, type Problem, toProblem, WaferError } from '../../core/errors.ts';
import { checkAlias, checkFunctionName } from '../../core/functions/names.ts';
import { checkScheduleName } from '../../core/triggers/schedules/check.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Codes that pass by themselves; clients get told when to come back. */
const RETRY_AFTER_S: Partial<Record<ErrorCode, number>> = {
  overloaded: 1,
  namespace_limit: 1,
  shutting_down: 2,
  store_unavailable: 2,
  engine_failed: 2,
  sandbox_failed: 1,
};

/** Set for errors after an invocation id was given out. */
const INVOCATION_HEADER = 'x-wafer-invocation';

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toWaferError(error, request);
  const problem: Problem = toProblem(known);
  const invocation = reply.getHeader(INVOCATION_HEADER);
  if (typeof invocation === 'string') problem.invocation = invocation;
  const place = { code: problem.code, method: request.method, route: request.routeOptions.url, invocation };
  if (isOurFault(problem)) request.log.error({ err: error, ...place }, 'a request failed');
  else request.log.debug({ ...place, detail: problem.detail }, 'a request was refused');
  const retry = retryAfterOf(problem);
  if (retry !== undefined) reply.header('retry-after', String(retry));
  // Fastify closes at once when a body is too large; the client would often see a reset instead of the answer.
  reply.removeHeader('connection');
  reply.removeHeader('content-length');
  return reply.code(problem.status).header('content-type', PROBLEM_TYPE).send(JSON.stringify(problem));
}

/** Whoever refuses may know better than the table; in whole seconds. */
function retryAfterOf({ code, details }: Problem): number | undefined {
  const standard = RETRY_AFTER_S[code];
  const ms = details?.['retryAfterMs'];
  return standard === undefined || typeof ms !== 'number' ? standard : Math.max(1, Math.ceil(ms / 1000));
}

/** A function's failure is 5xx on the wire but not a fault of the platform. */
function isOurFault({ status, code }: Problem): boolean {
  return status >= 500 && !code.startsWith('function_') && !GUEST_CODES.has(code);
}
const GUEST_CODES = new Set<ErrorCode>([
  'handler_not_found',
  'result_not_serialisable',
  'result_too_large',
  'protocol_error',
  'volume_full',
  'shutting_down',
  // Of a registry, not of ours.
  'registry_failed',
]);

/** Anything that is not registered stays as it is; `toProblem` masks it. */
export function toWaferError(error: unknown, request?: FastifyRequest): unknown {
  if (error instanceof WaferError || !(error instanceof Error)) return error;
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new WaferError('disk_full', 'There is no space left on the disk of the data directory.', { cause: error });
  }
  const known = error as FastifyError;
  if (known.validation !== undefined) return fromValidation(known, request);
  const code = FASTIFY_CODES[known.code];
  if (code !== undefined) return new WaferError(code, describe(code, known), { cause: error });
  if (known.code?.startsWith('FST_') && known.statusCode !== undefined && known.statusCode < 500) {
    return new WaferError('invalid_request', known.message, { cause: error });
  }
  return error;
}

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_BAD_URL: 'invalid_request',
  FST_ERR_MAX_PARAM_LENGTH: 'invalid_name',
  FST_REQ_FILE_TOO_LARGE: 'archive_too_large',
  FST_FILES_LIMIT: 'invalid_request',
  FST_FIELDS_LIMIT: 'invalid_request',
  FST_PARTS_LIMIT: 'invalid_request',
  FST_PROTO_VIOLATION: 'invalid_request',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'unsupported_media_type',
  FST_INVALID_JSON_FIELD_ERROR: 'invalid_json',
};

function describe(code: ErrorCode, error: FastifyError): string {
  if (code === 'unsupported_media_type') return 'This route does not take bodies of this content type.';
  if (code === 'invalid_json') return `The body is not valid JSON: ${error.message}`;
  return error.message;
}

/** Names the place: `body/files`, `query/limit`, `params/name`. */
function fromValidation(error: FastifyError, request: FastifyRequest | undefined): WaferError {
  const part = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request');
  const first = error.validation?.[0];
  const extra = first?.params['additionalProperty'];
  const path = `${part}${first?.instancePath ?? ''}${typeof extra === 'string' ? `/${extra}` : ''}`;
  const details = { path, rule: first?.keyword };
  if (part === 'params') {
    const { name, alias } = (request?.params ?? {}) as Record<string, string | undefined>;
    const checkName = request?.routeOptions.url?.startsWith('/v1/schedules') ? checkScheduleName : checkFunctionName;
    if (path === 'params/name') return nameError(() => checkName(name ?? ''), details);
    if (path === 'params/alias') return nameError(() => checkAlias(alias ?? ''), details);
  }
  if (typeof extra === 'string') return new WaferError('invalid_request', `${path} is not known here.`, { details });
  return new WaferError('invalid_request', `${path} ${first?.message ?? 'is not valid'}.`, { details });
}

/** The rule and its wording are core's. */
function nameError(check: () => string, details: Record<string, unknown>): WaferError {
  try {
    check();
  } catch (error) {
    if (error instanceof WaferError) return error;
  }
  return new WaferError('invalid_name', 'The name is not valid.', { details });
}
