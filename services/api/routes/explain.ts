/** `GET /v1/functions/{name}/explain`: where the time of a function's starts goes, and what would help. */
import { explain } from '../../core/invocations/explain.ts';
import { createHistory } from '../../core/invocations/history.ts';
import { selectVersion } from '../calls/select-version.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { NameParams } from '../schemas/functions.ts';
import { InvokeQuery } from '../schemas/invocations.ts';

/** The newest calls and accepted invocations that are looked at; calls that waited for a start are kept beside them. */
const NEWEST = 500;

export function explainRoutes(app: App, deps: ApiDeps): void {
  const { dispatcher, invocations } = deps;
  const history = createHistory(invocations, deps.durable);
  app.get(
    '/v1/functions/:name/explain',
    {
      schema: {
        tags: ['functions'],
        operationId: 'explainFunction',
        summary: 'Explain where the time of its calls goes',
        description:
          'From the receipts of the newest 500 invocations of the function, called or accepted (of their last attempt), ' +
          'and of the newest 100 calls that waited for a start: ' +
          'how many of each kind, the time of each phase, and advice that rests on what was seen.',
        params: NameParams,
        querystring: InvokeQuery,
        response: {
          200: json('What was seen of the version, and what would help', ref('Explanation'), examples.EXPLANATION),
          ...problems(...COMMON, 'invalid_name', 'function_not_found', 'version_not_found', 'alias_not_found'),
        },
      },
    },
    async ({ params: { name }, query }) => {
      const version = await selectVersion(deps.functions, name, query);
      const [starts, { invocations: newest }, facts] = await Promise.all([
        invocations.starts(name),
        history.list({ functionName: name, limit: NEWEST }),
        dispatcher.startFacts(version),
      ]);
      return explain({ version, starts, newest, facts });
    },
  );
}
