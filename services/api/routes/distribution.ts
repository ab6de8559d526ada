/** `/v2/`: the OCI distribution protocol, for podman, skopeo and every other client of registries. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DistributionError } from '../../core/images/distribution/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { sendDistributionError } from '../distribution/errors.ts';
import { parseTarget, type Target } from '../distribution/target.ts';
import type { App } from '../http/create-server.ts';
import { content } from '../openapi/docs.ts';
import { blobRequest, listReferrers, listRepositories, listTags, manifestRequest } from './distribution-content.ts';
import { continueUpload, startUpload } from './distribution-uploads.ts';

/** What each kind of path takes. */
const METHODS: Record<Target['kind'], readonly string[]> = {
  base: ['GET', 'HEAD'],
  catalog: ['GET'],
  manifest: ['GET', 'HEAD', 'PUT', 'DELETE'],
  blob: ['GET', 'HEAD', 'DELETE'],
  uploads: ['POST'],
  upload: ['GET', 'PATCH', 'PUT', 'DELETE'],
  tags: ['GET'],
  referrers: ['GET'],
};

const SUMMARIES = {
  GET: 'Registry: read a manifest, a blob, a list of tags, repositories or referrers, or where an upload stands',
  HEAD: 'Registry: is a manifest or a blob there?',
  POST: 'Registry: begin an upload of a blob, send a small one whole, or mount one from another repository',
  PATCH: 'Registry: send the next chunk of an upload',
  PUT: 'Registry: end an upload; push a manifest (in `functions/NAME`: deploy it)',
  DELETE: 'Registry: delete a tag, a manifest or a blob; cancel an upload',
} as const;

const anything = { '*/*': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } };
const ERROR_EXAMPLE = { errors: [{ code: 'MANIFEST_UNKNOWN', message: 'app has no manifest v1.', detail: null }] };
const failed = content('What is wrong, with the codes of the protocol', {
  'application/json': {
    type: 'object',
    properties: {
      errors: {
        type: 'array',
        items: {
          type: 'object',
          properties: { code: { type: 'string' }, message: { type: 'string' }, detail: {} },
        },
      },
    },
    examples: [ERROR_EXAMPLE],
  },
});

const schemaOf = (method: keyof typeof SUMMARIES) => ({
  tags: ['registry'],
  operationId: `${method.toLowerCase()}Registry`,
  summary: SUMMARIES[method],
  description:
    'The OCI distribution protocol, 1.1. The key is taken as `Authorization: Bearer <key>`, or as the password of Basic with any user name.',
  params: {
    type: 'object',
    required: ['*'],
    properties: { '*': { type: 'string', description: 'Path of the protocol, as in `app/manifests/v1`' } },
  },
  response: {
    '2xx': { description: 'As the protocol says', content: anything },
    '4xx': failed,
  },
});

function checkMethod(target: Target, method: string): void {
  const allowed = METHODS[target.kind];
  if (allowed.includes(method)) return;
  throw new DistributionError('UNSUPPORTED', `${method} is not what this endpoint takes.`, {
    headers: { allow: allowed.join(', ') },
  });
}

/** In a scope of its own: bodies are streams, and errors have the protocol's shape. */
export async function distributionRoutes(app: App, { distribution }: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setErrorHandler(sendDistributionError);
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    reply.header('docker-distribution-api-version', 'registry/2.0');
    const target = parseTarget(request.url);
    checkMethod(target, request.method);
    switch (target.kind) {
      case 'base':
        return reply.header('content-type', 'application/json').send(Buffer.from('{}'));
      case 'catalog':
        return listRepositories(distribution, request, reply);
      case 'tags':
        return listTags(distribution, target.name, request, reply);
      case 'referrers':
        return listReferrers(distribution, target, request, reply);
      case 'manifest':
        return manifestRequest(distribution, target, request, reply);
      case 'blob':
        return blobRequest(distribution, target, request, reply);
      case 'uploads':
        return startUpload(distribution, target.name, request, reply);
      case 'upload':
        return continueUpload(distribution, target, request, reply);
    }
  };
  for (const method of Object.keys(SUMMARIES) as (keyof typeof SUMMARIES)[]) {
    const bodied = method === 'PUT' || method === 'POST' || method === 'PATCH';
    const config = { basicAuth: true, ...(bodied ? { bodyDocs: { content: anything } } : {}) };
    app.route({ method, url: '/v2/*', exposeHeadRoute: false, schema: schemaOf(method), config, handler });
  }
}
