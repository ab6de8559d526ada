/** What the platform says about itself, and about everything that fails. */
import { Type } from 'typebox';
import { ERRORS } from '../../core/errors.ts';
import { literals, time } from './shapes.ts';

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: literals(Object.keys(ERRORS), { description: 'Stable; act on this' }),
    detail: Type.String({ description: 'What failed, where, and why' }),
    hint: Type.Optional(Type.String({ description: 'What to do about it' })),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    invocation: Type.Optional(Type.String({ description: 'Id of the invocation, for errors of a call' })),
  },
  { description: 'Problem document (RFC 9457)' },
);

export const InstanceInfo = Type.Object({
  id: Type.String(),
  functionName: Type.String(),
  version: Type.Integer(),
  state: literals(['starting', 'idle', 'busy', 'ending']),
  pid: Type.Integer(),
  hostUid: Type.Integer(),
  startedAt: time('Time it was started'),
  calls: Type.Integer(),
  inFlight: Type.Integer(),
  memoryBytes: Type.Unsafe({ type: ['integer', 'null'] }),
});

export const BlankInfo = Type.Object(
  {
    base: Type.String({ description: 'Base image' }),
    runtime: Type.String(),
    volumes: Type.Integer({ description: 'For functions with so many volumes' }),
    egress: Type.Boolean({ description: 'For functions with egress' }),
    ready: Type.Integer({ description: 'Booted; a first call takes one' }),
    booting: Type.Integer(),
  },
  { description: 'Sandboxes with a booted runtime and no code yet' },
);

export const Readiness = Type.Object({
  ok: Type.Boolean(),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), message: Type.Optional(Type.String()) })),
});
