/** What goes in and out, once: validation of requests, static types and OpenAPI. Shapes of answers are those of core. */
import { type TSchema, Type } from 'typebox';
import { ERRORS } from '../core/errors.ts';
import { ConfigFile, NAME_PATTERN, RUNTIMES } from '../core/functions/schema.ts';
import { ARCHIVE_FORMATS } from '../core/images/archive/save.ts';
import { PHASES, START_KINDS } from '../core/invocations/types.ts';

const strict = { additionalProperties: false };
const literals = (values: readonly string[], options: object = {}) =>
  Type.Unsafe<string>({ type: 'string', enum: [...values], ...options });
const time = (description: string) => Type.Integer({ description: `${description}, epoch ms` });

// requests

export const NameParams = Type.Object({
  name: Type.String({ pattern: NAME_PATTERN, description: 'Name of the function' }),
});
export const AliasParams = Type.Object({
  name: Type.String({ pattern: NAME_PATTERN, description: 'Name of the function' }),
  alias: Type.String({ pattern: NAME_PATTERN, description: 'Name of the alias; `live` is the default one' }),
});
export const InvocationParams = Type.Object({
  id: Type.String({ pattern: '^inv_[0-9a-z]{26}$', description: 'Id of the invocation' }),
});

export const AliasBody = Type.Object(
  { version: Type.Integer({ minimum: 1, maximum: 2 ** 31, description: 'Number of the version' }) },
  strict,
);

const FileText = Type.Union([
  Type.String({ description: 'Text of the file' }),
  Type.Object({ base64: Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$', description: 'Bytes of the file' }) }, strict),
]);
/** Either `files` or `image`. `config` is checked by the deployer, together with the wafer.json among the files or the labels of the image. */
export const InlineDeploy = Type.Object(
  {
    config: Type.Optional(
      Type.Unknown({
        description: 'Settings; they win over a wafer.json among the files, and over the labels of the image',
      }),
    ),
    files: Type.Optional(
      Type.Record(Type.String(), FileText, {
        minProperties: 1,
        maxProperties: 1000,
        description: 'Path in the folder -> content; not together with `image`',
      }),
    ),
    image: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1024,
        description: 'Image to deploy: tag, digest, or a reference that is pulled when the store has it not',
      }),
    ),
  },
  strict,
);

const imageName = (description: string) => Type.String({ minLength: 1, maxLength: 1024, description });
export const ImageParams = Type.Object({
  ref: imageName('Tag, digest, beginning of a digest, or reference; percent-encoded'),
});
export const PullBody = Type.Object({ reference: imageName('[registry/]repository[:tag][@digest]') }, strict);
export const PushBody = Type.Object(
  {
    image: imageName('Image in the store'),
    as: Type.Optional(imageName('Name to push it under, when it is not its own')),
  },
  strict,
);
export const TagBody = Type.Object({ tag: imageName('The new name') }, strict);
export const PruneBody = Type.Object(
  {
    all: Type.Optional(
      Type.Boolean({ description: "Also images with names, except the platform's own, and the build cache" }),
    ),
    buildCache: Type.Optional(Type.Boolean({ description: 'Also layers of build steps and cache mounts' })),
  },
  strict,
);
export const TreeQuery = Type.Object(
  { image: Type.Optional(imageName('Only images that share a layer with this one')) },
  strict,
);
export const ImportQuery = Type.Object(
  {
    tag: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'Name of the image' })),
    message: Type.Optional(Type.String({ maxLength: 1024, description: 'Comment in its history' })),
    change: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 64 })], {
        description: 'Dockerfile instruction that changes the config, like `CMD ["/bin/sh"]`; may be repeated',
      }),
    ),
  },
  strict,
);
export const SearchQuery = Type.Object(
  {
    term: Type.Optional(Type.String({ maxLength: 255, description: 'Part of the name; without it all' })),
    registry: Type.Optional(
      Type.String({ minLength: 1, maxLength: 300, description: 'Default: the default registry' }),
    ),
    limit: Type.Optional(
      Type.String({ pattern: '^[1-9][0-9]{0,3}$', description: 'Names at most: 1 to 9999, default 100' }),
    ),
  },
  strict,
);
export const SaveQuery = Type.Object(
  { format: Type.Optional(literals(ARCHIVE_FORMATS, { default: 'oci-archive', description: 'Who is to read it' })) },
  strict,
);
export const RegistryParams = Type.Object({
  registry: Type.String({ minLength: 1, maxLength: 300, description: 'host or host:port' }),
});
export const LoginBody = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: 300 }),
    password: Type.String({ minLength: 1, maxLength: 16_384, description: 'Password or access token' }),
  },
  strict,
);

/** Query parameters are text, so numbers are patterns: nothing is coerced, nothing is guessed. */
const whole = (digits: number, description: string) =>
  Type.String({ pattern: `^[1-9][0-9]{0,${digits - 1}}$`, description });
const flag = (description: string) => literals(['true', 'false'], { default: 'false', description });

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
    outcome: Type.Optional(literals(OUTCOMES, { description: 'Only calls that ended so' })),
    limit: Type.Optional(whole(3, 'Records on a page: 1 to 999, default 50')),
    cursor: Type.Optional(Type.String({ maxLength: 512, description: '`cursor` of the page before' })),
  },
  strict,
);

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

// answers

const Strings = Type.Record(Type.String(), Type.String());

const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: literals(Object.keys(ERRORS), { description: 'Stable; act on this' }),
    detail: Type.String({ description: 'What failed, where, and why' }),
    hint: Type.Optional(Type.String({ description: 'What to do about it' })),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    invocation: Type.Optional(Type.String({ description: 'Id of the invocation, for errors of a call' })),
  },
  { description: 'Problem document (RFC 9457)' },
);

const FunctionConfig = Type.Object({
  ...Object.fromEntries(
    Object.entries(ConfigFile.properties).filter(
      ([key]) => !['$schema', 'name', 'env', 'runtime', 'dockerfile'].includes(key),
    ),
  ),
  runtime: literals(RUNTIMES),
  env: Strings,
});

const FunctionVersion = Type.Object({
  functionName: Type.String(),
  number: Type.Integer({ description: '1, 2, 3, ... per function; never reused' }),
  image: Type.String({ description: 'Manifest digest of the OCI image that this version is' }),
  base: Type.String({ description: 'Base image it was built on; empty when its image is its whole root' }),
  config: Type.Unsafe({ $ref: 'FunctionConfig#' }),
  createdAt: time('Time of the deploy'),
  codeBytes: Type.Integer({ description: "Bytes of the folder's files, or of the image's" }),
  addedBytes: Type.Integer({ description: 'Bytes this version added to the store' }),
  from: Type.Optional(
    Type.Object(
      {
        kind: literals(['image', 'dockerfile']),
        reference: Type.Optional(Type.String({ description: 'Of `image`: as it was given' })),
        path: Type.Optional(Type.String({ description: 'Of `dockerfile`: in the folder' })),
      },
      { description: 'Where the image came from; absent when it was built from code over a base image' },
    ),
  ),
});

const FunctionRecord = Type.Object({
  name: Type.String(),
  createdAt: time('Time of the first deploy'),
  aliases: Type.Record(Type.String(), Type.Integer(), { description: 'Alias -> number of its version' }),
  latest: Type.Integer({ description: 'Number of the newest version' }),
});

const Receipt = Type.Object({
  start: literals(START_KINDS),
  phases: Type.Object(Object.fromEntries(PHASES.map((phase) => [phase, Type.Number()])), {
    description: 'Milliseconds spent in each phase',
  }),
  instanceId: Type.String(),
});

const Outcome = Type.Object({
  kind: literals(OUTCOMES),
  message: Type.Optional(Type.String()),
  errorType: Type.Optional(Type.String()),
  stack: Type.Optional(Type.String()),
});

const InvocationRecord = Type.Object({
  id: Type.String(),
  functionName: Type.String(),
  version: Type.Integer(),
  trigger: literals(['http', 'invoke']),
  startedAt: time('Time it was accepted'),
  durationMs: Type.Number(),
  outcome: Type.Unsafe({ $ref: 'Outcome#' }),
  receipt: Type.Unsafe({ anyOf: [{ $ref: 'Receipt#' }, { type: 'null' }] }),
  bytesOut: Type.Integer(),
});

const LogLine = Type.Object({
  time: time('Time of the line'),
  functionName: Type.String(),
  version: Type.Integer(),
  instanceId: Type.String(),
  invocationId: Type.Optional(Type.String({ description: 'Absent for output outside any call' })),
  stream: literals(['stdout', 'stderr', 'platform']),
  text: Type.String(),
  cursor: Type.String({ description: 'For `after`' }),
});

const BuildEvent = Type.Object(
  {
    type: literals(['step', 'log', 'layer', 'deployed', 'failed']),
    step: Type.Optional(Type.String()),
    state: Type.Optional(literals(['start', 'done', 'cached', 'exists', 'fetching', 'unpacking'])),
    ms: Type.Optional(Type.Number()),
    stream: Type.Optional(literals(['stdout', 'stderr'])),
    text: Type.Optional(Type.String()),
    digest: Type.Optional(Type.String({ description: 'Of a layer that is being pulled' })),
    bytes: Type.Optional(Type.Integer({ description: 'Of it, so far' })),
    total: Type.Optional(Type.Integer()),
    version: Type.Optional(Type.Unsafe({ $ref: 'FunctionVersion#' })),
    problem: Type.Optional(Type.Unsafe({ $ref: 'Problem#' })),
  },
  {
    description:
      'One line of a build: a step, its output, how far a layer of the image is, and at the end `deployed` or `failed`',
  },
);

/** The field `config` of an image build. */
export const ImageBuildConfig = Type.Object(
  {
    tags: Type.Optional(
      Type.Array(Type.String({ maxLength: 255 }), {
        maxItems: 16,
        description: 'Names of the image; default `build/<id>`',
      }),
    ),
    dockerfile: Type.Optional(
      Type.String({ maxLength: 1024, description: 'Path of the Dockerfile in the context; default `Dockerfile`' }),
    ),
    dockerfileText: Type.Optional(Type.String({ description: 'The Dockerfile itself, when the context has it not' })),
    target: Type.Optional(Type.String({ maxLength: 256, description: 'Stage to build; default the last one' })),
    buildArgs: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Values for ARG' })),
    secrets: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Id -> value for `RUN --mount=type=secret`; kept nowhere',
      }),
    ),
    noCache: Type.Optional(Type.Boolean({ description: 'Run every step again' })),
  },
  strict,
);

const BuiltImage = Type.Object({
  digest: Type.String({ description: 'Manifest digest' }),
  tags: Type.Array(Type.String()),
  layers: Type.Integer(),
  bytes: Type.Integer({ description: 'Compressed size of all layers' }),
  stepsRun: Type.Integer({ description: 'Steps that made their layer now' }),
  stepsCached: Type.Integer({ description: 'Steps whose layer was known' }),
});

const ImageBuildEvent = Type.Object(
  {
    type: literals(['step', 'log', 'built', 'failed']),
    step: Type.Optional(Type.String()),
    state: Type.Optional(literals(['start', 'done', 'cached'])),
    ms: Type.Optional(Type.Number()),
    stream: Type.Optional(literals(['stdout', 'stderr'])),
    text: Type.Optional(Type.String()),
    image: Type.Optional(Type.Unsafe({ $ref: 'BuiltImage#' })),
    problem: Type.Optional(Type.Unsafe({ $ref: 'Problem#' })),
  },
  { description: 'One line of an image build: a step, its output, and at the end `built` or `failed`' },
);

const ImageSummary = Type.Object({
  digest: Type.String(),
  tags: Type.Array(Type.String()),
  bytes: Type.Integer({ description: 'Compressed size of all layers' }),
  layers: Type.Array(
    Type.Object({
      diffId: Type.String(),
      bytes: Type.Integer({ description: 'Compressed size' }),
      createdBy: Type.String(),
      createdAt: time('Time it was made'),
      sharedBy: Type.Integer({ description: 'Images in the store that have this layer' }),
    }),
  ),
});

const sized = (description: string) => Type.Integer({ description });
const nullable = (type: string, description: string) => Type.Unsafe({ type: [type, 'null'], description });

const ImageDetail = Type.Object({
  digest: Type.String({ description: 'Of the manifest' }),
  tags: Type.Array(Type.String()),
  mediaType: Type.String({ description: 'Of the manifest: OCI or Docker' }),
  architecture: Type.String(),
  os: Type.String(),
  created: nullable('string', 'As the image says; null when it does not'),
  config: Type.Unsafe({ type: 'object', description: 'Entrypoint, Cmd, Env, User, WorkingDir, Labels and the like' }),
  bytes: sized('Compressed size of all layers'),
  layers: Type.Array(
    Type.Object({
      diffId: Type.String({ description: 'Digest of the uncompressed tar: the id of the layer' }),
      parent: nullable('string', 'Diff id of the layer below; null for the lowest'),
      chainId: Type.String({ description: 'Names the stack up to this layer' }),
      blob: Type.String({ description: 'Digest of the compressed blob' }),
      mediaType: Type.String(),
      bytes: sized('Compressed size'),
      tarBytes: sized('Uncompressed size'),
      createdBy: Type.String(),
      createdAt: time('Time it came into this store'),
    }),
    { description: 'Lowest first' },
  ),
  history: Type.Array(
    Type.Object({
      createdBy: Type.String({ description: 'The instruction' }),
      created: nullable('string', 'Time of the step'),
      comment: nullable('string', 'Comment of the step'),
      layer: nullable('string', 'Diff id of the layer that the step made; null when it made none'),
      parent: nullable('string', 'Diff id of the layer below'),
      bytes: sized('Compressed size of the layer; 0 without one'),
    }),
    { description: 'Oldest first' },
  ),
});

const StoreUsage = Type.Object({
  images: Type.Integer(),
  layers: Type.Integer(),
  blobsBytes: sized('All blobs on disk'),
  unpackedBytes: sized('Uncompressed size of all layers, each once'),
  uniqueBytes: sized('Compressed, in layers that one image has'),
  sharedBytes: sized('Compressed, in layers that several images have'),
  buildCache: Type.Object(
    {
      entries: Type.Integer(),
      bytes: sized('Compressed, with layers that images have too'),
      onlyBytes: sized('Compressed: what goes when it is pruned'),
    },
    { description: 'Layers of build steps, and what cache mounts keep' },
  ),
  each: Type.Array(
    Type.Object({
      digest: Type.String(),
      tags: Type.Array(Type.String()),
      bytes: Type.Integer(),
      sharedBytes: Type.Integer(),
      uniqueBytes: Type.Integer(),
    }),
  ),
});

const ImageTree = Type.Object({
  layers: Type.Array(
    Type.Object({
      chainId: Type.String({ description: 'Names the place: this layer over those below it' }),
      parent: nullable('string', 'Chain id of the place below; null at the bottom'),
      diffId: Type.String(),
      bytes: sized('Compressed size'),
      tarBytes: sized('Uncompressed size'),
      createdBy: Type.String(),
      images: sized('Images that have it, here or further up'),
    }),
    { description: 'Parents before children' },
  ),
  images: Type.Array(
    Type.Object({
      digest: Type.String(),
      tags: Type.Array(Type.String()),
      functions: Type.Array(Type.Object({ name: Type.String(), version: Type.Integer() }), {
        description: 'Versions of functions that are this image',
      }),
      top: nullable('string', 'Chain id of its uppermost layer'),
      layers: Type.Integer(),
      bytes: sized('Compressed size'),
      ownBytes: sized('Compressed size of the layers that no other image has'),
    }),
  ),
});

const ImageTransfer = Type.Object({
  digest: Type.String({ description: 'Of the manifest; the same here and there' }),
  name: Type.String({ description: 'The whole name, with registry and tag' }),
  isNew: Type.Optional(Type.Boolean({ description: 'Of a pull: false when the image was there already' })),
});

const TransferEvent = Type.Object(
  {
    type: literals(['layer', 'done', 'failed']),
    digest: Type.Optional(Type.String({ description: 'Of the compressed blob' })),
    state: Type.Optional(literals(['exists', 'fetching', 'unpacking', 'done', 'sending', 'mounted'])),
    bytes: Type.Optional(Type.Integer({ description: 'So far' })),
    total: Type.Optional(Type.Integer()),
    result: Type.Optional(Type.Unsafe({ description: 'Of `done`: what the route answers without a stream' })),
    problem: Type.Optional(Type.Unsafe({ $ref: 'Problem#' })),
  },
  { description: 'One line of a transfer: how far a layer is, and at the end `done` or `failed`' },
);

const InstanceInfo = Type.Object({
  id: Type.String(),
  functionName: Type.String(),
  version: Type.Integer(),
  state: literals(['starting', 'idle', 'busy', 'ending']),
  pid: Type.Integer(),
  hostUid: Type.Integer(),
  startedAt: time('Time it was started'),
  calls: Type.Integer(),
  inFlight: Type.Integer(),
  memoryBytes: Type.Unsafe({ type: ['integer', 'null'] }),
});

const Readiness = Type.Object({
  ok: Type.Boolean(),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), message: Type.Optional(Type.String()) })),
});

/** Registered under their names; answers refer to them. */
export const COMPONENTS: Record<string, TSchema> = {
  Problem,
  FunctionConfig,
  FunctionVersion,
  FunctionRecord,
  Receipt,
  Outcome,
  InvocationRecord,
  LogLine,
  BuildEvent,
  BuiltImage,
  ImageBuildEvent,
  ImageSummary,
  ImageDetail,
  StoreUsage,
  ImageTree,
  ImageTransfer,
  TransferEvent,
  InstanceInfo,
  Readiness,
};
