/** Sessions with programs inside: over a WebSocket, or as one request for a program without a terminal. */
import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { Check, Errors } from 'typebox/value';
import type { Session } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { callerSignal } from '../http/caller.ts';
import type { App } from '../http/create-server.ts';
import { NDJSON_LINES } from '../http/lines.ts';
import type { ApiLimits } from '../limits.ts';
import { content, problems, ref } from '../openapi/docs.ts';
import { AttachQuery, ContainerParams, ExecBody, ExecConfigBody } from '../schemas/containers.ts';
import { sendOutput } from '../sessions/exec-lines.ts';
import { parseObject, SUBPROTOCOL } from '../sessions/protocol.ts';
import { type SessionDeps, serveSession } from '../sessions/serve-session.ts';
import { sessionUpgrades } from '../sessions/upgrades.ts';
import { toExecConfig } from './container-config.ts';
import { FINDING } from './containers.ts';

const tags = ['containers'];
const EXEC_BYTES = 2 * 1024 * 1024;
const MAX_MESSAGE = 1024 * 1024;

/** In a scope of its own: nothing else is upgraded. */
export async function containerSessionRoutes(
  app: App,
  deps: ApiDeps,
  limits: ApiLimits,
  stopping: AbortSignal,
): Promise<void> {
  await app.register(websocket, {
    preClose: (done) => done(), // each session ends itself with `stopping`
    errorHandler: (error, socket) => {
      deps.log.debug({ err: error }, 'a session broke off');
      socket.terminate();
    },
    options: {
      // The plugin listens on what it is given, instead of on every upgrade of the server.
      server: sessionUpgrades(app.server) as FastifyInstance['server'],
      maxPayload: MAX_MESSAGE,
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    },
  });
  app.addHook('onResponse', async ({ raw }) => {
    if (raw.headers.upgrade !== undefined) raw.socket.destroySoon();
  });
  const session: SessionDeps = { limits, log: deps.log, stopping };
  attachRoute(app, deps, session);
  execSessionRoute(app, deps, session);
  execRoute(app, deps);
}

const noUpgrade = async () => {
  throw new WaferError('invalid_request', `Sessions are WebSockets with the subprotocol ${SUBPROTOCOL}.`, {
    hint: 'docs/containers.md describes them. POST .../exec runs a program without one.',
  });
};

/** Before the upgrade, so that a refusal is an ordinary answer. */
async function checkClient({ headers, raw }: FastifyRequest): Promise<void> {
  if (raw.headers.upgrade === undefined) return;
  const { origin, host } = headers;
  if (origin !== undefined && hostOf(origin) !== host)
    throw new WaferError('forbidden', 'Web pages from elsewhere get no session.', { details: { origin } });
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
  if (!offered.includes(SUBPROTOCOL)) await noUpgrade();
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

const SESSION_RESPONSES = {
  101: { description: `A WebSocket that speaks ${SUBPROTOCOL}` },
  ...problems(...FINDING, 'forbidden'),
};

function attachRoute(app: App, { containers }: ApiDeps, session: SessionDeps): void {
  app.route({
    method: 'GET',
    url: '/v1/containers/:ref/attach',
    exposeHeadRoute: false,
    preValidation: checkClient,
    schema: {
      tags,
      operationId: 'attachToContainer',
      summary: 'A session with the main program',
      description: `A WebSocket with the subprotocol \`${SUBPROTOCOL}\`; of a container that does not run, with its next run. Leaving it does not end the program.`,
      params: ContainerParams,
      querystring: AttachQuery,
      response: SESSION_RESPONSES,
    },
    // A container that is not there is an ordinary answer too.
    preHandler: async ({ params }) => void (await containers.get(params.ref)),
    handler: noUpgrade,
    wsHandler: (socket, request) => {
      const { ref: name } = request.params as Static<typeof ContainerParams>;
      const query = request.query as Static<typeof AttachQuery>;
      const open = async (): Promise<Session> => {
        const opened = await containers.attach(name, { logs: query.logs === 'true' });
        const { rows, columns } = query;
        if (rows !== undefined && columns !== undefined)
          await opened.resize({ rows: Number(rows), columns: Number(columns) });
        return opened;
      };
      serveSession(socket, { first: null, open }, session);
    },
  });
}

function execSessionRoute(app: App, { containers }: ApiDeps, session: SessionDeps): void {
  app.route({
    method: 'GET',
    url: '/v1/containers/:ref/exec',
    exposeHeadRoute: false,
    preValidation: checkClient,
    schema: {
      tags,
      operationId: 'execSession',
      summary: 'A session with another program in a container that runs',
      description: `A WebSocket with the subprotocol \`${SUBPROTOCOL}\`; the first message is a text message with the ExecConfig as JSON.`,
      params: ContainerParams,
      response: SESSION_RESPONSES,
    },
    preHandler: async ({ params }) => void (await containers.get(params.ref)),
    handler: noUpgrade,
    wsHandler: (socket, request) => {
      const { ref: name } = request.params as Static<typeof ContainerParams>;
      const first = async (message: Buffer, isBinary: boolean) =>
        containers.exec(name, toExecConfig(checkedExec(message, isBinary)));
      serveSession(socket, { first }, session);
    },
  });
}

function checkedExec(message: Buffer, isBinary: boolean): Static<typeof ExecConfigBody> {
  const config = isBinary ? null : parseObject(message);
  if (Check(ExecConfigBody, config)) return config;
  const [first] = [...Errors(ExecConfigBody, config)];
  throw new WaferError(
    'invalid_request',
    `The first message is not an ExecConfig as JSON text: ${first?.instancePath || '/'} ${first?.message ?? ''}.`,
  );
}

function execRoute(app: App, { containers }: ApiDeps): void {
  app.post(
    '/v1/containers/:ref/exec',
    {
      bodyLimit: EXEC_BYTES,
      schema: {
        tags,
        operationId: 'exec',
        summary: 'Run another program in a container that runs, without a terminal',
        description:
          'One ExecEvent a line: pieces of output, and at the end `exit`. Text only; a session carries bytes.',
        params: ContainerParams,
        body: ExecBody,
        response: {
          200: content('What it prints, and how it ended', { [NDJSON_LINES.contentType]: ref('ExecEvent') }),
          ...problems(...FINDING, 'invalid_json', 'payload_too_large', 'container_start_failed', 'engine_failed'),
        },
      },
    },
    async (request, reply) => {
      const { input, ...config } = request.body;
      const signal = callerSignal(reply);
      const session = await containers.exec(
        request.params.ref,
        toExecConfig({ ...config, stdin: input !== undefined }),
      );
      session.stdin?.end(input ?? '');
      reply.header('content-type', NDJSON_LINES.contentType).header('x-accel-buffering', 'no');
      return reply.send(sendOutput(session, signal));
    },
  );
}
