import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../../services/core/errors.ts';
import type { Failure } from '../../../services/core/invocations/types.ts';
import { json, RECEIPT } from '../../helpers/fake-platform.ts';
import { appWithLimits, testApp } from './helper.ts';

const url = '/v1/functions/hello/invoke';
const jsonType = { 'content-type': 'application/json' };

describe('POST /v1/functions/{name}/invoke', () => {
  test('gives the value with its type, the id and the complete receipt, and leaves a record', async () => {
    const { send, platform } = await testApp();
    platform.handler = () => json({ hello: 'Ada' });
    const answer = await send({ method: 'POST', url, payload: { name: 'Ada' } });
    expect([answer.statusCode, answer.json()]).toEqual([200, { hello: 'Ada' }]);
    const id = answer.headers['x-wafer-invocation'];
    expect(answer.headers).toMatchObject({
      'x-wafer-start': 'warm',
      'server-timing': 'queue;dur=0.25, sandbox;dur=0, attach;dur=0, boot;dur=0, init;dur=0, handler;dur=1.5',
    });
    expect(platform.calls).toMatchObject([{ invocationId: id, attempt: 1, version: { number: 2 } }]);
    expect(platform.records).toMatchObject([{ id, trigger: 'invoke', version: 2, outcome: { kind: 'ok' } }]);
    expect((await send({ url: `/v1/invocations/${id}` })).json()).toMatchObject({ id, functionName: 'hello' });
  });

  test('hands over the bytes of the body as they came', async () => {
    const { send, platform } = await testApp();
    const payload = ' {"a" : 1e2, "__proto__":{"x":1}, "a":2}\n';
    await send({ method: 'POST', url, headers: jsonType, payload });
    expect(platform.calls[0]?.request).toEqual({ kind: 'event', body: Buffer.from(payload) });
  });

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/vnd.api+json;charset="UTF-8"',
    'APPLICATION/JSON',
  ])('takes %s', async (type) => {
    const { send } = await testApp();
    expect((await send({ method: 'POST', url, headers: { 'content-type': type }, payload: '1' })).statusCode).toBe(200);
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json\tx',
    'application/json garbage',
    'application/json; charset=utf-16',
    'application/jsonx',
    '+json',
    undefined,
  ])('refuses a body of the type %j with 415', async (type) => {
    const { send, platform } = await testApp();
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    const answer = await send({ method: 'POST', url, headers, payload: Buffer.from('{}') });
    expect([answer.statusCode, answer.json().code]).toEqual([415, 'unsupported_media_type']);
    expect(answer.headers['x-wafer-invocation']).toBe(answer.json().invocation);
    expect(platform.calls).toHaveLength(0);
  });

  test('takes no body as null', async () => {
    const { send, platform } = await testApp();
    expect((await send({ method: 'POST', url })).statusCode).toBe(200);
    expect((await send({ method: 'POST', url, headers: jsonType, payload: '' })).statusCode).toBe(200);
    expect(platform.calls.map(({ request }) => request)).toEqual(
      Array(2).fill({ kind: 'event', body: Buffer.alloc(0) }),
    );
  });

  test.each([
    ['broken', Buffer.from('{"a":')],
    ['with a byte order mark', Buffer.from('\ufeff{}')],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le')],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['NaN', Buffer.from('NaN')],
    ['10,000 levels deep', Buffer.from(`${'['.repeat(10_000)}${']'.repeat(10_000)}`)],
    ['10,000 objects deep', Buffer.from(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`)],
  ])('refuses JSON that is %s', async (_what, payload) => {
    const { send, platform } = await testApp();
    const answer = await send({ method: 'POST', url, headers: jsonType, payload });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_json']);
    expect(platform.calls).toHaveLength(0);
  });

  test('does not take brackets in strings for depth', async () => {
    const { send } = await testApp();
    const payload = JSON.stringify([`${'['.repeat(2000)}\\"${'{'.repeat(2000)}`, '\\']);
    expect((await send({ method: 'POST', url, headers: jsonType, payload })).statusCode).toBe(200);
  });

  test('takes 6 MiB and not a byte more', async () => {
    const { send } = await testApp();
    const limit = 6 * 1024 * 1024;
    const at = (size: number) => `"${'x'.repeat(size - 2)}"`;
    expect((await send({ method: 'POST', url, headers: jsonType, payload: at(limit) })).statusCode).toBe(200);
    const over = await send({ method: 'POST', url, headers: jsonType, payload: at(limit + 1) });
    expect([over.statusCode, over.json().code]).toEqual([413, 'payload_too_large']);
  });

  test('calls the version or alias that is asked for', async () => {
    const { send, platform } = await testApp();
    await platform.functions.setAlias('hello', 'old', 1);
    expect((await send({ method: 'POST', url: `${url}?version=1` })).statusCode).toBe(200);
    expect((await send({ method: 'POST', url: `${url}?alias=old` })).statusCode).toBe(200);
    expect((await send({ method: 'POST', url })).statusCode).toBe(200);
    expect(platform.calls.map(({ version }) => version.number)).toEqual([1, 1, 2]);
  });

  test.each([
    ['version=9', 404, 'version_not_found'],
    ['alias=nope', 404, 'alias_not_found'],
    ['version=1&alias=live', 400, 'invalid_request'],
    ['version=-1', 400, 'invalid_request'],
    ['version=1.5', 400, 'invalid_request'],
    ['version=1e3', 400, 'invalid_request'],
    ['version=99999999999999999999', 400, 'invalid_request'],
    ['alias=..', 400, 'invalid_request'],
    ['qualifier=1', 400, 'invalid_request'],
  ])('answers ?%s with %i %s', async (query, status, code) => {
    const { send } = await testApp();
    const answer = await send({ method: 'POST', url: `${url}?${query}` });
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
  });

  test('counts the time to find the version, and all before the answer, as time of the call', async () => {
    const { send, platform } = await testApp();
    const { resolve } = platform.functions;
    const found: number[] = [];
    platform.receiptOf = ({ acceptedAt }) => {
      const queue = performance.now() - acceptedAt;
      return { ...RECEIPT, phases: { ...RECEIPT.phases, queue, handler: 0 } };
    };
    platform.functions.resolve = async (...args) => {
      const before = performance.now();
      while (performance.now() - before < 20) await new Promise(setImmediate);
      found.push(performance.now());
      return resolve(...args);
    };
    for (const path of [url, '/fn/hello/']) await send({ method: 'POST', url: path });
    for (const [at, { acceptedAt }] of platform.calls.entries()) {
      expect((found[at] ?? 0) - acceptedAt).toBeGreaterThanOrEqual(20);
      expect(platform.records[at]?.durationMs).toBeGreaterThanOrEqual(20);
    }
    expect(platform.records).toHaveLength(2);
  });

  const failures = Object.keys(ERRORS).slice(Object.keys(ERRORS).indexOf('function_error')) as Failure['kind'][];
  test.each(failures)('answers the outcome %s with its status, the cause and the receipt', async (kind) => {
    const { send, platform } = await testApp();
    const failure: Failure = {
      kind,
      message: 'It went wrong.',
      errorType: 'TypeError',
      stack: 'at handler (index.mjs:1:1)',
    };
    platform.handler = () => ({ kind: 'failure', failure });
    const answer = await send({ method: 'POST', url });
    expect(answer.statusCode).toBe(ERRORS[kind as ErrorCode].status);
    expect(answer.json()).toMatchObject({
      code: kind,
      detail: 'It went wrong.',
      invocation: answer.headers['x-wafer-invocation'],
      details: { errorType: 'TypeError', stack: failure.stack },
    });
    expect(answer.headers['server-timing']).toContain('handler;dur=1.5');
    expect(platform.records).toMatchObject([{ outcome: failure }]);
    expect(platform.counted).toEqual([`call ${kind}`]);
  });

  test('turns a value that was cut into an error, not into half a value', async () => {
    const { send, platform } = await testApp();
    platform.handler = () => ({
      kind: 'value',
      contentType: 'application/json',
      body: Readable.from(
        (function* () {
          yield Buffer.from('{"a":');
          throw new Error('crashed');
        })(),
      ),
    });
    const answer = await send({ method: 'POST', url });
    expect([answer.statusCode, answer.json().code]).toEqual([502, 'function_crashed']);
  });

  test('refuses a value that is larger than a result may be', async () => {
    const { send, platform } = await appWithLimits({ resultBytes: 1000 });
    platform.handler = () => json('x'.repeat(1000));
    expect((await send({ method: 'POST', url })).json()).toMatchObject({ status: 502, code: 'result_too_large' });
  });

  test('gives bytes back as they are, however large', async () => {
    const { send, platform } = await testApp();
    const bytes = Buffer.alloc(3_000_000, 'abc\0\xff');
    platform.handler = () => ({ kind: 'value', contentType: 'application/octet-stream', body: Readable.from([bytes]) });
    const answer = await send({ method: 'POST', url });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'content-length': '3000000' });
    expect(answer.rawPayload.equals(bytes)).toBe(true);
  });

  test('lets no content type of a function split the answer', async () => {
    const { send, platform } = await testApp();
    platform.handler = () => ({
      kind: 'value',
      contentType: 'text/html\r\nx-evil: 1',
      body: Readable.from([Buffer.from('x')]),
    });
    const answer = await send({ method: 'POST', url });
    expect(answer.headers['content-type']).toBe('application/octet-stream');
    expect(answer.headers).not.toHaveProperty('x-evil');
  });
});
