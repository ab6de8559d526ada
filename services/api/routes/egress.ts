/** Where functions connected to, or tried to: as NDJSON or server-sent events, once or followed. */
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { EgressQuery } from '../../core/egress/types.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { NDJSON_LINES, SSE_LINES } from '../http/lines.ts';
import { readWhere, sendStoredLines } from '../http/stored-lines.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, content, problems, ref } from '../openapi/docs.ts';
import { EgressLogQuery } from '../schemas/egress.ts';

type LogRequest = FastifyRequest<{ Querystring: Static<typeof EgressLogQuery> }>;

/** `stopping` aborts when the server closes; streams that follow end then. */
export function egressRoutes(
  app: App,
  { egressLog, functions }: ApiDeps,
  limits: ApiLimits,
  stopping: AbortSignal,
): void {
  app.get(
    '/v1/egress/log',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['functions'],
        operationId: 'egressLog',
        summary: 'Read or follow where functions connected to',
        description:
          'One EgressEntry a line, oldest first, written when a connection ends or is refused; with `Accept: text/event-stream` as server-sent events. `follow=true` goes on until the client leaves.',
        querystring: EgressLogQuery,
        response: {
          200: content('The entries', {
            [NDJSON_LINES.contentType]: ref('EgressEntry'),
            [SSE_LINES.contentType]: { type: 'string' },
          }),
          ...problems(...COMMON, 'function_not_found'),
        },
      },
    },
    async (request, reply) => {
      const query = toQuery(request);
      if (query.functionName !== undefined) await functions.get(query.functionName);
      const entries = {
        read: () => egressLog.read(query),
        follow: (signal: AbortSignal) => egressLog.follow(query, signal),
      };
      return sendStoredLines(request, reply, entries, limits, stopping);
    },
  );
}

function toQuery({ query, headers }: LogRequest): EgressQuery {
  const { function: functionName, verdict } = query;
  return {
    ...readWhere(query, headers),
    ...(functionName === undefined ? {} : { functionName }),
    ...(verdict === undefined ? {} : { verdict }),
  };
}
