/**
 * `wafer.json`: the one schema for validation, static types, OpenAPI and the
 * editor (`$schema`). Unknown keys are refused with the nearest known one.
 */
import { type Static, Type } from 'typebox';
import { MAX_VOLUMES, VOLUME_PATH_PATTERN, VOLUME_REF_PATTERN } from '../volumes/names.ts';
import { MAX_EGRESS_RULES } from './egress.ts';
import { MAX_SECRET_REFS, SECRET_REF_PATTERN, type SecretSettings } from './secret-refs.ts';

export const RUNTIMES = ['node', 'python', 'http', 'image'] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

export const NAME_PATTERN = '^[a-z0-9][a-z0-9-]{0,62}$';
export const HANDLER_PATTERN = '^[A-Za-z0-9_./-]+\\.[A-Za-z_$][A-Za-z0-9_$]*$';

const closed = { additionalProperties: false } as const;
const DAY_MS = 86_400_000;

/** What of a failed attempt may be tried again, besides `error:NameOfTheClass`. */
export const RETRY_ON = [
  'function_error',
  'function_timeout',
  'function_oom',
  'function_crashed',
  'function_killed',
  'function_init_failed',
  'protocol_error',
  'volume_conflict',
  'volume_full',
] as const;

const Retries = Type.Object(
  {
    attempts: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 3, description: 'Attempts, the first included' }),
    ),
    backoff: Type.Optional(
      Type.Union([Type.Literal('fixed'), Type.Literal('exponential')], {
        default: 'exponential',
        description: 'Whether the delay between attempts doubles',
      }),
    ),
    delayMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: DAY_MS, default: 1_000, description: 'Before the second attempt' }),
    ),
    maxDelayMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: DAY_MS, default: 300_000, description: 'No delay grows above it' }),
    ),
    jitter: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        default: 20,
        description: 'Percent of a delay that are random; it only gets shorter',
      }),
    ),
    on: Type.Optional(
      Type.Array(Type.String({ pattern: `^(${RETRY_ON.join('|')}|error:[A-Za-z_$][A-Za-z0-9_$.]{0,127})$` }), {
        maxItems: 32,
        description: 'Only these failures are tried again: codes, and names of error classes as `error:TypeError`',
      }),
    ),
    maxAgeMs: Type.Optional(
      Type.Integer({
        minimum: 1_000,
        maximum: 30 * DAY_MS,
        default: DAY_MS,
        description: 'From acceptance; an invocation that is older expires',
      }),
    ),
  },
  closed,
);

const Rate = Type.Object(
  {
    count: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Starts per period' }),
    periodMs: Type.Integer({ minimum: 1, maximum: DAY_MS, description: 'The period' }),
    burst: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, default: 1, description: 'Starts that may come together' }),
    ),
  },
  closed,
);

const QueueSettings = Type.Object(
  {
    maxPending: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000_000,
        default: 100_000,
        description: 'Invocations that are accepted and have not ended; more are refused',
      }),
    ),
    concurrency: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100_000, description: 'Invocations at once, over all workers' }),
    ),
    concurrencyPerKey: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100_000, description: 'Invocations at once with the same concurrency key' }),
    ),
    rate: Type.Optional(Rate),
  },
  closed,
);

const VolumeMount = Type.Object(
  {
    volume: Type.String({
      pattern: VOLUME_REF_PATTERN,
      description: 'Name of a volume; `NAME@SNAPSHOT` is one of its snapshots, for mode `ro`',
    }),
    path: Type.String({
      pattern: VOLUME_PATH_PATTERN,
      description: 'Where the function finds it; a link to where it is mounted',
    }),
    mode: Type.Optional(
      Type.Union([Type.Literal('rw'), Type.Literal('ro'), Type.Literal('tx')], {
        default: 'rw',
        description:
          '`tx`: what a call writes is there for others when it has succeeded, and all at once; the volume has to be made for that',
      }),
    ),
  },
  closed,
);

const follower = (when: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2_048,
      description: `What follows an invocation that ${when}: the name of a function, or an http(s) URL that gets a signed POST`,
    }),
  );

/** Limits of one version; each has a hard ceiling so that a typo can not take the machine. */
export const ConfigFile = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    name: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Name of the function' })),
    runtime: Type.Optional(
      // Written out: from a mapped array the static type would be `never`.
      Type.Union([Type.Literal('node'), Type.Literal('python'), Type.Literal('http'), Type.Literal('image')], {
        description: 'What runs the function; `image`: the program of the image, once for each call',
      }),
    ),
    base: Type.Optional(Type.String({ description: 'Base image; default: the newest of the runtime' })),
    dockerfile: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1024,
        description:
          'Dockerfile in the folder that makes the image of the function; `Dockerfile` is found without it, unless `runtime` is node or python, or `base` is set',
      }),
    ),
    handler: Type.Optional(
      Type.String({ pattern: HANDLER_PATTERN, description: '`file.export`, e.g. `index.handler`' }),
    ),
    command: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: 64,
        description:
          'argv of an `http` function, which listens on $PORT, or of an `image` function; instead of the ENTRYPOINT and CMD of an image',
      }),
    ),
    env: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' }), Type.String({ maxLength: 32_768 })),
    ),
    secrets: Type.Optional(
      Type.Array(Type.String({ pattern: SECRET_REF_PATTERN }), {
        maxItems: MAX_SECRET_REFS,
        description:
          'Secrets that the function gets as files, `/run/secrets/NAME`: `NAME` is the newest version and follows rotations, `NAME@3` is a fixed one',
      }),
    ),
    secretEnv: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' }),
        Type.String({ pattern: SECRET_REF_PATTERN }),
        {
          description:
            'Secrets that the function gets as variables, as `{"VARIABLE": "NAME"}`. Files are safer: variables are inherited by every program that it starts',
        },
      ),
    ),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 900_000, default: 30_000 })),
    memoryMb: Type.Optional(Type.Integer({ minimum: 32, maximum: 32_768, default: 256 })),
    cpu: Type.Optional(
      Type.Number({
        minimum: 0.05,
        maximum: 256,
        description: 'Processor time of an instance, in cores: 0.5 is half of one. Without it, what is free',
      }),
    ),
    pids: Type.Optional(
      Type.Integer({
        minimum: 8,
        maximum: 256,
        default: 256,
        description: 'Processes and threads of an instance at once',
      }),
    ),
    openFiles: Type.Optional(
      Type.Integer({ minimum: 32, maximum: 1_024, default: 1_024, description: 'Open files of a process at once' }),
    ),
    fileMb: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 16_384,
        default: 16_384,
        description: 'Largest file that the function may write, in MiB',
      }),
    ),
    tmpMb: Type.Optional(Type.Integer({ minimum: 1, maximum: 8_192, default: 64 })),
    egress: Type.Optional(
      Type.Union(
        [
          Type.Literal('none'),
          Type.Literal('public'),
          Type.Array(Type.String({ minLength: 1, maxLength: 300 }), { maxItems: MAX_EGRESS_RULES }),
        ],
        {
          default: 'none',
          description:
            'Where the function may connect to: nowhere, the public internet, or a list of `host:port`, where the host is a name, `*.name`, an address or a network and the port may be `*`',
        },
      ),
    ),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 1 })),
    minInstances: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, default: 0 })),
    retries: Type.Optional(Retries),
    queue: Type.Optional(QueueSettings),
    onSuccess: follower('succeeded'),
    onFailure: follower('failed for good, or expired'),
    volumes: Type.Optional(
      Type.Array(VolumeMount, { maxItems: MAX_VOLUMES, description: 'Storage that outlives instances and versions' }),
    ),
    reuse: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          '`false`: no execution environment is used for a second call; each has an instance of its own, which ends with it (`concurrency` is 1)',
      }),
    ),
  },
  { additionalProperties: false, $id: 'wafer.json' },
);
export type ConfigFile = Static<typeof ConfigFile>;

/** A volume of a function; at most one has mode `tx`. */
export interface FunctionVolume {
  /** `NAME` or `NAME@SNAPSHOT`. */
  volume: string;
  path: string;
  mode: 'rw' | 'ro' | 'tx';
}

/** The same after defaults and checks against the archive: what a version stores. */
export interface FunctionConfig extends SecretSettings {
  runtime: RuntimeName;
  /** Empty for a function whose image is not built over a base image: it is its whole root. */
  base: string;
  /** `file.export` for node and python; empty otherwise. */
  handler: string;
  /** argv for `http` and `image`; empty otherwise. */
  command: string[];
  env: Record<string, string>;
  timeoutMs: number;
  memoryMb: number;
  tmpMb: number;
  /** Cores; absent: what is free. */
  cpu?: number;
  /** Absent: 256. */
  pids?: number;
  /** Absent: 1024. */
  openFiles?: number;
  /** Absent: 16384. */
  fileMb?: number;
  /** Absent: nowhere. Lists have at least one entry. */
  egress?: 'public' | string[];
  concurrency: number;
  minInstances: number;
  /** As they were written; `durable/options.ts` fills in the rest. */
  retries?: Static<typeof Retries>;
  queue?: Static<typeof QueueSettings>;
  onSuccess?: string;
  onFailure?: string;
  /** Absent in versions that have none. */
  volumes?: FunctionVolume[];
  /** Whether an instance may serve more than one call. Versions from before there was this setting lack it: true. */
  reuse: boolean;
}
