/** The whole HTTP service, in the order in which it is put together. Knows core's interfaces only. */
import type { FastifyInstance } from 'fastify';
import { WaferError } from '../core/errors.ts';
import type { ApiDeps } from './deps.ts';
import { createKeyCheck, requireKey } from './http/auth.ts';
import { refuseEncoding } from './http/body.ts';
import { type App, createServer } from './http/create-server.ts';
import { createRouteMissing } from './http/methods.ts';
import { sendProblem } from './http/problem.ts';
import { createSlowClientGuard } from './http/slow-clients.ts';
import { API_LIMITS, type ApiLimits } from './limits.ts';
import { createRequestMetrics } from './metrics.ts';
import { registerOpenApi } from './openapi/register.ts';
import { againRoutes } from './routes/again.ts';
import { asyncRoutes } from './routes/async.ts';
import { bodyRoutes } from './routes/bodies.ts';
import { callbackRoutes } from './routes/callbacks.ts';
import { containerFileRoutes } from './routes/container-files.ts';
import { containerRunRoutes } from './routes/container-runs.ts';
import { containerSessionRoutes } from './routes/container-sessions.ts';
import { containerViewRoutes } from './routes/container-views.ts';
import { containerRoutes } from './routes/containers.ts';
import { deployRoutes } from './routes/deploy.ts';
import { distributionRoutes } from './routes/distribution.ts';
import { egressRoutes } from './routes/egress.ts';
import { explainRoutes } from './routes/explain.ts';
import { functionRoutes } from './routes/functions.ts';
import { homeRoutes } from './routes/home.ts';
import { hookRoutes } from './routes/hooks.ts';
import { httpFunctionRoutes } from './routes/http-function.ts';
import { imageBuildRoutes } from './routes/image-build.ts';
import { imageTransferRoutes } from './routes/image-transfers.ts';
import { imageRoutes } from './routes/images.ts';
import { invocationRoutes } from './routes/invocations.ts';
import { invokeRoutes } from './routes/invoke.ts';
import { logRoutes } from './routes/logs.ts';
import { platformRoutes } from './routes/platform.ts';
import { registryRoutes } from './routes/registries.ts';
import { scheduleRoutes } from './routes/schedules.ts';
import { secretRoutes, secretValueRoutes } from './routes/secrets.ts';
import { volumeRoutes } from './routes/volumes.ts';
import { webhookRoutes } from './routes/webhooks.ts';

/** `close()` lets calls in flight finish, refuses new ones, and ends streams that follow a log. */
export function buildApp(deps: ApiDeps): FastifyInstance {
  const limits: ApiLimits = { ...API_LIMITS, ...deps.limits };
  const stopping = new AbortController();
  const app = createServer(deps, limits);
  addHooks(app, deps, limits, stopping);
  addErrors(app);
  const routes = async (scope: App) => {
    homeRoutes(scope, deps.version);
    functionRoutes(scope, deps);
    explainRoutes(scope, deps);
    scope.register((inner) => deployRoutes(inner, deps, limits));
    scope.register((inner) => imageBuildRoutes(inner, deps, limits));
    scope.register((inner) => invokeRoutes(inner, deps, limits));
    scope.register((inner) => asyncRoutes(inner, deps, limits));
    scope.register((inner) => bodyRoutes(inner, deps, limits));
    scope.register((inner) => httpFunctionRoutes(inner, deps, limits));
    invocationRoutes(scope, deps);
    callbackRoutes(scope, deps);
    scheduleRoutes(scope, deps);
    againRoutes(scope, deps);
    webhookRoutes(scope, deps);
    secretRoutes(scope, deps);
    scope.register((inner) => secretValueRoutes(inner, deps));
    scope.register((inner) => hookRoutes(inner, deps, limits));
    logRoutes(scope, deps, limits, stopping.signal);
    egressRoutes(scope, deps, limits, stopping.signal);
    imageRoutes(scope, deps);
    scope.register((inner) => imageTransferRoutes(inner, deps));
    registryRoutes(scope, deps);
    scope.register((inner) => distributionRoutes(inner, deps));
    containerRoutes(scope, deps);
    containerRunRoutes(scope, deps, stopping.signal);
    containerViewRoutes(scope, deps, limits, stopping.signal);
    scope.register((inner) => containerFileRoutes(inner, deps));
    scope.register((inner) => volumeRoutes(inner, deps));
    scope.register((inner) => containerSessionRoutes(inner, deps, limits, stopping.signal));
    platformRoutes(scope, deps);
  };
  app.register(async (scope) => {
    await registerOpenApi(scope as unknown as FastifyInstance, deps.version);
    await routes(scope);
  });
  return app as unknown as FastifyInstance;
}

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

/** On every request, before anything else, in this order. A function's own answer carries only its own headers. */
function addHooks(app: App, deps: ApiDeps, limits: ApiLimits, stopping: AbortController): void {
  const guard = createSlowClientGuard(limits, deps.log);
  const metrics = createRequestMetrics(deps.telemetry.registry);
  const check = createKeyCheck(deps.adminKey);
  app.addHook('onRequest', (request, reply, done) => {
    const { config, url } = request.routeOptions;
    const begun = performance.now();
    guard.watch(request.raw, reply.raw, config.rawBody === true);
    reply.raw.once('close', () => {
      const status = reply.raw.writableFinished ? reply.raw.statusCode : 499;
      metrics.observe(request.method, url ?? 'none', status, (performance.now() - begun) / 1000);
    });
    reply.headers(SECURITY_HEADERS);
    if (stopping.signal.aborted) throw new WaferError('shutting_down', 'Wafer is stopping and takes no more requests.');
    requireKey(check, request);
    if (config.rawBody !== true && config.anyEncoding !== true) refuseEncoding(request.headers['content-encoding']);
    done();
  });
  app.addHook('preClose', async () => stopping.abort());
  app.addHook('onClose', async () => guard.close());
}

function addErrors(app: App): void {
  const routeMissing = createRouteMissing(app as unknown as FastifyInstance);
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof WaferError && error.code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
    return sendProblem(error, request, reply);
  });
  app.setNotFoundHandler((request, reply) => {
    const { error, allow } = routeMissing(request);
    if (allow !== '') reply.header('allow', allow);
    return sendProblem(error, request, reply);
  });
  app.removeContentTypeParser('text/plain');
}
