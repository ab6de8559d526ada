/**
 * Parsers of the JSON payloads that a runtime sends. All input is hostile: a parser
 * returns the checked value, copied field by field, or a sentence that says what is wrong.
 */
import { LIMITS, PROTOCOL_VERSION } from './frames.ts';
import type { CodeCacheUse, InitErrorCode, ReadyInfo, RuntimeFailure, RuntimeResultHead } from './types.ts';

type Fields = Record<string, unknown>;
type RuntimeErrorCode = Exclude<RuntimeFailure['code'], 'connection_closed'>;

const CALL_ERRORS: readonly RuntimeErrorCode[] = [
  'function_error',
  'result_not_serialisable',
  'result_too_large',
  'protocol_error',
];
const INIT_ERRORS = ['handler_not_found', 'function_init_failed'] as const satisfies readonly InitErrorCode[];

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Tab, visible ASCII and Latin-1: what HTTP/1.1 carries in one byte each. No CR, LF or NUL. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CONTENT_TYPE = /^[\x20-\x7e]{1,256}$/;
/** They speak about one connection; what passes the answer on makes its own. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** fatal: a lone surrogate or a broken sequence is not JSON. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

export function parseObject(name: string, payload: Buffer): Fields | string {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(payload));
  } catch {
    return `${name} is not valid JSON`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${name} is not a JSON object`;
  if (Object.hasOwn(value, '__proto__')) return `${name} has a key "__proto__"`;
  return value as Fields;
}

const own = (fields: Fields, key: string): unknown => (Object.hasOwn(fields, key) ? fields[key] : undefined);

export function parseReady(payload: Buffer): ReadyInfo | string {
  const fields = parseObject('READY', payload);
  if (typeof fields === 'string') return fields;
  const [protocol, runtime, runtimeVersion] = [
    own(fields, 'protocol'),
    own(fields, 'runtime'),
    own(fields, 'runtimeVersion'),
  ];
  if (protocol !== PROTOCOL_VERSION) return `the runtime speaks protocol ${String(protocol)}, not ${PROTOCOL_VERSION}`;
  if (typeof runtime !== 'string' || typeof runtimeVersion !== 'string') return 'READY names no runtime';
  return { runtime: runtime.slice(0, 64), runtimeVersion: runtimeVersion.slice(0, 64) };
}

function parseFailure<Code extends string>(
  name: string,
  codes: readonly Code[],
  payload: Buffer,
): RuntimeFailure<Code> | string {
  const fields = parseObject(name, payload);
  if (typeof fields === 'string') return fields;
  const code = codes.find((known) => known === own(fields, 'code'));
  if (code === undefined) return `${name} has no known code`;
  const message = own(fields, 'message');
  if (typeof message !== 'string') return `${name} has no message`;
  const failure: RuntimeFailure<Code> = { kind: 'error', code, message: message.slice(0, LIMITS.messageChars) };
  const errorType = own(fields, 'errorType');
  const stack = own(fields, 'stack');
  if (typeof errorType === 'string') failure.errorType = errorType.slice(0, 256);
  if (typeof stack === 'string') failure.stack = stack.slice(0, LIMITS.stackChars);
  return failure;
}

export const parseCallError = (payload: Buffer) => parseFailure('ERROR', CALL_ERRORS, payload);
/** Of INIT_OK. It is only shown; anything odd is as if it were not there. */
export function parseCodeCache(fields: Fields): CodeCacheUse | undefined {
  const value = own(fields, 'codeCache');
  if (typeof value !== 'object' || value === null) return undefined;
  const [used, refused] = [own(value as Fields, 'used'), own(value as Fields, 'refused')];
  const isCount = (count: unknown): count is number => Number.isSafeInteger(count) && Number(count) >= 0;
  return isCount(used) && isCount(refused) ? { used, refused } : undefined;
}

export const parseInitError = (payload: Buffer) => parseFailure('INIT_ERROR', INIT_ERRORS, payload);

export function parseResult(payload: Buffer): RuntimeResultHead | string {
  const fields = parseObject('RESULT', payload);
  if (typeof fields === 'string') return fields;
  const kind = own(fields, 'kind');
  if (kind === 'http') return parseHttpResult(fields);
  if (kind !== 'value') return 'RESULT has no known kind';
  const contentType = own(fields, 'contentType');
  if (typeof contentType !== 'string' || !CONTENT_TYPE.test(contentType)) return 'RESULT has no valid contentType';
  return { kind, contentType };
}

function parseHttpResult(fields: Fields): RuntimeResultHead | string {
  const status = own(fields, 'status');
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    return 'RESULT has a status that is not a whole number from 200 to 599';
  }
  const headers = parseHeaders(own(fields, 'headers'));
  return typeof headers === 'string' ? headers : { kind: 'http', status, headers };
}

function parseHeaders(value: unknown): [string, string][] | string {
  if (!Array.isArray(value)) return 'RESULT has no list of headers';
  if (value.length > LIMITS.headerCount) return `RESULT has more than ${LIMITS.headerCount} headers`;
  const headers: [string, string][] = [];
  let bytes = 0;
  for (const pair of value as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return 'RESULT has a header that is not a pair';
    const [name, text] = pair as [unknown, unknown];
    if (typeof name !== 'string' || !HEADER_NAME.test(name)) return 'RESULT has a header with an invalid name';
    if (typeof text !== 'string' || !HEADER_VALUE.test(text)) return `RESULT has an invalid value of header ${name}`;
    bytes += name.length + text.length;
    if (bytes > LIMITS.headerBytes) return `RESULT has more than ${LIMITS.headerBytes} bytes of headers`;
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push([name.toLowerCase(), text]);
  }
  return headers;
}
