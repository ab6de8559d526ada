/** Dead letters, and running once more what was accepted before. */

import type { AgainOptions } from '../../core/invocations/durable/again.ts';
import { acceptOptions } from '../../core/invocations/durable/options.ts';
import type { DurableRecord } from '../../core/invocations/durable/types.ts';
import { viewOfDurable } from '../../core/invocations/view.ts';
import { keyOf, sendAccepted } from '../calls/accept.ts';
import { getAccepted } from '../calls/get-accepted.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { DeadLettersQuery, Redrive, ReplayBody } from '../schemas/async.ts';
import { InvocationParams } from '../schemas/invocations.ts';

const tags = ['invocations'];
const MAX_AT_ONCE = 1_000;
const AGAIN_ERRORS = [
  ...COMMON,
  'invocation_not_found',
  'function_not_found',
  'version_not_found',
  'conflict',
  'overloaded',
] as const;

export function againRoutes(app: App, deps: ApiDeps): void {
  const { durable, again, functions } = deps;
  const options: AgainOptions['options'] = async (functionName, version) =>
    acceptOptions(await functions.resolve(functionName, { version }));
  app.post('/v1/invocations/:id/replay', { schema: replaySchema }, async ({ params, body, headers }, reply) => {
    const version = body?.version;
    await getAccepted(deps, params.id);
    const idempotencyKey = keyOf(headers);
    const chosen = {
      ...(version !== undefined && { version }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
    return sendAccepted(reply, await again.replay(params.id, { options, ...chosen }));
  });
  app.get('/v1/dead-letters', { schema: deadSchema }, async ({ query }) => {
    const page = await durable.list({
      dead: true,
      limit: Number(query.limit ?? 50),
      ...(query.function !== undefined && { functionName: query.function }),
      ...(query.cursor !== undefined && { before: query.cursor }),
    });
    return { invocations: page.records.map((one) => viewOfDurable(one, Date.now())), cursor: page.cursor };
  });
  app.post('/v1/dead-letters/redrive', { schema: redriveSchema }, async ({ body }) => {
    const redriven = await again.redrive(await chosen(deps, body), { options });
    return { redriven };
  });
  app.post('/v1/dead-letters/purge', { schema: purgeSchema }, async ({ body }) => {
    const records = await chosen(deps, body);
    await again.bury(records);
    return { purged: records.map(({ id }) => id) };
  });
}

/** Those that are named, or all of a function, or all; at most a thousand in one request. */
async function chosen({ durable }: ApiDeps, { ids, function: functionName }: Redrive): Promise<DurableRecord[]> {
  if (ids !== undefined) return Promise.all(ids.map((id) => durable.get(id)));
  const page = await durable.list({
    dead: true,
    limit: MAX_AT_ONCE,
    ...(functionName !== undefined && { functionName }),
  });
  return page.records;
}

const replaySchema = {
  tags,
  operationId: 'replayInvocation',
  summary: 'Run the stored request again, as an invocation of its own',
  description: '`Idempotency-Key`: the same key and version are one invocation for 24 hours.',
  params: InvocationParams,
  body: ReplayBody,
  response: { 202: json('Accepted', ref('Accepted')), ...problems(...AGAIN_ERRORS) },
};

const deadSchema = {
  tags,
  operationId: 'listDeadLetters',
  summary: 'List what failed or expired, the latest first',
  querystring: DeadLettersQuery,
  response: {
    200: json(
      'A page; `cursor` is for the next one',
      list('invocations', 'Invocation', { cursor: { type: ['string', 'null'] } }),
      {
        invocations: [examples.INVOCATION],
        cursor: null,
      },
    ),
    ...problems(...COMMON),
  },
};

const redriveSchema = {
  tags,
  operationId: 'redriveDeadLetters',
  summary: 'Run dead letters again: those of `ids`, of `function`, or all; at most 1,000',
  body: Redrive,
  response: { 200: json('What each runs as now', ref('Redriven')), ...problems(...AGAIN_ERRORS) },
};

const purgeSchema = {
  tags,
  operationId: 'purgeDeadLetters',
  summary: 'Take dead letters off the list; their records stay as long as all others',
  body: Redrive,
  response: { 200: json('What is off the list', ref('Purged')), ...problems(...AGAIN_ERRORS) },
};
