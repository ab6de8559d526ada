/** Declares the conformance tests for a launcher; call it inside a `describe`. */
import { afterEach, describe, expect, test } from 'vitest';
import type { RuntimeResult } from '../../../runtime/protocol/index.ts';
import { CASES, type ConformanceCase, type Expected, INIT_CASES, type InitCase, type RuntimeName } from './cases.ts';
import { type Launch, readAll, type Started, type StartOptions, start } from './harness.ts';
import { SCENARIOS } from './scenarios.ts';

const RUNTIMES: readonly RuntimeName[] = ['node', 'python', 'http'];

export function conformanceTests(launch: Launch, runtimes: readonly RuntimeName[] = RUNTIMES): void {
  const open: Started[] = [];
  const startOne = async (name: RuntimeName, options: StartOptions) => {
    const started = await start(launch, name, options);
    open.push(started);
    return started;
  };
  afterEach(async () => {
    for (const started of open.splice(0)) {
      started.runtime.destroy();
      await started.launched.kill();
    }
  });

  describe.each(runtimes)('%s', (name) => {
    const mine = <T extends { runtimes: readonly RuntimeName[] }>(cases: readonly T[]) =>
      cases.filter((one) => one.runtimes.includes(name));
    for (const one of mine(CASES)) test(one.name, async () => runCase(await startOne(name, one), name, one));
    for (const one of mine(INIT_CASES)) {
      test(one.name, async () => {
        const handler = one.handler?.[name];
        await runInitCase(
          await startOne(name, {
            ...(handler === undefined ? {} : { handler }),
            ...(one.command === undefined ? {} : { command: one.command }),
          }),
          one,
        );
      });
    }
    for (const one of mine(SCENARIOS)) {
      test(one.name, async () => one.run(await startOne(name, { behaviour: one.behaviour }), name));
    }
  });
}

async function runCase(started: Started, name: RuntimeName, one: ConformanceCase): Promise<void> {
  expect(started.init).toEqual({ kind: 'ok' });
  const call =
    one.http !== undefined
      ? started.http(one.http)
      : one.raw !== undefined
        ? started.raw(one.raw)
        : started.call(one.event);
  const expected = 'kind' in one.expected ? one.expected : one.expected[name];
  if (expected === undefined) throw new Error(`the case expects nothing of ${name}`);
  const head = await call.head;
  if (expected.kind === 'error') await checkError(head, await endOf(head, call.ended), expected);
  else await checkAnswer(head, expected);
  if (expected.kind !== 'error') expect(await call.ended).toMatchObject({ kind: 'ok' });
  if (one.logs !== undefined) checkLogs(started, one.logs);
}

/** A cut answer ends with an error whether its body is read or not. */
async function endOf<T>(head: RuntimeResult, ended: Promise<T>): Promise<T> {
  if (head.kind !== 'error') await expect(readAll(head.body)).rejects.toThrow();
  return ended;
}

function checkError(head: RuntimeResult, end: unknown, expected: Extract<Expected, { kind: 'error' }>): void {
  if (expected.cut === true) expect(head.kind).not.toBe('error');
  else expect(head).toEqual(end);
  expect(end).toMatchObject({
    kind: 'error',
    code: expected.code,
    ...(expected.errorType === undefined ? {} : { errorType: expected.errorType }),
    ...(expected.stack === undefined ? {} : { stack: expect.stringContaining(expected.stack) }),
  });
  for (const text of expected.message) expect((end as { message: string }).message).toContain(text);
}

async function checkAnswer(head: RuntimeResult, expected: Exclude<Expected, { kind: 'error' }>): Promise<void> {
  if (head.kind === 'error') throw new Error(`${head.code}: ${head.message}\n${head.stack ?? ''}`);
  const body = await readAll(head.body);
  if (expected.kind === 'length') return expect(body.length).toBe(expected.bytes);
  if (expected.kind === 'http') return checkHttp(head, body, expected);
  if (head.kind !== 'value') throw new Error(`a value was expected, not ${head.kind}`);
  if (expected.kind === 'bytes') {
    expect(head.contentType).toBe(expected.contentType);
    expect(body).toEqual(expected.bytes);
    return;
  }
  expect(head.contentType).toBe('application/json');
  expect(JSON.parse(body.toString())).toEqual(expected.value);
}

function checkHttp(
  head: Exclude<RuntimeResult, { kind: 'error' }>,
  body: Buffer,
  expected: Extract<Expected, { kind: 'http' }>,
): void {
  if (head.kind !== 'http') throw new Error(`an HTTP answer was expected, not ${head.kind}`);
  expect(head.status).toBe(expected.status);
  expect(Object.fromEntries(head.headers)).toMatchObject(expected.headers ?? {});
  if (expected.cookies !== undefined) {
    expect(head.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual(expected.cookies);
  }
  for (const name of expected.absent ?? []) expect(head.headers.map(([known]) => known)).not.toContain(name);
  const shown = typeof expected.body === 'string' ? body.toString() : JSON.parse(body.toString());
  expect(shown).toEqual(expected.body);
}

function checkLogs(started: Started, expected: NonNullable<ConformanceCase['logs']>): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    const lines = started.logs.filter((log) => log.stream === stream);
    expect(lines.map((log) => log.text)).toEqual(expected[stream] ?? []);
    for (const line of lines) expect(line.invocationId).toBe('inv-1');
  }
}

async function runInitCase(started: Started, one: InitCase): Promise<void> {
  const { init } = started;
  if (init.kind === 'ok') throw new Error('the runtime was bound');
  expect(init.code).toBe(one.code);
  for (const text of one.message) expect(init.message).toContain(text);
  if (one.errorType !== undefined) expect(init.errorType).toBe(one.errorType);
  await started.closed;
  expect(await started.launched.exited).toBe(1);
}
