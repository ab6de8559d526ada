/**
 * `wafer.json`: the one schema for validation, static types, OpenAPI and the
 * editor (`$schema`). Unknown keys are refused with the nearest known one.
 */
import { type Static, Type } from 'typebox';

export const RUNTIMES = ['node', 'python', 'http', 'image'] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

export const NAME_PATTERN = '^[a-z0-9][a-z0-9-]{0,62}$';
export const HANDLER_PATTERN = '^[A-Za-z0-9_./-]+\\.[A-Za-z_$][A-Za-z0-9_$]*$';

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
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 900_000, default: 30_000 })),
    memoryMb: Type.Optional(Type.Integer({ minimum: 32, maximum: 32_768, default: 256 })),
    tmpMb: Type.Optional(Type.Integer({ minimum: 1, maximum: 8_192, default: 64 })),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 1 })),
    minInstances: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, default: 0 })),
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

/** The same after defaults and checks against the archive: what a version stores. */
export interface FunctionConfig {
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
  concurrency: number;
  minInstances: number;
  /** Whether an instance may serve more than one call. Versions from before there was this setting lack it: true. */
  reuse: boolean;
}
