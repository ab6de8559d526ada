/** What a container said, does and has changed. */
import type { Static } from 'typebox';
import type { LogQuery } from '../../core/containers/types.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { NDJSON_LINES, writeLines } from '../http/lines.ts';
import { readTime } from '../http/stored-lines.ts';
import type { ApiLimits } from '../limits.ts';
import { content, json, list, problems, ref } from '../openapi/docs.ts';
import { ContainerLogsQuery, ContainerParams } from '../schemas/containers.ts';
import { FINDING } from './containers.ts';

const tags = ['containers'];

/** `stopping` aborts when the server closes; streams that follow end then. */
export function containerViewRoutes(app: App, deps: ApiDeps, limits: ApiLimits, stopping: AbortSignal): void {
  logRoute(app, deps, limits, stopping);
  processRoutes(app, deps);
  changesRoute(app, deps);
}

function logRoute(app: App, { containers }: ApiDeps, limits: ApiLimits, stopping: AbortSignal): void {
  app.get(
    '/v1/containers/:ref/logs',
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        operationId: 'containerLogs',
        summary: 'Read or follow what a container printed',
        description: 'One ContainerLogLine a line, oldest first.',
        params: ContainerParams,
        querystring: ContainerLogsQuery,
        response: {
          200: content('The lines', { [NDJSON_LINES.contentType]: ref('ContainerLogLine') }),
          ...problems(...FINDING),
        },
      },
    },
    async ({ params, query }, reply) => {
      await containers.get(params.ref);
      const signal = AbortSignal.any([callerSignal(reply), stopping]);
      reply.header('content-type', NDJSON_LINES.contentType).header('x-accel-buffering', 'no');
      const lines = containers.logs(params.ref, toLogQuery(query, signal));
      reply.send(writeLines(lines, NDJSON_LINES, signal, limits.heartbeatMs));
      // The first line may be far off; the client wants to know now that it is connected.
      if (query.follow === 'true') reply.raw.flushHeaders();
      return reply;
    },
  );
}

function toLogQuery({ follow, since, tail }: Static<typeof ContainerLogsQuery>, signal: AbortSignal): LogQuery {
  return {
    follow: follow === 'true',
    ...(since === undefined ? {} : { since: readTime(since) }),
    ...(tail === undefined ? {} : { tail: Number(tail) }),
    signal,
  };
}

const PROCESS = { pid: 1, parent: 0, uid: 0, cpuMs: 12, memoryBytes: 1_204_224, state: 'S', command: 'sleep 60' };
const STATS = {
  time: 1_763_000_200_000,
  memoryBytes: 1_204_224,
  memoryLimitBytes: null,
  cpuMicros: 12_000,
  pids: 1,
};

function processRoutes(app: App, { containers }: ApiDeps): void {
  app.get(
    '/v1/containers/:ref/top',
    {
      schema: {
        tags,
        operationId: 'containerProcesses',
        summary: 'The processes inside',
        params: ContainerParams,
        response: {
          200: json('The processes', list('processes', 'ContainerProcess'), { processes: [PROCESS] }),
          ...problems(...FINDING, 'engine_failed'),
        },
      },
    },
    async ({ params }) => ({ processes: await containers.top(params.ref) }),
  );

  app.get(
    '/v1/containers/:ref/stats',
    {
      schema: {
        tags,
        operationId: 'containerStats',
        summary: 'What a container takes now',
        params: ContainerParams,
        response: {
          200: json('One measurement', ref('ContainerStats'), STATS),
          ...problems(...FINDING, 'engine_failed'),
        },
      },
    },
    ({ params }) => containers.stats(params.ref),
  );
}

function changesRoute(app: App, { containers }: ApiDeps): void {
  app.get(
    '/v1/containers/:ref/changes',
    {
      schema: {
        tags,
        operationId: 'containerChanges',
        summary: 'Files that differ from the image',
        params: ContainerParams,
        response: {
          200: json('The differences, by path', list('changes', 'ContainerChange'), {
            changes: [{ kind: 'changed', path: '/etc/hosts' }],
          }),
          ...problems(...FINDING, 'image_not_found', 'engine_failed'),
        },
      },
    },
    async ({ params }) => ({ changes: await containers.changes(params.ref) }),
  );
}
