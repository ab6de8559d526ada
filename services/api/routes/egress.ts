/** Where functions connected to, or tried to: as NDJSON or server-sent events, once or followed. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { EgressQuery } from '../../core/egress/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { NDJSON_LINES, SSE_LINES, writeLines } from '../http/lines.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, content, problems, ref } from '../openapi/docs.ts';
import { EgressLogQuery } from '../schemas/egress.ts';

const DEFAULT_LIMIT = 1000;

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
      const format = wantsEvents(request) ? SSE_LINES : NDJSON_LINES;
      reply.header('content-type', format.contentType).header('x-accel-buffering', 'no');
      if (request.query.follow !== 'true') {
        const found = await egressLog.read(query);
        return reply.send(Readable.from(found.map((entry) => format.line(entry))));
      }
      return sendFollowed(
        reply,
        (signal) => writeLines(egressLog.follow(query, signal), format, signal, limits.heartbeatMs),
        stopping,
      );
    },
  );
}

function sendFollowed(
  reply: FastifyReply,
  open: (signal: AbortSignal) => Readable,
  stopping: AbortSignal,
): FastifyReply {
  reply.send(open(AbortSignal.any([callerSignal(reply), stopping])));
  // The first entry may be far off; the client wants to know now that it is connected.
  reply.raw.flushHeaders();
  return reply;
}

/** A browser's EventSource comes back with the id of the last event it saw. */
function toQuery({ query, headers }: LogRequest): EgressQuery {
  const { function: functionName, verdict, since, limit, after } = query;
  const last = after ?? headers['last-event-id'];
  return {
    limit: Number(limit ?? DEFAULT_LIMIT),
    ...(functionName === undefined ? {} : { functionName }),
    ...(verdict === undefined ? {} : { verdict }),
    ...(since === undefined ? {} : { since: readTime(since) }),
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

const wantsEvents = ({ headers }: FastifyRequest): boolean =>
  (headers.accept ?? '').toLowerCase().includes('text/event-stream');
