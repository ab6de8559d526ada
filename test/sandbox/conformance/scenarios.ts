/** What takes more than one call and one answer to show: cancelling, concurrency, flow control, ends. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { LIMITS, type RuntimeCall } from '../../../runtime/protocol/index.ts';
import type { RuntimeName } from './cases.ts';
import { readAll, type Started, until } from './harness.ts';

export interface Scenario {
  name: string;
  runtimes: readonly RuntimeName[];
  behaviour: string;
  run: (started: Started, name: RuntimeName) => Promise<void>;
}

const ALL = ['node', 'python', 'http'] as const;
const LANGUAGES = ['node', 'python'] as const;
const MEGABYTES_20 = 20 * 1_048_576;
/** Frame heads and the stream's own buffer on top of a window. */
const SLACK = 131_072;

async function resultOf(call: RuntimeCall): Promise<unknown> {
  const head = await call.head;
  if (head.kind === 'error') throw new Error(`${head.code}: ${head.message}`);
  const text = (await readAll(head.body)).toString();
  expect(await call.ended).toMatchObject({ kind: 'ok' });
  return head.kind === 'http' && text === 'pong' ? text : JSON.parse(text);
}

/** A source of `size` bytes that counts what was taken from it. */
function countedSource(size: number) {
  let taken = 0;
  const hash = createHash('sha256');
  const stream = new Readable({
    read() {
      const piece = Buffer.alloc(Math.min(65_536, size - taken), taken % 251);
      if (piece.length === 0) return void this.push(null);
      taken += piece.length;
      hash.update(piece);
      this.push(piece);
    },
  });
  return { stream, taken: () => taken, digest: () => hash.digest('hex') };
}

const CALLS: Scenario[] = [
  {
    name: 'a runtime serves many calls, one after another',
    runtimes: ALL,
    behaviour: 'add',
    async run(started) {
      for (let a = 0; a < 30; a++) expect(await resultOf(started.call({ a, b: 1 }))).toEqual({ sum: a + 1 });
      expect(started.runtime.inFlight).toBe(0);
    },
  },
  {
    name: 'two calls run at the same time',
    runtimes: ALL,
    behaviour: 'together',
    async run(started) {
      const calls = ['a', 'b'].map((name) => started.call({ calls: 2, name }, { id: name }));
      expect(started.runtime.inFlight).toBe(2);
      expect(await Promise.all(calls.map(resultOf))).toEqual([
        { name: 'a', inside: 2 },
        { name: 'b', inside: 2 },
      ]);
    },
  },
  {
    name: 'fifty calls run at the same time',
    runtimes: ALL,
    behaviour: 'together',
    async run(started) {
      const calls = Array.from({ length: 50 }, (_, at) => started.call({ calls: 50, name: at }));
      const names = (await Promise.all(calls.map(resultOf))).map((value) => (value as { name: number }).name);
      expect(names).toEqual(calls.map((_, at) => at));
    },
  },
  {
    name: 'calls run at the same time where no thread can be started any more',
    runtimes: ['python'],
    behaviour: 'withoutThreads',
    async run(started) {
      expect(await resultOf(started.call({ step: 'limit' }))).toBe('limit');
      const waits = started.call({ step: 'wait' });
      expect(await resultOf(started.call({ step: 'free' }))).toBe('free');
      expect(await resultOf(waits)).toBe('wait');
    },
  },
  {
    name: 'lines of calls at the same time are told apart',
    runtimes: LANGUAGES,
    behaviour: 'printsLater',
    async run(started) {
      const ids = ['a', 'b', 'c'];
      await Promise.all(ids.map((id) => resultOf(started.call({ text: `of ${id}`, turns: 20 }, { id }))));
      for (const id of ids) {
        const lines = started.logs.filter((log) => log.invocationId === id).map((log) => log.text);
        expect(lines).toEqual(Array.from({ length: 20 }, () => `of ${id}`));
      }
    },
  },
  {
    name: 'lines of coroutines at the same time are told apart',
    runtimes: ['python'],
    behaviour: 'printsAsync',
    async run(started) {
      const ids = ['a', 'b', 'c'];
      await Promise.all(ids.map((id) => resultOf(started.call({ text: `of ${id}`, turns: 20 }, { id }))));
      for (const id of ids) {
        const lines = started.logs.filter((log) => log.invocationId === id).map((log) => log.text);
        expect(lines).toEqual(Array.from({ length: 20 }, () => `of ${id}`));
      }
    },
  },
  {
    name: 'cancelling aborts the signal of that call and the runtime still answers',
    runtimes: LANGUAGES,
    behaviour: 'untilCancelled',
    async run(started) {
      const abort = new AbortController();
      const call = started.call(null, { signal: abort.signal });
      await until(() => started.logs.some((log) => log.text === 'waiting'));
      abort.abort();
      expect(await call.ended).toMatchObject({ kind: 'ok' });
      expect(started.logs.map((log) => log.text)).toEqual(['waiting', 'cancelled']);
      const head = await call.head;
      if (head.kind === 'error') throw new Error(head.message);
      await expect(readAll(head.body)).rejects.toThrow('cancelled');
    },
  },
  {
    name: 'cancelling closes the connection to the server and fails the call',
    runtimes: ['http'],
    behaviour: 'untilCancelled',
    async run(started) {
      const abort = new AbortController();
      const call = started.call(null, { signal: abort.signal });
      await until(() => started.launched.output().includes('waiting'));
      abort.abort();
      expect(await call.ended).toMatchObject({ kind: 'error', code: 'function_error' });
      await until(() => started.launched.output().includes('cancelled'));
    },
  },
];

const FLOW: Scenario[] = [
  {
    name: 'a request streams in while its answer streams out',
    runtimes: ALL,
    behaviour: 'httpUpper',
    async run(started) {
      const source = new Readable({ read() {} });
      const call = started.http({ method: 'POST', path: '/' }, source);
      source.push('first ');
      const head = await call.head;
      if (head.kind === 'error') throw new Error(head.message);
      const seen = head.body[Symbol.asyncIterator]();
      expect(String((await seen.next()).value)).toBe('FIRST ');
      source.push('second');
      expect(String((await seen.next()).value)).toBe('SECOND');
      source.push(null);
      expect((await seen.next()).done).toBe(true);
      expect(await call.ended).toEqual({ kind: 'ok', bytes: 12 });
    },
  },
  {
    name: 'a result of 20 MB waits for its reader in one window and holds up nobody',
    runtimes: ALL,
    behaviour: 'httpFlow',
    async run(started) {
      const call = started.http({ method: 'GET', path: '/source', query: String(MEGABYTES_20) });
      const head = await call.head;
      if (head.kind === 'error') throw new Error(head.message);
      await until(() => started.received() >= LIMITS.windowBytes);
      for (let turn = 0; turn < 5; turn++) {
        expect(await resultOf(started.http({ method: 'GET', path: '/ping' }))).toBe('pong');
      }
      expect(started.received()).toBeLessThan(LIMITS.windowBytes + SLACK);
      let size = 0;
      for await (const chunk of head.body) size += (chunk as Buffer).length;
      expect(size).toBe(MEGABYTES_20);
      expect(await call.ended).toEqual({ kind: 'ok', bytes: MEGABYTES_20 });
    },
  },
  {
    name: 'a request of 20 MB waits for the function in bounded memory and arrives whole',
    runtimes: ALL,
    behaviour: 'httpFlow',
    async run(started) {
      const source = countedSource(MEGABYTES_20);
      const call = started.http({ method: 'POST', path: '/sink' }, source.stream);
      // A server has its own buffers, and those of the loopback connection, behind the window.
      const held = LIMITS.windowBytes + SLACK;
      await until(() => source.taken() >= LIMITS.windowBytes);
      for (let turn = 0; turn < 5; turn++) {
        expect(await resultOf(started.http({ method: 'GET', path: '/ping' }))).toBe('pong');
      }
      if (started.launched.env['PORT'] === undefined) expect(source.taken()).toBeLessThanOrEqual(held);
      expect(source.taken()).toBeLessThan(MEGABYTES_20);
      expect(await resultOf(started.http({ method: 'GET', path: '/release' }))).toBe('pong');
      expect(await resultOf(call)).toEqual({ size: MEGABYTES_20, digest: source.digest() });
    },
  },
  {
    name: 'a reader that goes away cancels the call and the runtime lives on',
    runtimes: ALL,
    behaviour: 'httpFlow',
    async run(started) {
      const call = started.http({ method: 'GET', path: '/source', query: String(MEGABYTES_20) });
      const head = await call.head;
      if (head.kind === 'error') throw new Error(head.message);
      head.body.destroy();
      expect(await call.ended).toMatchObject({ kind: 'error', code: 'function_error' });
      expect(await resultOf(started.http({ method: 'GET', path: '/ping' }))).toBe('pong');
    },
  },
  {
    name: 'a request body that breaks off cancels the call and the runtime lives on',
    runtimes: ALL,
    behaviour: 'httpFlow',
    async run(started) {
      const source = new Readable({ read() {} });
      const call = started.http({ method: 'POST', path: '/sink' }, source);
      expect(await resultOf(started.http({ method: 'GET', path: '/release' }))).toBe('pong');
      source.push('half');
      source.destroy(new Error('the client went away'));
      expect(await call.ended).toMatchObject({ kind: 'error', code: 'function_error' });
      expect(await resultOf(started.http({ method: 'GET', path: '/ping' }))).toBe('pong');
    },
  },
];

const ENDS: Scenario[] = [
  {
    name: 'the function runs in its code directory',
    runtimes: ALL,
    behaviour: 'workingDirectory',
    async run(started) {
      expect(await resultOf(started.call(null))).toBe(started.launched.codePath);
    },
  },
  {
    name: 'a print loop is bounded in memory and says what it dropped',
    runtimes: ['node'],
    behaviour: 'floods',
    async run(started) {
      const value = (await resultOf(started.call({ lines: 200_000, size: 1000 }))) as { megabytes: number };
      expect(value.megabytes).toBeLessThan(150);
      await until(() => started.logs.some((log) => log.text.includes('lines of output were dropped')));
      expect(started.logs.length).toBeLessThan(200_000);
      expect(await resultOf(started.call({ lines: 1, size: 3 }))).toMatchObject({});
      expect(started.logs.some((log) => log.text === 'xxx')).toBe(true);
    },
  },
  {
    name: 'exit inside a handler ends the process and the call as connection_closed',
    runtimes: ALL,
    behaviour: 'exits',
    async run(started) {
      const call = started.call(null);
      expect(await call.head).toMatchObject({ kind: 'error', code: 'connection_closed' });
      expect(await call.ended).toMatchObject({ kind: 'error', code: 'connection_closed' });
      expect(await started.launched.exited).toBe(3);
      expect(await started.closed).toMatchObject({ reason: 'closed' });
    },
  },
  {
    name: 'an unhandled rejection fails the call in flight and ends the process with 1',
    runtimes: ['node'],
    behaviour: 'unhandled',
    async run(started) {
      expect(await started.call(null).head).toMatchObject({
        code: 'function_error',
        message: 'Unhandled promise rejection: left alone',
        errorType: 'RangeError',
      });
      expect(await started.launched.exited).toBe(1);
    },
  },
  {
    name: 'an unhandled exception fails the call in flight and ends the process with 1',
    runtimes: ['node'],
    behaviour: 'thrownLater',
    async run(started) {
      expect(await started.call(null).head).toMatchObject({
        code: 'function_error',
        message: 'Unhandled exception: out of nowhere',
        errorType: 'RangeError',
      });
      expect(await started.launched.exited).toBe(1);
    },
  },
  {
    name: 'shutdown finishes the call in flight and then exits with 0',
    runtimes: ALL,
    behaviour: 'httpFlow',
    async run(started) {
      const source = countedSource(1_000_000);
      const call = started.http({ method: 'POST', path: '/sink' }, source.stream);
      expect(await resultOf(started.http({ method: 'GET', path: '/release' }))).toBe('pong');
      started.runtime.shutdown();
      expect(await resultOf(call)).toMatchObject({ size: 1_000_000 });
      expect(await started.launched.exited).toBe(0);
    },
  },
  {
    name: 'the runtime exits when the host closes the control socket, also inside a call',
    runtimes: ALL,
    behaviour: 'untilCancelled',
    async run(started, name) {
      const call = started.call(null);
      const waiting = () =>
        name === 'http'
          ? started.launched.output().includes('waiting')
          : started.logs.some((log) => log.text === 'waiting');
      await until(waiting);
      started.runtime.destroy();
      expect(await call.ended).toMatchObject({ code: 'connection_closed' });
      expect(await started.launched.exited).toBe(0);
    },
  },
  {
    name: 'frames that the host may not send end the runtime with 70',
    runtimes: ALL,
    behaviour: 'httpText',
    async run(started) {
      started.launched.control.write(Buffer.from([0, 0, 0, 0, 0x42, 0, 0, 0, 0]));
      expect(await started.launched.exited).toBe(70);
    },
  },
];

export const SCENARIOS: readonly Scenario[] = [...CALLS, ...FLOW, ...ENDS];
