/** What ends as a failure, and how it is told. */
import { ALL, type ConformanceCase, LANGUAGES } from './case.ts';

export const FAILURES: ConformanceCase[] = [
  {
    name: 'a thrown error carries its message, type and stack',
    runtimes: ALL,
    behaviour: 'throws',
    expected: {
      node: {
        kind: 'error',
        code: 'function_error',
        message: ['no such colour'],
        errorType: 'TypeError',
        stack: 'behaviours.mjs',
      },
      python: {
        kind: 'error',
        code: 'function_error',
        message: ['no such colour'],
        errorType: 'TypeError',
        stack: 'behaviours.py',
      },
      http: { kind: 'error', code: 'function_error', message: ['status 500', 'no such colour'] },
    },
  },
  {
    name: 'a thrown text is a function_error too',
    runtimes: ['node'],
    behaviour: 'throwsText',
    expected: { kind: 'error', code: 'function_error', message: ['just text', 'not an Error'] },
  },
  {
    name: 'a long error page is cut at 1 KiB',
    runtimes: ['http'],
    behaviour: 'throwsLong',
    expected: { kind: 'error', code: 'function_error', message: ['status 503', 'é'.repeat(500)] },
  },
  {
    name: 'a result that is not serialisable names the path of the first bad value',
    runtimes: LANGUAGES,
    behaviour: 'unserialisable',
    expected: {
      node: { kind: 'error', code: 'result_not_serialisable', message: ['result.nested.values[1] is a BigInt'] },
      python: { kind: 'error', code: 'result_not_serialisable', message: ['result.nested.values[1] is a set'] },
    },
  },
  {
    name: 'a cyclic result names the path of the cycle',
    runtimes: LANGUAGES,
    behaviour: 'cycle',
    expected: { kind: 'error', code: 'result_not_serialisable', message: ['result.node.children[0].parent', 'cycle'] },
  },
  {
    name: 'a result that is not a number is not serialisable',
    runtimes: ['python'],
    behaviour: 'notANumber',
    expected: { kind: 'error', code: 'result_not_serialisable', message: ['result.ratio is nan'] },
  },
  {
    name: 'a function as the result is not serialisable',
    runtimes: LANGUAGES,
    behaviour: 'isFunction',
    expected: { kind: 'error', code: 'result_not_serialisable', message: ['result is a function'] },
  },
  {
    name: 'a result of exactly the limit passes',
    runtimes: ALL,
    behaviour: 'big',
    event: { size: 100_000 },
    maxResultBytes: 100_000,
    expected: { kind: 'length', bytes: 100_000 },
  },
  {
    name: 'a result one byte over the limit is result_too_large and names both sizes',
    runtimes: ALL,
    behaviour: 'big',
    event: { size: 100_001 },
    maxResultBytes: 100_000,
    expected: { kind: 'error', code: 'result_too_large', message: ['100001', '100000'] },
  },
  {
    name: 'a streamed value over the limit is cut with result_too_large',
    runtimes: ['http'],
    behaviour: 'bigChunked',
    event: { size: 400_000 },
    maxResultBytes: 100_000,
    expected: { kind: 'error', code: 'result_too_large', message: ['100000'], cut: true },
  },
  {
    name: 'a server that closes without an answer is a function_error',
    runtimes: ['http'],
    behaviour: 'closes',
    expected: { kind: 'error', code: 'function_error', message: ['closed the connection without an answer'] },
  },
  {
    name: 'a server that closes in the middle cuts the answer',
    runtimes: ['http'],
    behaviour: 'half',
    expected: { kind: 'error', code: 'function_error', message: ['before its answer was complete'], cut: true },
  },
  {
    name: 'a server that does not speak HTTP is a function_error',
    runtimes: ['http'],
    behaviour: 'nonsense',
    expected: { kind: 'error', code: 'function_error', message: ['not an HTTP/1 answer'] },
  },
  {
    name: 'a server that sends a bad header is a function_error',
    runtimes: ['http'],
    behaviour: 'badHeaders',
    expected: { kind: 'error', code: 'function_error', message: ['header whose value is not valid'] },
  },
];
