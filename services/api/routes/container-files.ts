/** Files of a container in and out, as tars; and its writable layer as an image. */
import type { ApiDeps } from '../deps.ts';
import { detachedBody } from '../http/body.ts';
import type { App } from '../http/create-server.ts';
import { content, json, problems } from '../openapi/docs.ts';
import { CommitBody, ContainerParams, FilesQuery } from '../schemas/containers.ts';
import { FINDING } from './containers.ts';

const tags = ['containers'];
const TAR = 'application/x-tar';
const tar = { type: 'string', contentMediaType: TAR };

export async function containerFileRoutes(app: App, deps: ApiDeps): Promise<void> {
  readRoutes(app, deps);
  commitRoute(app, deps);
  app.register(async (inner) => writeRoute(inner, deps));
}

function readRoutes(app: App, { containers }: ApiDeps): void {
  app.get(
    '/v1/containers/:ref/files',
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        operationId: 'readContainerFiles',
        summary: 'A file or folder inside, as a tar',
        description: 'The entries begin with the last name of `path`. Of a container that does not run too.',
        params: ContainerParams,
        querystring: FilesQuery,
        response: { 200: content('The tar', { [TAR]: tar }), ...problems(...FINDING, 'not_found', 'engine_failed') },
      },
    },
    async ({ params, query }, reply) => {
      const stream = await containers.readFiles(params.ref, query.path);
      return reply.header('content-type', TAR).send(stream);
    },
  );

  app.get(
    '/v1/containers/:ref/export',
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        operationId: 'exportContainer',
        summary: 'The whole root as one tar, without volumes',
        params: ContainerParams,
        response: { 200: content('The tar', { [TAR]: tar }), ...problems(...FINDING, 'engine_failed') },
      },
    },
    async ({ params }, reply) => reply.header('content-type', TAR).send(await containers.export(params.ref)),
  );
}

function commitRoute(app: App, { containers }: ApiDeps): void {
  const committed = {
    type: 'object',
    properties: { digest: { type: 'string' }, tags: { type: 'array', items: { type: 'string' } } },
  };
  app.post(
    '/v1/containers/:ref/commit',
    {
      schema: {
        tags,
        operationId: 'commitContainer',
        summary: 'Make an image of the container: its image, and the writable layer on top',
        params: ContainerParams,
        body: CommitBody,
        response: {
          201: json('The image', committed, { digest: `sha256:${'3f'.repeat(32)}`, tags: ['app:v2'] }),
          ...problems(...FINDING, 'invalid_json', 'invalid_name', 'invalid_dockerfile', 'image_not_found', 'disk_full'),
        },
      },
    },
    async ({ params, body }, reply) =>
      reply.code(201).send(await containers.commit(params.ref, { changes: [], ...body })),
  );
}

const bodyDocs = { required: true, content: { [TAR]: { schema: tar }, 'application/octet-stream': { schema: tar } } };

/** In a scope of its own: the body goes to the engine as it comes, never held. */
async function writeRoute(app: App, { containers }: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser([TAR, 'application/octet-stream'], (_request, _payload, done) => done(null));
  app.put(
    '/v1/containers/:ref/files',
    {
      config: { bodyDocs },
      bodyLimit: Number.MAX_SAFE_INTEGER,
      schema: {
        tags,
        operationId: 'writeContainerFiles',
        summary: 'Unpack a tar into a folder inside',
        params: ContainerParams,
        querystring: FilesQuery,
        response: {
          204: { description: 'It is there' },
          ...problems(
            ...FINDING,
            'not_found',
            'invalid_archive',
            'unsupported_media_type',
            'disk_full',
            'engine_failed',
          ),
        },
      },
    },
    async (request, reply) => {
      await containers.writeFiles(request.params.ref, request.query.path, detachedBody(request.raw));
      return reply.code(204).send();
    },
  );
}
