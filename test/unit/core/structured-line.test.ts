import { describe, expect, test } from 'vitest';
import { isAtLeast, readStructured } from '../../../services/core/invocations/structured-line.ts';

describe('readStructured()', () => {
  test.each([
    ['pino', '{"level":30,"time":1,"pid":7,"msg":"up"}', { level: 'info', message: 'up', fields: { pid: 7 } }],
    ['winston', '{"level":"warn","message":"slow","ms":9}', { level: 'warn', message: 'slow', fields: { ms: 9 } }],
    ['structlog', '{"event":"done","level":"warning","timestamp":"t"}', { level: 'warn', message: 'done' }],
    ['Google', '{"severity":"CRITICAL","message":"gone"}', { level: 'fatal', message: 'gone' }],
    ['ECS', '{"@timestamp":"t","log.level":"error","message":"no"}', { level: 'error', message: 'no' }],
    ['a level above all', '{"level":100,"msg":"x"}', { level: 'fatal', message: 'x' }],
    ['no level', '{"msg":"x"}', { message: 'x' }],
    ['an object that is no log line', '{"a":{"b":1}}', { fields: { a: { b: 1 } } }],
    ['an unknown level', '{"level":"loud","msg":"x"}', { message: 'x', fields: { level: 'loud' } }],
    ['a message that is no text', '{"msg":{"a":1}}', { fields: { msg: { a: 1 } } }],
  ])('reads a line of %s', (_who, text, expected) => {
    expect(readStructured(text)).toEqual(expected);
  });

  test.each(['plain', '[1]', '{', '{"a":1', '{a}', '"text"', '', `{"a":"${'x'.repeat(40_000)}"}`])(
    'leaves other text alone: %.20s',
    (text) => {
      expect(readStructured(text)).toBeNull();
    },
  );

  test('is not led astray by names that objects have', () => {
    expect(readStructured('{"level":"constructor","__proto__":{"msg":"x"}}')?.level).toBeUndefined();
    expect(readStructured('{"level":"constructor","__proto__":{"msg":"x"}}')?.message).toBeUndefined();
  });
});

test('isAtLeast() orders levels, and a line without one is below all', () => {
  expect([isAtLeast('error', 'warn'), isAtLeast('warn', 'warn'), isAtLeast('info', 'warn')]).toEqual([
    true,
    true,
    false,
  ]);
  expect(isAtLeast(undefined, 'trace')).toBe(false);
});
