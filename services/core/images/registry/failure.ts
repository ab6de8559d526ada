/** Answers with an error status, as errors of ours. */
import { type ErrorCode, WaferError } from '../../errors.ts';
import { isRecord, parseJson } from '../documents.ts';
import { type Reply, readSmall, TransientError } from './http.ts';

/** The registry's own words, fit to be printed. */
function wordsOf(body: Buffer): string {
  const value = parseJson(body);
  const first: unknown = isRecord(value) && Array.isArray(value['errors']) ? value['errors'][0] : undefined;
  if (!isRecord(first)) return '';
  const words = [first['code'], first['message']].filter((one) => typeof one === 'string').join(': ');
  return words.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

const CODES: Record<number, ErrorCode> = { 401: 'registry_denied', 403: 'registry_denied', 404: 'image_not_found' };

const hintOf = (registry: string, code: ErrorCode) =>
  code === 'registry_denied' ? { hint: `"wafer login ${registry}" gives Wafer a name and a password for it.` } : {};

/** Reads the body. `what` is a noun with its place. */
export async function failureOf(reply: Reply, registry: string, what: string, smallBytes: number): Promise<WaferError> {
  const body = await readSmall(reply, smallBytes, 'An error').catch(() => Buffer.alloc(0));
  const words = wordsOf(body);
  const code = CODES[reply.status] ?? 'registry_failed';
  const text = `${registry} answered ${reply.status} for ${what}${words === '' ? '' : ` (${words})`}.`;
  return new WaferError(code, text, hintOf(registry, code));
}

const MAX_RETRY_AFTER_S = 3_600;

/** Null for an answer that another try would not change. */
export function transientOf({ status, header, url }: Reply): TransientError | null {
  if (status !== 429 && status !== 408 && status < 500) return null;
  const seconds = Number(header('retry-after'));
  const retryAfterMs = seconds > 0 && seconds < MAX_RETRY_AFTER_S ? seconds * 1000 : null;
  return new TransientError(`${url.host} answered ${status}`, { retryAfterMs });
}
