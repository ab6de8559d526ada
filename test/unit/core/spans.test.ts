/** Spans of calls, recorded by a tracer of the test's own: what an SDK would be told. */
import { type Context, type Span, type SpanContext, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import { withSpans } from '../../../services/core/invocations/spans.ts';
import type { Call, CallEnd, CallReply, CallRequest, Phases } from '../../../services/core/invocations/types.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const NONE: Phases = { queue: 0, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 0 };
const RECEIPT = { start: 'blank', instanceId: 'i1', phases: { ...NONE, queue: 1, attach: 2, handler: 4 } } as const;

interface Told {
  name: string;
  parent: SpanContext | undefined;
  own: SpanContext;
  start: number;
  end?: number;
  attributes: Record<string, unknown>;
  status?: { code: SpanStatusCode };
}

function createRecorder() {
  const told: Told[] = [];
  const tracer = {
    startSpan(name: string, { startTime }: { startTime: number }, context: Context): Span {
      const parent = trace.getSpanContext(context);
      const spanId = String(told.length + 1).padStart(16, 'a');
      const own = { traceId: parent?.traceId ?? 'c'.repeat(32), spanId, traceFlags: 1 };
      const one: Told = { name, parent, own, start: startTime, attributes: {} };
      told.push(one);
      return {
        isRecording: () => true,
        spanContext: () => own,
        setAttributes: (more: object) => void Object.assign(one.attributes, more),
        setStatus: (status: { code: SpanStatusCode }) => void Object.assign(one, { status }),
        recordException() {},
        end: (at?: number) => void Object.assign(one, { end: at ?? Number.POSITIVE_INFINITY }),
      } as unknown as Span;
    },
  } as unknown as Tracer;
  return { told, tracer };
}

const version = { functionName: 'f', number: 3 } as FunctionVersion;
const event: CallRequest = { kind: 'event', body: Buffer.from('1') };
const callOf = (request: CallRequest = event, more: Partial<Call> = {}) =>
  ({ invocationId: 'inv', version, request, attempt: 1, acceptedAt: 100, signal: {}, ...more }) as Call;

function createPlace(end: Partial<CallEnd> = {}) {
  const seen: Call[] = [];
  const done = Promise.resolve({ outcome: { kind: 'ok' }, receipt: RECEIPT, bytesOut: 9, ...end } as CallEnd);
  const reply = { result: {}, receipt: RECEIPT, done } as unknown as CallReply;
  const call = async (one: Call) => {
    seen.push(one);
    return reply;
  };
  return { seen, dispatcher: { call } };
}

describe('a call', () => {
  it('is a span with one of each phase below it, at the times of its receipt', async () => {
    const { told, tracer } = createRecorder();
    const reply = await withSpans(createPlace().dispatcher, tracer).call(callOf());
    await reply.done;
    const began = performance.timeOrigin + 100;
    expect(told.map(({ name, start, end }) => [name, start, end])).toEqual([
      ['invoke f', began, Number.POSITIVE_INFINITY],
      ['queue', began, began + 1],
      ['attach', began + 1, began + 3],
      ['handler', began + 3, began + 7],
    ]);
    expect(told.slice(1).map(({ parent }) => parent?.spanId)).toEqual(Array(3).fill(told[0]?.own.spanId));
    expect(told[0]).toMatchObject({
      parent: undefined,
      attributes: { 'faas.name': 'f', 'faas.invocation_id': 'inv', 'wafer.start': 'blank', 'wafer.outcome': 'ok' },
    });
    expect(told[0]?.status).toBeUndefined();
  });

  it('is below the span of its caller, and the handler is below the call', async () => {
    const { told, tracer } = createRecorder();
    const { seen, dispatcher } = createPlace();
    const given = { traceparent: PARENT, tracestate: 'a=1' };
    await (await withSpans(dispatcher, tracer).call(callOf(event, { trace: given }))).done;
    expect(told[0]?.parent).toMatchObject({ traceId: PARENT.slice(3, 35), spanId: '00f067aa0ba902b7', traceFlags: 1 });
    const traceparent = `00-${PARENT.slice(3, 35)}-${told[0]?.own.spanId}-01`;
    expect(seen[0]?.trace).toEqual({ traceparent, tracestate: 'a=1' });
  });

  it('over HTTP has its traceparent replaced, and nothing else of its headers', async () => {
    const { told, tracer } = createRecorder();
    const { seen, dispatcher } = createPlace();
    const head = {
      method: 'GET',
      path: '/',
      query: '',
      headers: [
        ['traceparent', PARENT],
        ['x', 'y'],
      ],
    };
    await (await withSpans(dispatcher, tracer).call(callOf({ kind: 'http', head, body: null } as CallRequest))).done;
    expect(told[0]?.parent?.spanId).toBe('00f067aa0ba902b7');
    expect(seen[0]?.request).toMatchObject({
      head: {
        headers: [
          ['x', 'y'],
          ['traceparent', `00-${PARENT.slice(3, 35)}-${told[0]?.own.spanId}-01`],
        ],
      },
    });
  });

  it('that fails, or is refused, is a span that says so', async () => {
    const { told, tracer } = createRecorder();
    const failed = createPlace({ outcome: { kind: 'function_oom', message: 'too much' } });
    await (await withSpans(failed.dispatcher, tracer).call(callOf())).done;
    const refused = { call: (_call: Call): Promise<CallReply> => Promise.reject(new Error('full')) };
    await expect(withSpans(refused, tracer).call(callOf())).rejects.toThrow('full');
    const calls = told.filter(({ name }) => name === 'invoke f');
    expect(calls.map(({ status }) => status?.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.ERROR]);
    expect(calls.every(({ end }) => end !== undefined)).toBe(true);
    expect(calls[0]?.attributes).toMatchObject({ 'wafer.outcome': 'function_oom' });
  });
});

it('without an SDK a call goes through as it came', async () => {
  const { seen, dispatcher } = createPlace();
  const call = callOf(event, { trace: { traceparent: PARENT } });
  await withSpans(dispatcher).call(call);
  expect(seen).toEqual([call]);
  expect(seen[0]).toBe(call);
});
