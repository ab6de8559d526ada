/** What a turn of an accepted call runs, and what it knows without running. */
import { expect, it } from 'vitest';
import type { Attempt, AttemptEnd } from '../../../services/core/invocations/durable/types.ts';
import { createLog } from '../../../services/core/log.ts';
import { createTurn, type TurnDeps } from '../../../services/worker/calls/durable-turn.ts';

const CLAIM = { id: 'inv_1', lock: { key: 'lock', token: 'token' }, signal: new AbortController().signal };

/** What the turn of such an attempt ends with; `ran` where it asked for the version, the first step of running. */
async function endOf(attempt: { crashes: number; lost?: Attempt['lost'] }, hasWritten?: (id: string) => boolean) {
  const { crashes, ...more } = attempt;
  const record = { id: CLAIM.id, functionName: 'f', version: 1, crashes };
  const ends: AttemptEnd[] = [];
  let ran = false;
  const deps = {
    attempts: {
      begin: async () => ({ record, number: 2, signal: CLAIM.signal, event: Buffer.alloc(0), ...more }),
      settle: async (_claim: unknown, _attempt: unknown, end: AttemptEnd) => {
        ends.push(end);
        return { next: null };
      },
    },
    functions: {
      resolve: async () => {
        ran = true;
        throw new Error('it would run');
      },
    },
    dispatcher: {},
    hasWritten,
    log: createLog({ level: 'silent' }),
  } as unknown as TurnDeps;
  await createTurn(deps)(CLAIM);
  return ran ? 'ran' : ends[0]?.kind;
}

it.each([
  ['runs what no worker lost, whatever a volume has', { crashes: 0 }, true, 'ran'],
  ['does not run what an attempt that was lost has written', { crashes: 1 }, true, 'written'],
  ['runs what an attempt that was lost has not written', { crashes: 1 }, false, 'ran'],
  ['does not end as lost what was written', { crashes: 3, lost: 'failed' }, true, 'written'],
  ['ends as lost what was not written', { crashes: 3, lost: 'failed' }, false, 'lost'],
] as const)('%s', async (_what, attempt, isWritten, end) => {
  expect(await endOf(attempt, (id) => id === CLAIM.id && isWritten)).toBe(end);
});

it('runs what it can know nothing of', async () => {
  expect(await endOf({ crashes: 1 })).toBe('ran');
});
