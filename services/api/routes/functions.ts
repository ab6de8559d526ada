/** Describe, list, remove; versions and aliases. */

import { checkAlias } from '../../core/functions/names.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { AliasBody, AliasParams, NameParams } from '../schemas/functions.ts';

const tags = ['functions'];
const named = problems(...COMMON, 'invalid_name', 'function_not_found');

export function functionRoutes(app: App, deps: ApiDeps): void {
  readRoutes(app, deps);
  changeRoutes(app, deps);
}

function readRoutes(app: App, { functions }: ApiDeps): void {
  app.get(
    '/v1/functions',
    {
      schema: {
        tags,
        operationId: 'listFunctions',
        summary: 'List the functions',
        response: {
          200: json('All functions', list('functions', 'FunctionRecord'), { functions: [examples.FUNCTION] }),
          ...problems(...COMMON),
        },
      },
    },
    async () => ({ functions: await functions.list() }),
  );

  app.get(
    '/v1/functions/:name',
    {
      schema: {
        tags,
        operationId: 'describeFunction',
        summary: 'Describe a function and its live version',
        params: NameParams,
        response: {
          200: json(
            'The function; `live` is the version its alias `live` names',
            {
              allOf: [
                ref('FunctionRecord'),
                { type: 'object', required: ['live'], properties: { live: ref('FunctionVersion') } },
              ],
            },
            { ...examples.FUNCTION, live: examples.VERSION },
          ),
          ...named,
        },
      },
    },
    async ({ params }) => ({ ...(await functions.get(params.name)), live: await functions.resolve(params.name) }),
  );

  app.get(
    '/v1/functions/:name/versions',
    {
      schema: {
        tags,
        operationId: 'listVersions',
        summary: 'List the versions of a function',
        params: NameParams,
        response: {
          200: json('All versions, with the aliases', versionsSchema, {
            versions: [examples.VERSION],
            aliases: examples.FUNCTION.aliases,
          }),
          ...named,
        },
      },
    },
    async ({ params }) => {
      const { aliases } = await functions.get(params.name);
      return { versions: await functions.versions(params.name), aliases };
    },
  );
}

const versionsSchema = list('versions', 'FunctionVersion', {
  aliases: { type: 'object', additionalProperties: { type: 'integer' } },
});

function changeRoutes(app: App, { functions, deployer }: ApiDeps): void {
  app.delete(
    '/v1/functions/:name',
    {
      schema: {
        tags,
        operationId: 'removeFunction',
        summary: 'Remove a function with all its versions',
        params: NameParams,
        response: { 204: { type: 'null', description: 'Removed; calls in flight finish' }, ...named },
      },
    },
    async ({ params }, reply) => {
      await deployer.remove(params.name);
      return reply.code(204).send(null);
    },
  );

  app.put(
    '/v1/functions/:name/aliases/:alias',
    {
      schema: {
        tags,
        operationId: 'setAlias',
        summary: 'Move an alias to a version (roll back, roll forward)',
        params: AliasParams,
        body: AliasBody,
        response: {
          200: json('The function after the move', ref('FunctionRecord'), examples.FUNCTION),
          ...problems(...COMMON, 'invalid_name', 'invalid_json', 'function_not_found', 'version_not_found'),
        },
      },
    },
    async ({ params, body }) => functions.setAlias(params.name, checkAlias(params.alias), body.version),
  );
}
