/** `POST /hooks/{id}`: what senders see. It needs no key; the webhook's scheme says who is believed. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';
import { REFUSALS } from '../../core/triggers/webhooks/schemes/types.ts';
import type { Received, Webhook } from '../../core/triggers/webhooks/types.ts';
import type { ApiDeps } from '../deps.ts';
import { createBodyBudget } from '../http/body-budget.ts';
import type { App } from '../http/create-server.ts';
import type { ApiLimits } from '../limits.ts';
import { createDeliveryMetrics } from '../metrics.ts';
import { content, json, problems } from '../openapi/docs.ts';
import { HookParams } from '../schemas/webhooks.ts';

const tags = ['webhooks'];
const ANSWER = { verdict: 'accepted', delivery: 'dlv_01kadr9x3q8m2n7t5v0w4y6z1b' };
const answerSchema = {
  type: 'object',
  properties: {
    verdict: { type: 'string', enum: ['accepted', 'filtered', 'duplicate'] },
    delivery: { type: 'string', description: 'Of a duplicate: the one that came first' },
  },
};

const receiveSchema = {
  tags,
  operationId: 'receiveDelivery',
  summary: 'Deliver an event to a webhook',
  description:
    'The body is taken byte for byte, of any content type. Answered when it is on disk; it becomes one invocation of the function. What came before under the same name is not run again.',
  params: HookParams,
  response: {
    200: json('It came before, or it was a handshake, which is answered as its scheme has it', answerSchema, {
      ...ANSWER,
      verdict: 'duplicate',
    }),
    202: json('It is on disk', answerSchema, ANSWER),
    ...problems(
      'webhook_not_found',
      'invalid_signature',
      'webhook_disabled',
      'invalid_request',
      'invalid_json',
      'unsupported_media_type',
      'payload_too_large',
      'overloaded',
      'store_unavailable',
      'shutting_down',
      'internal',
    ),
  },
};

const handshakeSchema = {
  tags,
  operationId: 'allowDeliveries',
  summary: 'Ask whether events may be delivered, as CloudEvents have it',
  description:
    'With `WebHook-Request-Origin` the answer allows that origin. `WebHook-Request-Callback` is never called.',
  params: HookParams,
  response: {
    200: content('They may', { 'text/plain': { type: 'string', examples: [''] } }),
    ...problems('webhook_not_found', 'store_unavailable', 'shutting_down', 'internal'),
  },
};

const lookSchema = {
  tags,
  operationId: 'lookAtWebhook',
  summary: 'Say that a webhook is there',
  description: 'Some senders ask with GET or HEAD before they take a URL. Nothing is delivered by it.',
  params: HookParams,
  response: {
    200: content('It is', { 'text/plain': { type: 'string', examples: ['Senders of events POST here.\n'] } }),
    ...problems('webhook_not_found', 'store_unavailable', 'shutting_down', 'internal'),
  },
};

/** In a scope of its own: bodies stay as bytes here. */
export async function hookRoutes(app: App, { webhooks, telemetry }: ApiDeps, limits: ApiLimits): Promise<void> {
  const metrics = createDeliveryMetrics(telemetry.registry);
  app.removeAllContentTypeParsers();
  const budget = createBodyBudget({ bodyBytes: limits.invokeBytes, allBytes: limits.hookBytesAtOnce });
  app.addContentTypeParser('*', budget.read);
  const found = new WeakMap<FastifyRequest, Webhook>();
  /** Before the body is read: nobody gets 6 MiB into memory with a URL that does not exist. */
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    budget.watch(request, reply);
    found.set(request, await webhooks.find((request.params as { id: string }).id));
  };
  const webhookOf = (request: FastifyRequest): Webhook => {
    const webhook = found.get(request);
    if (webhook === undefined) throw new Error('a webhook is looked for before its handler runs');
    return webhook;
  };
  app.post(
    '/hooks/:id',
    {
      schema: receiveSchema,
      onRequest,
      config: {
        open: true,
        anyEncoding: true,
        bodyDocs: { content: { '*/*': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } } },
      },
    },
    async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const received = await webhooks.receive(webhookOf(request), { headers: headersOf(request), body });
      metrics.count(received.verdict);
      return answer(reply, received);
    },
  );
  app.get('/hooks/:id', { schema: lookSchema, onRequest, config: { open: true } }, async (_request, reply) =>
    reply
      .header('allow', ALLOWED)
      .header('content-type', 'text/plain; charset=utf-8')
      .send('Senders of events POST here.\n'),
  );
  app.options('/hooks/:id', { schema: handshakeSchema, onRequest, config: { open: true } }, async (request, reply) =>
    answerHandshake(request, reply),
  );
}

const ALLOWED = 'POST, GET, HEAD, OPTIONS';

/** A host name, as the specification of web hooks has it; some send a whole origin. */
const ORIGIN = /^(?:https?:\/\/)?[A-Za-z0-9.:_-]{1,253}$/;

function answerHandshake({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const origin = headers['webhook-request-origin'];
  reply.header('allow', ALLOWED).header('content-type', 'text/plain; charset=utf-8');
  if (typeof origin === 'string' && ORIGIN.test(origin)) {
    reply.header('webhook-allowed-origin', origin);
    if (headers['webhook-request-rate'] !== undefined) reply.header('webhook-allowed-rate', '*');
  }
  return reply.code(200).send('');
}

function answer(reply: FastifyReply, received: Received): FastifyReply {
  const { verdict } = received;
  if (verdict === 'accepted' || verdict === 'filtered') return reply.code(202).send(received);
  if (verdict === 'duplicate') return reply.code(200).send(received);
  if (verdict === 'handshake') return reply.code(200).header('content-type', received.contentType).send(received.body);
  if (verdict === 'invalid_body') throw received.error;
  if (verdict === 'disabled') {
    throw new WaferError('webhook_disabled', 'This webhook is disabled; the delivery was not taken.', {
      hint: 'Whoever runs this platform can enable it: wafer webhook enable NAME.',
    });
  }
  if (verdict === 'too_many_refused') {
    throw new WaferError('overloaded', 'Too many deliveries without a valid signature came here lately.', {
      details: { retryAfterMs: received.retryAfterMs },
    });
  }
  const { status, text } = REFUSALS[verdict];
  throw new WaferError(status === 401 ? 'invalid_signature' : 'invalid_request', text, { details: { verdict } });
}

const headersOf = ({ headers }: FastifyRequest): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [value].flat().join(', ')]],
    ),
  );
