import { expect, test } from 'vitest';
import { LIMITS } from '../../../runtime/protocol/frames.ts';
import { parseCallError, parseInitError, parseReady, parseResult } from '../../../runtime/protocol/payloads.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const http = (fields: object) => json({ kind: 'http', status: 200, headers: [], ...fields });

test('parseResult() keeps what it knows and nothing else', () => {
  expect(parseResult(json({ kind: 'value', contentType: 'text/plain', more: 1 }))).toEqual({
    kind: 'value',
    contentType: 'text/plain',
  });
  expect(parseResult(http({ status: 599, headers: [['X-A', 'b']], more: 1 }))).toEqual({
    kind: 'http',
    status: 599,
    headers: [['x-a', 'b']],
  });
});

test('parseResult() drops the headers that belong to one connection', () => {
  const headers = ['Connection', 'Keep-Alive', 'Transfer-Encoding', 'Upgrade', 'TE', 'Trailer'].map((name) => [
    name,
    'x',
  ]);
  expect(parseResult(http({ headers: [...headers, ['x-a', 'b']] }))).toMatchObject({ headers: [['x-a', 'b']] });
});

test.each([
  ['no JSON', Buffer.from('{"kind":'), 'not valid JSON'],
  ['broken UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'not valid JSON'],
  ['an array', json([]), 'not a JSON object'],
  ['null', json(null), 'not a JSON object'],
  ['a __proto__ key', Buffer.from('{"__proto__":{"kind":"value"},"kind":"value","contentType":"a/b"}'), '__proto__'],
  ['no kind', json({}), 'no known kind'],
  ['the kind of a prototype', json({ kind: 'constructor' }), 'no known kind'],
  ['a content type with a line break', json({ kind: 'value', contentType: 'a/b\r\nx: y' }), 'contentType'],
  ['an empty content type', json({ kind: 'value', contentType: '' }), 'contentType'],
  ['status 199', http({ status: 199 }), 'status'],
  ['status 600', http({ status: 600 }), 'status'],
  ['status 200.5', http({ status: 200.5 }), 'status'],
  ['a status as text', http({ status: '200' }), 'status'],
  ['no headers', json({ kind: 'http', status: 200 }), 'no list of headers'],
  ['headers as an object', http({ headers: { a: 'b' } }), 'no list of headers'],
  ['a header of three', http({ headers: [['a', 'b', 'c']] }), 'not a pair'],
  ['a header name with a space', http({ headers: [['a b', 'c']] }), 'invalid name'],
  ['an empty header name', http({ headers: [['', 'c']] }), 'invalid name'],
  ['a header name with a colon', http({ headers: [['a:b', 'c']] }), 'invalid name'],
  ['a header value with CR LF', http({ headers: [['a', 'b\r\nset-cookie: c']] }), 'invalid value of header a'],
  ['a header value with LF', http({ headers: [['a', 'b\nc']] }), 'invalid value'],
  ['a header value with NUL', http({ headers: [['a', 'b\0']] }), 'invalid value'],
  ['a header value above Latin-1', http({ headers: [['a', '\u0100']] }), 'invalid value'],
  ['a header value that is a number', http({ headers: [['a', 1]] }), 'invalid value'],
  ['too many headers', http({ headers: Array(LIMITS.headerCount + 1).fill(['a', 'b']) }), 'more than 500 headers'],
  ['too many header bytes', http({ headers: [['a', 'b'.repeat(LIMITS.headerBytes)]] }), 'bytes of headers'],
])('parseResult() refuses %s', (_name, payload, problem) => {
  expect(parseResult(payload)).toContain(problem);
});

test('parseCallError() knows the codes of a call only and bounds the texts', () => {
  const parsed = parseCallError(
    json({ code: 'function_error', message: 'm'.repeat(10_000), errorType: 'E', stack: 's'.repeat(40_000) }),
  );
  if (typeof parsed === 'string') throw new Error(parsed);
  expect(parsed.message).toHaveLength(LIMITS.messageChars);
  expect(parsed.stack).toHaveLength(LIMITS.stackChars);
  expect(parseCallError(json({ code: 'connection_closed', message: '' }))).toContain('no known code');
  expect(parseCallError(json({ code: 'function_error' }))).toContain('no message');
  expect(parseCallError(json({ code: 'function_error', message: 'm', errorType: 3, stack: {} }))).toEqual({
    kind: 'error',
    code: 'function_error',
    message: 'm',
  });
});

test('parseInitError() knows the codes of INIT only', () => {
  expect(parseInitError(json({ code: 'handler_not_found', message: 'm' }))).toMatchObject({
    code: 'handler_not_found',
  });
  expect(parseInitError(json({ code: 'function_error', message: 'm' }))).toContain('no known code');
});

test('parseReady() refuses another protocol version', () => {
  expect(parseReady(json({ protocol: 2, runtime: 'node', runtimeVersion: '1' }))).toContain('protocol 2');
  expect(parseReady(json({ protocol: 1, runtime: 'node' }))).toContain('no runtime');
});
