import { describe, expect, it } from 'vitest';
import { PHASES, type Receipt } from '../../../services/core/invocations/types.ts';
import { failedStartReceipt, makeReceipt } from '../../../services/worker/calls/receipt.ts';

const START = { kind: 'cold', sandbox: 5, attach: 0, boot: 25, init: 100 } as const;
const sum = ({ phases }: Receipt) => PHASES.reduce((total, phase) => total + phases[phase], 0);

describe('the phases of a receipt', () => {
  it('are those of the start for the call that started the instance, and the queue before it', () => {
    const receipt = makeReceipt('i', START, 150, 7);
    expect(receipt).toMatchObject({
      start: 'cold',
      phases: { queue: 20, sandbox: 5, attach: 0, boot: 25, init: 100, handler: 7 },
    });
  });

  it('sum to the time of a call that came when its instance had been starting for a while', () => {
    const receipt = makeReceipt('i', START, 110, 7);
    expect(receipt.phases).toEqual({ queue: 0, sandbox: 0, attach: 0, boot: 10, init: 100, handler: 7 });
    expect(sum(makeReceipt('i', START, 40, 7))).toBe(47);
  });

  it('have the attach of a blank instead of its sandbox and boot', () => {
    const start = { kind: 'blank', sandbox: 0, attach: 2, boot: 0, init: 10 } as const;
    expect(makeReceipt('i', start, 15, 7)).toMatchObject({
      start: 'blank',
      phases: { queue: 3, sandbox: 0, attach: 2, boot: 0, init: 10, handler: 7 },
    });
    expect(failedStartReceipt('i', start, 11)).toMatchObject({ start: 'blank', phases: { attach: 1, init: 10 } });
  });

  it('are all queue when the instance was there, or never came', () => {
    expect(makeReceipt('i', null, 30, 7)).toMatchObject({ start: 'warm', phases: { queue: 30, init: 0, handler: 7 } });
    expect(failedStartReceipt('', null, 30)).toMatchObject({ start: 'cold', phases: { queue: 30, handler: 0 } });
  });

  it('say what a start was due to, and of a cold one why no blank was there', () => {
    const cold = makeReceipt('i', { ...START, cause: 'idle', noBlank: 'none_ready' }, 150, 7);
    expect(cold).toMatchObject({ start: 'cold', cause: 'idle', noBlank: 'none_ready' });
    const blank = makeReceipt('i', { ...START, kind: 'blank', cause: 'first', noBlank: 'none_ready' }, 150, 7);
    expect(blank).toMatchObject({ start: 'blank', cause: 'first' });
    expect(blank).not.toHaveProperty('noBlank');
    expect(Object.keys(makeReceipt('i', null, 1, 7))).toEqual(['start', 'phases', 'instanceId']);
  });
});
