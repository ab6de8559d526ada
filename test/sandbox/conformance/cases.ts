/**
 * What every runtime must do, as data. A case names a behaviour, which each language has
 * under the same name in test/fixtures/functions, one call, and what must come of it.
 */
export type RuntimeName = 'node' | 'python' | 'http';

export interface HttpCall {
  method: string;
  path: string;
  query?: string;
  headers?: [string, string][];
  body?: string;
}

export type Expected =
  | { kind: 'json'; value: unknown }
  | { kind: 'bytes'; contentType: string; bytes: Buffer }
  | { kind: 'length'; bytes: number }
  | {
      kind: 'http';
      status: number;
      body: unknown;
      headers?: Record<string, string>;
      cookies?: string[];
      absent?: string[];
    }
  /** `cut`: the failure comes after the head of an answer. */
  | { kind: 'error'; code: string; message: string[]; errorType?: string; stack?: string; cut?: boolean };

export interface ConformanceCase {
  name: string;
  runtimes: readonly RuntimeName[];
  behaviour: string;
  event?: unknown;
  /** Sent as they are, in place of `event`. */
  raw?: string;
  http?: HttpCall;
  env?: Record<string, string>;
  maxResultBytes?: number;
  maxLogLineBytes?: number;
  expected: Expected | Partial<Record<RuntimeName, Expected>>;
  /** Lines of the call, in order per stream. */
  logs?: { stdout?: string[]; stderr?: string[] };
}

export interface InitCase {
  name: string;
  runtimes: readonly RuntimeName[];
  handler?: Partial<Record<RuntimeName, string>>;
  command?: string[];
  code: 'handler_not_found' | 'function_init_failed';
  message: string[];
  errorType?: string;
}

const ALL = ['node', 'python', 'http'] as const;
const LANGUAGES = ['node', 'python'] as const;
const json = (value: unknown): Expected => ({ kind: 'json', value });

const VALUES: ConformanceCase[] = [
  {
    name: 'an event comes back as it went in',
    runtimes: ALL,
    behaviour: 'echo',
    event: { text: 'grüße \u2028 \u{1f600}', list: [1, 2.5, null, true], nested: { __proto__key: {} } },
    expected: json({ text: 'grüße \u2028 \u{1f600}', list: [1, 2.5, null, true], nested: { __proto__key: {} } }),
  },
  {
    name: 'an empty event body is null',
    runtimes: ALL,
    behaviour: 'echo',
    raw: '',
    expected: json(null),
  },
  {
    name: 'an event that is not JSON is a function_error that says so',
    runtimes: LANGUAGES,
    behaviour: 'echo',
    raw: '{"a":',
    expected: { kind: 'error', code: 'function_error', message: ['not valid JSON'] },
  },
  {
    name: 'the handler computes with its event',
    runtimes: ALL,
    behaviour: 'add',
    event: { a: 2, b: 40 },
    expected: json({ sum: 42 }),
  },
  {
    name: 'an async handler is awaited',
    runtimes: LANGUAGES,
    behaviour: 'addLater',
    event: { a: 2, b: 40 },
    expected: json({ sum: 42 }),
  },
  {
    name: 'a returned awaitable is awaited',
    runtimes: ['python'],
    behaviour: 'awaitable',
    event: { a: 2, b: 40 },
    expected: json({ sum: 42 }),
  },
  {
    name: 'bytes go out as they are',
    runtimes: ALL,
    behaviour: 'bytes',
    expected: { kind: 'bytes', contentType: 'application/octet-stream', bytes: Buffer.of(0, 1, 2, 255) },
  },
  { name: 'nothing returned is null', runtimes: ALL, behaviour: 'nothing', expected: json(null) },
  {
    name: 'a result of many windows comes whole',
    runtimes: ALL,
    behaviour: 'big',
    event: { size: 3_000_001 },
    expected: { kind: 'length', bytes: 3_000_001 },
  },
  {
    name: 'a result of many windows of an async handler comes whole',
    runtimes: ['python'],
    behaviour: 'bigLater',
    event: { size: 3_000_001 },
    expected: { kind: 'length', bytes: 3_000_001 },
  },
  {
    name: 'a large result of a coroutine arrives whole where no thread can be started any more',
    runtimes: ['python'],
    behaviour: 'bigWithoutThreads',
    event: { size: 3_000_001 },
    expected: { kind: 'length', bytes: 3_000_001 },
  },
  {
    name: 'an event of many windows arrives whole',
    runtimes: ALL,
    behaviour: 'echo',
    event: 'e'.repeat(1_500_000),
    expected: json('e'.repeat(1_500_000)),
  },
  {
    name: 'the server gets an event with its length',
    runtimes: ['http'],
    behaviour: 'length',
    event: 'e'.repeat(1_500_000),
    expected: json({ length: '1500002', size: 1_500_002 }),
  },
  {
    name: 'the settings environment is there and the runtime environment is not',
    runtimes: ALL,
    behaviour: 'env',
    event: { names: ['GREETING', 'WAFER_FUNCTION', 'WAFER_VERSION', 'HOST_SECRET'] },
    env: { GREETING: 'hällo', WAFER_VERSION: 'forged' },
    expected: {
      node: json({ GREETING: 'hällo', WAFER_FUNCTION: 'conformance', WAFER_VERSION: '7', HOST_SECRET: null }),
      python: json({ GREETING: 'hällo', WAFER_FUNCTION: 'conformance', WAFER_VERSION: '7', HOST_SECRET: null }),
      http: json({ GREETING: 'hällo', WAFER_FUNCTION: 'conformance', WAFER_VERSION: '7', HOST_SECRET: null }),
    },
  },
  {
    name: 'the context names the call',
    runtimes: LANGUAGES,
    behaviour: 'context',
    expected: json({
      invocationId: 'inv-1',
      functionName: 'conformance',
      version: 7,
      deadlineMs: 4_000_000_000_000,
      attempt: 2,
      aborted: false,
    }),
  },
  {
    name: 'the server gets the invocation id',
    runtimes: ['http'],
    behaviour: 'invocation',
    expected: json('inv-1'),
  },
  {
    name: 'a child process does not inherit the control socket',
    runtimes: ALL,
    behaviour: 'controlLeaks',
    expected: json(false),
  },
  {
    name: 'modules of .deps are found, also through a .pth file',
    runtimes: ['python'],
    behaviour: 'dependencies',
    expected: json(['bundled', 'found by pth']),
  },
  {
    name: 'a forked child does not speak on the control socket',
    runtimes: ['python'],
    behaviour: 'forks',
    expected: json('forked'),
  },
];

const FAILURES: ConformanceCase[] = [
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

const LOGS: ConformanceCase[] = [
  {
    name: 'printed lines come as logs of the call, also the last without an end',
    runtimes: LANGUAGES,
    behaviour: 'prints',
    event: { text: 'grüße' },
    expected: json('printed'),
    logs: { stdout: ['out grüße', 'first', 'second, without an end'], stderr: ['err grüße'] },
  },
  {
    name: 'a line over the limit is cut at a character and marked',
    runtimes: LANGUAGES,
    behaviour: 'printsLong',
    event: { size: 1000 },
    maxLogLineBytes: 101,
    expected: json(null),
    logs: { stdout: [`${'ä'.repeat(50)}…`] },
  },
];

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

const HTTP: ConformanceCase[] = [
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

export const CASES: readonly ConformanceCase[] = [...VALUES, ...FAILURES, ...LOGS, ...HTTP];

export const INIT_CASES: readonly InitCase[] = [
  {
    name: 'a missing file is handler_not_found and lists what is there',
    runtimes: LANGUAGES,
    handler: { node: 'nowhere.handler', python: 'nowhere.handler' },
    code: 'handler_not_found',
    message: ['nowhere', 'behaviours'],
  },
  {
    name: 'a missing export is handler_not_found and lists the exports',
    runtimes: LANGUAGES,
    handler: { node: 'behaviours.missing', python: 'behaviours.missing' },
    code: 'handler_not_found',
    message: ['"missing"', 'echo'],
  },
  {
    name: 'a handler that is no function is handler_not_found',
    runtimes: LANGUAGES,
    handler: { node: 'behaviours.notAFunction', python: 'behaviours.notAFunction' },
    code: 'handler_not_found',
    message: ['"notAFunction"', 'not a function'],
  },
  {
    name: 'a handler without an export name is handler_not_found',
    runtimes: LANGUAGES,
    handler: { node: 'behaviours', python: 'behaviours' },
    code: 'handler_not_found',
    message: ['file.'],
  },
  {
    name: 'a module that throws while it loads is function_init_failed with its error',
    runtimes: LANGUAGES,
    handler: { node: 'init-error.handler', python: 'init_error.handler' },
    code: 'function_init_failed',
    message: ['the table is missing'],
    errorType: 'TypeError',
  },
  {
    name: 'a dependency that is not there is function_init_failed and names it',
    runtimes: LANGUAGES,
    handler: { node: 'missing-import.handler', python: 'missing_import.handler' },
    code: 'function_init_failed',
    message: ['installed'],
  },
  {
    name: 'a handler file with the name of a standard module is refused',
    runtimes: ['python'],
    handler: { python: 'json.handler' },
    code: 'handler_not_found',
    message: ['json', 'name of a module of Python itself'],
  },
  {
    name: 'a command that does not exist is function_init_failed and names it',
    runtimes: ['http'],
    command: ['no-such-program'],
    code: 'function_init_failed',
    message: ['no-such-program', 'No such file'],
  },
  {
    name: 'an empty command is function_init_failed',
    runtimes: ['http'],
    command: [],
    code: 'function_init_failed',
    message: ['command is empty'],
  },
  {
    name: 'a command that ends before it listens is function_init_failed with its status',
    runtimes: ['http'],
    command: ['node', 'server.mjs', 'neverListens'],
    code: 'function_init_failed',
    message: ['status 9', 'listened on port'],
  },
];
