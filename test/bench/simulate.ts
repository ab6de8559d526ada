/**
 * What a keep-alive policy does on a trace: a discrete-event simulation of one pool that asks the
 * policy of the worker itself. A call takes the instance that was used last, else starts one
 * (a cold start); starts take no time, so two policies see the same idle times.
 */
import type { KeepAlivePolicy } from '../../services/worker/keep-alive/policy.ts';
import { createEventQueue } from './event-queue.ts';
import type { Trace, TracedFunction } from './trace.ts';

export interface Simulated {
  calls: number;
  cold: number;
  prewarmed: number;
  evicted: number;
  /** Of idle instances: what keeping costs. */
  idleMbSeconds: number;
  idleMbP50: number;
  idleMbP99: number;
}

export interface SimulateOptions {
  /** Idle and busy instances together; the least valuable idle ones end for a new one. Default: no bound. */
  budgetMb?: number;
}

interface Slot {
  callee: number;
  idleSince: number;
  /** Changes with each use: what was planned for an earlier idle time is void. */
  turn: number;
}

type Event =
  | { kind: 'done'; slot: Slot }
  | { kind: 'expire'; slot: Slot; turn: number }
  | { kind: 'prewarm'; callee: number; epoch: number; keepMs: number };

/** Idle memory is looked at once a minute. */
const SAMPLE_MS = 60_000;

export function simulate(trace: Trace, policy: KeepAlivePolicy, { budgetMb }: SimulateOptions = {}): Simulated {
  const run = createRun(trace, policy, budgetMb ?? Number.POSITIVE_INFINITY);
  const { times, callees, durations } = trace;
  times.forEach((time, index) => {
    run.until(time);
    run.call(callees[index] ?? 0, time, durations[index] ?? 0);
  });
  return run.finish(trace.hours * 3_600_000);
}

function createRun(trace: Trace, policy: KeepAlivePolicy, budgetMb: number) {
  const versions = trace.functions.map(({ name, memoryMb }) => ({
    functionName: name,
    number: 1,
    config: { memoryMb },
  }));
  const idle: Slot[][] = versions.map(() => []);
  /** Calls so far: a start ahead of a call is void when the call came before it. */
  const epochs = new Uint32Array(versions.length);
  const events = createEventQueue<Event>();
  const memory = createMeter();
  const result = { calls: times(trace), cold: 0, prewarmed: 0, evicted: 0 };
  let usedMb = 0;
  const memoryOf = (callee: number) => versions[callee]?.config.memoryMb ?? 0;
  const versionOf = (callee: number) => versions[callee] ?? { functionName: '', number: 1, config: { memoryMb: 0 } };

  const leaveIdle = (slot: Slot, now: number) => {
    slot.turn++;
    memory.add(now, -memoryOf(slot.callee));
  };
  const end = (slot: Slot, now: number) => {
    leaveIdle(slot, now);
    const mine = idle[slot.callee];
    mine?.splice(mine.indexOf(slot), 1);
    usedMb -= memoryOf(slot.callee);
  };
  const becomeIdle = (slot: Slot, now: number, keepMs: number) => {
    slot.idleSince = now;
    slot.turn++;
    idle[slot.callee]?.push(slot);
    memory.add(now, memoryOf(slot.callee));
    events.put(now + keepMs, { kind: 'expire', slot, turn: slot.turn });
  };
  const makeRoom = (wantedMb: number, now: number) => {
    if (usedMb + wantedMb <= budgetMb) return;
    const worth = (slot: Slot) => policy.value(versionOf(slot.callee), slot.idleSince, now);
    const all = idle.flat().map((slot) => ({ slot, value: worth(slot) }));
    all.sort((a, b) => a.value - b.value || a.slot.idleSince - b.slot.idleSince);
    for (const { slot } of all) {
      if (usedMb + wantedMb <= budgetMb) return;
      end(slot, now);
      result.evicted++;
    }
  };
  const handle = (event: Event, now: number) => {
    if (event.kind === 'expire') {
      if (event.slot.turn === event.turn) end(event.slot, now);
    } else if (event.kind === 'prewarm') {
      if (epochs[event.callee] !== event.epoch || (idle[event.callee]?.length ?? 0) > 0) return;
      if (usedMb + memoryOf(event.callee) > budgetMb) return;
      result.prewarmed++;
      usedMb += memoryOf(event.callee);
      becomeIdle({ callee: event.callee, idleSince: now, turn: 0 }, now, event.keepMs);
    } else {
      const { callee } = event.slot;
      const { keepMs, prewarmAfterMs } = policy.onIdle(versionOf(callee), now);
      becomeIdle(event.slot, now, prewarmAfterMs === null ? keepMs : 0);
      if (prewarmAfterMs !== null)
        events.put(now + prewarmAfterMs, { kind: 'prewarm', callee, epoch: epochs[callee] ?? 0, keepMs });
    }
  };
  const until = (time: number) => {
    while (events.nextTime() <= time) {
      const event = events.take();
      if (event !== undefined) handle(event.what, event.time);
    }
  };
  return {
    until,
    call(callee: number, now: number, durationMs: number) {
      policy.onCall(versionOf(callee), now);
      epochs[callee] = (epochs[callee] ?? 0) + 1;
      let slot = idle[callee]?.pop();
      if (slot === undefined) {
        result.cold++;
        makeRoom(memoryOf(callee), now);
        usedMb += memoryOf(callee);
        slot = { callee, idleSince: now, turn: 0 };
      } else leaveIdle(slot, now);
      events.put(now + durationMs, { kind: 'done', slot });
    },
    finish(endMs: number): Simulated {
      until(endMs);
      return { ...result, ...memory.summary(endMs) };
    },
  };
}

const times = ({ times: all }: Trace): number => all.length;

/** Integrates memory over time and samples it. */
function createMeter() {
  let nowMb = 0;
  let last = 0;
  let mbSeconds = 0;
  const samples: number[] = [];
  const advance = (time: number) => {
    mbSeconds += (nowMb * (time - last)) / 1_000;
    for (let next = samples.length * SAMPLE_MS; next <= time; next += SAMPLE_MS) samples.push(nowMb);
    last = time;
  };
  return {
    add(time: number, mb: number) {
      advance(time);
      nowMb += mb;
    },
    summary(endMs: number) {
      advance(endMs);
      const sorted = samples.sort((a, b) => a - b);
      const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
      return { idleMbSeconds: mbSeconds, idleMbP50: at(0.5), idleMbP99: at(0.99) };
    },
  };
}

export type { TracedFunction };
