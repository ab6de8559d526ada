/** `POST /v1/functions/{name}/invoke`: an event in, the handler's value out. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { newInvocationId } from '../../core/ids.ts';
import { readTrace } from '../../core/invocations/trace.ts';
import { sendAnswer } from '../calls/answer.ts';
import { eventOf, requireJson } from '../calls/event.ts';
import { invokeLater, refuseLaterOnly } from '../calls/invoke-later.ts';
import { createNote } from '../calls/note.ts';
import { readPrefer } from '../calls/prefer.ts';
import { selectVersion } from '../calls/select-version.ts';
import { startCall } from '../calls/start-call.ts';
import type { ApiDeps } from '../deps.ts';
import { callerOfCall } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { CALL_ERRORS, COMMON, json, problems, ref } from '../openapi/docs.ts';
import { AcceptQuery } from '../schemas/async.ts';
import { NameParams } from '../schemas/functions.ts';

const callHeaders = {
  'x-wafer-invocation': { type: 'string', description: 'Id of the invocation' },
  'x-wafer-start': { type: 'string', enum: ['cold', 'blank', 'warm'] },
  'server-timing': { type: 'string', description: 'Milliseconds of each phase' },
};

const schema = {
  tags: ['calls'],
  operationId: 'invoke',
  summary: 'Call a function with an event and get its value',
  description:
    'The body is JSON of any kind; an empty one is `null`. A CloudEvent, binary or structured, is given to the handler in the JSON format of CloudEvents. Bytes that a handler returns come as they are. `traceparent` and `tracestate` are given to the handler as `context.traceparent` and `context.tracestate`. With `Prefer: respond-async` the call is accepted (202) and runs later; with `Prefer: wait=N` it is accepted, and answered as a call when it ends within N seconds.',
  params: NameParams,
  querystring: AcceptQuery,
  response: {
    202: json('Accepted; with `Prefer`', ref('Accepted')),
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
    const version = await selectVersion(deps.functions, request.params.name, request.query);
    const prefer = readPrefer(request.headers.prefer);
    if (prefer.respondAsync || prefer.wait !== undefined)
      return invokeLater(deps, limits, { request, reply, version, query: request.query, prefer });
    refuseLaterOnly(request.query, request.headers);
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
  const body = eventOf(request, limits);
  const id = String(reply.getHeader('x-wafer-invocation'));
  const signal = callerOfCall(reply);
  const event = { id, trigger: 'invoke', version, request: { kind: 'event', body } } as const;
  const start = { ...event, trace: readTrace(request.headers), acceptedAt, signal };
  const call = await startCall(deps, start);
  const note = createNote(deps.logs, version, id, call.receipt.instanceId);
  return sendAnswer(call, { request, reply, invocationId: id, note, resultBytes: limits.resultBytes });
}
