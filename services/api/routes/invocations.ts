/** What was called or accepted, and how it ended. */
import type { FastifyReply } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import type { DurableState } from '../../core/invocations/durable/types.ts';
import { createHistory } from '../../core/invocations/history.ts';
import type { Outcome } from '../../core/invocations/types.ts';
import { viewOfDurable } from '../../core/invocations/view.ts';
import { getAccepted } from '../calls/get-accepted.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { InvocationParams, InvocationsQuery } from '../schemas/invocations.ts';

const tags = ['invocations'];
const DEFAULT_LIMIT = 50;

export function invocationRoutes(app: App, deps: ApiDeps): void {
  const history = createHistory(deps.invocations, deps.durable);
  app.get('/v1/invocations', { schema: listSchema }, async ({ query }) =>
    history.list({
      limit: Number(query.limit ?? DEFAULT_LIMIT),
      ...(query.function !== undefined && { functionName: query.function }),
      ...(query.state !== undefined && { state: query.state as DurableState }),
      ...(query.outcome !== undefined && { outcome: query.outcome as Outcome['kind'] }),
      ...(query.cursor !== undefined && { cursor: query.cursor }),
    }),
  );
  app.get('/v1/invocations/:id', { schema: oneSchema }, async ({ params }) => history.get(params.id));
  app.delete('/v1/invocations/:id', { schema: cancelSchema }, async ({ params }) => {
    await getAccepted(deps, params.id);
    return viewOfDurable(await deps.durable.cancel(params.id, 'It was cancelled by a request.'), Date.now());
  });
  for (const part of ['result', 'request'] as const) {
    app.get(`/v1/invocations/:id/${part}`, { schema: bodySchema(part) }, async ({ params }, reply) =>
      sendBody(deps, reply, params.id, part),
    );
  }
}

async function sendBody(
  deps: ApiDeps,
  reply: FastifyReply,
  id: string,
  part: 'result' | 'request',
): Promise<FastifyReply> {
  const record = await getAccepted(deps, id);
  const stored = record[part];
  if (stored === undefined) {
    throw new WaferError('conflict', `${id} is ${record.state} and has no result.`, {
      hint: 'A result is there when it has succeeded.',
    });
  }
  const bytes = await deps.durable.readBody(record, part === 'result' ? 'result' : 'event');
  // A function says what its result is; a browser must not act on it.
  return reply.headers({ 'content-type': stored.contentType, 'content-disposition': 'attachment' }).send(bytes);
}

const pageSchema = list('invocations', 'Invocation', { cursor: { type: ['string', 'null'] } });

const listSchema = {
  tags,
  operationId: 'listInvocations',
  summary: 'List invocations, newest first',
  querystring: InvocationsQuery,
  response: {
    200: json('A page, which may be short; `cursor` is for the next one, `null` on the last', pageSchema, {
      invocations: [examples.INVOCATION],
      cursor: null,
    }),
    ...problems(...COMMON),
  },
};

const oneSchema = {
  tags,
  operationId: 'describeInvocation',
  summary: 'Describe an invocation',
  description: 'Of an accepted one from the first moment; of a call when it has ended.',
  params: InvocationParams,
  response: {
    200: json('The invocation', ref('Invocation'), examples.INVOCATION),
    ...problems(...COMMON, 'invocation_not_found'),
  },
};

const cancelSchema = {
  tags,
  operationId: 'cancelInvocation',
  summary: 'Cancel an accepted invocation',
  description: 'One that waits never runs; one that runs is asked to stop. One that has ended stays as it is.',
  params: InvocationParams,
  response: {
    200: json('The invocation as it is now', ref('Invocation')),
    ...problems(...COMMON, 'invocation_not_found', 'conflict'),
  },
};

const bodySchema = (part: 'result' | 'request') => ({
  tags,
  operationId: part === 'result' ? 'readResult' : 'readRequest',
  summary: `The ${part} of an accepted invocation, as bytes`,
  params: InvocationParams,
  response: {
    200: {
      description: `The ${part}`,
      content: { '*/*': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } },
    },
    ...problems(...COMMON, 'invocation_not_found', 'conflict'),
  },
});
