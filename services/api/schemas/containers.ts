/** What goes in and out of `/v1/containers`. Shapes of answers are those of core. */
import { type TSchema, Type } from 'typebox';
import { VOLUME_NAME } from '../../core/containers/config.ts';
import { CONTAINER_NAME } from '../../core/containers/names.ts';
import { flag, literals, nullable, optionalBody, strict } from './shapes.ts';

const text = (maxLength: number, description: string) => Type.String({ maxLength, description });
const MAX_SECONDS = 86_400;
const MAX_ARGUMENT = 128 * 1024;

const argv = (description: string, more: object = {}) =>
  Type.Array(Type.String({ maxLength: MAX_ARGUMENT }), { maxItems: 4096, description, ...more });
const Env = Type.Record(Type.String(), Type.String({ maxLength: MAX_ARGUMENT }), { description: 'Over the one below' });
const Place = {
  workingDir: Type.Optional(text(4096, 'Absolute, inside')),
  user: Type.Optional(text(130, 'name|uid[:group|gid], looked up in the image')),
};

// requests

export const ContainerParams = Type.Object({
  ref: Type.String({ minLength: 1, maxLength: 64, description: 'Id, beginning of an id (4 or more), or name' }),
});

const Mount = Type.Object(
  {
    volume: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      pattern: VOLUME_NAME,
      description: 'Named volume, made when it does not exist; null: an anonymous one, which goes with the container',
    }),
    path: text(4096, 'Absolute, inside'),
    readOnly: Type.Optional(Type.Boolean({ default: false })),
  },
  strict,
);

const Port = Type.Object(
  {
    hostAddress: Type.Optional(
      Type.Unsafe<'127.0.0.1' | '::1'>({ type: 'string', enum: ['127.0.0.1', '::1'], default: '127.0.0.1' }),
    ),
    hostPort: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, default: 0, description: '0: a free one' })),
    containerPort: Type.Integer({ minimum: 1, maximum: 65_535 }),
  },
  strict,
);

const Health = Type.Object(
  {
    test: argv('["CMD", program, ...] or ["CMD-SHELL", line]', { minItems: 2 }),
    intervalSeconds: Type.Optional(Type.Number({ minimum: 0.1, maximum: MAX_SECONDS, default: 30 })),
    timeoutSeconds: Type.Optional(Type.Number({ minimum: 0.1, maximum: MAX_SECONDS, default: 30 })),
    startPeriodSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_SECONDS, default: 0 })),
    retries: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 3 })),
  },
  strict,
);

const name = (description: string) => Type.String({ pattern: CONTAINER_NAME, description });

export const CreateContainer = Type.Object(
  {
    name: Type.Optional(name('Default: two words')),
    image: Type.String({ minLength: 1, maxLength: 1024, description: 'Image in the store; it is not pulled' }),
    entrypoint: Type.Optional(argv("Instead of the image's; [] drops it")),
    command: Type.Optional(argv("Instead of the image's")),
    env: Type.Optional(Env),
    ...Place,
    hostname: Type.Optional(text(253, 'Default: the beginning of the id')),
    terminal: Type.Optional(Type.Boolean({ default: false, description: 'A pseudo-terminal; output is one stream' })),
    stdin: Type.Optional(Type.Boolean({ default: false, description: 'Keeps stdin open' })),
    mounts: Type.Optional(Type.Array(Mount, { maxItems: 256 })),
    ports: Type.Optional(Type.Array(Port, { maxItems: 256 })),
    network: Type.Optional(
      Type.Object(
        {
          mode: Type.Optional(
            Type.Unsafe<'none' | 'public'>({ type: 'string', enum: ['none', 'public'], default: 'public' }),
          ),
          group: Type.Optional(text(253, 'Containers of one group reach each other by name and alias')),
          aliases: Type.Optional(Type.Array(Type.String({ maxLength: 253 }), { maxItems: 64 })),
        },
        strict,
      ),
    ),
    restart: Type.Optional(
      Type.Object(
        {
          name: Type.Unsafe<'no' | 'on-failure' | 'always' | 'unless-stopped'>({
            type: 'string',
            enum: ['no', 'on-failure', 'always', 'unless-stopped'],
          }),
          maximumRetries: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 1_000_000, default: 0, description: 'Of on-failure; 0: without end' }),
          ),
        },
        strict,
      ),
    ),
    removeOnExit: Type.Optional(Type.Boolean({ default: false })),
    stopSignal: Type.Optional(text(20, "Like SIGTERM or 15; default the image's, else SIGTERM")),
    stopTimeoutSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MAX_SECONDS, default: 10, description: 'From the stop signal to SIGKILL' }),
    ),
    memoryMb: Type.Optional(Type.Integer({ minimum: 6, maximum: 16_777_216 })),
    pids: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
    cpuMillis: Type.Optional(Type.Integer({ minimum: 10, maximum: 1_024_000, description: 'In 1/1000 of a core' })),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    health: Type.Optional(
      Type.Union([Health, Type.Null()], { description: "Instead of the image's; null switches it off" }),
    ),
  },
  strict,
);

const side = (description: string) => Type.Integer({ minimum: 1, maximum: 65_535, description });
const TimeoutSeconds = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: MAX_SECONDS,
    description: "From the stop signal to SIGKILL; else the container's",
  }),
);

export const StartBody = optionalBody({
  rows: Type.Optional(side('Of the terminal')),
  columns: Type.Optional(side('Of the terminal')),
});
export const StopBody = optionalBody({ timeoutSeconds: TimeoutSeconds });
export const KillBody = optionalBody({ signal: Type.Optional(text(20, 'Name or number; default SIGKILL')) });
export const RenameBody = Type.Object({ name: name('The new name') }, strict);
export const CommitBody = optionalBody({
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description: 'Name of the image' })),
  author: Type.Optional(text(1024, 'Who made it')),
  message: Type.Optional(text(4096, 'Comment in its history')),
  changes: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 * 1024 }), {
      maxItems: 256,
      description: 'Dockerfile instructions that change the config: `CMD ["x"]`',
    }),
  ),
});

const digits = (description: string) => Type.String({ pattern: '^[1-9][0-9]{0,4}$', description });
const Terminal = Type.Object(
  { rows: side('Of the terminal'), columns: side('Of the terminal') },
  { ...strict, description: 'A pseudo-terminal of this size' },
);

/** Of the session's first message; the session's program needs no default of anything else. */
export const ExecConfigBody = Type.Object(
  {
    argv: argv('Program and arguments', { minItems: 1 }),
    env: Type.Optional(Env),
    ...Place,
    stdin: Type.Optional(Type.Boolean({ default: false })),
    terminal: Type.Optional(Type.Union([Terminal, Type.Null()])),
  },
  strict,
);
export const ExecBody = Type.Object(
  {
    argv: argv('Program and arguments', { minItems: 1 }),
    env: Type.Optional(Env),
    ...Place,
    input: Type.Optional(Type.String({ description: 'What the program reads from stdin' })),
  },
  strict,
);

export const ListContainersQuery = Type.Object({ all: Type.Optional(flag('Also those that do not run')) }, strict);
export const RemoveContainerQuery = Type.Object({ force: Type.Optional(flag('Kills it first')) }, strict);
export const FilesQuery = Type.Object(
  { path: Type.String({ minLength: 1, maxLength: 4096, description: 'Absolute, inside' }) },
  strict,
);
export const AttachQuery = Type.Object(
  {
    logs: Type.Optional(flag('What it said before comes first')),
    rows: Type.Optional(digits('Of the terminal')),
    columns: Type.Optional(digits('Of the terminal')),
  },
  strict,
);
export const ContainerLogsQuery = Type.Object(
  {
    follow: Type.Optional(flag('Go on until the container ends or the client leaves')),
    since: Type.Optional(
      Type.String({
        pattern: '^([0-9]{1,15}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,12}(Z|[+-][0-9]{2}:[0-9]{2}))$',
        description: 'Only lines from this time on: epoch ms, or RFC 3339',
      }),
    ),
    tail: Type.Optional(Type.String({ pattern: '^[0-9]{1,7}$', description: 'The newest so many lines' })),
  },
  strict,
);

// answers

const time = (description: string) => Type.Integer({ description: `${description}, epoch ms` });
const STATUSES = ['created', 'running', 'paused', 'restarting', 'exited'];

const Container = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: literals(STATUSES),
  config: Type.Unsafe({ type: 'object', description: 'As it was created, with the defaults' }),
  imageDigest: Type.String({ description: 'The image that its name meant then' }),
  argv: Type.Array(Type.String(), { description: 'What runs: entrypoint and command' }),
  exitCode: nullable('integer', 'Of the last run; 128 + n after signal n'),
  oomKilled: Type.Boolean(),
  error: nullable('string', 'Why the last start failed, or why it ended without an exit code'),
  health: Type.Unsafe({ enum: ['starting', 'healthy', 'unhealthy', null], description: 'Null without a health check' }),
  restartCount: Type.Integer(),
  createdAt: time('Time of the creation'),
  startedAt: nullable('integer', 'Epoch ms'),
  finishedAt: nullable('integer', 'Epoch ms'),
  pid: nullable('integer', 'On the host, of its first process, while it runs'),
  ports: Type.Array(Port, { description: 'Bound now' }),
});

const ContainerLogLine = Type.Object({
  time: time('Time of the line'),
  stream: literals(['stdout', 'stderr']),
  text: Type.String(),
  partial: Type.Optional(Type.Boolean({ description: 'No newline follows the text' })),
});

const ContainerProcess = Type.Object({
  pid: Type.Integer({ description: 'Inside' }),
  parent: Type.Integer({ description: 'Inside' }),
  uid: Type.Integer({ description: 'Inside' }),
  cpuMs: Type.Number(),
  memoryBytes: Type.Integer(),
  state: Type.String({ description: 'One letter, as in proc(5)' }),
  command: Type.String(),
});

const ContainerStats = Type.Object({
  time: time('Time of the measurement'),
  memoryBytes: nullable('integer', 'Null where nothing counts it'),
  memoryLimitBytes: nullable('integer', 'Null without a limit'),
  cpuMicros: nullable('integer', 'Since its start'),
  pids: Type.Integer({ description: 'Processes, and threads where cgroups count' }),
});

const ContainerChange = Type.Object({
  kind: literals(['added', 'changed', 'deleted']),
  path: Type.String(),
});

const ExecEvent = Type.Object(
  {
    type: literals(['output', 'exit']),
    stream: Type.Optional(literals(['stdout', 'stderr'])),
    text: Type.Optional(Type.String({ description: 'A piece of the output, not a line' })),
    exitCode: Type.Optional(Type.Integer()),
  },
  { description: 'A piece of output, and at the end `exit`' },
);

/** Registered under their names; answers refer to them. */
export const CONTAINER_COMPONENTS: Record<string, TSchema> = {
  Container,
  ContainerLogLine,
  ContainerProcess,
  ContainerStats,
  ContainerChange,
  ExecEvent,
};
