/** What a configurable scheme signs: a text with `{body}`, `{timestamp}` and `{id}` in it. */
import { checkTime, nameIn } from './parts.ts';
import type { Refusal, SignedRequest } from './types.ts';

export interface SignedText {
  bytes: Buffer;
  timestamp: string | undefined;
  id: string | undefined;
}

/** `{timestamp}` and `{id}` are in it only when their headers are set; `checkSettings` sees to it. */
export function signedText(request: SignedRequest, standard: string): SignedText | Refusal {
  const { headers, settings, body, now, toleranceMs } = request;
  const { timestampHeader, idHeader, signed = standard } = settings;
  const timestamp = timestampHeader === undefined ? undefined : headers[timestampHeader];
  const late = timestampHeader === undefined ? null : checkTime(timestamp, now, toleranceMs);
  if (late !== null) return late;
  const id = nameIn(headers, idHeader);
  if (signed.includes('{id}') && !isPlainId(id, signed)) return 'malformed';
  const parts = signed.split(/(\{body\}|\{timestamp\}|\{id\})/).map((part) => {
    if (part === '{body}') return body;
    return Buffer.from(part === '{timestamp}' ? String(timestamp) : part === '{id}' ? String(id) : part);
  });
  return { bytes: Buffer.concat(parts), timestamp, id };
}

/** What parts it from the rest must not be in it: the same bytes could be read as another id. */
function isPlainId(id: string | undefined, signed: string): boolean {
  const separators = signed.replaceAll(/\{(?:body|timestamp|id)\}|[A-Za-z0-9]/g, '');
  return id !== undefined && ![...id].some((letter) => separators.includes(letter));
}
