import type { ArgsDef } from 'citty';

export const scheduleArgument = {
  name: { type: 'positional', description: 'Name of the schedule', required: true },
} as const satisfies ArgsDef;
