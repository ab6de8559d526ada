/** Images in and out: registries and archives. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ArchiveFormat } from '../../core/images/archive/save.ts';
import type { ApiDeps } from '../deps.ts';
import { detachedBody } from '../http/body.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, content, json, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { ImageParams, ImportQuery, PullBody, PushBody, SaveQuery } from '../schemas/images.ts';
import { answerWithProgress, NDJSON, type Work } from '../uploads/progress-stream.ts';

const tags = ['images'];
const description =
  'With `Accept: application/x-ndjson` the progress is streamed, one event a line; the last is `done` or `failed`.';
const TRANSFER = [
  ...COMMON,
  'invalid_json',
  'invalid_name',
  'image_not_found',
  'invalid_image',
  'registry_denied',
  'registry_failed',
  'digest_mismatch',
  'disk_full',
  'engine_failed',
] as const;

/** Either one answer or lines: the status is the same. */
const result = (text: string, schema: object, example: unknown) => {
  const one = json(text, schema, example);
  return { ...one, content: { ...one.content, [NDJSON]: { schema: ref('TransferEvent') } } };
};

const answer = (request: FastifyRequest, reply: FastifyReply, work: Work) => answerWithProgress(work, request, reply);

export async function imageTransferRoutes(app: App, deps: ApiDeps): Promise<void> {
  registryTransfers(app, deps);
  saveRoute(app, deps);
  exportRoute(app, deps);
  app.register(async (inner) => archiveRoutes(inner, deps));
}

function registryTransfers(app: App, { imageService }: ApiDeps): void {
  app.post(
    '/v1/images/pull',
    {
      schema: {
        tags,
        operationId: 'pullImage',
        summary: 'Bring an image from a registry',
        description,
        body: PullBody,
        response: { 200: result('The image', ref('ImageTransfer'), examples.TRANSFER), ...problems(...TRANSFER) },
      },
    },
    (request, reply) =>
      answer(request, reply, (onEvent, signal) => imageService.pull(request.body.reference, { onEvent, signal })),
  );

  app.post(
    '/v1/images/push',
    {
      schema: {
        tags,
        operationId: 'pushImage',
        summary: 'Bring an image to a registry',
        description,
        body: PushBody,
        response: {
          200: result('The image', ref('ImageTransfer'), examples.TRANSFER),
          ...problems(...TRANSFER, 'conflict'),
        },
      },
    },
    (request, reply) => {
      const { image, as } = request.body;
      return answer(request, reply, (onEvent, signal) => imageService.push(image, as, { onEvent, signal }));
    },
  );
}

const TAR = 'application/x-tar';

function exportRoute(app: App, { imageService }: ApiDeps): void {
  app.get(
    '/v1/images/:ref/export',
    {
      schema: {
        tags,
        operationId: 'exportImage',
        summary: 'The root file system of an image, as a sandbox of it sees it',
        params: ImageParams,
        response: {
          200: content('A tar', { [TAR]: { type: 'string', contentMediaType: TAR } }),
          ...problems(...COMMON, 'image_not_found', 'conflict', 'digest_mismatch'),
        },
      },
    },
    async ({ params }, reply) => {
      const { stream, digest } = await imageService.exportRoot(params.ref);
      return reply.header('content-type', TAR).header('x-wafer-image', digest).send(stream);
    },
  );
}

function saveRoute(app: App, { imageService }: ApiDeps): void {
  app.get(
    '/v1/images/:ref/save',
    {
      schema: {
        tags,
        operationId: 'saveImage',
        summary: 'The image as an archive for other tools',
        params: ImageParams,
        querystring: SaveQuery,
        response: {
          200: content('A tar: OCI layout, or what `docker load` reads', {
            [TAR]: { type: 'string', contentMediaType: TAR },
          }),
          ...problems(...COMMON, 'image_not_found', 'conflict', 'digest_mismatch', 'invalid_image'),
        },
      },
    },
    async ({ params, query }, reply) => {
      const format = (query.format ?? 'oci-archive') as ArchiveFormat;
      const { stream, digest } = await imageService.save(params.ref, format);
      return reply.header('content-type', TAR).header('x-wafer-image', digest).send(stream);
    },
  );
}

const archive = { schema: { type: 'string', contentMediaType: TAR } };
const bodyDocs = {
  required: true,
  content: { [TAR]: archive, 'application/gzip': archive, 'application/octet-stream': archive },
};
const loaded = { type: 'object', properties: { images: { type: 'array', items: ref('ImageDetail') } } };

/** In a scope of its own: the body is read by the loader, never held. */
async function archiveRoutes(app: App, deps: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser([TAR, 'application/gzip', 'application/octet-stream'], (_request, _payload, done) =>
    done(null),
  );
  loadRoute(app, deps);
  importRoute(app, deps);
}

function importRoute(app: App, { imageService }: ApiDeps): void {
  app.post(
    '/v1/images/import',
    {
      config: { bodyDocs },
      bodyLimit: Number.MAX_SAFE_INTEGER,
      schema: {
        tags,
        operationId: 'importImage',
        summary: 'Make an image of one layer from a root file system, plain or with gzip',
        querystring: ImportQuery,
        response: {
          200: json('The image', ref('ImageDetail'), examples.IMAGE_DETAIL),
          ...problems(
            ...COMMON,
            'invalid_archive',
            'invalid_dockerfile',
            'invalid_name',
            'conflict',
            'unsupported_media_type',
            'disk_full',
            'engine_failed',
          ),
        },
      },
    },
    (request, reply) => {
      const { tag, message, change = [] } = request.query;
      return imageService.importRoot(detachedBody(request.raw), {
        changes: [change].flat(),
        signal: callerSignal(reply),
        ...(tag === undefined ? {} : { tag }),
        ...(message === undefined ? {} : { message }),
      });
    },
  );
}

function loadRoute(app: App, { imageService }: ApiDeps): void {
  app.post(
    '/v1/images/load',
    {
      config: { bodyDocs },
      bodyLimit: Number.MAX_SAFE_INTEGER,
      schema: {
        tags,
        operationId: 'loadImages',
        summary: 'Take the images of an oci-archive or docker-archive, plain or with gzip',
        description,
        response: {
          200: result('The images', loaded, { images: [examples.IMAGE_DETAIL] }),
          ...problems(
            ...COMMON,
            'invalid_archive',
            'invalid_image',
            'digest_mismatch',
            'unsupported_media_type',
            'disk_full',
            'engine_failed',
          ),
        },
      },
    },
    (request, reply) =>
      answer(request, reply, async (onEvent, signal) => ({
        images: await imageService.load(detachedBody(request.raw), { onEvent, signal }),
      })),
  );
}
