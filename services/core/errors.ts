/**
 * The one registry of platform errors.
 *
 * A *platform* failure is thrown as a `WaferError`; a *guest* failure is a value
 * (`Outcome`, see invocations/types.ts) that the API maps with `OUTCOME_ERRORS`.
 * Every entry has a stable code (part of the API), an HTTP status and a CLI exit
 * code. Messages name what failed, where, and what to do about it. The text of
 * 5xx errors other than the listed ones never leaves the process.
 */

interface ErrorSpec {
  status: number;
  exit: number;
  title: string;
}

const spec = (status: number, exit: number, title: string): ErrorSpec => ({ status, exit, title });

/** Exit codes: 1 a function failed, 2 wrong usage or input, 3 not reachable or not allowed, 4 host can not run Wafer, 70 bug. */
export const ERRORS = {
  // input
  invalid_request: spec(400, 2, 'The request is not valid'),
  invalid_json: spec(400, 2, 'The body is not valid JSON'),
  invalid_name: spec(400, 2, 'The name is not valid'),
  invalid_config: spec(400, 2, 'wafer.json is not valid'),
  invalid_archive: spec(400, 2, 'The archive is not acceptable'),
  archive_too_large: spec(413, 2, 'The archive is too large'),
  payload_too_large: spec(413, 2, 'The request body is too large'),
  request_timeout: spec(408, 3, 'The request did not arrive in time'),
  unsupported_media_type: spec(415, 2, 'The content type is not supported'),
  unknown_runtime: spec(400, 2, 'The runtime is not known'),
  missing_handler: spec(400, 2, 'The handler file is missing'),
  invalid_dockerfile: spec(400, 2, 'The Dockerfile is not valid'),
  invalid_schedule: spec(400, 2, 'The schedule is not valid'),
  build_failed: spec(422, 1, 'The build failed'),
  invalid_image: spec(422, 2, 'The image is not acceptable'),
  container_start_failed: spec(422, 1, 'The container could not be started'),
  // access
  unauthorized: spec(401, 3, 'The API key is missing or wrong'),
  invalid_signature: spec(401, 3, 'The signature of the delivery is missing or wrong'),
  forbidden: spec(403, 3, 'This is not allowed'),
  not_found: spec(404, 2, 'Not found'),
  function_not_found: spec(404, 2, 'The function does not exist'),
  version_not_found: spec(404, 2, 'The version does not exist'),
  alias_not_found: spec(404, 2, 'The alias does not exist'),
  invocation_not_found: spec(404, 2, 'The invocation does not exist'),
  schedule_not_found: spec(404, 2, 'The schedule does not exist'),
  image_not_found: spec(404, 2, 'The image does not exist'),
  container_not_found: spec(404, 2, 'The container does not exist'),
  volume_not_found: spec(404, 2, 'The volume does not exist'),
  volume_in_use: spec(409, 2, 'The volume is in use'),
  secret_not_found: spec(404, 2, 'The secret does not exist'),
  webhook_not_found: spec(404, 2, 'The webhook does not exist'),
  delivery_not_found: spec(404, 2, 'The delivery does not exist'),
  webhook_disabled: spec(403, 3, 'The webhook takes no deliveries'),
  method_not_allowed: spec(405, 2, 'The method is not allowed here'),
  idempotency_conflict: spec(409, 2, 'The idempotency key was used for something else'),
  conflict: spec(409, 2, 'The state does not allow this'),
  registry_denied: spec(403, 3, 'The registry does not allow it'),
  chain_too_deep: spec(508, 2, 'Too many invocations follow one another'),
  // capacity
  overloaded: spec(429, 3, 'Too many calls are waiting'),
  namespace_limit: spec(429, 3, 'All instances together may not have more'),
  shutting_down: spec(503, 3, 'The platform is shutting down'),
  store_unavailable: spec(503, 3, 'Redis can not be reached'),
  // host
  secrets_locked: spec(503, 4, 'The secrets can not be opened'),
  engine_failed: spec(503, 4, 'The sandbox engine failed'),
  sandbox_failed: spec(503, 4, 'A sandbox could not be made'),
  disk_full: spec(507, 4, 'The disk is full'),
  digest_mismatch: spec(502, 4, 'Stored content does not match its digest'),
  redis_unsafe: spec(503, 4, 'Redis is not set up to keep data'),
  redis_missing: spec(503, 4, 'redis-server is not installed'),
  port_in_use: spec(503, 4, 'The port is in use'),
  userns_unavailable: spec(503, 4, 'User namespaces are not available'),
  running_as_root: spec(503, 4, 'Wafer does not run as root'),
  already_running: spec(503, 4, 'Another Wafer uses this data directory'),
  registry_failed: spec(502, 3, 'The registry failed'),
  not_reachable: spec(503, 3, 'The Wafer API can not be reached'),
  usage: spec(400, 2, 'Wrong usage'),
  internal: spec(500, 70, 'Internal error'),
  // outcomes of a call (guest failures on the wire)
  function_error: spec(502, 1, 'The function failed'),
  function_timeout: spec(504, 1, 'The function ran out of time'),
  function_oom: spec(502, 1, 'The function ran out of memory'),
  function_crashed: spec(502, 1, 'The function crashed'),
  function_killed: spec(502, 1, 'The function was stopped by the platform'),
  function_init_failed: spec(502, 1, 'The function could not be loaded'),
  handler_not_found: spec(502, 1, 'The handler does not exist'),
  result_not_serialisable: spec(502, 1, 'The result can not be sent as JSON'),
  result_too_large: spec(502, 1, 'The result is too large'),
  protocol_error: spec(502, 1, 'The function broke the runtime protocol'),
  volume_conflict: spec(409, 1, 'Another call changed the volume meanwhile'),
  volume_full: spec(507, 1, 'The volume is full'),
  worker_lost: spec(502, 1, 'The worker was lost while it ran the function'),
  expired: spec(504, 1, 'The invocation became too old before it succeeded'),
  cancelled: spec(499, 1, 'The caller went away'),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorOptions {
  /** Lets a caller act without reading the message: JSON path, field, step, file, line. */
  details?: Record<string, unknown>;
  /** What the user can do; printed on its own line by the CLI. */
  hint?: string;
  cause?: unknown;
}

export class WaferError extends Error {
  override readonly name = 'WaferError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.details = options.details;
    this.hint = options.hint;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}

/** RFC 9457 problem document; `code` is the stable part. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  hint?: string;
  details?: Record<string, unknown>;
  invocation?: string;
}

/** The wire form. Unregistered errors become `internal` without their text. */
export function toProblem(error: unknown): Problem {
  const known =
    error instanceof WaferError
      ? error
      : new WaferError('internal', 'Something went wrong inside the platform; its log has the details.');
  const { status, title } = ERRORS[known.code];
  return {
    type: `https://wafer.dev/errors/${known.code}`,
    title,
    status,
    code: known.code,
    detail: known.message,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
    ...(known.details === undefined ? {} : { details: known.details }),
  };
}

export function coerceError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}

export function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
