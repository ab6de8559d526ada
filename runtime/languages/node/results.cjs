'use strict';
/** What a handler returned, as bytes with a content type or as an HTTP answer. */
const { WaferFailure } = require('./errors.cjs');
const { toJson } = require('./serialise.cjs');

const JSON_TYPE = 'application/json';
const BYTES_TYPE = 'application/octet-stream';
const TEXT_TYPE = 'text/plain; charset=utf-8';

function asBytes(value) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}

function checkSize(bytes, maxBytes) {
  if (bytes.length <= maxBytes) return bytes;
  throw new WaferFailure('result_too_large', `The result has ${bytes.length} bytes; the limit is ${maxBytes}.`);
}

function toValue(value, maxBytes) {
  const bytes = asBytes(value);
  if (bytes !== null) return { contentType: BYTES_TYPE, bytes: checkSize(bytes, maxBytes) };
  return { contentType: JSON_TYPE, bytes: checkSize(Buffer.from(toJson(value, 'result')), maxBytes) };
}

/** A body with the content type that fits its kind. */
function toBody(value, maxBytes) {
  if (typeof value === 'string') return { contentType: TEXT_TYPE, bytes: checkSize(Buffer.from(value), maxBytes) };
  return toValue(value, maxBytes);
}

function toHttp(value, maxBytes) {
  const isAnswer = typeof value === 'object' && value !== null && typeof value.statusCode === 'number';
  if (!isAnswer) {
    const { contentType, bytes } = toBody(value, maxBytes);
    return { head: { kind: 'http', status: 200, headers: [['content-type', contentType]] }, bytes };
  }
  const status = value.statusCode;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new WaferFailure('function_error', `The statusCode ${status} is not a whole number from 200 to 599.`);
  }
  const headers = toHeaders(value.headers ?? {});
  if (value.body === undefined || value.body === null)
    return { head: { kind: 'http', status, headers }, bytes: Buffer.alloc(0) };
  const { contentType, bytes } = toBody(value.body, maxBytes);
  if (!headers.some(([name]) => name === 'content-type')) headers.push(['content-type', contentType]);
  return { head: { kind: 'http', status, headers }, bytes };
}

function appendHeader(headers, name, value) {
  try {
    headers.append(name, String(value));
  } catch (error) {
    throw new WaferFailure('function_error', `The header ${name} is not valid: ${error.message}`);
  }
}

/** `Headers` checks names and values, so that a bad one is the function's error and not a broken protocol. */
function toHeaders(headers) {
  const checked = new Headers();
  const pairs = headers instanceof Headers || Array.isArray(headers) ? [...headers] : Object.entries(headers);
  for (const [name, value] of pairs) {
    for (const one of Array.isArray(value) ? value : [value]) appendHeader(checked, name, one);
  }
  return [...checked];
}

module.exports = { toValue, toHttp };
