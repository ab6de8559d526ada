/** What makes a container run, stop and stand still. */
import type { TSchema } from 'typebox';
import { WaferError } from '../../core/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { json, problems } from '../openapi/docs.ts';
import { ContainerParams, KillBody, StartBody, StopBody } from '../schemas/containers.ts';
import { aContainer, FINDING } from './containers.ts';

const tags = ['containers'];
const STARTING = ['invalid_json', 'container_start_failed', 'image_not_found', 'engine_failed', 'disk_full'] as const;

const schemaOf = <B extends TSchema>(operationId: string, summary: string, body: B) => ({
  tags,
  operationId,
  summary,
  params: ContainerParams,
  body,
  response: { 200: aContainer('The container'), ...problems(...FINDING, ...STARTING) },
});

const bare = (operationId: string, summary: string) => ({
  tags,
  operationId,
  summary,
  params: ContainerParams,
  response: { 200: aContainer('The container'), ...problems(...FINDING, 'engine_failed') },
});

/** `stopping` aborts when the server closes; who waits is told then. */
export function containerRunRoutes(app: App, deps: ApiDeps, stopping: AbortSignal): void {
  startRoutes(app, deps);
  signalRoutes(app, deps);
  waitRoute(app, deps, stopping);
}

function startRoutes(app: App, { containers }: ApiDeps): void {
  app.post(
    '/v1/containers/:ref/start',
    { schema: schemaOf('startContainer', 'Start a container; answers when its program runs', StartBody) },
    ({ params, body }) => {
      const { rows, columns } = body ?? {};
      const size = rows === undefined || columns === undefined ? undefined : { rows, columns };
      return containers.start(params.ref, size);
    },
  );

  app.post(
    '/v1/containers/:ref/stop',
    { schema: schemaOf('stopContainer', 'Stop signal, and SIGKILL after the grace', StopBody) },
    ({ params, body }) => containers.stop(params.ref, body?.timeoutSeconds),
  );

  app.post(
    '/v1/containers/:ref/restart',
    { schema: schemaOf('restartContainer', 'Stop a container when it runs, and start it', StopBody) },
    ({ params, body }) => containers.restart(params.ref, body?.timeoutSeconds),
  );
}

function signalRoutes(app: App, { containers }: ApiDeps): void {
  app.post(
    '/v1/containers/:ref/pause',
    { schema: bare('pauseContainer', 'Stop every process where it is') },
    ({ params }) => containers.pause(params.ref),
  );

  app.post(
    '/v1/containers/:ref/unpause',
    { schema: bare('unpauseContainer', 'Let the processes go on') },
    ({ params }) => containers.unpause(params.ref),
  );

  app.post(
    '/v1/containers/:ref/kill',
    {
      schema: {
        tags,
        operationId: 'killContainer',
        summary: 'Send a signal to the main program',
        params: ContainerParams,
        body: KillBody,
        response: { 204: { description: 'It was sent' }, ...problems(...FINDING, 'invalid_json', 'engine_failed') },
      },
    },
    async ({ params, body }, reply) => {
      await containers.kill(params.ref, body?.signal ?? 'SIGKILL');
      return reply.code(204).send();
    },
  );
}

function waitRoute(app: App, { containers }: ApiDeps, stopping: AbortSignal): void {
  app.get(
    '/v1/containers/:ref/wait',
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        operationId: 'waitForContainer',
        summary: 'Answers with the exit code when the container does not run any more',
        params: ContainerParams,
        response: {
          200: json('How it ended', { type: 'object', properties: { exitCode: { type: 'integer' } } }, { exitCode: 0 }),
          ...problems(...FINDING),
        },
      },
    },
    async ({ params }, reply) => {
      const signal = AbortSignal.any([callerSignal(reply), stopping]);
      try {
        return { exitCode: await containers.wait(params.ref, signal) };
      } catch (error) {
        if (!stopping.aborted) throw error;
        throw new WaferError('shutting_down', 'Wafer is stopping; the container was still running.', { cause: error });
      }
    },
  );
}
