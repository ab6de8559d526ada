/** What goes in and out of images, builds, transfers and registries. Shapes of answers are those of core. */
import { Type } from 'typebox';
import { ARCHIVE_FORMATS } from '../../core/images/archive/save.ts';
import { imageName, literals, nullable, sized, strict, time } from './shapes.ts';

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

export const BuiltImage = Type.Object({
  digest: Type.String({ description: 'Manifest digest' }),
  tags: Type.Array(Type.String()),
  layers: Type.Integer(),
  bytes: Type.Integer({ description: 'Compressed size of all layers' }),
  stepsRun: Type.Integer({ description: 'Steps that made their layer now' }),
  stepsCached: Type.Integer({ description: 'Steps whose layer was known' }),
});

export const ImageBuildEvent = Type.Object(
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

export const ImageSummary = Type.Object({
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

export const ImageDetail = Type.Object({
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

export const StoreUsage = Type.Object({
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

export const ImageTree = Type.Object({
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

export const ImageTransfer = Type.Object({
  digest: Type.String({ description: 'Of the manifest; the same here and there' }),
  name: Type.String({ description: 'The whole name, with registry and tag' }),
  isNew: Type.Optional(Type.Boolean({ description: 'Of a pull: false when the image was there already' })),
});

export const TransferEvent = Type.Object(
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
