/** A schedule as it is shown: the same keys as in a request for one, and what it is up to. */
import type { Schedule, ScheduleDetail, ScheduleRequest } from './types.ts';

export interface ScheduleView extends Omit<ScheduleRequest, 'paused'> {
  name: string;
  state: Schedule['state'];
  /** The next due time, epoch ms. */
  due?: number;
  problem?: string;
  createdAt: number;
  updatedAt: number;
}

export type ScheduleDetailView = ScheduleView & Pick<ScheduleDetail, 'runs' | 'next'>;

export function viewOfSchedule({ timing, id: _id, ...rest }: Schedule): ScheduleView {
  if (timing.kind === 'cron') return { ...rest, cron: timing.cron, timeZone: timing.timeZone };
  return timing.kind === 'at' ? { ...rest, at: timing.at } : { ...rest, everyMs: timing.everyMs };
}

export const viewOfDetail = ({ runs, next, ...schedule }: ScheduleDetail): ScheduleDetailView => ({
  ...viewOfSchedule(schedule),
  runs,
  next,
});
