/** One due time of a schedule -> one accepted invocation. */
import { WaferError } from '../../errors.ts';
import type { FunctionStore } from '../../functions/types.ts';
import { acceptOptions } from '../../invocations/durable/options.ts';
import type { Accepted, AcceptRequest, DurableCalls } from '../../invocations/durable/types.ts';
import { jitterOf } from './timing.ts';
import type { ScheduleDefinition, ScheduleEvent } from './types.ts';

export interface StartDeps {
  calls: Pick<DurableCalls, 'accept'>;
  functions: Pick<FunctionStore, 'resolve'>;
}

export interface Started {
  name: string;
  id: string;
  definition: ScheduleDefinition;
}

/**
 * However often it is called for one due time, and by whomever, there is one invocation: the key names it, and
 * the body follows from schedule and due time alone.
 * @throws what `resolve` and `accept` throw
 */
export async function startDue(deps: StartDeps, { name, id, definition }: Started, due: number): Promise<string> {
  const event: ScheduleEvent = {
    schedule: name,
    dueAt: due,
    scheduledAt: due + jitterOf({ id, jitterMs: definition.jitterMs }, due),
    time: new Date(due).toISOString(),
    timeZone: zoneOf(definition),
    data: definition.data,
  };
  const request = await toRequest(deps, { name, definition }, event);
  try {
    return (await deps.calls.accept({ ...request, origin: `${name}@${due}`, idempotencyKey: `schedule:${id}:${due}` }))
      .id;
  } catch (error) {
    // It was started before its data changed.
    const first = error instanceof WaferError && error.code === 'idempotency_conflict' && error.details?.['invocation'];
    if (typeof first === 'string') return first;
    throw error;
  }
}

export async function startByHand(
  deps: StartDeps,
  { name, id, definition }: Started,
  { now, idempotencyKey }: { now: number; idempotencyKey?: string | undefined },
): Promise<Accepted> {
  const { data } = definition;
  const event: ScheduleEvent = {
    schedule: name,
    dueAt: null,
    scheduledAt: null,
    time: null,
    timeZone: zoneOf(definition),
    data,
  };
  const request = await toRequest(deps, { name, definition }, event);
  return deps.calls.accept({
    ...request,
    origin: `${name}@${now}`,
    ...(idempotencyKey !== undefined && { idempotencyKey: `schedule:${id}:by-hand:${idempotencyKey}` }),
  });
}

const zoneOf = ({ timing }: ScheduleDefinition) => (timing.kind === 'cron' ? timing.timeZone : 'UTC');

async function toRequest(
  { functions }: StartDeps,
  { name, definition }: Pick<Started, 'name' | 'definition'>,
  event: ScheduleEvent,
): Promise<AcceptRequest> {
  const { functionName, alias, version: number, overlap } = definition;
  const selector = number === undefined ? (alias === undefined ? {} : { alias }) : { version: number };
  const version = await functions.resolve(functionName, selector);
  const options = acceptOptions(version);
  return {
    ...options,
    functionName,
    version: version.number,
    trigger: 'schedule',
    depth: 0,
    body: Buffer.from(JSON.stringify(event)),
    contentType: 'application/json',
    // One after another: also the one that replaces another begins when that has ended.
    ...(overlap !== 'skip' && {
      concurrencyKey: `schedule:${name}`,
      limits: { ...options.limits, concurrencyPerKey: 1 },
    }),
  };
}
