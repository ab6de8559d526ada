/** What goes in and out of callbacks: deliveries, and the secret that they are signed with. */
import { Type } from 'typebox';
import { DELIVERY_STATES, TARGETS } from '../../core/triggers/callbacks/types.ts';
import { InvocationParams } from './invocations.ts';
import { literals, optionalBody, time } from './shapes.ts';

export const CallbackParams = Type.Object({
  ...InvocationParams.properties,
  target: literals(TARGETS, { description: 'Which of the deliveries' }),
});

const DAY_MS = 86_400_000;

export const RotateBody = optionalBody({
  keepMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 30 * DAY_MS,
      default: DAY_MS,
      description: 'How long the present one, and those before it, sign beside the new one at most',
    }),
  ),
});

const Attempt = Type.Object({
  at: time('When it began'),
  durationMs: Type.Number(),
  status: Type.Optional(Type.Integer({ description: 'HTTP status of the answer' })),
  error: Type.Optional(Type.String({ description: 'Why it did not work' })),
  code: Type.Optional(Type.String({ description: 'Of a function that could not be started, like `chain_too_deep`' })),
});

export const CallbackDelivery = Type.Object({
  target: literals(TARGETS),
  kind: literals(['url', 'function']),
  to: Type.String({ description: 'The URL, or the name of the function' }),
  messageId: Type.String({ description: '`webhook-id`: the same in every attempt' }),
  state: literals(DELIVERY_STATES, { description: '`gone`: the receiver answered 410, and gets nothing for a day' }),
  attempts: Type.Array(Attempt, { description: 'The latest, oldest first' }),
  tries: Type.Integer({ description: 'Attempts since it was last sent by hand, or ever' }),
  next: Type.Optional(time('When it is tried')),
  invocation: Type.Optional(Type.String({ description: 'That it started' })),
});

export const CallbackSecrets = Type.Object({
  secret: Type.String({ description: 'Signs every callback, as Standard Webhooks say' }),
  previous: Type.Array(Type.Object({ secret: Type.String(), until: time('It signs, too, until') })),
});

export const CALLBACK_COMPONENTS = { CallbackDelivery, CallbackSecrets };
