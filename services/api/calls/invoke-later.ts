/** `invoke` with `Prefer`: accepted first, and answered as a call when it ends soon enough. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { FINAL_STATES } from '../../core/invocations/durable/types.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { ApiLimits } from '../limits.ts';
import type { AcceptQuery } from '../schemas/async.ts';
import { accept, checkCallback, sendAccepted, toAcceptRequest } from './accept.ts';
import { failureError } from './answer.ts';
import { eventOf } from './event.ts';
import { appliedPrefer, type Preference } from './prefer.ts';

export interface LaterCall {
  request: FastifyRequest;
  reply: FastifyReply;
  version: FunctionVersion;
  query: AcceptQuery;
  prefer: Preference;
}

/** @throws WaferError with the code of the guest's failure when it failed while somebody waited */
export async function invokeLater(
  deps: ApiDeps,
  limits: ApiLimits,
  { request, reply, version, query, prefer }: LaterCall,
): Promise<FastifyReply> {
  const body = eventOf(request, limits);
  const { headers } = request;
  await checkCallback(deps, headers);
  const accepted = await accept(deps, toAcceptRequest({ version, trigger: 'async', body, query, headers }));
  reply.header('preference-applied', appliedPrefer(prefer));
  if (prefer.wait === undefined || prefer.wait === 0) return sendAccepted(reply, accepted);
  const record = await deps.durable.wait(accepted.id, prefer.wait * 1000, callerSignal(reply));
  if (!FINAL_STATES.includes(record.state)) return sendAccepted(reply, accepted);
  reply.header('x-wafer-invocation', record.id).header('location', `/v1/invocations/${record.id}`);
  if (record.outcome !== undefined && record.outcome.kind !== 'ok') throw failureError(record.outcome);
  const bytes = await deps.durable.readBody(record, 'result');
  return reply.header('content-type', record.result?.contentType ?? 'application/json').send(bytes);
}

/** A call that is answered at once has no later. @throws WaferError `invalid_request` */
export function refuseLaterOnly(query: AcceptQuery, headers: FastifyRequest['headers']): void {
  if (headers['x-callback-url'] !== undefined) {
    throw new WaferError('invalid_request', 'The header x-callback-url is for calls that run later.', {
      hint: 'Send `Prefer: respond-async`, or POST to .../async.',
      details: { path: 'header/x-callback-url' },
    });
  }
  for (const name of ['delayMs', 'runAt', 'priority', 'key'] as const) {
    if (query[name] === undefined) continue;
    throw new WaferError('invalid_request', `query/${name} is for calls that run later.`, {
      hint: 'Send `Prefer: respond-async`, or POST to .../async.',
      details: { path: `query/${name}` },
    });
  }
}
