/** What is in a request, once it is proved: its event, and the types that it has. */
import { isUtf8 } from 'node:buffer';
import { WaferError } from '../../errors.ts';
import { scanJson } from '../../scan-json.ts';
import { recogniseCloudEvent } from '../cloudevents/parse.ts';
import type { IncomingRequest } from './types.ts';

export interface Content {
  /** JSON text: the function gets it as it came, with the sender's own way of writing numbers. */
  eventJson: string;
  types: string[];
  /** Of a CloudEvent: source and id name it (CloudEvents 1.0, section 3.1.1). */
  name?: string;
}

/** Arrays and objects in an event, less one for what is around it: Python's JSON reader stops near 1000. */
const MAX_DEPTH = 499;
const JSON_TYPE = /^application\/(?:[a-z0-9!#$&^_.-]+\+)?json[ \t]*(?:;|$)/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i;

/** @throws WaferError `invalid_json | invalid_request | unsupported_media_type` for what is not what it says it is */
export function readContent({ headers, body }: IncomingRequest): Content {
  const contentType = headers['content-type'] ?? '';
  // Compressed: the function gets the bytes, and the header that says how.
  if (!/^(?:identity)?$/i.test(headers['content-encoding'] ?? '')) return { eventJson: 'null', types: [] };
  const isDeep = scanJson(body, MAX_DEPTH) === 'deep';
  if (isDeep && JSON_TYPE.test(contentType))
    throw new WaferError('invalid_json', `The body nests arrays and objects deeper than ${MAX_DEPTH} levels.`);
  const found = recogniseCloudEvent(headers, body);
  if (found?.mode === 'batch')
    return { eventJson: found.json, types: [...new Set(found.events.map(({ type }) => type))] };
  if (found !== null) {
    const { event, json } = found;
    return { eventJson: json, types: [event.type], name: JSON.stringify([event.source, event.id]) };
  }
  return { eventJson: isDeep ? 'null' : plainEvent(contentType, body), types: [] };
}

function plainEvent(contentType: string, body: Buffer): string {
  if (body.length === 0 || !isUtf8(body)) {
    if (body.length > 0 && JSON_TYPE.test(contentType)) throw notJson();
    return 'null';
  }
  const text = body.toString('utf8');
  if (FORM_TYPE.test(contentType)) return formEvent(text);
  if (parseText(text) !== undefined) return text;
  if (JSON_TYPE.test(contentType)) throw notJson();
  return 'null';
}

const notJson = () =>
  new WaferError('invalid_json', 'The body is not valid JSON in UTF-8, although its Content-Type says so.');

/** GitHub's forms, and those of Slack's buttons, are JSON in the field `payload`. */
function formEvent(text: string): string {
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : [before, value].flat());
  }
  const payload = fields.get('payload');
  if (typeof payload === 'string' && fields.size === 1 && isShallowJson(payload)) return payload;
  return JSON.stringify(Object.fromEntries(fields));
}

const isShallowJson = (text: string) => scanJson(Buffer.from(text), MAX_DEPTH) === 'ok';

/** Undefined for what is no JSON. */
export function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `a` fits `a` and `a.b`, `a.*` what begins with `a.`. */
export function fitsFilter(patterns: readonly string[], types: readonly string[]): boolean {
  return (
    patterns.length === 0 ||
    types.some((type) =>
      patterns.some((pattern) =>
        pattern.endsWith('*')
          ? type.startsWith(pattern.slice(0, -1))
          : type === pattern || type.startsWith(`${pattern}.`),
      ),
    )
  );
}
