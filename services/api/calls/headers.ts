/**
 * Which headers pass between a caller and a function. The connection's own headers
 * (RFC 9110, 7.6.1), the platform's key and the platform's own headers never do.
 */
import type { IncomingMessage } from 'node:http';

type Header = [name: string, value: string];

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** `authorization` carries the platform's key; `x-forwarded-*` is said by us or by nobody. */
const NOT_FROM_CALLER = new Set(['authorization', 'expect', 'forwarded']);
const OWN_PREFIX = 'x-wafer-';
const FORWARDED_PREFIX = 'x-forwarded-';

/** Names are lower case, order and duplicates are kept. */
export function requestHeaders(request: IncomingMessage, invocationId: string): Header[] {
  const named = namedByConnection(request.headers.connection);
  const passed = pairs(request.rawHeaders).filter(
    ([name]) =>
      !isConnectionHeader(name, named) &&
      !NOT_FROM_CALLER.has(name) &&
      !name.startsWith(OWN_PREFIX) &&
      !name.startsWith(FORWARDED_PREFIX),
  );
  return [...passed, ...forwardedHeaders(request), ['x-wafer-invocation', invocationId]];
}

function forwardedHeaders({ socket, headers }: IncomingMessage): Header[] {
  const result: Header[] = [['x-forwarded-proto', 'http']];
  if (socket.remoteAddress !== undefined) result.push(['x-forwarded-for', socket.remoteAddress]);
  if (headers.host !== undefined) result.push(['x-forwarded-host', headers.host]);
  return result;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What Node can put on the wire as one field: no CR, LF, NUL or other control, nothing beyond latin-1. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const MAX_COUNT = 200;
const MAX_BYTES = 64 * 1024;

export interface AnswerHeaders {
  headers: Header[];
  /** Names (made harmless) of what was left out because it can not go out. */
  invalid: string[];
  /** As declared by the function; `null` if absent or not a number. */
  contentLength: number | null;
}

/** A function's answer is hostile input: what could split or desynchronise the connection is left out. */
export function answerHeaders(given: readonly Header[]): AnswerHeaders {
  const result: AnswerHeaders = { headers: [], invalid: [], contentLength: null };
  const named = namedByConnection(given.find(([name]) => name.toLowerCase() === 'connection')?.[1]);
  let bytes = 0;
  for (const [rawName, value] of given) {
    const name = rawName.toLowerCase();
    bytes += name.length + value.length + 4;
    const fits = bytes <= MAX_BYTES && result.headers.length < MAX_COUNT;
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value) || !fits) result.invalid.push(printable(rawName));
    else if (name === 'content-length') readLength(value, result);
    else if (!isConnectionHeader(name, named) && !name.startsWith(OWN_PREFIX)) result.headers.push([name, value]);
  }
  return result;
}

function readLength(value: string, result: AnswerHeaders): void {
  const ok = /^\d{1,15}$/.test(value) && (result.contentLength === null || result.contentLength === Number(value));
  if (ok) result.contentLength = Number(value);
  else result.invalid.push('content-length');
}

export const isHeaderValue = (text: string) => FIELD_VALUE.test(text);

const isConnectionHeader = (name: string, named: ReadonlySet<string>) => HOP_BY_HOP.has(name) || named.has(name);

/** Only what exists to be named there: `Connection: content-length` must not change the framing. */
const NEVER_NAMED = new Set(['content-length', 'content-type', 'host', 'date', 'set-cookie', 'cookie', 'close']);

function namedByConnection(value: string | undefined): Set<string> {
  const names = (value ?? '').toLowerCase().split(',');
  return new Set(names.map((name) => name.trim()).filter((name) => name !== '' && !NEVER_NAMED.has(name)));
}

function pairs(raw: readonly string[]): Header[] {
  const result: Header[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) result.push([String(raw[at]).toLowerCase(), String(raw[at + 1])]);
  return result;
}

const printable = (text: string) => text.slice(0, 60).replace(/[^\x20-\x7e]/g, '?');
