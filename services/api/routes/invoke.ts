/** `POST /v1/functions/{name}/invoke`: an event in, the handler's value out. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { newInvocationId } from '../../core/ids.ts';
import { sendAnswer } from '../calls/answer.ts';
import { checkEvent } from '../calls/event.ts';
import { createNote } from '../calls/note.ts';
import { startCall } from '../calls/start-call.ts';
import type { ApiDeps } from '../deps.ts';
import { isJsonType } from '../http/body.ts';
import { callerOfCall } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { CALL_ERRORS, COMMON, problems } from '../openapi/docs.ts';
import { NameParams } from '../schemas/functions.ts';
import { InvokeQuery } from '../schemas/invocations.ts';
import { selectVersion } from './select-version.ts';

const callHeaders = {
  'x-wafer-invocation': { type: 'string', description: 'Id of the invocation' },
  'x-wafer-start': { type: 'string', enum: ['cold', 'blank', 'warm'] },
  'server-timing': { type: 'string', description: 'Milliseconds of each phase' },
};

const schema = {
  tags: ['calls'],
  operationId: 'invoke',
  summary: 'Call a function with an event and get its value',
  description: 'The body is JSON of any kind; an empty one is `null`. Bytes that a handler returns come as they are.',
  params: NameParams,
  querystring: InvokeQuery,
  response: {
    200: {
      description: "The handler's value",
      headers: callHeaders,
      content: {
        'application/json': { schema: { description: 'Any JSON value', examples: [{ hello: 'Ada' }] } },
        'application/octet-stream': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } },
      },
    },
    ...problems(
      ...COMMON,
      ...CALL_ERRORS,
      'invalid_name',
      'invalid_json',
      'payload_too_large',
      'unsupported_media_type',
    ),
  },
};
const bodyDocs = {
  content: { 'application/json': { schema: { description: 'Any JSON value', examples: [{ name: 'Ada' }] } } },
};

/** In a scope of its own: the body stays as bytes here. */
export async function invokeRoutes(app: App, deps: ApiDeps, limits: ApiLimits): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const options = {
    schema,
    config: { bodyDocs },
    bodyLimit: limits.invokeBytes,
    // Before the body is read. The id is given out first: it is on every answer of a call.
    onRequest: (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      reply.header('x-wafer-invocation', newInvocationId());
      requireJson(request);
      done();
    },
  };
  app.post('/v1/functions/:name/invoke', options, async (request, reply) => {
    const acceptedAt = performance.now();
    const version = await selectVersion(deps, request.params.name, request.query);
    return invoke(deps, limits, { request, reply, version, acceptedAt });
  });
}

interface Invocation {
  request: FastifyRequest;
  reply: FastifyReply;
  version: FunctionVersion;
  acceptedAt: number;
}

async function invoke(
  deps: ApiDeps,
  limits: ApiLimits,
  { request, reply, version, acceptedAt }: Invocation,
): Promise<FastifyReply> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  checkEvent(body, limits.eventDepth);
  const id = String(reply.getHeader('x-wafer-invocation'));
  const signal = callerOfCall(reply);
  const start = { id, trigger: 'invoke', version, request: { kind: 'event', body }, acceptedAt, signal } as const;
  const call = await startCall(deps, start);
  const note = createNote(deps.logs, version, id, call.receipt.instanceId);
  return sendAnswer(call, { request, reply, invocationId: id, note, resultBytes: limits.resultBytes });
}

function requireJson({ headers }: FastifyRequest): void {
  const type = headers['content-type'];
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  if (type === undefined ? empty : isJsonType(type)) return;
  const shown = type === undefined ? 'no content type' : `the content type ${JSON.stringify(type.slice(0, 100))}`;
  throw new WaferError('unsupported_media_type', `An event is JSON, but the request has ${shown}.`, {
    hint: 'Send Content-Type: application/json, or call /fn/<name>/ to hand over a whole HTTP request.',
  });
}
