import type { ScheduleDetailView } from '../../../core/triggers/schedules/view.ts';
import { command, jsonFlag } from '../../command.ts';
import { formatMs } from '../../format.ts';
import { createScheduleClient } from '../../schedule-client.ts';
import { describeTiming, fromNow, localTime } from '../../schedules/timing.ts';
import { scheduleArgument } from './arguments.ts';

type Run = ScheduleDetailView['runs'][number];

function became(run: Run): string {
  if (run.kind === 'skipped') return `skipped: ${run.because} had not ended`;
  if (run.kind === 'missed') return 'missed: nobody was there for it';
  if (run.kind === 'failed') return `not started: ${run.reason}`;
  const by = run.manual === true ? ' (by hand)' : '';
  if (run.outcome === 'worker_lost') return `parked: it took its workers with it${by}`;
  const failed = run.outcome === undefined || run.outcome === 'ok' ? '' : `: ${run.outcome}`;
  return `${run.invocationState ?? 'started'}${failed}${by}`;
}

function settings(schedule: ScheduleDetailView): [string, string][] {
  const {
    functionName,
    alias,
    version,
    state,
    overlap,
    missed,
    missedLimit,
    jitterMs = 0,
    start,
    end,
    timeZone,
  } = schedule;
  const target = version === undefined ? (alias ?? 'live') : `v${version}`;
  const rows: [string, string | undefined][] = [
    ['Function', `${functionName} (${target})`],
    ['When', describeTiming(schedule)],
    ['State', state],
    ['Problem', schedule.problem],
    ['Start', start === undefined ? undefined : localTime(start, timeZone)],
    ['End', end === undefined ? undefined : localTime(end, timeZone)],
    ['Jitter', jitterMs === 0 ? undefined : `up to ${formatMs(jitterMs)}`],
    ['Overlap', overlap],
    ['Missed', missed === 'all' ? `all, up to ${missedLimit}` : missed],
    ['Data', schedule.data === null ? undefined : JSON.stringify(schedule.data)],
  ];
  return rows.flatMap(([label, text]): [string, string][] => (text === undefined ? [] : [[label, text]]));
}

export default command({
  name: 'schedule show',
  about: 'Shows a schedule, what became of its last due times, and its next ones.',
  args: { ...scheduleArgument, ...jsonFlag },
  examples: [['wafer schedule show nightly', 'its runs with their outcomes']],
  run: async ({ name, json }, { ui, env }) => {
    const schedule = await createScheduleClient(env).get(name);
    if (json) return ui.json(schedule);
    const now = Date.now();
    const { runs, next, timeZone } = schedule;
    ui.pairs(settings(schedule));
    if (next.length > 0) ui.out(`\n${ui.paint('dim', 'Next')}`);
    for (const due of next) ui.out(`${localTime(due, timeZone)}   ${fromNow(due, now)}`);
    if (runs.length === 0) return;
    ui.out();
    ui.table(
      [{ header: 'DUE' }, { header: 'WHAT BECAME OF IT' }, { header: 'INVOCATION' }],
      runs.map((run) => [localTime(run.due, timeZone), became(run), run.kind === 'started' ? run.invocation : '']),
    );
  },
});
