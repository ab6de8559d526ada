/** Images, instances, health, metrics, and the document that describes it all. */

import { isOnlyBuildCache } from '../../core/images/reserved.ts';
import type { Image } from '../../core/images/types.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, content, json, list, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';

const tags = ['platform'];

export function platformRoutes(app: App, deps: ApiDeps): void {
  inventoryRoutes(app, deps);
  healthRoutes(app, deps);
  documentRoutes(app, deps);
}

function inventoryRoutes(app: App, { images, dispatcher }: ApiDeps): void {
  const usage = { type: 'object', additionalProperties: { type: 'integer' }, description: 'Of the whole store' };
  app.get(
    '/v1/images',
    {
      schema: {
        tags: ['images'],
        operationId: 'listImages',
        summary: 'List the images and their layers',
        response: {
          200: json('All images, bottom layer first', list('images', 'ImageSummary', { usage }), {
            images: [examples.IMAGE],
            usage: { blobsBytes: 61_300_000, layers: 12, images: 9 },
          }),
          ...problems(...COMMON),
        },
      },
    },
    async () => ({
      images: summarise((await images.list()).filter((image) => !isOnlyBuildCache(image))),
      usage: await images.usage(),
    }),
  );

  app.get(
    '/v1/instances',
    {
      schema: {
        tags,
        operationId: 'listInstances',
        summary: 'List the instances',
        response: {
          200: json(
            'All instances, and what is kept ready for first calls',
            list('instances', 'InstanceInfo', { blanks: { type: 'array', items: ref('BlankInfo') } }),
            {
              instances: [examples.INSTANCE],
              blanks: [{ base: 'node24', runtime: 'node', volumes: 0, egress: false, ready: 2, booting: 0 }],
            },
          ),
          ...problems(...COMMON, 'engine_failed'),
        },
      },
    },
    async () => ({ instances: await dispatcher.instances(), blanks: dispatcher.blanks() }),
  );
}

function summarise(images: readonly Image[]): object[] {
  const uses = new Map<string, number>();
  for (const { diffId } of images.flatMap(({ layers }) => layers)) uses.set(diffId, (uses.get(diffId) ?? 0) + 1);
  return images.map(({ digest, tags: names, layers }) => ({
    digest,
    tags: names,
    bytes: layers.reduce((sum, { blob }) => sum + blob.size, 0),
    layers: layers.map(({ diffId, blob, createdBy, createdAt }) => ({
      diffId,
      bytes: blob.size,
      createdBy,
      createdAt,
      sharedBy: uses.get(diffId) ?? 0,
    })),
  }));
}

const open = { config: { open: true } };

function healthRoutes(app: App, { ready, telemetry }: ApiDeps): void {
  app.get(
    '/healthz',
    {
      ...open,
      schema: {
        tags,
        operationId: 'healthz',
        summary: 'Is the process alive',
        response: {
          200: json('It is', { type: 'object', properties: { ok: { const: true } } }, { ok: true }),
          ...problems('internal'),
        },
      },
    },
    async () => ({ ok: true }),
  );

  app.get(
    '/readyz',
    {
      ...open,
      schema: {
        tags,
        operationId: 'readyz',
        summary: 'Can it take calls',
        response: {
          200: json('It can', ref('Readiness'), examples.READY),
          503: json('It can not; the checks say why', ref('Readiness'), {
            ok: false,
            checks: [{ name: 'redis', ok: false, message: 'Redis can not be reached.' }],
          }),
          ...problems('internal'),
        },
      },
    },
    async (_request, reply) => {
      const result = await ready();
      return reply.code(result.ok ? 200 : 503).send(result);
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        tags,
        operationId: 'metrics',
        summary: 'Metrics in the text format of Prometheus',
        response: { 200: content('All metrics', { 'text/plain': { type: 'string' } }), ...problems(...COMMON) },
      },
    },
    async (_request, reply) => reply.header('content-type', telemetry.contentType).send(await telemetry.text()),
  );
}

function documentRoutes(app: App, _deps: ApiDeps): void {
  app.get(
    '/openapi.json',
    {
      ...open,
      schema: {
        tags,
        operationId: 'openapi',
        summary: 'This document',
        response: { 200: json('OpenAPI 3.1', { type: 'object' }), ...problems('internal') },
      },
    },
    async () => app.swagger(),
  );
}
