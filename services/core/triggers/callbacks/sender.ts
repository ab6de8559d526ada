/** Empties the outbox. Any number of senders may run. */
import { WaferError } from '../../errors.ts';
import type { DurableRecord } from '../../invocations/durable/types.ts';
import type { Log } from '../../log.ts';
import { startRounds } from '../../rounds.ts';
import { withStore } from '../../store/errors.ts';
import { keysOf } from '../../store/keys.ts';
import { claimOutboxScript } from '../../store/scripts/callbacks.ts';
import { runScript } from '../../store/scripts/script.ts';
import { attemptDelivery, type DeliverDeps } from './deliver.ts';
import { type Change, noteDeliveries, readTexts, type Stored, toDeliveries } from './deliveries.ts';
import { ATTEMPT_MS } from './post.ts';
import { createSlots, type SlotLimits, type Slots } from './slots.ts';
import type { Delivery } from './types.ts';

export interface SenderDeps extends DeliverDeps {
  log: Log;
  limits?: SlotLimits;
}

export interface Sender {
  /** Something may be there: looks soon. */
  hurry(): void;
  /** Takes no more; resolves when what runs has ended. */
  close(): Promise<void>;
}

/** Attempts of one invocation run side by side. After a crash they are repeated when the claim has ended. */
export const CLAIM_MS = ATTEMPT_MS + 5_000;
/** What ends here is told at once (`hurry`); this finds what is due again, and what others left. */
const LOOK_MS = 2_000;
/** What ends within that time is taken together. */
const HURRY_MS = 20;
const MOST_AT_ONCE = 200;
const LIMITS: SlotLimits = { perHost: 20, bytes: 64 * 1024 * 1024 };
/** When the platform itself could not try it. */
const FAILED_MS = 5_000;

export function startSender(deps: SenderDeps): Sender {
  const sender = createSender(deps);
  const rounds = startRounds({
    everyMs: LOOK_MS,
    // Where something was due there may be more.
    work: async () => {
      if ((await sender.take()) > 0) rounds.hurry(HURRY_MS);
    },
    onTrouble: (err) => deps.log.warn({ err }, 'what follows ended invocations could not be looked at'),
  });
  return {
    hurry: () => rounds.hurry(HURRY_MS),
    async close() {
      await rounds.close();
      await sender.settled();
    },
  };
}

/** Without a timer. */
export function createSender(deps: SenderDeps) {
  const { redis, log, now = Date.now } = deps;
  const { root } = keysOf(deps.namespace);
  const slots = createSlots(deps.limits ?? LIMITS, now);
  const running = new Set<Promise<void>>();
  let taking: Promise<number> | undefined;

  const claim = async (): Promise<number> => {
    const room = MOST_AT_ONCE - running.size;
    if (room <= 0) return 0;
    const at = now();
    const ids = (await withStore('look into the outbox', () =>
      runScript(redis, claimOutboxScript, [], [root, at, at + CLAIM_MS, room]),
    )) as string[];
    for (const id of ids) {
      const one = sendOne(deps, slots, id)
        .catch((err: unknown) => log.warn({ err, invocation: id }, 'what follows an invocation could not be sent'))
        .finally(() => running.delete(one));
      running.add(one);
    }
    return ids.length;
  };
  const settled = async () => {
    await taking?.catch(() => {});
    await Promise.all(running);
  };
  return {
    /** Claims what is due, as far as there is room, and begins to send it. @throws WaferError `store_unavailable` */
    take(): Promise<number> {
      // One at a time: a slow Redis does not get more of it.
      taking ??= claim().finally(() => {
        taking = undefined;
      });
      return taking;
    },
    settled,
  };
}

async function sendOne(deps: SenderDeps, slots: Slots, id: string): Promise<void> {
  const { calls, now = Date.now } = deps;
  // Each look at Redis may wait for a disk: they go together.
  const [record, texts] = await Promise.all([calls.get(id).catch(unlessGone), readTexts(deps, id)]);
  if (record === undefined) {
    await noteDeliveries(deps, id, []);
    return;
  }
  const at = now();
  const due = toDeliveries(record, texts).filter(({ delivery }) => isDue(delivery, at));
  const failures: unknown[] = [];
  const changes = await Promise.all(
    due.map(async (before): Promise<Change> => {
      const after = await attempt(deps, slots, record, before).catch((error: unknown) => {
        failures.push(error);
        return { ...before.delivery, next: now() + FAILED_MS };
      });
      return { before, after };
    }),
  );
  await noteDeliveries(deps, id, changes);
  if (failures.length > 0) throw failures[0];
}

function unlessGone(error: unknown): undefined {
  if (error instanceof WaferError && error.code === 'invocation_not_found') return undefined;
  throw error;
}

const isDue = ({ state, next = 0 }: Delivery, at: number) => state === 'pending' && next <= at;

async function attempt(deps: SenderDeps, slots: Slots, record: DurableRecord, { delivery }: Stored): Promise<Delivery> {
  const host = delivery.kind === 'url' && URL.canParse(delivery.to) ? new URL(delivery.to).host : null;
  const slot = slots.take(host, record.request.bytes + (record.result?.bytes ?? 0));
  // That is no attempt.
  if ('at' in slot) return { ...delivery, next: slot.at };
  try {
    return await attemptDelivery(deps, record, delivery);
  } finally {
    slot.done();
  }
}
