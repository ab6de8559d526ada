/** The event of an invoke call is checked here, so that a runtime only ever sees valid JSON. */
import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import { coerceError, WaferError } from '../../core/errors.ts';
import { scanJson } from '../../core/scan-json.ts';
import { isJsonType } from '../http/body.ts';

/** @throws WaferError `invalid_json` */
export function checkEvent(body: Buffer, maxDepth: number): void {
  if (body.length === 0) return;
  if (!isUtf8(body)) throw new WaferError('invalid_json', 'The body is not valid UTF-8, as JSON has to be.');
  const found = scanJson(body, maxDepth);
  if (found === 'ok') return;
  if (found === 'deep')
    throw new WaferError('invalid_json', `The body nests arrays and objects deeper than ${maxDepth} levels.`);
  throw new WaferError('invalid_json', `The body is not valid JSON: ${whyInvalid(body)}`);
}

/** In the words of the parser, which gets no deeper than the scan did before it fails at the same place. */
function whyInvalid(body: Buffer): string {
  try {
    JSON.parse(body.toString('utf8'));
    return 'it can not be read.';
  } catch (cause) {
    return coerceError(cause).message.slice(0, 200);
  }
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
