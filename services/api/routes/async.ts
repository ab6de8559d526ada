/** Calls that are accepted first: one, or many. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toProblem } from '../../core/errors.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { accept, checkCallback, keyOf, sendAccepted, toAcceptRequest } from '../calls/accept.ts';
import { eventOf, eventsOf, requireJson } from '../calls/event.ts';
import { selectVersion } from '../calls/select-version.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { COMMON, json, problems, ref } from '../openapi/docs.ts';
import { AcceptQuery } from '../schemas/async.ts';
import { NameParams } from '../schemas/functions.ts';

const tags = ['calls'];
const ACCEPT_ERRORS = [
  ...COMMON,
  'function_not_found',
  'version_not_found',
  'alias_not_found',
  'invalid_name',
  'invalid_json',
  'payload_too_large',
  'unsupported_media_type',
  'overloaded',
  'idempotency_conflict',
] as const;
const ACCEPTED = {
  id: 'inv_01m7xr2fq4s4x1ew1pga6576t1',
  state: 'accepted',
  url: '/v1/invocations/inv_01m7xr2fq4s4x1ew1pga6576t1',
};

const oneSchema = {
  tags,
  operationId: 'invokeAsync',
  summary: 'Accept a call that runs later',
  description:
    'Answered when the call is on disk; from then on it runs to one outcome, whatever crashes. A CloudEvent comes as with `invoke`. The same as `invoke` with `Prefer: respond-async`. `Idempotency-Key`: the same key and body are one call for 24 hours.',
  params: NameParams,
  querystring: AcceptQuery,
  response: { 202: json('Accepted', ref('Accepted'), ACCEPTED), ...problems(...ACCEPT_ERRORS) },
};

const batchSchema = {
  tags,
  operationId: 'invokeBatch',
  summary: 'Accept up to 1,000 calls, each with an id of its own',
  description:
    'The body is a list of events, or a batch of CloudEvents. Each is accepted or refused for itself. `Idempotency-Key`: of the whole list, each event by its place.',
  params: NameParams,
  querystring: AcceptQuery,
  response: {
    202: json('What became of each event, in their order', ref('BatchAnswer'), {
      accepted: 1,
      refused: 0,
      results: [ACCEPTED],
    }),
    ...problems(...ACCEPT_ERRORS),
  },
};

const bodyDocs = (description: string) => ({ content: { 'application/json': { schema: { description } } } });

/** In a scope of its own: bodies stay as bytes here. */
export async function asyncRoutes(app: App, deps: ApiDeps, limits: ApiLimits): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const options = {
    bodyLimit: limits.invokeBytes,
    onRequest: async (request: FastifyRequest) => requireJson(request),
  };
  app.post(
    '/v1/functions/:name/async',
    { ...options, schema: oneSchema, config: { bodyDocs: bodyDocs('Any JSON value') } },
    async (request, reply) => {
      const version = await selectVersion(deps.functions, request.params.name, request.query);
      return acceptOne(deps, limits, { request, reply, version, query: request.query });
    },
  );
  app.post(
    '/v1/functions/:name/batch',
    { ...options, schema: batchSchema, config: { bodyDocs: bodyDocs('A list of events') } },
    async (request, reply) => {
      const version = await selectVersion(deps.functions, request.params.name, request.query);
      const events = eventsOf(request, limits);
      const { query, headers } = request;
      await checkCallback(deps, headers);
      const single = { ...headers, 'idempotency-key': undefined };
      const key = keyOf(headers);
      const requests = events.map((event, at) => ({
        ...toAcceptRequest({ version, trigger: 'batch', body: event, query, headers: single }),
        ...(key !== undefined && { idempotencyKey: `by-caller:${key}\n${at}` }),
      }));
      const answers = await deps.durable.acceptAll(requests);
      const results = answers.map((answer) =>
        answer.kind === 'refused'
          ? { state: 'refused', error: toProblem(answer.error) }
          : { id: answer.id, state: answer.kind, url: `/v1/invocations/${answer.id}` },
      );
      const refused = answers.filter(({ kind }) => kind === 'refused').length;
      return reply.code(202).send({ accepted: answers.length - refused, refused, results });
    },
  );
}

interface AcceptOne {
  request: FastifyRequest;
  reply: FastifyReply;
  version: FunctionVersion;
  query: AcceptQuery;
}

async function acceptOne(deps: ApiDeps, limits: ApiLimits, { request, reply, version, query }: AcceptOne) {
  const body = eventOf(request, limits);
  const { headers } = request;
  await checkCallback(deps, headers);
  return sendAccepted(reply, await accept(deps, toAcceptRequest({ version, trigger: 'async', body, query, headers })));
}
