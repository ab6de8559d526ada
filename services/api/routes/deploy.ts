/** `PUT /v1/functions/{name}`: an archive as multipart, files inline as JSON, or the name of an image. */
import multipart from '@fastify/multipart';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { WaferError } from '../../core/errors.ts';
import type { DeploySource } from '../../core/functions/types.ts';
import type { ApiDeps } from '../deps.ts';
import { isJsonType } from '../http/body.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, content, json, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { InlineDeploy, NameParams } from '../schemas/functions.ts';
import { streamBuild } from '../uploads/build-stream.ts';
import { countedDeployer } from '../uploads/counted.ts';
import { multipartOptions, readUpload, uploadDocs } from '../uploads/multipart.ts';

const NDJSON = 'application/x-ndjson';

const bodyDocs = {
  content: {
    'multipart/form-data': uploadDocs(
      {
        type: 'string',
        contentMediaType: 'application/json',
        description: 'Settings as in wafer.json; they win over the one in the archive',
      },
      'tar.gz or zip of the folder',
    ),
    'application/json': {
      schema: {
        allOf: [InlineDeploy],
        examples: [
          {
            config: { runtime: 'node', timeoutMs: 5000 },
            files: { 'index.mjs': 'export const handler = async (event) => ({ hello: event.name });' },
          },
          { image: 'registry.example/team/app:1', config: { memoryMb: 512 } },
        ],
      },
    },
  },
};

const schema = {
  tags: ['functions'],
  operationId: 'deploy',
  summary: 'Deploy a new version; `live` moves to it',
  description:
    'From an archive or files, or from an image (JSON with `image`), which is pulled when the store has it not. A failed build leaves the old version serving. With `Accept: application/x-ndjson` the build is streamed, one event a line; the last is `deployed` or `failed`.',
  params: NameParams,
  body: { content: { 'application/json': { schema: InlineDeploy } } },
  response: {
    200: content('The build as it happens (with `Accept: application/x-ndjson`)', { [NDJSON]: ref('BuildEvent') }),
    201: json('The new version', ref('FunctionVersion'), examples.VERSION),
    ...problems(
      ...COMMON,
      'invalid_name',
      'invalid_json',
      'invalid_config',
      'invalid_archive',
      'unknown_runtime',
      'missing_handler',
      'archive_too_large',
      'payload_too_large',
      'unsupported_media_type',
      'build_failed',
      'invalid_dockerfile',
      'image_not_found',
      'invalid_image',
      'registry_denied',
      'registry_failed',
      'disk_full',
    ),
  },
};

/** In a scope of its own: nothing else takes multipart. */
export async function deployRoutes(app: App, deps: ApiDeps, limits: ApiLimits): Promise<void> {
  await app.register(multipart, multipartOptions(limits));
  app.put(
    '/v1/functions/:name',
    { schema, config: { bodyDocs }, bodyLimit: limits.inlineBytes },
    async (request, reply) => deploy(deps, limits, request, reply),
  );
}

interface DeployParams {
  Params: Static<typeof NameParams>;
}

async function deploy(
  deps: ApiDeps,
  limits: ApiLimits,
  request: FastifyRequest<DeployParams>,
  reply: FastifyReply,
): Promise<unknown> {
  const signal = callerSignal(reply);
  const { name } = request.params;
  const { source, config } = await readSource(request, limits);
  const deployRequest = { name, source, signal, ...(config === undefined ? {} : { config }) };
  const deployer = countedDeployer(deps);
  if (wantsStream(request)) return streamBuild(deployer, deployRequest, request, reply, limits);
  const version = await deployer.deploy(deployRequest, () => {});
  return reply.code(201).header('location', `/v1/functions/${name}`).send(version);
}

async function readSource(
  request: FastifyRequest,
  limits: ApiLimits,
): Promise<{ source: DeploySource; config?: unknown }> {
  if (!isJsonType(request.headers['content-type'] ?? '')) return readUpload(request, limits);
  const { files, image, config } = request.body as Static<typeof InlineDeploy>;
  return { source: inlineSource(files, image), ...(config === undefined ? {} : { config }) };
}

function inlineSource(files: Static<typeof InlineDeploy>['files'], reference: string | undefined): DeploySource {
  if (files !== undefined && reference === undefined) return { kind: 'files', files };
  if (files === undefined && reference !== undefined) return { kind: 'image', reference };
  throw new WaferError('invalid_request', 'A deploy has either "files" or "image".', {
    hint: 'Send {"files": {"index.mjs": "..."}} or {"image": "REFERENCE"}.',
  });
}

export const wantsStream = ({ headers }: FastifyRequest) => (headers.accept ?? '').toLowerCase().includes(NDJSON);
