/**
 * Schedules: what starts invocations by the clock.
 *
 * A schedule has at most one *due time* that it waits for. Any number of workers tick; each due
 * time becomes at most one invocation (`ticker.ts` says how), with trigger `schedule` and origin
 * `NAME@DUE`. Times are epoch ms everywhere.
 */
import type { DurableCalls, DurableRecord } from '../../invocations/durable/types.ts';

/** Exactly one of `cron`, `every`, `at`. */
export type Timing =
  /** Five fields, or six with seconds first; `timeZone` is an IANA name. */
  | { kind: 'cron'; cron: string; timeZone: string }
  /** From `start`, or from when it was made. */
  | { kind: 'every'; everyMs: number; anchor: number }
  | { kind: 'at'; at: number };

/** What a due time does while the invocation of the one before has not ended. */
export const OVERLAPS = ['skip', 'queue', 'replace'] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** What becomes of due times that nobody was there for: none, the latest, or up to `missedLimit` of the latest. */
export const MISSED = ['skip', 'last', 'all'] as const;
export type Missed = (typeof MISSED)[number];

export interface ScheduleTarget {
  functionName: string;
  /** Resolved at each due time; neither: the live version. */
  alias?: string;
  version?: number;
}

/** A definition, checked and with its defaults. */
export interface ScheduleDefinition extends ScheduleTarget {
  timing: Timing;
  /** No due time before, and none after. */
  start?: number;
  end?: number;
  /** Each due time is put off by up to this; by how much follows from schedule and due time alone. */
  jitterMs: number;
  overlap: Overlap;
  missed: Missed;
  missedLimit: number;
  /** For the function. */
  data: unknown;
}

/** As it was asked for. */
export interface ScheduleRequest {
  functionName: string;
  alias?: string;
  version?: number;
  cron?: string;
  timeZone?: string;
  everyMs?: number;
  at?: number;
  start?: number;
  end?: number;
  jitterMs?: number;
  overlap?: Overlap;
  missed?: Missed;
  missedLimit?: number;
  data?: unknown;
  paused?: boolean;
}

export interface Schedule extends ScheduleDefinition {
  name: string;
  /** Another one for each schedule that ever had the name. */
  id: string;
  createdAt: number;
  updatedAt: number;
  /** `ended`: no due time is left. */
  state: 'active' | 'paused' | 'ended';
  /** The due time that it waits for. */
  due?: number;
  /** What keeps that from becoming an invocation: it is tried again. */
  problem?: string;
}

/** What became of one due time, newest first in lists. */
export type ScheduleRun = { due: number; at: number } & (
  | { kind: 'started'; invocation: string; manual?: boolean }
  /** The invocation before had not ended. */
  | { kind: 'skipped'; because: string }
  /** Nobody was there; `due` is the first of them, `next` the first that was not missed. */
  | { kind: 'missed'; next: number | null }
  | { kind: 'failed'; reason: string }
);

/** With what became of the invocation; `null`: its record is gone. */
export type ScheduleRunView = ScheduleRun & { invocationState?: DurableRecord['state'] | null; outcome?: string };

export interface ScheduleDetail extends Schedule {
  runs: ScheduleRunView[];
  /** The next due times. */
  next: number[];
}

/** What the function gets. */
export interface ScheduleEvent {
  schedule: string;
  /** When it was due by its timing; null: somebody ran it by hand. */
  dueAt: number | null;
  /** The same with jitter. */
  scheduledAt: number | null;
  /** `dueAt` as RFC 3339. */
  time: string | null;
  timeZone: string;
  data: unknown;
}

export interface Schedules {
  /** Makes it, or replaces it: then its due times count from now. @throws WaferError `invalid_schedule | invalid_name | function_not_found | ...` */
  put(name: string, request: ScheduleRequest): Promise<{ schedule: Schedule; created: boolean }>;
  list(): Promise<Schedule[]>;
  /** @throws WaferError `schedule_not_found`, as all below */
  get(name: string): Promise<ScheduleDetail>;
  remove(name: string): Promise<void>;
  /** Idempotent. Due times of a paused schedule are not missed: they do not exist. */
  pause(name: string): Promise<Schedule>;
  resume(name: string): Promise<Schedule>;
  /** One invocation now, whatever its timing, its state and its overlap policy. */
  run(name: string, options?: { idempotencyKey?: string }): ReturnType<DurableCalls['accept']>;
  /** The next due times of what could be a schedule. @throws WaferError `invalid_schedule` */
  preview(request: Omit<ScheduleRequest, 'functionName'>, count: number): number[];
}
