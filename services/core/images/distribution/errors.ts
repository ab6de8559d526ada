/** What the distribution protocol calls an error: a code of its list, and the status that its clients expect. */
import { type ErrorCode, WaferError } from '../../errors.ts';

/** Status on the wire, and the platform's own code. `TAG_INVALID` is the one that is not in the list of the specification. */
const REFUSALS = {
  BLOB_UNKNOWN: [404, 'not_found'],
  BLOB_UPLOAD_INVALID: [400, 'invalid_request'],
  BLOB_UPLOAD_UNKNOWN: [404, 'not_found'],
  DIGEST_INVALID: [400, 'invalid_request'],
  MANIFEST_BLOB_UNKNOWN: [404, 'not_found'],
  MANIFEST_INVALID: [400, 'invalid_image'],
  MANIFEST_UNKNOWN: [404, 'image_not_found'],
  NAME_INVALID: [400, 'invalid_name'],
  NAME_UNKNOWN: [404, 'image_not_found'],
  SIZE_INVALID: [400, 'invalid_request'],
  TAG_INVALID: [400, 'invalid_name'],
  DENIED: [403, 'registry_denied'],
  UNSUPPORTED: [405, 'method_not_allowed'],
  TOOMANYREQUESTS: [429, 'overloaded'],
} as const satisfies Record<string, [number, ErrorCode]>;

export type Refusal = keyof typeof REFUSALS;

export interface RefusalOptions {
  /** Where it is not the usual one. */
  status?: number;
  /** For the answer: where an upload stands. */
  headers?: Record<string, string>;
  detail?: unknown;
  cause?: unknown;
}

export class DistributionError extends WaferError {
  readonly refusal: Refusal;
  readonly wireStatus: number;
  readonly headers: Record<string, string>;
  readonly detail: unknown;

  constructor(refusal: Refusal, message: string, options: RefusalOptions = {}) {
    const [status, code] = REFUSALS[refusal];
    super(code, message, { cause: options.cause });
    this.refusal = refusal;
    this.wireStatus = options.status ?? status;
    this.headers = options.headers ?? {};
    this.detail = options.detail ?? null;
  }
}
