/** Webhooks: set up, looked at, tried, delivered again. */
import type { WebhookView } from '../../core/triggers/webhooks/types.ts';
import { detailOfDelivery, viewOfDelivery, viewOfWebhook } from '../../core/triggers/webhooks/view.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import {
  DeliveriesQuery,
  DeliveryParams,
  RedeliverBody,
  RotateBody,
  TestBody,
  WebhookBody,
  WebhookChangesBody,
  WebhookParams,
} from '../schemas/webhooks.ts';

const tags = ['webhooks'];
const ID = 'whk_3m2n7t5v0w4y6z1b01kadr9x3q';
const WEBHOOK = {
  id: ID,
  name: 'github-pushes',
  url: `/hooks/${ID}`,
  functionName: 'hello',
  alias: 'live',
  scheme: 'github',
  settings: {},
  secrets: [{ fingerprint: '3f9a1c0b77de', addedAt: 1_763_000_000_000 }],
  events: ['push', 'pull_request'],
  toleranceMs: 300_000,
  disabled: false,
  createdAt: 1_763_000_000_000,
};
const DELIVERY = {
  id: 'dlv_01kadr9x3q8m2n7t5v0w4y6z1b',
  webhookId: ID,
  webhook: 'github-pushes',
  receivedAt: 1_763_000_200_000,
  verdict: 'accepted',
  deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
  eventType: 'push',
  headers: { 'content-type': 'application/json', 'x-github-event': 'push' },
  bodyBytes: 6_615,
  functionName: 'hello',
  alias: 'live',
  invocations: [{ id: 'inv_01kadr9x3q8m2n7t5v0w4y6z1b', at: 1_763_000_200_004 }],
  pending: 0,
};
const SET_UP_ERRORS = [
  ...COMMON,
  'invalid_name',
  'invalid_json',
  'conflict',
  'function_not_found',
  'alias_not_found',
] as const;
const DAY_MS = 86_400_000;

const setUp = ({ webhook, madeSecret }: { webhook: WebhookView; madeSecret: string | null }) => ({
  webhook: viewOfWebhook(webhook),
  ...(madeSecret !== null && { secret: madeSecret }),
});

export function webhookRoutes(app: App, deps: ApiDeps): void {
  definitionRoutes(app, deps);
  deliveryRoutes(app, deps);
  testRoute(app, deps);
}

function definitionRoutes(app: App, { webhooks }: ApiDeps): void {
  app.post('/v1/webhooks', { schema: createSchema }, async ({ body }, reply) =>
    reply.code(201).send(setUp(await webhooks.create(body))),
  );
  app.get('/v1/webhooks', { schema: listSchema }, async () => ({
    webhooks: (await webhooks.list()).map(viewOfWebhook),
  }));
  app.get('/v1/webhooks/:webhook', { schema: getSchema }, async ({ params }) =>
    viewOfWebhook(await webhooks.get(params.webhook)),
  );
  app.patch('/v1/webhooks/:webhook', { schema: changeSchema }, async ({ params, body }) =>
    setUp(await webhooks.update(params.webhook, body)),
  );
  app.delete('/v1/webhooks/:webhook', { schema: removeSchema }, async ({ params }, reply) => {
    await webhooks.remove(params.webhook);
    return reply.code(204).send();
  });
  app.post('/v1/webhooks/:webhook/rotate', { schema: rotateSchema }, async ({ params, body }) =>
    setUp(
      await webhooks.rotate(params.webhook, {
        keepMs: body.keepMs ?? DAY_MS,
        ...(body.secret !== undefined && { secret: body.secret }),
      }),
    ),
  );
}

function deliveryRoutes(app: App, { webhooks }: ApiDeps): void {
  app.get('/v1/webhooks/:webhook/deliveries', { schema: deliveriesSchema }, async ({ params, query }) => {
    const { verdict, cursor, limit = '50' } = query;
    const page = await webhooks.deliveries(params.webhook, {
      limit: Number(limit),
      ...(cursor !== undefined && { cursor }),
      ...(verdict !== undefined && { verdict }),
    });
    return { deliveries: page.deliveries.map(viewOfDelivery), cursor: page.cursor };
  });
  app.get('/v1/webhooks/:webhook/deliveries/:id', { schema: deliverySchema }, async ({ params }) => {
    const { delivery, body } = await webhooks.delivery(params.webhook, params.id);
    return detailOfDelivery(delivery, body);
  });
  app.post('/v1/webhooks/:webhook/deliveries/:id/redeliver', { schema: againSchema }, async ({ params }, reply) => {
    return reply.code(202).send(viewOfDelivery(await webhooks.redeliver(params.webhook, params.id)));
  });
  app.post('/v1/webhooks/:webhook/redeliver', { schema: rangeSchema }, async ({ params, body }, reply) => {
    const { since, until = Date.now() + 1 } = body;
    return reply.code(202).send(await webhooks.redeliverRange(params.webhook, { since, until }));
  });
}

/** Through the real route, with all that it checks. */
function testRoute(app: App, { webhooks }: ApiDeps): void {
  app.post('/v1/webhooks/:webhook/test', { schema: testSchema }, async ({ params, body }) => {
    const { id } = await webhooks.get(params.webhook);
    const sample = await webhooks.sample(id, body.as);
    const answer = await app.inject({
      method: 'POST',
      url: `/hooks/${id}`,
      headers: sample.headers,
      payload: sample.body,
    });
    return { status: answer.statusCode, answer: answer.json() as unknown, sent: { body: sample.body } };
  });
}

const missing = ['webhook_not_found'] as const;
const webhookAnswer = json('The webhook', ref('Webhook'), WEBHOOK);
const setUpAnswer = json('As it is now', ref('WebhookSetUp'), { webhook: WEBHOOK });

const createSchema = {
  tags,
  operationId: 'createWebhook',
  summary: 'Make a webhook: a URL whose deliveries become invocations of a function',
  description:
    'Secrets are kept in the store of the platform as they are; they are encrypted there when functions have secrets.',
  body: WebhookBody,
  response: {
    201: json('It is there. `secret` is shown only now', ref('WebhookSetUp'), {
      webhook: WEBHOOK,
      secret: 'e0c1…',
    }),
    ...problems(...SET_UP_ERRORS),
  },
};
const listSchema = {
  tags,
  operationId: 'listWebhooks',
  summary: 'List webhooks by name',
  response: { 200: json('All of them', list('webhooks', 'Webhook'), { webhooks: [WEBHOOK] }), ...problems(...COMMON) },
};
const getSchema = {
  tags,
  operationId: 'describeWebhook',
  summary: 'Describe a webhook',
  params: WebhookParams,
  response: { 200: webhookAnswer, ...problems(...COMMON, ...missing) },
};
const changeSchema = {
  tags,
  operationId: 'changeWebhook',
  summary: 'Change a webhook; its URL stays',
  description: 'Another scheme needs another secret. To replace a secret without losing deliveries, rotate it.',
  params: WebhookParams,
  body: WebhookChangesBody,
  response: { 200: setUpAnswer, ...problems(...SET_UP_ERRORS, ...missing) },
};
const rotateSchema = {
  tags,
  operationId: 'rotateWebhookSecret',
  summary: 'Give a webhook another secret; the old ones count for a while more',
  params: WebhookParams,
  body: RotateBody,
  response: { 200: setUpAnswer, ...problems(...COMMON, ...missing, 'invalid_json', 'conflict') },
};
const removeSchema = {
  tags,
  operationId: 'removeWebhook',
  summary: 'Remove a webhook with its deliveries; invocations stay',
  params: WebhookParams,
  response: { 204: { type: 'null', description: 'It is gone' }, ...problems(...COMMON, ...missing) },
};
const deliveriesSchema = {
  tags,
  operationId: 'listDeliveries',
  summary: 'List what came to a webhook, newest first',
  description: 'The newest 1,000 that were taken and 200 others are kept, for 7 days.',
  params: WebhookParams,
  querystring: DeliveriesQuery,
  response: {
    200: json(
      'A page; `cursor` is for the next one, `null` on the last',
      list('deliveries', 'Delivery', { cursor: { type: ['string', 'null'] } }),
      { deliveries: [DELIVERY], cursor: null },
    ),
    ...problems(...COMMON, ...missing),
  },
};
const deliverySchema = {
  tags,
  operationId: 'describeDelivery',
  summary: 'Show a delivery with its headers and its body',
  params: DeliveryParams,
  response: {
    200: json('The delivery', ref('Delivery'), { ...DELIVERY, body: '{}', isBase64: false }),
    ...problems(...COMMON, ...missing, 'delivery_not_found', 'digest_mismatch'),
  },
};
const againSchema = {
  tags,
  operationId: 'redeliver',
  summary: 'Run a delivery once more',
  params: DeliveryParams,
  response: {
    202: json('It is on disk that it runs again', ref('Delivery'), { ...DELIVERY, pending: 1 }),
    ...problems(...COMMON, ...missing, 'delivery_not_found', 'conflict'),
  },
};
const rangeSchema = {
  tags,
  operationId: 'redeliverRange',
  summary: 'Run all deliveries of a time once more, at most 1,000',
  params: WebhookParams,
  body: RedeliverBody,
  response: {
    202: json(
      'So many run again',
      { type: 'object', properties: { redelivered: { type: 'integer' }, isCut: { type: 'boolean' } } },
      { redelivered: 12, isCut: false },
    ),
    ...problems(...COMMON, ...missing, 'invalid_json', 'conflict'),
  },
};
const testSchema = {
  tags,
  operationId: 'testWebhook',
  summary: 'Send a signed sample delivery through the real route',
  params: WebhookParams,
  body: TestBody,
  response: {
    200: json(
      'What its sender would have been answered',
      { type: 'object', properties: { status: { type: 'integer' }, answer: {}, sent: { type: 'object' } } },
      { status: 202, answer: { verdict: 'accepted', delivery: DELIVERY.id }, sent: { body: '{}' } },
    ),
    ...problems(...COMMON, ...missing, 'invalid_json', 'conflict'),
  },
};
