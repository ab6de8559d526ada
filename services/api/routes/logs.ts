/** What functions printed: by function or by invocation, as NDJSON or server-sent events, once or followed. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { WaferError } from '../../core/errors.ts';
import type { LogQuery, StoredLogLine } from '../../core/invocations/logs.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { type LineFormat, NDJSON_LINES, SSE_LINES, writeLines } from '../http/lines.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, content, problems, ref } from '../openapi/docs.ts';
import { NameParams } from '../schemas/functions.ts';
import { FunctionLogsQuery, InvocationLogsQuery, InvocationParams } from '../schemas/invocations.ts';

const DEFAULT_LIMIT = 1000;

const described = {
  tags: ['invocations'],
  description:
    'One LogLine a line, oldest first; with `Accept: text/event-stream` as server-sent events. `follow=true` goes on until the client leaves. ' +
    'To follow a call that has not ended, use the log of its function with `invocation`.',
};
const lines = content('The lines', {
  [NDJSON_LINES.contentType]: ref('LogLine'),
  [SSE_LINES.contentType]: { type: 'string' },
});

/** `stopping` aborts when the server closes; streams that follow end then. */
export function logRoutes(app: App, deps: ApiDeps, limits: ApiLimits, stopping: AbortSignal): void {
  const answer = (request: FastifyRequest, reply: FastifyReply, query: LogQuery) =>
    sendLines(deps, limits, stopping, request, reply, query);

  app.get(
    '/v1/functions/:name/logs',
    {
      exposeHeadRoute: false,
      schema: {
        ...described,
        operationId: 'functionLogs',
        summary: 'Read or follow the log of a function',
        params: NameParams,
        querystring: FunctionLogsQuery,
        response: { 200: lines, ...problems(...COMMON, 'invalid_name', 'function_not_found') },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      await deps.functions.get(params.name);
      const one = query.invocation === undefined ? {} : { invocationId: query.invocation };
      return answer(request, reply, { functionName: params.name, ...one, ...commonQuery(request) });
    },
  );

  app.get(
    '/v1/invocations/:id/logs',
    {
      exposeHeadRoute: false,
      schema: {
        ...described,
        operationId: 'invocationLogs',
        summary: 'Read or follow the log of an invocation',
        params: InvocationParams,
        querystring: InvocationLogsQuery,
        response: { 200: lines, ...problems(...COMMON, 'invocation_not_found') },
      },
    },
    async (request, reply) => {
      const { functionName } = await deps.invocations.get(request.params.id);
      return answer(request, reply, { functionName, invocationId: request.params.id, ...commonQuery(request) });
    },
  );
}

type LogRequest = FastifyRequest<{ Querystring: Static<typeof InvocationLogsQuery> }>;

/** A browser's EventSource comes back with the id of the last event it saw. */
function commonQuery({ query: { since, limit, after, grep, stream, level }, headers }: LogRequest): LogQuery {
  const last = after ?? headers['last-event-id'];
  return {
    limit: Number(limit ?? DEFAULT_LIMIT),
    ...(since === undefined ? {} : { since: readTime(since) }),
    ...(grep === undefined ? {} : { grep }),
    ...(stream === undefined ? {} : { stream }),
    ...(level === undefined ? {} : { level }),
    ...(typeof last === 'string' ? { after: last } : {}),
  };
}

function readTime(since: string): number {
  const time = /^\d+$/.test(since) ? Number(since) : Date.parse(since);
  if (Number.isFinite(time)) return time;
  throw new WaferError('invalid_request', `query/since is not a time: ${JSON.stringify(since)}.`, {
    details: { path: 'query/since' },
  });
}

async function sendLines(
  { logs }: ApiDeps,
  limits: ApiLimits,
  stopping: AbortSignal,
  request: FastifyRequest,
  reply: FastifyReply,
  query: LogQuery,
): Promise<FastifyReply> {
  const format = pickFormat(request);
  const follow = (request.query as Static<typeof InvocationLogsQuery>).follow === 'true';
  reply.header('content-type', format.contentType).header('x-accel-buffering', 'no');
  if (!follow) return reply.send(Readable.from(formatted(await logs.read(query), format)));
  const signal = AbortSignal.any([callerSignal(reply), stopping]);
  reply.send(writeLines(logs.follow(query, signal), format, signal, limits.heartbeatMs));
  // The first line may be far off; the client wants to know now that it is connected.
  reply.raw.flushHeaders();
  return reply;
}

function* formatted(found: readonly StoredLogLine[], format: LineFormat): Generator<string> {
  for (const line of found) yield format.line(line);
}

const pickFormat = ({ headers }: FastifyRequest): LineFormat =>
  (headers.accept ?? '').toLowerCase().includes('text/event-stream') ? SSE_LINES : NDJSON_LINES;
