/** Errors of schedules; messages name the setting. */
import { WaferError } from '../../errors.ts';

export const invalidSchedule = (setting: string, problem: string, hint?: string): WaferError =>
  new WaferError('invalid_schedule', `${setting}: ${problem}.`, {
    details: { path: `/${setting}` },
    ...(hint === undefined ? {} : { hint }),
  });

export const scheduleNotFound = (name: string): WaferError =>
  new WaferError('schedule_not_found', `There is no schedule "${name.slice(0, 80)}".`, {
    hint: '"wafer schedule ls" lists them.',
  });
