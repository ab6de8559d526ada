/**
 * CloudEvents 1.0 over HTTP (https://github.com/cloudevents/spec, http-protocol-binding.md): tells the three
 * content modes apart and gives events in the JSON format, whatever mode they came in.
 */
import { isUtf8 } from 'node:buffer';
import { WaferError } from '../../errors.ts';
import { decodeHeader } from './header-value.ts';

/** `data` or `data_base64`, and the attributes, extensions included. */
export type CloudEvent = {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
} & Record<string, unknown>;

/** `json`: the event, or all of a batch, in the JSON format, with numbers as their sender wrote them. */
export type Recognised = { json: string } & (
  | { mode: 'binary' | 'structured'; event: CloudEvent }
  | { mode: 'batch'; events: CloudEvent[] }
);

type Headers = Readonly<Record<string, string | undefined>>;

export const MOST_EVENTS = 1_000;
const REQUIRED = ['id', 'source', 'specversion', 'type'] as const;
const CLOUDEVENTS_TYPE = 'application/cloudevents';
const JSON_MODES = {
  'application/cloudevents+json': 'structured',
  'application/cloudevents-batch+json': 'batch',
} as const;

/**
 * Null: it is no CloudEvent. Header names in lower case.
 * @throws WaferError `invalid_request` for one that is not as the specification has it, `invalid_json`, and
 * `unsupported_media_type` for an event format other than JSON
 */
export function recogniseCloudEvent(headers: Headers, body: Buffer): Recognised | null {
  const mediaType = mediaTypeOf(headers['content-type']);
  if (mediaType.startsWith(CLOUDEVENTS_TYPE)) return readJsonFormat(mediaType, body);
  if (!REQUIRED.every((name) => headers[`ce-${name}`] !== undefined)) return null;
  return { mode: 'binary', ...readBinary(headers, body) };
}

/** Cheap, for whoever looks at every request; `recogniseCloudEvent` may still say that it is none. */
export const mayBeCloudEvent = (headers: { [name: string]: string | string[] | undefined }): boolean =>
  headers['ce-specversion'] !== undefined ||
  mediaTypeOf(String(headers['content-type'] ?? '')).startsWith(CLOUDEVENTS_TYPE);

const mediaTypeOf = (contentType = '') => (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();

function readJsonFormat(mediaType: string, body: Buffer): Recognised {
  const mode = mediaType in JSON_MODES ? JSON_MODES[mediaType as keyof typeof JSON_MODES] : null;
  if (mode === null) {
    throw new WaferError(
      'unsupported_media_type',
      `CloudEvents come as JSON here, not as ${mediaType.slice(0, 100)}.`,
      {
        hint: 'Use application/cloudevents+json, application/cloudevents-batch+json, or the ce-* headers.',
      },
    );
  }
  const value = parseJson(body, 'The CloudEvent');
  const json = body.toString('utf8');
  if (mode === 'structured') return { mode, json, event: checkEvent(value, 'the event') };
  if (!Array.isArray(value) || value.length > MOST_EVENTS)
    throw invalid(`a batch is a list of at most ${MOST_EVENTS} events`);
  return { mode, json, events: value.map((one, at) => checkEvent(one, `event ${at}`)) };
}

function readBinary(headers: Headers, body: Buffer): { event: CloudEvent; json: string } {
  const attributes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || value === undefined) continue;
    attributes[name.slice(3)] = decodeHeader(value) ?? refuseHeader(name);
  }
  if ('datacontenttype' in attributes) throw invalid('ce-datacontenttype must not be there: Content-Type says it');
  if ('data' in attributes || 'data_base64' in attributes)
    throw invalid('ce-data must not be there: the body is the data');
  const contentType = headers['content-type'];
  if (contentType !== undefined) attributes['datacontenttype'] = contentType;
  const { json, ...data } = dataOf(body, contentType);
  const event = checkEvent({ ...attributes, ...data }, 'the event');
  if (json === undefined) return { event, json: JSON.stringify(event) };
  return { event, json: `${JSON.stringify(attributes).slice(0, -1)},"data":${json}}` };
}

const refuseHeader = (name: string): never => {
  throw invalid(`the header ${name} is not valid UTF-8, percent-encoded`);
};

/** As the JSON format has it: a value for JSON, with its text, text for text, base64 for the rest. */
function dataOf(
  body: Buffer,
  contentType: string | undefined,
): { data?: unknown; data_base64?: string; json?: string } {
  if (body.length === 0) return {};
  if (/^application\/(?:[a-z0-9!#$&^_.-]+\+)?json$/.test(mediaTypeOf(contentType)))
    return { data: parseJson(body, 'The data of the CloudEvent'), json: body.toString('utf8') };
  if (mediaTypeOf(contentType).startsWith('text/') && isUtf8(body)) return { data: body.toString('utf8') };
  return { data_base64: body.toString('base64') };
}

function parseJson(body: Buffer, what: string): unknown {
  try {
    if (isUtf8(body)) return JSON.parse(body.toString('utf8'));
  } catch {
    // said below
  }
  throw new WaferError('invalid_json', `${what} is not valid JSON in UTF-8.`);
}

/** Names of attributes are lower case letters and digits; producers should, and JSON ones do, keep to 20 of them. */
const ATTRIBUTE = /^[a-z0-9]{1,64}$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function checkEvent(value: unknown, which: string): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${which} is no object`);
  const event = value as Record<string, unknown>;
  for (const name of REQUIRED) {
    if (typeof event[name] !== 'string' || event[name] === '') throw invalid(`${which} has no ${name}`);
  }
  if (event['specversion'] !== '1.0') throw invalid(`${which} is not of version 1.0`);
  for (const name of ['subject', 'datacontenttype', 'dataschema']) {
    if (event[name] !== undefined && event[name] !== null && (typeof event[name] !== 'string' || event[name] === ''))
      throw invalid(`${name} of ${which} is no text`);
  }
  checkTime(event['time'], which);
  for (const name of Object.keys(event)) {
    if (!ATTRIBUTE.test(name) && name !== 'data_base64')
      throw invalid(`${which} has an attribute of a name that is none`);
  }
  const base64 = event['data_base64'];
  if (base64 !== undefined && base64 !== null) {
    if (event['data'] !== undefined) throw invalid(`${which} has data and data_base64`);
    if (typeof base64 !== 'string' || !BASE64.test(base64)) throw invalid(`data_base64 of ${which} is no base64`);
  }
  return event as CloudEvent;
}

function checkTime(time: unknown, which: string): void {
  if (time === undefined || time === null) return;
  if (typeof time !== 'string' || !RFC3339.test(time) || Number.isNaN(Date.parse(time)))
    throw invalid(`time of ${which} is no time of RFC 3339`);
}

const invalid = (why: string) => new WaferError('invalid_request', `The CloudEvent is not valid: ${why}.`);
