/** W3C Trace Context: what a caller says of its trace, handed to the handler as it came. */

export interface Trace {
  traceparent: string;
  tracestate?: string;
}

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Vendors' entries; what is longer need not be passed on. */
const MAX_TRACESTATE = 512;

/** Undefined without a valid `traceparent`: a broken one ends the trace and nothing else. */
export function readTrace(headers: Record<string, string | string[] | undefined>): Trace | undefined {
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return undefined;
  const state = Array.isArray(tracestate) ? tracestate.join(',') : tracestate;
  const isPassed =
    state !== undefined && state !== '' && state.length <= MAX_TRACESTATE && /^[\x20-\x7e]*$/.test(state);
  return isPassed ? { traceparent, tracestate: state } : { traceparent };
}
