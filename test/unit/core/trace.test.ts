import { describe, expect, it } from 'vitest';
import { readTrace } from '../../../services/core/invocations/trace.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('traceparent', () => {
  it('is read as it came, with its tracestate', () => {
    expect(readTrace({ traceparent: PARENT })).toEqual({ traceparent: PARENT });
    expect(readTrace({ traceparent: PARENT, tracestate: 'a=1,b=2' })).toEqual({
      traceparent: PARENT,
      tracestate: 'a=1,b=2',
    });
    expect(readTrace({ traceparent: PARENT, tracestate: ['a=1', 'b=2'] })).toMatchObject({ tracestate: 'a=1,b=2' });
  });

  it.each([
    undefined,
    '',
    'x',
    PARENT.toUpperCase(),
    `${PARENT}-00`,
    PARENT.replace('00-', 'ff-'),
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    [PARENT, PARENT],
  ])('%j is none', (traceparent) => {
    expect(readTrace({ traceparent, tracestate: 'a=1' })).toBeUndefined();
  });

  it('keeps its trace when the state is too long or no text', () => {
    for (const tracestate of ['', 'x'.repeat(513), 'a=\u00e9'])
      expect(readTrace({ traceparent: PARENT, tracestate })).toEqual({ traceparent: PARENT });
  });
});
