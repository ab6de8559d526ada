/** What functions printed: by function or by invocation, as NDJSON or server-sent events, once or followed. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { LogQuery } from '../../core/invocations/logs.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { NDJSON_LINES, SSE_LINES } from '../http/lines.ts';
import { readWhere, sendStoredLines } from '../http/stored-lines.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, content, problems, ref } from '../openapi/docs.ts';
import { NameParams } from '../schemas/functions.ts';
import { FunctionLogsQuery, InvocationLogsQuery, InvocationParams } from '../schemas/invocations.ts';

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
  const { logs } = deps;
  const answer = (request: FastifyRequest, reply: FastifyReply, query: LogQuery) => {
    const lines = { read: () => logs.read(query), follow: (signal: AbortSignal) => logs.follow(query, signal) };
    return sendStoredLines(request, reply, lines, limits, stopping);
  };

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
      return answer(request, reply, { functionName: params.name, ...one, ...toQuery(request) });
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
      return answer(request, reply, { functionName, invocationId: request.params.id, ...toQuery(request) });
    },
  );
}

function toQuery({ query, headers }: FastifyRequest<{ Querystring: Static<typeof InvocationLogsQuery> }>): LogQuery {
  const { grep, stream, level } = query;
  return {
    ...readWhere(query, headers),
    ...(grep === undefined ? {} : { grep }),
    ...(stream === undefined ? {} : { stream }),
    ...(level === undefined ? {} : { level }),
  };
}
