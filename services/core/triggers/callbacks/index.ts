/** `Callbacks` in Redis. */
import type { Redis } from 'ioredis';
import { WaferError } from '../../errors.ts';
import type { DurableCalls } from '../../invocations/durable/types.ts';
import type { TextBox } from '../../secrets/text-box.ts';
import { type AddressGuard, HOSTS_HINT, NOT_PUBLIC } from './addresses.ts';
import { noteDeliveries, readDeliveries } from './deliveries.ts';
import { readSecrets, rotateSecrets } from './signature.ts';
import type { Callbacks, Delivery, DeliveryTarget } from './types.ts';

export { type AddressGuard, assertFollowers, createAddressGuard } from './addresses.ts';
export { createPoster } from './post.ts';
export { type Sender, startSender } from './sender.ts';
export type * from './types.ts';

export interface CallbacksDeps {
  redis: Redis;
  calls: Pick<DurableCalls, 'get'>;
  guard: AddressGuard;
  /** What signing secrets are sealed with. */
  box: TextBox;
  namespace?: string;
  /** Told when something is due at once. */
  onDue?: () => void;
  now?: () => number;
}

export const createCallbacks = (deps: CallbacksDeps): Callbacks => ({
  async assertUrl(url) {
    const problem = await deps.guard.problem(url);
    if (problem === null) return;
    throw new WaferError('invalid_request', `The callback URL ${JSON.stringify(url.slice(0, 200))} ${problem}.`, {
      ...(problem.endsWith(NOT_PUBLIC) && { hint: HOSTS_HINT }),
      details: { path: 'header/x-callback-url' },
    });
  },
  deliveries: async (id) => (await readDeliveries(deps, await deps.calls.get(id))).map(({ delivery }) => delivery),
  redeliver: (id, target) => redeliver(deps, id, target),
  secrets: () => readSecrets(deps),
  rotate: (keepMs) => rotateSecrets(deps, keepMs),
});

const MOST_TRIES = 5;

/** Somebody else may write at the same time: then it is done over what they wrote. */
async function redeliver(deps: CallbacksDeps, id: string, target: DeliveryTarget): Promise<Delivery> {
  const { now = Date.now } = deps;
  for (let round = 0; round < MOST_TRIES; round++) {
    const record = await deps.calls.get(id);
    const before = (await readDeliveries(deps, record)).find(({ delivery }) => delivery.target === target);
    if (before === undefined) throw nothingFollows(id, target, record.finishedAt === undefined);
    if (before.delivery.kind === 'function' && before.delivery.state === 'delivered') throw hasStarted(before.delivery);
    const after: Delivery = { ...before.delivery, state: 'pending', tries: 0, next: now() };
    await noteDeliveries(deps, id, [{ before, after }]);
    const [found] = (await readDeliveries(deps, record)).filter(({ delivery }) => delivery.target === target);
    if (found !== undefined && found.text !== before.text) {
      deps.onDue?.();
      return after;
    }
  }
  throw new WaferError('conflict', `The delivery ${target} of ${id} is being changed by others; try again.`);
}

const nothingFollows = (id: string, target: DeliveryTarget, runs: boolean) =>
  new WaferError(
    'delivery_not_found',
    runs ? `${id} has not ended: nothing was delivered yet.` : `${id} has no delivery ${target}.`,
  );

const hasStarted = ({ to, invocation }: Delivery) =>
  new WaferError('conflict', `${to} has started as ${invocation}: a function follows once.`, {
    hint: `To run it again: wafer invocations replay ${invocation}`,
  });
