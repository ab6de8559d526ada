/** `ANY /fn/{name}/{path}`: the whole HTTP request goes to the function, streamed both ways. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { newInvocationId } from '../../core/ids.ts';
import type { HttpRequestHead } from '../../core/invocations/types.ts';
import { sendAnswer } from '../calls/answer.ts';
import { requestHeaders } from '../calls/headers.ts';
import { createNote } from '../calls/note.ts';
import { startCall } from '../calls/start-call.ts';
import type { ApiDeps } from '../deps.ts';
import { detachedBody, hasBody } from '../http/body.ts';
import { callerOfCall } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { CALL_ERRORS, COMMON, problems } from '../openapi/docs.ts';
import { NameParams } from '../schemas/functions.ts';

/** What goes on to functions. TRACE would echo, CONNECT would tunnel. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

const anything = { '*/*': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } };
const bodyDocs = { content: anything };

const schema = {
  tags: ['calls'],
  summary: 'Hand a whole HTTP request to a function',
  description:
    'Method, path, query, headers and body reach the handler, and its status, headers and body come back, both streamed. ' +
    'It needs the key like every route; `Authorization`, connection headers and `X-Forwarded-*` of the caller do not reach the function.',
  params: NameParams,
  response: {
    200: { description: "The function's answer; its status is the function's choice", content: anything },
    ...problems(...COMMON, ...CALL_ERRORS, 'invalid_name', 'unsupported_media_type'),
  },
};
const withPath = {
  ...schema,
  params: {
    ...NameParams,
    properties: { ...NameParams.properties, '*': { type: 'string', description: 'Path as the function sees it' } },
  },
};

/** In a scope of its own: bodies are not parsed here. */
export async function httpFunctionRoutes(app: App, deps: ApiDeps, limits: ApiLimits): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  const options = {
    config: { rawBody: true },
    onRequest: (_request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      reply.header('x-wafer-invocation', newInvocationId());
      done();
    },
    handler: (request: FastifyRequest, reply: FastifyReply) => handle(deps, limits, request, reply),
  };
  for (const [url, described] of [
    ['/fn/:name', schema],
    ['/fn/:name/*', withPath],
  ] as const) {
    // One route a method, so that only those with a body document one.
    for (const method of METHODS) {
      const bodied = method !== 'GET' && method !== 'HEAD';
      app.route({
        ...options,
        exposeHeadRoute: false,
        method,
        url,
        schema: { ...described, operationId: `${method.toLowerCase()}${described === schema ? 'Root' : 'Path'}` },
        config: bodied ? { rawBody: true, bodyDocs } : options.config,
      });
    }
  }
}

async function handle(
  deps: ApiDeps,
  limits: ApiLimits,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const acceptedAt = performance.now();
  const { name } = request.params as Static<typeof NameParams>;
  const id = String(reply.getHeader('x-wafer-invocation'));
  const signal = callerOfCall(reply);
  const version = await deps.functions.resolve(name);
  const head = requestHead(request, id);
  const body = hasBody(request.raw) ? detachedBody(request.raw) : null;
  // What the function did not read is read away, or the connection could not be used again.
  const dropRest = () => void body?.destroy();
  const start = { id, trigger: 'http', version, request: { kind: 'http', head, body }, acceptedAt, signal } as const;
  const call = await startCall(deps, start).catch((error: unknown) => {
    dropRest();
    throw error;
  });
  void call.done.then(dropRest);
  const note = createNote(deps.logs, version, id, call.receipt.instanceId);
  return sendAnswer(call, { request, reply, invocationId: id, note, resultBytes: limits.resultBytes });
}

/** Path and query are passed as they came, not decoded: what `%2F` means is the function's choice. */
function requestHead({ method, raw }: FastifyRequest, id: string): HttpRequestHead {
  // The absolute form is for proxies, but servers have to take it (RFC 9112, 3.2.2).
  const url = (raw.url ?? '/').replace(/^[a-z]+:\/\/[^/?]*/i, '');
  const mark = url.indexOf('?');
  const full = mark === -1 ? url : url.slice(0, mark);
  const query = mark === -1 ? '' : url.slice(mark + 1);
  const below = full.indexOf('/', '/fn/'.length);
  return { method, path: below === -1 ? '/' : full.slice(below), query, headers: requestHeaders(raw, id) };
}
