/** What is kept line by line: asked for from a time on or behind a cursor, as NDJSON or server-sent events, once or followed. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import type { ApiLimits } from '../limits.ts';
import { callerSignal } from './caller.ts';
import { type LineFormat, NDJSON_LINES, SSE_LINES, writeLines } from './lines.ts';

const DEFAULT_LIMIT = 1000;

/** Of the query of a route, as its schema has checked it. */
interface Where {
  since?: string | undefined;
  after?: string | undefined;
  limit?: string | undefined;
}

interface StoredLines {
  read(): Promise<readonly object[]>;
  /** Until the signal aborts. */
  follow(signal: AbortSignal): AsyncIterable<object>;
}

/** A browser's EventSource comes back with the id of the last event it saw. @throws WaferError `invalid_request` */
export function readWhere({ since, after, limit }: Where, headers: FastifyRequest['headers']) {
  const last = after ?? headers['last-event-id'];
  return {
    limit: Number(limit ?? DEFAULT_LIMIT),
    ...(since === undefined ? {} : { since: readTime(since) }),
    ...(typeof last === 'string' ? { after: last } : {}),
  };
}

/** Epoch milliseconds, or RFC 3339. @throws WaferError `invalid_request` */
export function readTime(since: string): number {
  const time = /^\d+$/.test(since) ? Number(since) : Date.parse(since);
  if (Number.isFinite(time)) return time;
  throw new WaferError('invalid_request', `query/since is not a time: ${JSON.stringify(since)}.`, {
    details: { path: 'query/since' },
  });
}

/** `stopping` ends what follows, as if the source had ended. */
export async function sendStoredLines(
  request: FastifyRequest,
  reply: FastifyReply,
  { read, follow }: StoredLines,
  { heartbeatMs }: Pick<ApiLimits, 'heartbeatMs'>,
  stopping: AbortSignal,
): Promise<FastifyReply> {
  const format = wantsEvents(request) ? SSE_LINES : NDJSON_LINES;
  reply.header('content-type', format.contentType).header('x-accel-buffering', 'no');
  if ((request.query as { follow?: string }).follow !== 'true')
    return reply.send(Readable.from(formatted(await read(), format)));
  const signal = AbortSignal.any([callerSignal(reply), stopping]);
  reply.send(writeLines(follow(signal), format, signal, heartbeatMs));
  // The first line may be far off; the client wants to know now that it is connected.
  reply.raw.flushHeaders();
  return reply;
}

function* formatted(found: readonly object[], format: LineFormat): Generator<string> {
  for (const line of found) yield format.line(line);
}

const wantsEvents = ({ headers }: FastifyRequest): boolean =>
  (headers.accept ?? '').toLowerCase().includes('text/event-stream');
