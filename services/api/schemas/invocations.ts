/** What goes in and out of calls, their records and their logs. Shapes of answers are those of core. */
import { Type } from 'typebox';
import { ERRORS } from '../../core/errors.ts';
import { NAME_PATTERN, RUNTIMES } from '../../core/functions/schema.ts';
import { ADVICE_CODES } from '../../core/invocations/advice.ts';
import { EVENTS, STATES, TRIGGERS } from '../../core/invocations/durable/types.ts';
import { LOG_LEVELS } from '../../core/invocations/structured-line.ts';
import { NO_BLANK, PHASES, START_CAUSES, START_KINDS } from '../../core/invocations/types.ts';
import { flag, literals, strict, time, whole } from './shapes.ts';

export const InvocationParams = Type.Object({
  id: Type.String({ pattern: '^inv_[0-9a-z]{26}$', description: 'Id of the invocation' }),
});

/** Which version: that of an alias, or of a number. */
export const InvokeQuery = Type.Object(
  {
    alias: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Alias to call; default `live`' })),
    version: Type.Optional(whole(9, 'Version to call; not together with `alias`')),
  },
  strict,
);

const OUTCOMES = ['ok', ...Object.keys(ERRORS).slice(Object.keys(ERRORS).indexOf('function_error'))];

export const InvocationsQuery = Type.Object(
  {
    function: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Only calls of this function' })),
    state: Type.Optional(literals(STATES, { description: 'Only those in this state' })),
    outcome: Type.Optional(literals(OUTCOMES, { description: 'Only calls that ended so' })),
    limit: Type.Optional(whole(3, 'Records on a page: 1 to 999, default 50')),
    cursor: Type.Optional(Type.String({ maxLength: 512, description: '`cursor` of the page before' })),
  },
  strict,
);

const LOG_STREAMS = ['stdout', 'stderr', 'platform'] as const;

const logQuery = {
  follow: Type.Optional(flag('Go on with new lines until the client leaves')),
  since: Type.Optional(
    Type.String({
      pattern: '^([0-9]{1,15}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,12}(Z|[+-][0-9]{2}:[0-9]{2}))$',
      description: 'Only lines from this time on: epoch ms, or RFC 3339',
    }),
  ),
  after: Type.Optional(
    Type.String({ pattern: '^[0-9]{1,15}-[0-9]{1,15}$', description: 'Only lines behind the line with this `cursor`' }),
  ),
  grep: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Only lines that contain this text, in upper or lower case',
    }),
  ),
  stream: Type.Optional(literals(LOG_STREAMS, { description: 'Only lines of this stream' })),
  level: Type.Optional(literals(LOG_LEVELS, { description: 'Only lines that are JSON and of this level or above' })),
  limit: Type.Optional(whole(5, 'The newest so many lines: 1 to 99999, default 1000')),
};

export const InvocationLogsQuery = Type.Object(logQuery, strict);

export const FunctionLogsQuery = Type.Object(
  {
    ...logQuery,
    invocation: Type.Optional(Type.String({ pattern: '^inv_[0-9a-z]{26}$', description: 'Only lines of this call' })),
  },
  strict,
);

export const Receipt = Type.Object({
  start: literals(START_KINDS),
  phases: Type.Object(Object.fromEntries(PHASES.map((phase) => [phase, Type.Number()])), {
    description: 'Milliseconds spent in each phase',
  }),
  instanceId: Type.String(),
  used: Type.Optional(
    Type.Object(
      {
        cpuMs: Type.Optional(Type.Number({ description: 'Processor time, in milliseconds' })),
        memoryPeakBytes: Type.Optional(Type.Integer({ description: 'The most since the instance was made' })),
        diskDeltaBytes: Type.Optional(
          Type.Integer({ description: 'How much more /tmp and other files in memory had than after the last call' }),
        ),
        bytesIn: Type.Optional(Type.Integer({ description: 'Of the event or the request body' })),
      },
      { description: 'What the instance used while the call ran; what can not be told is absent' },
    ),
  ),
  cause: Type.Optional(
    literals(START_CAUSES, { description: 'Why the call waited for a start; absent when an instance was there' }),
  ),
  noBlank: Type.Optional(literals(NO_BLANK, { description: 'Why no blank was there for a cold start' })),
});

export const Outcome = Type.Object({
  kind: literals(OUTCOMES),
  message: Type.Optional(Type.String()),
  errorType: Type.Optional(Type.String()),
  stack: Type.Optional(Type.String()),
});

const StoredBody = Type.Object({
  contentType: Type.String(),
  bytes: Type.Integer(),
  digest: Type.String({ description: 'sha256, hex' }),
});

const TimelineEntry = Type.Object({
  at: time('When'),
  event: literals(EVENTS),
  attempt: Type.Optional(Type.Integer()),
  reason: Type.Optional(Type.String()),
  next: Type.Optional(time('When it comes again')),
});

export const Invocation = Type.Object({
  id: Type.String(),
  functionName: Type.String(),
  version: Type.Integer(),
  trigger: literals(['http', 'invoke', ...TRIGGERS]),
  origin: Type.Optional(
    Type.String({ description: 'The schedule, delivery of a webhook, or invocation that it came from' }),
  ),
  state: literals(STATES),
  startedAt: time('Time it was accepted'),
  finishedAt: Type.Optional(time('Time it ended')),
  durationMs: Type.Number({ description: 'From acceptance to the end, or until now' }),
  attempts: Type.Integer(),
  timeline: Type.Optional(Type.Array(TimelineEntry)),
  outcome: Type.Unsafe({ anyOf: [{ $ref: 'Outcome#' }, { type: 'null' }] }),
  receipt: Type.Unsafe({ anyOf: [{ $ref: 'Receipt#' }, { type: 'null' }] }),
  bytesOut: Type.Integer(),
  request: Type.Optional(StoredBody),
  result: Type.Optional(StoredBody),
  runAt: Type.Optional(time('Not before')),
  concurrencyKey: Type.Optional(Type.String()),
  callbackUrl: Type.Optional(Type.String()),
  onSuccess: Type.Optional(Type.String({ description: 'Function or URL that its success leads to' })),
  onFailure: Type.Optional(Type.String({ description: 'Function or URL that its failure leads to' })),
  depth: Type.Optional(Type.Integer({ description: 'How many invocations led to it, one after another' })),
});

const Times = Type.Object({ p50: Type.Number(), p99: Type.Number() }, { description: 'Milliseconds' });

const KindTimes = Type.Object({
  calls: Type.Integer(),
  wall: Times,
  phases: Type.Object(Object.fromEntries(PHASES.map((phase) => [phase, Times]))),
});

const counts = (keys: readonly string[], description: string) =>
  Type.Object(Object.fromEntries(keys.map((key) => [key, Type.Optional(Type.Integer())])), { description });

export const Explanation = Type.Object({
  functionName: Type.String(),
  version: Type.Integer(),
  runtime: literals(RUNTIMES),
  base: Type.String({ description: 'Base image; empty when its image is its whole root' }),
  kinds: Type.Object(Object.fromEntries(START_KINDS.map((kind) => [kind, Type.Optional(KindTimes)])), {
    description: 'Calls by kind of start; kinds without one are left out',
  }),
  causes: counts(START_CAUSES, 'Starts by what they were due to'),
  noBlank: counts(NO_BLANK, 'Cold starts by why no blank was there'),
  facts: Type.Object(
    {
      blank: literals(['fits', ...NO_BLANK.filter((reason) => reason !== 'none_ready')]),
      blanksKept: Type.Integer({ description: 'Blanks that are at least kept ready (WAFER_BLANKS)' }),
      memoryBudgetMb: Type.Integer(),
      memoryUsedMb: Type.Integer({ description: 'Of the budget, by all instances' }),
      layers: Type.Array(Type.Object({ createdBy: Type.String(), bytes: Type.Integer() }), {
        description: 'Above the base image, compressed',
      }),
    },
    { description: 'What is true now of its next start' },
  ),
  advice: Type.Array(
    Type.Object({
      code: literals(ADVICE_CODES),
      seen: Type.String({ description: 'What was seen' }),
      help: Type.String({ description: 'What to do about it' }),
    }),
  ),
});

export const LogLine = Type.Object({
  time: time('Time of the line'),
  functionName: Type.String(),
  version: Type.Integer(),
  instanceId: Type.String(),
  invocationId: Type.Optional(Type.String({ description: 'Absent for output outside any call' })),
  stream: literals(LOG_STREAMS),
  text: Type.String({ description: 'The line as it was' }),
  level: Type.Optional(literals(LOG_LEVELS, { description: 'Of a line that is a JSON object' })),
  message: Type.Optional(Type.String({ description: 'Of a line that is a JSON object: its `msg` or `message`' })),
  fields: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { description: 'Of a line that is a JSON object: what else it says' }),
  ),
  cursor: Type.String({ description: 'For `after`' }),
});
