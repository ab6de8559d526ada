/** `POST /v1/images/build`: a Dockerfile's context as multipart, the build as it happens. */
import multipart from '@fastify/multipart';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { Check, Errors } from 'typebox/value';
import { WaferError } from '../../core/errors.ts';
import type { ImageBuildUpload } from '../../core/images/dockerfile/builds.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, content, json, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { ImageBuildConfig } from '../schemas/images.ts';
import { streamLines } from '../uploads/build-stream.ts';
import { multipartOptions, readUpload, uploadDocs } from '../uploads/multipart.ts';
import { wantsStream } from './deploy.ts';

const bodyDocs = {
  content: { 'multipart/form-data': uploadDocs(ImageBuildConfig, 'tar.gz or zip of the build context') },
};

const schema = {
  tags: ['images'],
  operationId: 'buildImage',
  summary: 'Build an image from a Dockerfile',
  description:
    'With `Accept: application/x-ndjson` the build is streamed, one event a line; the last is `built` or `failed`. The problem of a failed step has `details.file`, `line`, `step`, `output`, and `image`: what was built up to the step before.',
  response: {
    200: content('The build as it happens (with `Accept: application/x-ndjson`)', {
      'application/x-ndjson': ref('ImageBuildEvent'),
    }),
    201: json('The image', ref('BuiltImage'), examples.BUILT_IMAGE),
    ...problems(
      ...COMMON,
      'invalid_dockerfile',
      'invalid_name',
      'invalid_json',
      'invalid_archive',
      'image_not_found',
      'archive_too_large',
      'payload_too_large',
      'unsupported_media_type',
      'build_failed',
      'disk_full',
      'engine_failed',
    ),
  },
};

/** In a scope of its own, like deploys: nothing else takes multipart. */
export async function imageBuildRoutes(app: App, deps: ApiDeps, limits: ApiLimits): Promise<void> {
  await app.register(multipart, multipartOptions(limits));
  app.post('/v1/images/build', { schema, config: { bodyDocs } }, async (request, reply) =>
    build(deps, limits, request, reply),
  );
}

async function build(
  { imageBuilds }: ApiDeps,
  limits: ApiLimits,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const signal = callerSignal(reply);
  const { source, config = {} } = await readUpload(request, limits);
  let upload: ImageBuildUpload;
  try {
    upload = { ...checked(config), source, signal };
  } catch (error) {
    if (source.kind === 'archive') source.stream.destroy();
    throw error;
  }
  if (!wantsStream(request)) return reply.code(201).send(await imageBuilds.build(upload, () => {}));
  const run = async (onEvent: (event: object) => void) => ({
    type: 'built',
    image: await imageBuilds.build(upload, onEvent),
  });
  return streamLines(run, { tags: upload.tags }, request, reply, limits);
}

function checked(config: unknown): Static<typeof ImageBuildConfig> {
  if (Check(ImageBuildConfig, config)) return config;
  const [first] = [...Errors(ImageBuildConfig, config)];
  const path = first?.instancePath ?? '';
  throw new WaferError('invalid_request', `The field "config" is not valid: ${path || '/'} ${first?.message ?? ''}.`, {
    details: { path },
  });
}
