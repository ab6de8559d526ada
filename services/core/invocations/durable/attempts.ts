/** The worker's side of an invocation that was accepted: begin an attempt, settle it. */
import type { Redis } from 'ioredis';
import type { CallQueue, Claim } from '../../queue/types.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { beginScript, settleScript } from '../../store/scripts/durable.ts';
import { runScript } from '../../store/scripts/script.ts';
import type { Outcome } from '../types.ts';
import type { Bodies } from './bodies.ts';
import type { Cancellations } from './cancellations.ts';
import { readHash } from './read.ts';
import { readRecord } from './record.ts';
import { isUnreachable } from './remote-bodies.ts';
import { DEFAULT_RETRY, nextAttempt } from './retry.ts';
import type { Attempt, AttemptEnd, Attempts, RetryPolicy } from './types.ts';

export interface AttemptsDeps {
  redis: Redis;
  queue: Pick<CallQueue, 'hurry'>;
  bodies: Bodies;
  cancellations: Cancellations;
  /** Name of this worker, for people. */
  worker: string;
  /** It can tell what was written to volumes (`AttemptEnd` `written`); others leave lost attempts with transactions to it. */
  knowsVolumes?: boolean;
  namespace?: string;
  now?: () => number;
  random?: () => number;
  /** Until an invocation comes again whose event can not be read now; only tests give it. */
  unreachableMs?: number;
}

/** So many attempts may end with their worker; then it is parked. */
const MOST_CRASHES = 3;
const UNREACHABLE_MS = 5_000;
/** One that waits for room is woken when there is some; this only bounds a wake-up that was lost. */
const LOOK_AGAIN_MS = 15_000;

const PARKED: Outcome = {
  kind: 'worker_lost',
  message: `${MOST_CRASHES} attempts ended with their worker; it is parked. Redrive it when the cause is mended.`,
};
const PARKED_REASON = `It is parked: ${MOST_CRASHES} of its attempts ended with their worker.`;
const WRITTEN =
  'An attempt whose worker was gone had written to its volume; it did not run again, and its result is lost.';
const EXPIRED: Outcome = { kind: 'expired', message: 'It became too old before an attempt succeeded.' };
const CANCELLED: Outcome = { kind: 'cancelled', message: 'It was cancelled while it ran.' };

export function createAttempts(deps: AttemptsDeps): Attempts {
  const { redis, queue, bodies, cancellations, now = Date.now } = deps;
  const { root } = keysOf(deps.namespace);
  const policies = new WeakMap<Attempt, RetryPolicy>();
  const run = async (script: typeof beginScript, claim: Claim, args: (string | number)[]) => {
    const all = [root, now(), claim.id, claim.lock.token, ...args];
    return (await withStore('run a call', () => runScript(redis, script, [claim.lock.key], all))) as (
      | string
      | number
    )[];
  };
  const wake = async (ids: (string | number)[]) => {
    // Whoever is not woken looks again by itself.
    if (ids.length > 0) await queue.hurry(ids.map(String)).catch(() => {});
  };
  const open = async (claim: Claim, number: number, lost?: Attempt['lost']): Promise<Attempt> => {
    const signal = AbortSignal.any([claim.signal, cancellations.watch(claim.id)]);
    const { hash, timeline } = await readHash(redis, root, claim.id);
    const { record, retry } = readRecord(claim.id, hash, timeline) ?? {};
    if (record === undefined || retry === undefined)
      throw new Error(`the record of ${claim.id} is gone while it runs, or can not be read`);
    const event = await bodies.get(claim.id, 'event', record.request);
    const attempt: Attempt = { record, number, signal, event, ...(lost !== undefined && { lost }) };
    policies.set(attempt, retry);
    return attempt;
  };
  const conclude = async (claim: Claim, commit: Commit) => {
    const [answer, state, ...woken] = await run(settleScript, claim, commit.args);
    cancellations.forget(claim.id);
    if (answer === 'late') return { next: null };
    await wake(woken);
    return { next: state === 'queued' ? commit.next : null };
  };
  /** The function was not called yet: its worker lives, only who has the event does not answer. */
  const giveBack = (error: unknown, number: number): Commit => {
    if (!isUnreachable(error)) throw error;
    const next = now() + (deps.unreachableMs ?? UNREACHABLE_MS);
    return backCommit({ reason: error.message, next }, number, now());
  };
  return {
    async begin(claim) {
      const ends = [JSON.stringify(PARKED), JSON.stringify(EXPIRED)];
      const knows = deps.knowsVolumes ? 1 : '';
      const answer = await run(beginScript, claim, [deps.worker, MOST_CRASHES, LOOK_AGAIN_MS, ...ends, knows]);
      if (answer[0] === 'run') {
        const number = Number(answer[1]);
        return open(claim, number).catch((error: unknown) => conclude(claim, giveBack(error, number)));
      }
      if (answer[0] === 'unsure') return open(claim, Number(answer[1]), answer[2] as NonNullable<Attempt['lost']>);
      if (answer[0] === 'ended') await wake(answer.slice(1));
      if (answer[0] === 'wait') await wake(answer.slice(3));
      return { next: answer[0] === 'wait' ? Number(answer[1]) : null };
    },
    async settle(claim, attempt, end) {
      // A result that can not be kept is thrown, and the attempt ends as if its worker had: the function has run, so it
      // counts. Given back, it would run again and again, unseen by the limit.
      return conclude(claim, await commitOf(deps, attempt, policies.get(attempt) ?? DEFAULT_RETRY, end));
    },
  };
}

interface Commit {
  /** When the call comes again; null: never. */
  next: number | null;
  /** Of `settleScript`, behind what every script of a claim gets. */
  args: string[];
}

/** What an end means for the record. A result is in the store when it resolves. */
async function commitOf(deps: AttemptsDeps, attempt: Attempt, policy: RetryPolicy, ended: AttemptEnd): Promise<Commit> {
  const { record, number } = attempt;
  const at = (deps.now ?? Date.now)();
  const cancelled = cancelledArgs(number, at);
  if (ended.kind === 'back') return backCommit(ended, number, at);
  if (ended.kind === 'written') {
    const done = entry({ at, event: 'succeeded', attempt: number, reason: WRITTEN });
    return { next: null, args: ['succeeded', '{"kind":"ok"}', '', '', done, ...cancelled] };
  }
  if (ended.kind === 'lost') {
    const isOld = attempt.lost === 'expired';
    const over = entry(isOld ? { at, event: 'expired' } : { at, event: 'failed', reason: PARKED_REASON });
    const outcome = JSON.stringify(isOld ? EXPIRED : PARKED);
    return { next: null, args: [isOld ? 'expired' : 'failed', outcome, '', '', over, ...cancelled] };
  }
  const receipt = ended.receipt === null ? '' : JSON.stringify(ended.receipt);
  if (ended.kind === 'ok') {
    const stored = await deps.bodies.put(record.id, `result.${number}`, ended.result, ended.contentType);
    const done = entry({ at, event: 'succeeded', attempt: number });
    return { next: null, args: ['succeeded', '{"kind":"ok"}', receipt, JSON.stringify(stored), done, ...cancelled] };
  }
  const { failure, final } = ended;
  const dueAt = Math.max(record.acceptedAt, record.runAt ?? 0);
  const next = nextAttempt(policy, { failure, attempt: number, dueAt, final }, at, deps.random);
  const reason = failure.message.slice(0, 1000);
  const failed =
    next === null
      ? entry({ at, event: 'failed', attempt: number, reason })
      : entry({ at, event: 'attempt_failed', attempt: number, reason, next });
  const verdict = next === null ? 'failed' : 'again';
  return { next, args: [verdict, JSON.stringify(failure), receipt, '', failed, ...cancelled] };
}

/** The attempt does not count; it is made again. */
function backCommit({ reason, next }: { reason: string; next: number }, number: number, at: number): Commit {
  const waiting = entry({ at, event: 'waiting', reason, next });
  return { next, args: ['back', '', '', '', waiting, ...cancelledArgs(number, at)] };
}

/** What one becomes that was cancelled meanwhile. */
const cancelledArgs = (number: number, at: number): string[] => [
  JSON.stringify(CANCELLED),
  entry({ at, event: 'cancelled', attempt: number }),
];

const entry = (value: object): string => JSON.stringify(value);
