/** Names and passwords for registries. A password goes in and never comes out. */
import { WaferError } from '../../core/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, problems } from '../openapi/docs.ts';
import { LoginBody, RegistryParams, SearchQuery } from '../schemas/images.ts';

const tags = ['images'];

export function registryRoutes(app: App, { imageService }: ApiDeps): void {
  const known = { type: 'object', properties: { registries: { type: 'array', items: { type: 'string' } } } };
  app.get(
    '/v1/registries',
    {
      schema: {
        tags,
        operationId: 'listRegistries',
        summary: 'List the registries that Wafer has a password for',
        response: {
          200: json('Their names', known, { registries: ['registry.example:5000'] }),
          ...problems(...COMMON, 'usage'),
        },
      },
    },
    async () => ({ registries: await imageService.registries() }),
  );

  searchRoute(app, imageService);

  app.put(
    '/v1/registries/:registry',
    {
      schema: {
        tags,
        operationId: 'login',
        summary: 'Keep a name and a password for a registry, after it has taken them',
        params: RegistryParams,
        body: LoginBody,
        response: {
          200: json('They are kept', known, { registries: ['registry.example:5000'] }),
          ...problems(...COMMON, 'invalid_name', 'invalid_json', 'registry_denied', 'registry_failed', 'disk_full'),
        },
      },
    },
    async ({ params, body }, reply) => {
      await imageService.login(params.registry, body.username, body.password, callerSignal(reply));
      return { registries: await imageService.registries() };
    },
  );

  app.delete(
    '/v1/registries/:registry',
    {
      schema: {
        tags,
        operationId: 'logout',
        summary: 'Forget the name and the password for a registry',
        params: RegistryParams,
        response: {
          200: json('Those that are left', known, { registries: [] }),
          ...problems(...COMMON, 'invalid_name', 'not_found', 'disk_full'),
        },
      },
    },
    async ({ params: { registry } }) => {
      if (!(await imageService.logout(registry)))
        throw new WaferError('not_found', `There is no password for ${registry}.`);
      return { registries: await imageService.registries() };
    },
  );
}

function searchRoute(app: App, imageService: ApiDeps['imageService']): void {
  const found = {
    type: 'object',
    properties: {
      registry: { type: 'string' },
      repositories: { type: 'array', items: { type: 'string' } },
      isCut: { type: 'boolean', description: 'There may be more than the limit' },
    },
  };
  app.get(
    '/v1/images/search',
    {
      schema: {
        tags,
        operationId: 'searchImages',
        summary: 'Find repositories of a registry by a part of their name',
        querystring: SearchQuery,
        response: {
          200: json('Their names', found, {
            registry: 'registry.example:5000',
            repositories: ['team/app', 'team/app-worker'],
            isCut: false,
          }),
          ...problems(...COMMON, 'invalid_name', 'registry_denied', 'registry_failed'),
        },
      },
    },
    ({ query: { term = '', registry, limit = '100' } }, reply) =>
      imageService.search({
        term,
        limit: Number(limit),
        signal: callerSignal(reply),
        ...(registry === undefined ? {} : { registry }),
      }),
  );
}
