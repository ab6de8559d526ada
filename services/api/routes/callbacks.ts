/** What follows accepted invocations: deliveries of callbacks and chains, and the secret that signs them. */
import type { DeliveryTarget } from '../../core/triggers/callbacks/types.ts';
import { getAccepted } from '../calls/get-accepted.ts';
import type { ApiDeps } from '../deps.ts';
import type { App } from '../http/create-server.ts';
import { COMMON, json, list, problems, ref } from '../openapi/docs.ts';
import { CallbackParams, RotateBody } from '../schemas/callbacks.ts';
import { InvocationParams } from '../schemas/invocations.ts';

const tags = ['invocations'];
const DAY_MS = 86_400_000;
const DELIVERY = {
  target: 'callback',
  kind: 'url',
  to: 'https://shop.example/hooks/wafer',
  messageId: 'msg_01m7xr2fq4s4x1ew1pga6576t1_callback',
  state: 'pending',
  attempts: [{ at: 1_763_000_000_000, durationMs: 41, status: 503 }],
  tries: 1,
  next: 1_763_000_005_000,
};
const SECRETS = { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', previous: [] };

export function callbackRoutes(app: App, deps: ApiDeps): void {
  const { callbacks } = deps;
  app.get('/v1/invocations/:id/deliveries', { schema: listSchema }, async ({ params }) => {
    await getAccepted(deps, params.id);
    return { deliveries: await callbacks.deliveries(params.id) };
  });
  app.post(
    '/v1/invocations/:id/deliveries/:target/redeliver',
    { schema: redeliverSchema },
    async ({ params }, reply) => {
      await getAccepted(deps, params.id);
      return reply.code(202).send(await callbacks.redeliver(params.id, params.target as DeliveryTarget));
    },
  );
  app.get('/v1/callbacks/secret', { schema: secretSchema }, async () => callbacks.secrets());
  app.post('/v1/callbacks/secret/rotate', { schema: rotateSchema }, async ({ body }) =>
    callbacks.rotate(body?.keepMs ?? DAY_MS),
  );
}

const listSchema = {
  tags,
  operationId: 'listCallbackDeliveries',
  summary: 'What follows an invocation, and how far that is',
  description:
    'Of one that has ended: its `X-Callback-Url`, and `onSuccess` or `onFailure` of its version. None before the end.',
  params: InvocationParams,
  response: {
    200: json('At most three', list('deliveries', 'CallbackDelivery'), { deliveries: [DELIVERY] }),
    ...problems(...COMMON, 'invocation_not_found', 'conflict'),
  },
};

const redeliverSchema = {
  tags,
  operationId: 'redeliverCallback',
  summary: 'Deliver once more, now, under the same webhook-id',
  description: 'Also to a receiver that answered 410. A function that has started is not started again.',
  params: CallbackParams,
  response: {
    202: json('The delivery, which is due', ref('CallbackDelivery'), DELIVERY),
    ...problems(...COMMON, 'invocation_not_found', 'delivery_not_found', 'conflict'),
  },
};

const secretSchema = {
  tags,
  operationId: 'readCallbackSecret',
  summary: 'The secret that receivers check signatures of callbacks with',
  response: { 200: json('The secret', ref('CallbackSecrets'), SECRETS), ...problems(...COMMON) },
};

const rotateSchema = {
  tags,
  operationId: 'rotateCallbackSecret',
  summary: 'Sign with a new secret, and with the present one for a while',
  body: RotateBody,
  response: { 200: json('The new secret', ref('CallbackSecrets'), SECRETS), ...problems(...COMMON, 'invalid_json') },
};
