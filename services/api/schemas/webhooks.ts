/** What goes in and out of webhooks. */
import { type Static, Type } from 'typebox';
import { NAME_PATTERN } from '../../core/functions/schema.ts';
import { ALGORITHMS, ENCODINGS, SCHEMES } from '../../core/triggers/webhooks/schemes/types.ts';
import { SAMPLE_SENDERS, VERDICTS } from '../../core/triggers/webhooks/types.ts';
import { literals, Strings, strict, time, whole } from './shapes.ts';

const REF = '^([a-z0-9][a-z0-9-]{0,62}|whk_[0-9a-z]{26})$';
const header = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 64, description }));

export const HookParams = Type.Object({ id: Type.String({ description: 'Id of the webhook' }) });

export const WebhookParams = Type.Object({
  webhook: Type.String({ pattern: REF, description: 'Name or id of the webhook' }),
});

export const DeliveryParams = Type.Object({
  webhook: Type.String({ pattern: REF, description: 'Name or id of the webhook' }),
  id: Type.String({ pattern: '^dlv_[0-9a-z]{26}$', description: 'Id of the delivery' }),
});

export const SchemeSettings = Type.Object(
  {
    header: header(
      'Header of the signature; default `x-signature` (hmac), `x-signature-ed25519`, `authorization` (bearer)',
    ),
    algorithm: Type.Optional(literals(ALGORITHMS, { description: 'Of hmac; default sha256' })),
    encoding: Type.Optional(literals(ENCODINGS, { description: 'Of the signature; default hex' })),
    prefix: Type.Optional(Type.String({ maxLength: 64, description: 'Text before the signature, e.g. `sha256=`' })),
    signed: Type.Optional(
      Type.String({
        maxLength: 200,
        description:
          'What is signed: `{body}` once, `{timestamp}` and `{id}`; default `{body}` or `{timestamp}.{body}`',
      }),
    ),
    timestampHeader: header('Header of the time stamp in Unix seconds, which is signed, too'),
    idHeader: header('Header that names the delivery: replays are told by it'),
    typeHeader: header('Header with the type of the event; default the field `type` of a JSON body'),
  },
  strict,
);

const fields = {
  functionName: Type.String({ pattern: NAME_PATTERN, description: 'Function that gets the events' }),
  alias: Type.String({ pattern: NAME_PATTERN, description: 'Its alias; default `live`' }),
  scheme: literals(SCHEMES, { description: 'How its sender proves that a delivery is its own' }),
  settings: SchemeSettings,
  secret: Type.String({
    minLength: 1,
    maxLength: 2_000,
    description: 'Absent: one is made, where the sender does not make it. A public key for ed25519',
  }),
  events: Type.Array(Type.String({ minLength: 1, maxLength: 129 }), {
    maxItems: 100,
    description: 'Types of events that become invocations: `push`, `invoice.*`; none: all',
  }),
  toleranceMs: Type.Integer({
    minimum: 1_000,
    maximum: 86_400_000,
    description: 'How old or how far in the future a time stamp may be; default 300000',
  }),
  disabled: Type.Boolean({ description: 'Deliveries are refused with 403' }),
};

export const WebhookBody = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200, description: 'Name of the webhook' }),
    functionName: fields.functionName,
    scheme: fields.scheme,
    alias: Type.Optional(fields.alias),
    settings: Type.Optional(fields.settings),
    secret: Type.Optional(fields.secret),
    events: Type.Optional(fields.events),
    toleranceMs: Type.Optional(fields.toleranceMs),
    disabled: Type.Optional(fields.disabled),
  },
  strict,
);
export type WebhookBody = Static<typeof WebhookBody>;

export const WebhookChangesBody = Type.Partial(Type.Object(fields), { ...strict, minProperties: 1 });
export type WebhookChangesBody = Static<typeof WebhookChangesBody>;

export const RotateBody = Type.Object(
  {
    secret: Type.Optional(fields.secret),
    keepMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 30 * 86_400_000, description: 'The old ones count so long; default a day' }),
    ),
  },
  strict,
);

export const TestBody = Type.Object(
  {
    as: Type.Optional(
      literals(SAMPLE_SENDERS, { description: "Whose event; default that of the webhook's scheme, else `standard`" }),
    ),
  },
  strict,
);

export const RedeliverBody = Type.Object(
  {
    since: Type.Integer({ minimum: 0, description: 'Received from this time on, epoch ms' }),
    until: Type.Optional(Type.Integer({ minimum: 0, description: 'And before this one; default now' })),
  },
  strict,
);

export const DeliveriesQuery = Type.Object(
  {
    verdict: Type.Optional(literals(VERDICTS, { description: 'Only those with this verdict' })),
    limit: Type.Optional(whole(3, 'On a page: 1 to 999, default 50')),
    cursor: Type.Optional(Type.String({ maxLength: 64, description: '`cursor` of the page before' })),
  },
  strict,
);

export const Webhook = Type.Object({
  id: Type.String(),
  name: Type.String(),
  url: Type.String({ description: 'Path of its URL: what the sender is given, below the address of the platform' }),
  functionName: Type.String(),
  alias: Type.String(),
  scheme: literals(SCHEMES),
  settings: SchemeSettings,
  secrets: Type.Array(
    Type.Object({
      fingerprint: Type.String({ description: 'First 12 digits of the SHA-256 of the secret' }),
      addedAt: time('Time it was added'),
      expiresAt: Type.Optional(time('Until then it counts')),
    }),
  ),
  events: Type.Array(Type.String()),
  toleranceMs: Type.Integer(),
  disabled: Type.Boolean(),
  createdAt: time('Time it was made'),
});

export const WebhookSetUp = Type.Object({
  webhook: Type.Unsafe({ $ref: 'Webhook#' }),
  secret: Type.Optional(Type.String({ description: 'Of one that was made here; it is shown only now' })),
});

export const Delivery = Type.Object({
  id: Type.String(),
  webhookId: Type.String(),
  webhook: Type.String(),
  receivedAt: time('Time it came'),
  verdict: literals(VERDICTS),
  first: Type.Optional(Type.String({ description: 'Of a duplicate: the delivery that came first' })),
  deliveryId: Type.Optional(Type.String({ description: 'As its sender names it' })),
  eventType: Type.Optional(Type.String()),
  headers: Strings,
  bodyBytes: Type.Integer(),
  functionName: Type.String(),
  alias: Type.String(),
  invocations: Type.Array(Type.Object({ id: Type.String(), at: time('Time it was accepted') })),
  pending: Type.Integer({ description: 'Invocations that are still to come' }),
  error: Type.Optional(Type.String({ description: 'Why it has not become an invocation yet' })),
  body: Type.Optional(Type.String({ description: 'Of a single delivery; base64 when `isBase64`' })),
  isBase64: Type.Optional(Type.Boolean()),
});

export const WEBHOOK_COMPONENTS = { Webhook, WebhookSetUp, Delivery };
