// biome-ignore-all lint/suspicious/noTemplateCurlyInString: signs that patterns know
import { describe, expect, test } from 'vitest';
import { createMask, MASK_NONE } from '../../../services/worker/secrets/mask.ts';
import { maskFailure } from '../../../services/worker/secrets/mask-failure.ts';

const mask = (...values: string[]) => createMask(values.map((value) => Buffer.from(value)));

describe('createMask()', () => {
  test.each([
    ['as it is', 'correct horse', 'is correct horse here', 'is *** here'],
    ['twice', 'correct horse', 'correct horsecorrect horse', '***'],
    ['with the newline that its file has', 'correct horse\n', 'correct horse', '***'],
    ['in JSON', 'say "hello" \\ there', JSON.stringify({ a: 'say "hello" \\ there' }), '{"a":"***"}'],
    ['in a URL', 'p@ss/word?', `postgres://me:${encodeURIComponent('p@ss/word?')}@db`, 'postgres://me:***@db'],
    ['in base64', 'correct horse', `Basic ${Buffer.from('correct horse').toString('base64')}`, 'Basic ***'],
    ['in hexadecimal', 'correct horse', Buffer.from('correct horse').toString('hex'), '***'],
    ['a line of a key', '-----BEGIN KEY-----\nMIIabcdef\n-----END KEY-----\n', 'got MIIabcdef!', 'got ***!'],
    ['with signs that patterns know', 'a.*+?^${}()|[]/\\-b', 'x a.*+?^${}()|[]/\\-b', 'x ***'],
  ])('hides a secret %s', (_how, value, text, masked) => {
    expect(mask(value)(text)).toBe(masked);
  });

  test('hides the longer of two whole, whichever comes first', () => {
    expect(mask('secret', 'secret-and-more')('secret-and-more, secret')).toBe('***, ***');
  });

  test('leaves short ones alone, and is nothing without secrets', () => {
    expect(mask('123', 'on')('123 is on')).toBe('123 is on');
    expect(createMask([])).toBe(MASK_NONE);
  });

  test('hides what a line that was cut has of one', () => {
    expect(mask('correct horse battery')('it is correct ho…')).toBe('it is ***…');
    expect(mask('correct horse battery')('it is correct hotel')).toBe('it is correct hotel');
    expect(mask('k'.repeat(300) + 'z'.repeat(600))(`${'k'.repeat(300)}${'z'.repeat(400)}…`)).toBe('***…');
  });

  test('takes a value with thousands of lines', () => {
    const lines = Array.from({ length: 6_000 }, (_, index) => `password-${index}`);
    const hide = mask(lines.join('\n'));
    expect(hide(`one is ${lines[5_999]}, one is ${lines[17]}`)).toBe('one is ***, one is ***');
  });

  test('takes bytes that are no text, and a value of the largest size', () => {
    expect(mask('x'.repeat(64 * 1024))(`a${'x'.repeat(64 * 1024)}b`)).toBe('a***b');
    const bytes = Buffer.from([0xff, 0xfe, 0, 1, 2, 3]);
    expect(createMask([bytes])(`is ${bytes.toString('base64')}`)).toBe('is ***');
  });
});

test('a failure keeps its kind and loses the value in every text', () => {
  const instance = { mask: mask('correct horse') };
  const failure = { kind: 'function_error' as const, message: 'no correct horse', errorType: 'correct horse' };
  expect(maskFailure(instance, { ...failure, stack: 'at correct horse' })).toEqual({
    kind: 'function_error',
    message: 'no ***',
    errorType: '***',
    stack: 'at ***',
  });
  expect(maskFailure(instance, { kind: 'function_oom', message: 'm' })).toEqual({ kind: 'function_oom', message: 'm' });
});
