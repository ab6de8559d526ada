/** What goes in and out of invocations that are accepted first. */
import { type Static, Type } from 'typebox';
import { NAME_PATTERN } from '../../core/functions/schema.ts';
import { literals, optionalBody, strict, whole } from './shapes.ts';

const acceptQuery = {
  alias: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Alias to call; default `live`' })),
  version: Type.Optional(whole(9, 'Version to call; not together with `alias`')),
  delayMs: Type.Optional(
    Type.String({
      pattern: '^(0|[1-9][0-9]{0,10})$',
      description: 'Not before so many milliseconds from now; a year at most',
    }),
  ),
  runAt: Type.Optional(
    Type.String({ maxLength: 40, description: 'Not before: epoch ms, or RFC 3339 with a time zone' }),
  ),
  priority: Type.Optional(Type.String({ pattern: '^[0-9]$', description: '0 (first) to 9; default 5' })),
  key: Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'Calls with the same key share `concurrencyPerKey`' }),
  ),
};

export const AcceptQuery = Type.Object(acceptQuery, strict);
export type AcceptQuery = Static<typeof AcceptQuery>;

export const BatchAnswer = Type.Object({
  accepted: Type.Integer(),
  refused: Type.Integer(),
  results: Type.Array(
    Type.Object({
      id: Type.Optional(Type.String()),
      state: literals(['accepted', 'repeated', 'refused']),
      url: Type.Optional(Type.String()),
      error: Type.Optional(Type.Unsafe({ $ref: 'Problem#' })),
    }),
  ),
});

export const Accepted = Type.Object({
  id: Type.String(),
  state: Type.Union([Type.Literal('accepted'), Type.Literal('repeated')], {
    description: '`repeated`: the same Idempotency-Key and body were accepted before',
  }),
  url: Type.String({ description: 'Where its record is' }),
});

const InvocationId = Type.String({ pattern: '^inv_[0-9a-z]{26}$' });

export const ReplayBody = optionalBody({
  version: Type.Optional(Type.Integer({ minimum: 1, description: 'Another version than then' })),
});

export const DeadLettersQuery = Type.Object(
  {
    function: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Only those of this function' })),
    limit: Type.Optional(whole(3, 'On a page: 1 to 999, default 50')),
    cursor: Type.Optional(Type.String({ maxLength: 64, description: '`cursor` of the page before' })),
  },
  strict,
);

export const Redrive = Type.Object(
  {
    ids: Type.Optional(Type.Array(InvocationId, { minItems: 1, maxItems: 1_000 })),
    function: Type.Optional(Type.String({ pattern: NAME_PATTERN })),
  },
  strict,
);
export type Redrive = Static<typeof Redrive>;

export const Redriven = Type.Object({
  redriven: Type.Array(Type.Object({ id: Type.String(), again: Type.String({ description: 'The new invocation' }) })),
});

export const Purged = Type.Object({ purged: Type.Array(Type.String()) });
