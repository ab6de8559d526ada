/** What goes in and out of functions and deploys. Shapes of answers are those of core. */
import { Type } from 'typebox';
import { ConfigFile, NAME_PATTERN, RUNTIMES } from '../../core/functions/schema.ts';
import { literals, Strings, strict, time } from './shapes.ts';

export const NameParams = Type.Object({
  name: Type.String({ pattern: NAME_PATTERN, description: 'Name of the function' }),
});

export const AliasParams = Type.Object({
  name: Type.String({ pattern: NAME_PATTERN, description: 'Name of the function' }),
  alias: Type.String({ pattern: NAME_PATTERN, description: 'Name of the alias; `live` is the default one' }),
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

export const FunctionConfig = Type.Object({
  ...Object.fromEntries(
    Object.entries(ConfigFile.properties).filter(
      ([key]) => !['$schema', 'name', 'env', 'secretEnv', 'runtime', 'dockerfile'].includes(key),
    ),
  ),
  runtime: literals(RUNTIMES),
  env: Strings,
  secretEnv: Type.Optional(Strings),
});

export const FunctionVersion = Type.Object({
  functionName: Type.String(),
  number: Type.Integer({ description: '1, 2, 3, ... per function; never reused' }),
  image: Type.String({ description: 'Manifest digest of the OCI image that this version is' }),
  base: Type.String({ description: 'Base image it was built on; empty when its image is its whole root' }),
  config: Type.Unsafe({ $ref: 'FunctionConfig#' }),
  createdAt: time('Time of the deploy'),
  codeBytes: Type.Integer({ description: "Bytes of the folder's files, or of the image's" }),
  addedBytes: Type.Integer({ description: 'Bytes this version added to the store' }),
  preload: Type.Optional(
    literals(['web', 'fetch'], {
      description: 'What of Node is loaded before its first call comes, as far as the build saw',
    }),
  ),
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

export const FunctionRecord = Type.Object({
  name: Type.String(),
  createdAt: time('Time of the first deploy'),
  aliases: Type.Record(Type.String(), Type.Integer(), { description: 'Alias -> number of its version' }),
  latest: Type.Integer({ description: 'Number of the newest version' }),
});

export const BuildEvent = Type.Object(
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
