/** Large events and results, for workers on other machines. */
import { Type } from 'typebox';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, problems } from '../openapi/docs.ts';

const Params = Type.Object({
  id: Type.String({ pattern: '^inv_[0-9a-z]{26}$', description: 'Id of the invocation' }),
  part: Type.String({
    pattern: '^(event|result\\.[1-9][0-9]{0,3})$',
    description: '`event`, or `result.` and the attempt',
  }),
});
const tags = ['workers'];

export async function bodyRoutes(app: App, { bodies }: ApiDeps, limits: ApiLimits): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.get('/v1/bodies/:id/:part', { schema: readSchema }, async ({ params }, reply) =>
    reply.type('application/octet-stream').send(await bodies.read(params.id, params.part)),
  );
  app.put(
    '/v1/bodies/:id/:part',
    { schema: writeSchema, bodyLimit: limits.resultBytes },
    async ({ params, body, headers }, reply) => {
      const type = headers['content-type'] ?? 'application/octet-stream';
      await bodies.put(params.id, params.part, Buffer.isBuffer(body) ? body : Buffer.alloc(0), type);
      return reply.code(204).send();
    },
  );
}

const readSchema = {
  tags,
  operationId: 'readBody',
  summary: 'A large event or result, for a worker',
  params: Params,
  response: {
    200: { description: 'Its bytes', content: { 'application/octet-stream': { schema: { type: 'string' } } } },
    ...problems(...COMMON, 'invocation_not_found'),
  },
};

const writeSchema = {
  tags,
  operationId: 'writeBody',
  summary: 'Keep a large result, from a worker',
  params: Params,
  response: { 204: { description: 'It is on disk' }, ...problems(...COMMON, 'payload_too_large') },
};
