/** Whole requests and answers. */
import { ALL, type ConformanceCase, type Expected, type HttpCall, json, LANGUAGES } from './case.ts';

const request = (method: string, body?: string, headers: [string, string][] = []): HttpCall => ({
  method,
  path: '/a%20b/c',
  query: 'x=1&y=%2F',
  headers: [['x-test', 'tést'], ['connection', 'keep-alive'], ...headers],
  ...(body === undefined ? {} : { body }),
});
const echoed = (method: string, body: string): Expected => ({
  kind: 'http',
  status: 201,
  headers: { 'content-type': 'application/json', 'x-reply': 'yes' },
  cookies: ['a=1', 'b=2'],
  absent: ['connection', 'transfer-encoding', 'keep-alive'],
  body: { method, path: '/a%20b/c', query: 'x=1&y=%2F', test: 'tést', body },
});

export const HTTP: ConformanceCase[] = [
  {
    name: 'a GET request arrives whole',
    runtimes: ALL,
    behaviour: 'http',
    http: request('GET'),
    expected: echoed('GET', ''),
  },
  {
    name: 'a POST request arrives whole',
    runtimes: ALL,
    behaviour: 'http',
    http: request('POST', 'höflich'),
    expected: echoed('POST', 'höflich'),
  },
  {
    name: 'a POST request with its length arrives whole',
    runtimes: ALL,
    behaviour: 'http',
    http: request('POST', 'abc', [['content-length', '3']]),
    expected: echoed('POST', 'abc'),
  },
  {
    name: 'a POST request without a body arrives',
    runtimes: ALL,
    behaviour: 'http',
    http: request('POST'),
    expected: echoed('POST', ''),
  },
  {
    name: 'a DELETE request with a body arrives whole',
    runtimes: ALL,
    behaviour: 'http',
    http: request('DELETE', 'x'),
    expected: echoed('DELETE', 'x'),
  },
  {
    name: 'HEAD is answered without a body',
    runtimes: ['http'],
    behaviour: 'httpText',
    http: { method: 'HEAD', path: '/' },
    expected: { kind: 'http', status: 200, body: '', headers: { 'content-type': 'text/plain; charset=utf-8' } },
  },
  {
    name: 'an object with statusCode becomes the answer',
    runtimes: LANGUAGES,
    behaviour: 'httpDict',
    http: { method: 'GET', path: '/' },
    expected: {
      kind: 'http',
      status: 418,
      body: 'short and stout',
      headers: { 'x-tea': 'green', 'content-type': 'text/plain; charset=utf-8' },
    },
  },
  {
    name: 'a string becomes text',
    runtimes: ALL,
    behaviour: 'httpText',
    http: { method: 'GET', path: '/' },
    expected: { kind: 'http', status: 200, body: 'plain', headers: { 'content-type': 'text/plain; charset=utf-8' } },
  },
  {
    name: 'any other value becomes JSON',
    runtimes: ALL,
    behaviour: 'httpJson',
    http: { method: 'GET', path: '/' },
    expected: { kind: 'http', status: 200, body: { ok: true }, headers: { 'content-type': 'application/json' } },
  },
  {
    name: 'an answer without a body has none',
    runtimes: ALL,
    behaviour: 'httpEmpty',
    http: { method: 'GET', path: '/' },
    expected: { kind: 'http', status: 204, body: '', absent: ['content-type'] },
  },
  {
    name: 'a header value with a line break is a function_error, not a broken answer',
    runtimes: LANGUAGES,
    behaviour: 'httpBadHeader',
    http: { method: 'GET', path: '/' },
    expected: { kind: 'error', code: 'function_error', message: ['x-bad'] },
  },
  {
    name: 'a body that fails cuts the answer',
    runtimes: LANGUAGES,
    behaviour: 'httpCut',
    http: { method: 'GET', path: '/' },
    expected: { kind: 'error', code: 'function_error', message: ['the source broke'], cut: true },
  },
  {
    name: 'interim answers are skipped and a close can end a body',
    runtimes: ['http'],
    behaviour: 'early',
    http: { method: 'GET', path: '/' },
    expected: {
      kind: 'http',
      status: 200,
      body: 'until the end',
      headers: { 'content-type': 'text/plain' },
      absent: ['link'],
    },
  },
  {
    name: 'a chunked answer in single bytes loses its trailers and private headers only',
    runtimes: ['http'],
    behaviour: 'trailers',
    http: { method: 'GET', path: '/' },
    expected: {
      kind: 'http',
      status: 200,
      body: 'hello!',
      headers: { 'x-public': '2' },
      absent: ['x-private', 'x-sum', 'connection'],
    },
  },
  {
    name: 'an event to a handler that returns a Response gets its body',
    runtimes: LANGUAGES,
    behaviour: 'httpText',
    event: {},
    expected: json('plain'),
  },
];
