/** The event of an invoke call is checked here, so that a runtime only ever sees valid JSON. */
import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import { coerceError, WaferError } from '../../core/errors.ts';
import { jsonItems, scanJson } from '../../core/scan-json.ts';
import { mayBeCloudEvent, type Recognised, recogniseCloudEvent } from '../../core/triggers/cloudevents/parse.ts';
import { isJsonType } from '../http/body.ts';
import type { ApiLimits } from '../limits.ts';

const MAX_BATCH = 1_000;

/**
 * The body; of a CloudEvent, in binary or structured mode, the event in the JSON format.
 * @throws WaferError `invalid_json`, and for a CloudEvent `invalid_request | unsupported_media_type | payload_too_large`
 */
export function eventOf(request: FastifyRequest, limits: ApiLimits): Buffer {
  const body = bytesOf(request);
  const found = cloudEventIn(request, body, limits);
  if (found === null) {
    checkEvent(body, limits.eventDepth);
    return body;
  }
  if (found.mode !== 'batch') return Buffer.from(found.json);
  throw new WaferError('unsupported_media_type', 'This route takes one CloudEvent, and not a batch of them.', {
    hint: 'POST a batch to /v1/functions/<name>/batch: each event becomes an invocation.',
  });
}

/** Those of a list, or of a batch of CloudEvents. @throws as `eventOf` */
export function eventsOf(request: FastifyRequest, limits: ApiLimits): Buffer[] {
  const body = bytesOf(request);
  const found = cloudEventIn(request, body, limits);
  if (found === null) checkEvent(body, limits.eventDepth);
  if (found !== null && found.mode !== 'batch')
    throw new WaferError('unsupported_media_type', 'This is one CloudEvent, and no batch of them.', {
      hint: 'POST one to /v1/functions/<name>/async, or a list as application/cloudevents-batch+json.',
    });
  const events = jsonItems(body);
  if (events === null || events.length === 0 || events.length > MAX_BATCH) {
    throw new WaferError('invalid_request', `A batch is a list of 1 to ${MAX_BATCH} events.`, {
      details: { path: 'body' },
    });
  }
  return events;
}

const bytesOf = ({ body }: FastifyRequest): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0));

function cloudEventIn({ headers }: FastifyRequest, body: Buffer, limits: ApiLimits): Recognised | null {
  if (!mayBeCloudEvent(headers)) return null;
  // Before parsing: deep input is cheap to send and costs whoever walks it.
  if (isJsonType(headers['content-type'] ?? '') && scanJson(body, limits.eventDepth) === 'deep')
    throw tooDeep(limits.eventDepth);
  const single = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : value,
  ]);
  const found = recogniseCloudEvent(Object.fromEntries(single), body);
  // In base64 it is larger than it came, and the event is what a function gets.
  const bytes = found === null ? 0 : Buffer.byteLength(found.json);
  if (found === null) requireJsonType(headers);
  if (bytes <= limits.invokeBytes) return found;
  throw new WaferError('payload_too_large', `The event has ${bytes} bytes as JSON; ${limits.invokeBytes} are taken.`);
}

/** @throws WaferError `invalid_json` */
function checkEvent(body: Buffer, maxDepth: number): void {
  if (body.length === 0) return;
  if (!isUtf8(body)) throw new WaferError('invalid_json', 'The body is not valid UTF-8, as JSON has to be.');
  const found = scanJson(body, maxDepth);
  if (found === 'ok') return;
  if (found === 'deep') throw tooDeep(maxDepth);
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

const tooDeep = (maxDepth: number) =>
  new WaferError('invalid_json', `The body nests arrays and objects deeper than ${maxDepth} levels.`);

/** Before the body is read. The data of a CloudEvent in binary mode is of any type. @throws WaferError `unsupported_media_type` */
export function requireJson({ headers }: FastifyRequest): void {
  if (headers['ce-specversion'] === undefined) requireJsonType(headers);
}

function requireJsonType(headers: FastifyRequest['headers']): void {
  const type = headers['content-type'];
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  if (type === undefined ? empty : isJsonType(type)) return;
  const shown = type === undefined ? 'no content type' : `the content type ${JSON.stringify(type.slice(0, 100))}`;
  throw new WaferError('unsupported_media_type', `An event is JSON, but the request has ${shown}.`, {
    hint: 'Send Content-Type: application/json, or call /fn/<name>/ to hand over a whole HTTP request.',
  });
}
