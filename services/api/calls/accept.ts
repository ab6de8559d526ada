/** From a request to an accepted invocation, for every route that accepts. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { acceptOptions } from '../../core/invocations/durable/options.ts';
import type { Accepted, AcceptRequest, DurableTrigger } from '../../core/invocations/durable/types.ts';
import type { ApiDeps } from '../deps.ts';
import type { AcceptQuery } from '../schemas/async.ts';

const MAX_DELAY_MS = 366 * 24 * 3_600_000;
/** With a zone: without one it would be another time on another machine. */
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const MAX_KEY = 255;
const MAX_URL = 2_048;

export interface AcceptInput {
  version: FunctionVersion;
  trigger: DurableTrigger;
  body: Buffer;
  query: AcceptQuery;
  headers: FastifyRequest['headers'];
}

/** @throws WaferError `invalid_request` naming the parameter */
export function toAcceptRequest({ version, trigger, body, query, headers }: AcceptInput): AcceptRequest {
  const runAt = readRunAt(query);
  const idempotencyKey = keyOf(headers);
  const callbackUrl = headerOf(headers, 'x-callback-url');
  return {
    functionName: version.functionName,
    version: version.number,
    trigger,
    depth: 0,
    body,
    contentType: 'application/json',
    ...acceptOptions(version),
    ...(runAt !== undefined && { runAt }),
    ...(query.priority !== undefined && { priority: Number(query.priority) }),
    ...(query.key !== undefined && { concurrencyKey: query.key }),
    // Schedules and chains have keys of their own.
    ...(idempotencyKey !== undefined && { idempotencyKey: `by-caller:${idempotencyKey}` }),
    ...(callbackUrl !== undefined && { callbackUrl }),
  };
}

/** The `Idempotency-Key`, if there is one. @throws WaferError `invalid_request` */
export const keyOf = (headers: FastifyRequest['headers']) => headerOf(headers, 'idempotency-key');

/** 202 with where to look; the same for one that was accepted before. */
export function sendAccepted(reply: FastifyReply, { kind, id }: Accepted): FastifyReply {
  return reply
    .code(202)
    .headers({ location: `/v1/invocations/${id}`, 'x-wafer-invocation': id, 'x-call-id': id })
    .send({ id, state: kind === 'repeated' ? 'repeated' : 'accepted', url: `/v1/invocations/${id}` });
}

export async function accept({ durable, telemetry }: ApiDeps, request: AcceptRequest): Promise<Accepted> {
  try {
    return await durable.accept(request);
  } catch (error) {
    if (error instanceof WaferError) telemetry.refused(error.code);
    throw error;
  }
}

/** Before anything is accepted. @throws WaferError `invalid_request` */
export async function checkCallback({ callbacks }: ApiDeps, headers: FastifyRequest['headers']): Promise<void> {
  const url = headerOf(headers, 'x-callback-url');
  if (url !== undefined) await callbacks.assertUrl(url);
}

function readRunAt({ delayMs, runAt }: AcceptQuery): number | undefined {
  if (delayMs !== undefined && runAt !== undefined)
    throw wrong('runAt', 'Give query/delayMs or query/runAt, not both.');
  const now = Date.now();
  if (delayMs !== undefined) {
    if (Number(delayMs) > MAX_DELAY_MS) throw wrong('delayMs', 'query/delayMs is more than a year.');
    return now + Number(delayMs);
  }
  if (runAt === undefined) return undefined;
  const at = /^\d+$/.test(runAt) ? Number(runAt) : RFC3339.test(runAt) ? Date.parse(runAt) : Number.NaN;
  if (Number.isNaN(at)) throw wrong('runAt', 'query/runAt is not a time: epoch ms, or RFC 3339 with a time zone.');
  if (at > now + MAX_DELAY_MS) throw wrong('runAt', 'query/runAt is more than a year away.');
  // What is over is now: a record says when it could run.
  return Math.max(at, now);
}

function headerOf(headers: FastifyRequest['headers'], name: string): string | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  const text = Array.isArray(value) ? value.join(',') : value;
  const most = name === 'x-callback-url' ? MAX_URL : MAX_KEY;
  if (text.length > 0 && text.length <= most) return text;
  throw new WaferError('invalid_request', `The header ${name} must have 1 to ${most} characters.`, {
    details: { path: `header/${name}` },
  });
}

const wrong = (name: string, message: string) =>
  new WaferError('invalid_request', message, { details: { path: `query/${name}` } });
