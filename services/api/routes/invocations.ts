/** What was called and how it ended. */

import type { Outcome } from '../../core/invocations/types.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { InvocationParams, InvocationsQuery } from '../schemas/invocations.ts';

const tags = ['invocations'];
const DEFAULT_LIMIT = 50;

export function invocationRoutes(app: App, { invocations }: ApiDeps): void {
  app.get(
    '/v1/invocations',
    {
      schema: {
        tags,
        operationId: 'listInvocations',
        summary: 'List invocations, newest first',
        querystring: InvocationsQuery,
        response: {
          200: json('A page; `cursor` is for the next one, `null` on the last', pageSchema, {
            invocations: [examples.RECORD],
            cursor: null,
          }),
          ...problems(...COMMON),
        },
      },
    },
    async ({ query }) => {
      const page = await invocations.list({
        limit: Number(query.limit ?? DEFAULT_LIMIT),
        ...(query.function === undefined ? {} : { functionName: query.function }),
        ...(query.outcome === undefined ? {} : { outcome: query.outcome as Outcome['kind'] }),
        ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
      });
      return { invocations: page.records, cursor: page.cursor };
    },
  );

  app.get(
    '/v1/invocations/:id',
    {
      schema: {
        tags,
        operationId: 'describeInvocation',
        summary: 'Describe an invocation',
        description: 'There is a record when the call has ended.',
        params: InvocationParams,
        response: {
          200: json('The record', ref('InvocationRecord'), examples.RECORD),
          ...problems(...COMMON, 'invocation_not_found'),
        },
      },
    },
    async ({ params }) => invocations.get(params.id),
  );
}

const pageSchema = list('invocations', 'InvocationRecord', { cursor: { type: ['string', 'null'] } });
