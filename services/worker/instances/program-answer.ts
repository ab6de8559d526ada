/** What a program wrote to stdout, as the answer of its call. */
import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import type { RuntimeCallHead, RuntimeResult } from '../../../runtime/sandbox/index.ts';

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const BYTES_TYPE = 'application/octet-stream';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function contentTypeOf(output: Buffer): string {
  if (!isUtf8(output)) return BYTES_TYPE;
  return isJson(output.toString('utf8')) ? JSON_TYPE : TEXT_TYPE;
}

/** Nothing written is the value `null`, as of a handler that returns nothing; of an HTTP request it is an empty answer. */
export function answerOf(kind: RuntimeCallHead['kind'], output: Buffer): Exclude<RuntimeResult, { kind: 'error' }> {
  if (kind === 'event') {
    const bytes = output.length === 0 ? Buffer.from('null') : output;
    return { kind: 'value', contentType: contentTypeOf(bytes), body: bodyOf(bytes) };
  }
  const headers: [string, string][] = [
    ['content-type', output.length === 0 ? TEXT_TYPE : contentTypeOf(output)],
    ['content-length', String(output.length)],
  ];
  return { kind: 'http', status: 200, headers, body: bodyOf(output) };
}

const bodyOf = (bytes: Buffer) => Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false });
