/** The access log of functions. Shapes of answers are those of core. */
import { Type } from 'typebox';
import { EGRESS_VERDICTS } from '../../core/egress/types.ts';
import { NAME_PATTERN } from '../../core/functions/schema.ts';
import { InvocationLogsQuery } from './invocations.ts';
import { literals, strict, time } from './shapes.ts';

const { follow, since, after, limit } = InvocationLogsQuery.properties;

export const EgressLogQuery = Type.Object(
  {
    function: Type.Optional(Type.String({ pattern: NAME_PATTERN, description: 'Only entries of this function' })),
    verdict: Type.Optional(literals(EGRESS_VERDICTS, { description: 'Only entries with this verdict' })),
    follow,
    since,
    after,
    limit,
  },
  strict,
);

export const EgressEntry = Type.Object({
  time: time('When the connection ended'),
  functionName: Type.String(),
  version: Type.Integer(),
  instanceId: Type.String(),
  host: Type.Optional(Type.String({ description: 'The name that was asked for; absent when an address was used' })),
  address: Type.Optional(Type.String({ description: 'The real address; absent when it did not come to one' })),
  port: Type.Integer({ description: '0: a name that was looked up and refused' }),
  verdict: literals(EGRESS_VERDICTS, {
    description: '`failed`: allowed, but the look-up, the connection or the transfer failed',
  }),
  reason: Type.String(),
  bytesUp: Type.Integer({ description: 'Sent by the function' }),
  bytesDown: Type.Integer({ description: 'Received by it' }),
  durationMs: Type.Integer(),
  count: Type.Integer({ description: 'How many equal ones it stands for' }),
  cursor: Type.String({ description: 'For `after`' }),
});
