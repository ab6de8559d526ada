/** The event of an invoke call is checked here, so that a runtime only ever sees valid JSON. */
import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import { coerceError, WaferError } from '../../core/errors.ts';
import { isJsonType } from '../http/body.ts';

/** @throws WaferError `invalid_json` */
export function checkEvent(body: Buffer, maxDepth: number): void {
  if (body.length === 0) return;
  if (!isUtf8(body)) throw new WaferError('invalid_json', 'The body is not valid UTF-8, as JSON has to be.');
  // Before parsing: deep input is cheap to send and costs whoever walks it.
  if (isDeeperThan(body, maxDepth)) {
    throw new WaferError('invalid_json', `The body nests arrays and objects deeper than ${maxDepth} levels.`);
  }
  try {
    JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new WaferError('invalid_json', `The body is not valid JSON: ${coerceError(cause).message.slice(0, 200)}`, {
      cause,
    });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x5b, 0x7b]);
const CLOSE = new Set([0x5d, 0x7d]);

function isDeeperThan(body: Buffer, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] as number;
    if (byte === QUOTE) inString = !inString;
    else if (inString) at += byte === BACKSLASH ? 1 : 0;
    else if (OPEN.has(byte)) depth += 1;
    else if (CLOSE.has(byte)) depth -= 1;
    if (depth > maxDepth) return true;
  }
  return false;
}

/** Before the body is read. @throws WaferError `unsupported_media_type` */
export function requireJson({ headers }: FastifyRequest): void {
  const type = headers['content-type'];
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  if (type === undefined ? empty : isJsonType(type)) return;
  const shown = type === undefined ? 'no content type' : `the content type ${JSON.stringify(type.slice(0, 100))}`;
  throw new WaferError('unsupported_media_type', `An event is JSON, but the request has ${shown}.`, {
    hint: 'Send Content-Type: application/json, or call /fn/<name>/ to hand over a whole HTTP request.',
  });
}
