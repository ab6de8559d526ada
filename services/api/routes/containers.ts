/** Containers as things: list, create, describe, rename, remove. */
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import {
  ContainerParams,
  CreateContainer,
  ListContainersQuery,
  RemoveContainerQuery,
  RenameBody,
} from '../schemas/containers.ts';
import { toContainerConfig } from './container-config.ts';

const tags = ['containers'];
export const FINDING = [...COMMON, 'container_not_found', 'conflict'] as const;
export const aContainer = (description: string) => json(description, ref('Container'), examples.CONTAINER);
/** Arguments and environment of a program; see core's check. */
const CONFIG_BYTES = 1024 * 1024;

export function containerRoutes(app: App, deps: ApiDeps): void {
  readRoutes(app, deps);
  createRoute(app, deps);
  changeRoutes(app, deps);
}

function readRoutes(app: App, { containers }: ApiDeps): void {
  app.get(
    '/v1/containers',
    {
      schema: {
        tags,
        operationId: 'listContainers',
        summary: 'List containers that run, or all, newest first',
        querystring: ListContainersQuery,
        response: {
          200: json('The containers', list('containers', 'Container'), { containers: [examples.CONTAINER] }),
          ...problems(...COMMON),
        },
      },
    },
    async ({ query }) => ({ containers: await containers.list({ all: query.all === 'true' }) }),
  );

  app.get(
    '/v1/containers/:ref',
    {
      schema: {
        tags,
        operationId: 'inspectContainer',
        summary: 'Describe a container',
        params: ContainerParams,
        response: { 200: aContainer('The container'), ...problems(...FINDING) },
      },
    },
    ({ params }) => containers.get(params.ref),
  );
}

function createRoute(app: App, { containers }: ApiDeps): void {
  app.post(
    '/v1/containers',
    {
      bodyLimit: CONFIG_BYTES,
      schema: {
        tags,
        operationId: 'createContainer',
        summary: 'Make a container of an image; nothing runs yet',
        body: CreateContainer,
        response: {
          201: aContainer('The container'),
          ...problems(
            ...COMMON,
            'invalid_json',
            'invalid_name',
            'image_not_found',
            'conflict',
            'payload_too_large',
            'disk_full',
          ),
        },
      },
    },
    async ({ body: { name, ...config } }, reply) =>
      reply.code(201).send(await containers.create(toContainerConfig(config), name)),
  );
}

function changeRoutes(app: App, { containers }: ApiDeps): void {
  app.delete(
    '/v1/containers/:ref',
    {
      schema: {
        tags,
        operationId: 'removeContainer',
        summary: 'Remove a container with its writable layer, log and anonymous volumes',
        params: ContainerParams,
        querystring: RemoveContainerQuery,
        response: { 204: { description: 'It is gone' }, ...problems(...FINDING, 'engine_failed') },
      },
    },
    async ({ params, query }, reply) => {
      await containers.remove(params.ref, { force: query.force === 'true' });
      return reply.code(204).send();
    },
  );

  app.post(
    '/v1/containers/:ref/rename',
    {
      schema: {
        tags,
        operationId: 'renameContainer',
        summary: 'Give a container another name',
        params: ContainerParams,
        body: RenameBody,
        response: {
          200: aContainer('The container'),
          ...problems(...FINDING, 'invalid_json', 'invalid_name', 'disk_full'),
        },
      },
    },
    ({ params, body }) => containers.rename(params.ref, body.name),
  );

  app.post(
    '/v1/containers/prune',
    {
      schema: {
        tags,
        operationId: 'pruneContainers',
        summary: 'Remove every container that does not run',
        response: {
          200: json(
            'What went',
            { type: 'object', properties: { removed: { type: 'array', items: { type: 'string' } } } },
            { removed: [examples.CONTAINER.id] },
          ),
          ...problems(...COMMON, 'engine_failed'),
        },
      },
    },
    () => containers.prune(),
  );
}
