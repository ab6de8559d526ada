/** Schedules: invocations by the clock. */
import type { ScheduleRequest } from '../../core/triggers/schedules/types.ts';
import { viewOfDetail, viewOfSchedule } from '../../core/triggers/schedules/view.ts';
import { keyOf, sendAccepted } from '../calls/accept.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import { PreviewBody, PreviewQuery, ScheduleBody, ScheduleParams } from '../schemas/schedules.ts';

const tags = ['schedules'];
const DEFAULT_PREVIEW = 5;
const TARGET_ERRORS = ['function_not_found', 'version_not_found', 'alias_not_found'] as const;
const named = problems(...COMMON, 'schedule_not_found');
const EXAMPLE = {
  name: 'nightly-report',
  functionName: 'report',
  cron: '30 2 * * *',
  timeZone: 'Europe/Berlin',
  jitterMs: 0,
  overlap: 'skip',
  missed: 'last',
  missedLimit: 10,
  data: { to: 'team@example.org' },
  state: 'active',
  due: 1_763_000_000_000,
  createdAt: 1_762_000_000_000,
  updatedAt: 1_762_000_000_000,
};
const DETAIL = {
  ...EXAMPLE,
  next: [1_763_000_000_000],
  runs: [
    {
      kind: 'started',
      due: 1_762_900_000_000,
      at: 1_762_900_000_120,
      invocation: 'inv_01m7xr2fq4s4x1ew1pga6576t1',
      invocationState: 'succeeded',
      outcome: 'ok',
    },
  ],
};

export function scheduleRoutes(app: App, deps: ApiDeps): void {
  readRoutes(app, deps);
  changeRoutes(app, deps);
  stateRoutes(app, deps);
}

function readRoutes(app: App, { schedules }: ApiDeps): void {
  app.get('/v1/schedules', { schema: listSchema }, async () => ({
    schedules: (await schedules.list()).map(viewOfSchedule),
  }));
  app.get('/v1/schedules/:name', { schema: oneSchema }, async ({ params }) =>
    viewOfDetail(await schedules.get(params.name)),
  );
  app.get('/v1/schedules/:name/preview', { schema: previewOneSchema }, async ({ params, query }) => {
    const { cron, timeZone, everyMs, at, start, end } = viewOfDetail(await schedules.get(params.name));
    const set = Object.entries({ cron, timeZone, everyMs, at, start, end }).filter(([, value]) => value !== undefined);
    return { next: schedules.preview(Object.fromEntries(set), Number(query.count ?? DEFAULT_PREVIEW)) };
  });
  app.post('/v1/schedules/preview', { schema: previewSchema }, async ({ body: { count, ...timing } }) => ({
    next: schedules.preview(timing, count ?? DEFAULT_PREVIEW),
  }));
}

function changeRoutes(app: App, { schedules }: ApiDeps): void {
  app.put('/v1/schedules/:name', { schema: putSchema }, async ({ params, body }, reply) => {
    const { schedule, created } = await schedules.put(params.name, body as ScheduleRequest);
    return reply.code(created ? 201 : 200).send(viewOfSchedule(schedule));
  });
  app.delete('/v1/schedules/:name', { schema: removeSchema }, async ({ params }, reply) => {
    await schedules.remove(params.name);
    return reply.code(204).send(null);
  });
}

function stateRoutes(app: App, { schedules }: ApiDeps): void {
  app.post('/v1/schedules/:name/pause', { schema: stateSchema('pause') }, async ({ params }) =>
    viewOfSchedule(await schedules.pause(params.name)),
  );
  app.post('/v1/schedules/:name/resume', { schema: stateSchema('resume') }, async ({ params }) =>
    viewOfSchedule(await schedules.resume(params.name)),
  );
  app.post('/v1/schedules/:name/run', { schema: runSchema }, async ({ params, headers }, reply) => {
    const idempotencyKey = keyOf(headers);
    return sendAccepted(
      reply,
      await schedules.run(params.name, idempotencyKey === undefined ? {} : { idempotencyKey }),
    );
  });
}

const listSchema = {
  tags,
  operationId: 'listSchedules',
  summary: 'List the schedules',
  response: {
    200: json('All schedules', list('schedules', 'Schedule'), { schedules: [EXAMPLE] }),
    ...problems(...COMMON),
  },
};

const oneSchema = {
  tags,
  operationId: 'describeSchedule',
  summary: 'Describe a schedule: what became of its last due times, and its next ones',
  params: ScheduleParams,
  response: { 200: json('The schedule', ref('ScheduleDetail'), DETAIL), ...named },
};

const next = {
  type: 'object',
  required: ['next'],
  properties: { next: { type: 'array', items: { type: 'integer' }, description: 'Epoch ms' } },
};
const NEXT = { next: [1_763_000_000_000, 1_763_086_400_000] };

const previewOneSchema = {
  tags,
  operationId: 'previewSchedule',
  summary: 'The next due times of a schedule, also of a paused one',
  params: ScheduleParams,
  querystring: PreviewQuery,
  response: {
    200: json('Without jitter', next, NEXT),
    ...problems(...COMMON, 'schedule_not_found', 'invalid_schedule'),
  },
};

const previewSchema = {
  tags,
  operationId: 'previewTiming',
  summary: 'The next due times of what could be a schedule',
  body: PreviewBody,
  response: { 200: json('Without jitter', next, NEXT), ...problems(...COMMON, 'invalid_schedule', 'invalid_json') },
};

const putErrors = problems(...COMMON, 'invalid_schedule', 'invalid_name', 'invalid_json', 'conflict', ...TARGET_ERRORS);
const putSchema = {
  tags,
  operationId: 'putSchedule',
  summary: 'Make a schedule, or replace it; then its due times count from now',
  params: ScheduleParams,
  body: ScheduleBody,
  response: {
    200: json('Replaced', ref('Schedule'), EXAMPLE),
    201: json('Made', ref('Schedule'), EXAMPLE),
    ...putErrors,
  },
};

const removeSchema = {
  tags,
  operationId: 'removeSchedule',
  summary: 'Remove a schedule; invocations that it started go on',
  params: ScheduleParams,
  response: { 204: { type: 'null', description: 'Removed' }, ...named },
};

const stateSchema = (verb: 'pause' | 'resume') => ({
  tags,
  operationId: `${verb}Schedule`,
  summary: verb === 'pause' ? 'Have no more due times' : 'Have due times again, from now on: none was missed',
  params: ScheduleParams,
  response: { 200: json('The schedule', ref('Schedule'), EXAMPLE), ...named },
});

const runSchema = {
  tags,
  operationId: 'runSchedule',
  summary: 'Start one invocation now, also of a paused schedule',
  description: '`Idempotency-Key`: the same key is one invocation for 24 hours.',
  params: ScheduleParams,
  response: {
    202: json('Accepted', ref('Accepted')),
    ...problems(...COMMON, 'schedule_not_found', 'overloaded', 'idempotency_conflict', ...TARGET_ERRORS),
  },
};
