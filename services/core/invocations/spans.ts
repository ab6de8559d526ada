/**
 * Calls as spans of OpenTelemetry: one of the call, and below it one of each phase of its receipt.
 * Only its API is used, so nothing happens unless an SDK was loaded into the process
 * (`NODE_OPTIONS=--import=...`, docs/traces.md). Then the handler is given the call's own span as its
 * parent; otherwise the trace of its caller as it came.
 */
import {
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { readTrace, type Trace } from './trace.ts';
import type { Call, CallEnd, CallReply, CallRequest, Dispatcher } from './types.ts';
import { PHASES } from './types.ts';

/** The same dispatcher; each call is a span where somebody records them. */
export function withSpans<T extends Pick<Dispatcher, 'call'>>(dispatcher: T, tracer = trace.getTracer('wafer')): T {
  return { ...dispatcher, call: (call: Call) => tracedCall(dispatcher, tracer, call) };
}

function tracedCall(dispatcher: Pick<Dispatcher, 'call'>, tracer: Tracer, call: Call): Promise<CallReply> {
  const startTime = epochOf(call.acceptedAt);
  const span = tracer.startSpan(
    `invoke ${call.version.functionName}`,
    { kind: SpanKind.SERVER, startTime },
    parentOf(call),
  );
  if (!span.isRecording()) return dispatcher.call(call);
  span.setAttributes({
    'faas.name': call.version.functionName,
    'faas.version': String(call.version.number),
    'faas.invocation_id': call.invocationId,
    'wafer.attempt': call.attempt,
  });
  return record(dispatcher.call(insideOf(call, span)), span, call, tracer);
}

async function record(running: Promise<CallReply>, span: Span, call: Call, tracer: Tracer): Promise<CallReply> {
  try {
    const reply = await running;
    void reply.done.then((end) => finish(span, end, call, tracer));
    return reply;
  } catch (error) {
    span.recordException(error instanceof Error ? error : String(error));
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
    throw error;
  }
}

function finish(span: Span, { outcome, receipt, bytesOut }: CallEnd, call: Call, tracer: Tracer): void {
  span.setAttributes({
    'wafer.outcome': outcome.kind,
    'wafer.start': receipt.start,
    'wafer.bytes_out': bytesOut,
    'faas.coldstart': receipt.start === 'cold',
    'faas.instance': receipt.instanceId,
  });
  if (outcome.kind !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.message });
  let at = epochOf(call.acceptedAt);
  const below = trace.setSpan(ROOT_CONTEXT, span);
  for (const phase of PHASES) {
    const ms = receipt.phases[phase];
    if (ms <= 0) continue;
    tracer.startSpan(phase, { startTime: at }, below).end(at + ms);
    at += ms;
  }
  span.end();
}

const epochOf = (monotonicMs: number): number => performance.timeOrigin + monotonicMs;

const traceOf = ({ trace: given, request }: Call): Trace | undefined => {
  if (request.kind === 'event') return given;
  const traceparent = request.head.headers.find(([name]) => name === 'traceparent')?.[1];
  return traceparent === undefined ? undefined : readTrace({ traceparent });
};

/** Whose span the call's is below. */
function parentOf(call: Call): Context {
  const caller = traceOf(call);
  const context = caller && toContext(caller);
  return context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context);
}

function toContext({ traceparent }: Trace): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = '0'] = traceparent.split('-');
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}

/** What the handler does belongs below the span of its call. `tracestate` is its caller's, as it came. */
function insideOf(call: Call, span: Span): Call {
  const { traceId, spanId, traceFlags } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  const { request } = call;
  if (request.kind === 'event') return { ...call, trace: { ...call.trace, traceparent } };
  return { ...call, request: withHeader(request, traceparent) };
}

function withHeader(request: Extract<CallRequest, { kind: 'http' }>, traceparent: string): CallRequest {
  const headers = request.head.headers.filter(([name]) => name !== 'traceparent');
  return { ...request, head: { ...request.head, headers: [...headers, ['traceparent', traceparent]] } };
}
