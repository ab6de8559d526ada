/** Secrets: values come in and are never given out, but to workers of this platform, sealed. */
import type { FastifyReply } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import type { SecretChanged } from '../../core/secrets/index.ts';
import { packSecrets } from '../../core/secrets/remote.ts';
import { sealFor } from '../../core/secrets/sealed-box.ts';
import { MAX_SECRET_BYTES } from '../../core/secrets/types.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import { RemoveQuery, SecretParams, WorkerSecretsBody } from '../schemas/secrets.ts';

const tags = ['secrets'];
/** As JSON, where each byte may take six characters. */
const BODY_LIMIT = 6 * MAX_SECRET_BYTES + 1_024;
const EXAMPLE = {
  name: 'db-password',
  createdAt: 1_763_000_000_000,
  latest: 2,
  versions: [
    { version: 1, createdAt: 1_763_000_000_000 },
    { version: 2, createdAt: 1_763_000_500_000 },
  ],
  usedBy: ['orders'],
};
const SEALED = { publicKey: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo', box: 'q83vEjRWeJCrze8SNFZ4kA' };
const CHANGED = { ...EXAMPLE, changed: true, replaced: 3 };

export function secretRoutes(app: App, { secrets }: ApiDeps): void {
  app.get('/v1/secrets', { schema: listSchema }, async () => ({ secrets: await secrets.list() }));
  app.get('/v1/secrets/:name', { schema: oneSchema }, async ({ params }) => secrets.get(params.name));
  app.delete('/v1/secrets/:name', { schema: removeSchema }, async ({ params, query }, reply) => {
    await secrets.remove(params.name, query.force === 'true');
    return reply.code(204).send(null);
  });
  app.post('/v1/workers/secrets', { schema: workerSchema }, async ({ body }) =>
    sealFor(body.publicKey, packSecrets(await secrets.read(body.secrets))),
  );
}

/** Bodies are values, or JSON around one: no schema looks at them, so that no message can repeat them. */
export async function secretValueRoutes(app: App, { secrets }: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const options = { bodyLimit: BODY_LIMIT, config: { bodyDocs } };
  app.put('/v1/secrets/:name', { ...options, schema: setSchema }, async ({ params, body, headers }, reply) =>
    answer(reply, await secrets.set(params.name, valueIn(body, headers['content-type']))),
  );
  app.post('/v1/secrets/:name/rotate', { ...options, schema: rotateSchema }, async ({ params, body, headers }, reply) =>
    answer(reply, await secrets.rotate(params.name, valueIn(body, headers['content-type']))),
  );
}

const answer = (reply: FastifyReply, { secret, created, changed, replaced }: SecretChanged) =>
  reply.code(created ? 201 : 200).send({ ...secret, changed, replaced });

function valueIn(body: unknown, contentType = ''): Buffer {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  if (!/^application\/json\b/i.test(contentType)) return bytes;
  const value = textIn(bytes);
  if (value !== null) return Buffer.from(value);
  throw new WaferError('invalid_request', 'The body is not JSON of the form {"value": "text"}.', {
    hint: 'A value that is JSON itself is sent as application/octet-stream.',
  });
}

/** What the parser says of a body may repeat it. */
function textIn(bytes: Buffer): string | null {
  try {
    const { value, ...more } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    return typeof value === 'string' && Object.keys(more).length === 0 ? value : null;
  } catch {
    return null;
  }
}

const listSchema = {
  tags,
  operationId: 'listSecrets',
  summary: 'List secrets, without their values',
  response: { 200: json('By name', list('secrets', 'Secret'), { secrets: [EXAMPLE] }), ...problems(...COMMON) },
};

const oneSchema = {
  tags,
  operationId: 'readSecret',
  summary: 'Show one secret, without its value',
  params: SecretParams,
  response: { 200: json('The secret', ref('Secret'), EXAMPLE), ...problems(...COMMON, 'secret_not_found') },
};

const bodyDocs = {
  required: true,
  content: {
    'application/octet-stream': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } },
    'application/json': {
      schema: {
        type: 'object',
        required: ['value'],
        properties: { value: { type: 'string' } },
        examples: [{ value: 'correct horse battery staple' }],
      },
    },
  },
};
const WRITE_ERRORS = [...COMMON, 'payload_too_large', 'conflict'] as const;

const setSchema = {
  tags,
  operationId: 'setSecret',
  summary: 'Set a secret: its first version, or one more',
  description: `The body is the value, at most ${MAX_SECRET_BYTES} bytes. Versions before it stay for functions that pin them. Instances that have an older version make way for new ones.`,
  params: SecretParams,
  response: {
    201: json('It is new', ref('SecretChange'), { ...CHANGED, replaced: 0 }),
    200: json('It has one more version, or had this value', ref('SecretChange'), CHANGED),
    ...problems(...WRITE_ERRORS),
  },
};

const rotateSchema = {
  ...setSchema,
  operationId: 'rotateSecret',
  summary: 'Give a secret a new version, and forget those before it',
  description: 'As setting it; then versions before it that no function pins are removed.',
  response: {
    200: json('The new version', ref('SecretChange'), CHANGED),
    ...problems(...WRITE_ERRORS, 'secret_not_found'),
  },
};

const removeSchema = {
  tags,
  operationId: 'removeSecret',
  summary: 'Remove a secret with all its versions',
  params: SecretParams,
  querystring: RemoveQuery,
  response: {
    204: { description: 'It is gone', type: 'null' },
    ...problems(...COMMON, 'secret_not_found', 'conflict'),
  },
};

const workerSchema = {
  tags: ['workers'],
  operationId: 'readWorkerSecrets',
  summary: 'Values for instances of a worker that joined, sealed for this one answer',
  body: WorkerSecretsBody,
  response: {
    200: json('Only the holder of the key can open it', ref('SealedSecrets'), SEALED),
    ...problems(...COMMON, 'invalid_json', 'secret_not_found', 'secrets_locked'),
  },
};
