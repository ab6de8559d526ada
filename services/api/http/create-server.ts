/** Fastify and Node's HTTP server with every limit set on purpose. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyBaseLogger, fastify, LogController } from 'fastify';
import type { ApiDeps } from '../deps.ts';
import type { ApiLimits } from '../limits.ts';
import { answerClientError, refuseConnect } from './client-errors.ts';
import { CHECK_OPTIONS, lazyChecks } from './lazy-checks.ts';
import { sendProblem } from './problem.ts';

export type App = ReturnType<typeof createServer>;

export function createServer(deps: ApiDeps, limits: ApiLimits) {
  const app = fastify({
    loggerInstance: deps.log as FastifyBaseLogger,
    // One line a call would cost more than the call; failures are logged in problem.ts.
    // A logger for each request costs as much as routing it, and its lines name route and invocation anyway.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.jsonBytes,
    // Whole requests may take long (uploads, calls); see slow-clients.ts.
    requestTimeout: 0,
    connectionTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    http: {
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.sweepMs,
      maxHeaderSize: limits.headerBytes,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    // Longer than a request line can be: the name's pattern says no, with a better message.
    routerOptions: { maxParamLength: limits.headerBytes },
    // Documentation describes answers; what is sent is what core returned, nothing filtered out.
    schemaController: {
      compilersFactory: { buildValidator: lazyChecks(), buildSerializer: () => () => (data) => JSON.stringify(data) },
    },
    ajv: { customOptions: CHECK_OPTIONS },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, deps.log),
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = limits.connections;
  refuseConnect(app.server);
  return app;
}
