/** One image: inspect, tag, remove; and the store as a whole: prune, usage. */
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, problems, ref } from '../openapi/docs.ts';
import * as examples from '../openapi/examples.ts';
import { ImageParams, PruneBody, TagBody, TreeQuery } from '../schemas/images.ts';

const tags = ['images'];
const FINDING = [...COMMON, 'image_not_found', 'conflict', 'digest_mismatch'] as const;
const integer = { type: 'integer' };
const names = { type: 'array', items: { type: 'string' } };

export function imageRoutes(app: App, deps: ApiDeps): void {
  readRoutes(app, deps);
  changeRoutes(app, deps);
  pruneRoute(app, deps);
}

function readRoutes(app: App, { imageService }: ApiDeps): void {
  app.get(
    '/v1/images/df',
    {
      schema: {
        tags,
        operationId: 'imageUsage',
        summary: 'What images take on disk, shared and unique',
        response: { 200: json('The store', ref('StoreUsage'), examples.STORE_USAGE), ...problems(...COMMON) },
      },
    },
    () => imageService.usage(),
  );

  app.get(
    '/v1/images/tree',
    {
      schema: {
        tags,
        operationId: 'imageTree',
        summary: 'Which images and functions stand on which layers',
        querystring: TreeQuery,
        response: { 200: json('The tree', ref('ImageTree'), examples.IMAGE_TREE), ...problems(...FINDING) },
      },
    },
    ({ query }) => imageService.tree(query.image),
  );

  app.get(
    '/v1/images/:ref',
    {
      schema: {
        tags,
        operationId: 'inspectImage',
        summary: 'Describe an image: config, layers with their parents, history',
        params: ImageParams,
        response: { 200: json('The image', ref('ImageDetail'), examples.IMAGE_DETAIL), ...problems(...FINDING) },
      },
    },
    ({ params }) => imageService.inspect(params.ref),
  );
}

function changeRoutes(app: App, { imageService }: ApiDeps): void {
  app.post(
    '/v1/images/:ref/tag',
    {
      schema: {
        tags,
        operationId: 'tagImage',
        summary: 'Give an image another name; one that has it loses it',
        params: ImageParams,
        body: TagBody,
        response: {
          200: json('The image', ref('ImageDetail'), examples.IMAGE_DETAIL),
          ...problems(...FINDING, 'invalid_name', 'invalid_json', 'disk_full'),
        },
      },
    },
    ({ params, body }) => imageService.tag(params.ref, body.tag),
  );

  const removed = {
    type: 'object',
    properties: {
      untagged: names,
      removed: {
        type: ['string', 'null'],
        description: 'Digest of the image; null when it has other names, or is in use',
      },
      layers: integer,
      bytes: integer,
    },
  };
  app.delete(
    '/v1/images/:ref',
    {
      schema: {
        tags,
        operationId: 'removeImage',
        summary: 'Remove a name; the image goes with its last one. By digest all names go',
        params: ImageParams,
        response: {
          200: json('What went', removed, {
            untagged: ['registry.example:5000/team/app:v1'],
            removed: examples.IMAGE_DETAIL.digest,
            layers: 1,
            bytes: 61_202_000,
          }),
          ...problems(...FINDING),
        },
      },
    },
    ({ params }) => imageService.remove(params.ref),
  );
}

function pruneRoute(app: App, { imageService }: ApiDeps): void {
  const pruned = { type: 'object', properties: { untagged: names, images: integer, layers: integer, bytes: integer } };
  app.post(
    '/v1/images/prune',
    {
      schema: {
        tags,
        operationId: 'pruneImages',
        summary: 'Remove what nothing refers to',
        body: PruneBody,
        response: {
          200: json('What went', pruned, { untagged: [], images: 2, layers: 3, bytes: 1_204_301 }),
          ...problems(...COMMON, 'invalid_json', 'digest_mismatch'),
        },
      },
    },
    ({ body: { all = false, buildCache = false } }) => imageService.prune({ all, buildCache }),
  );
}
