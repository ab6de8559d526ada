import { describe, expect, test } from 'vitest';
import { answerHeaders } from '../../../services/api/calls/headers.ts';
import { archiveFormat } from '../../../services/api/uploads/multipart.ts';

describe('answerHeaders', () => {
  test('keeps order, duplicates and cookies, with names in lower case', () => {
    const given: [string, string][] = [
      ['Set-Cookie', 'a=1'],
      ['X-B', '2'],
      ['set-cookie', 'b=2'],
    ];
    expect(answerHeaders(given).headers).toEqual([
      ['set-cookie', 'a=1'],
      ['x-b', '2'],
      ['set-cookie', 'b=2'],
    ]);
  });

  test.each([
    'connection',
    'Keep-Alive',
    'transfer-encoding',
    'Upgrade',
    'trailer',
    'TE',
    'proxy-authenticate',
    'x-wafer-invocation',
    'X-Wafer-Start',
  ])('drops %s', (name) => {
    expect(answerHeaders([[name, 'x']])).toMatchObject({ headers: [], invalid: [] });
  });

  test('drops what Connection names, but not the framing', () => {
    const given: [string, string][] = [
      ['connection', 'close, x-hop, content-length'],
      ['x-hop', '1'],
      ['content-length', '5'],
    ];
    expect(answerHeaders(given)).toEqual({ headers: [], invalid: [], contentLength: 5 });
  });

  test.each([
    ['x-a', 'b\r\nset-cookie: evil=1'],
    ['x-a', 'b\nc'],
    ['x-a', 'b\0c'],
    ['x-a', 'Ā'],
    ['x a', 'b'],
    ['x-a\r\nx-evil', 'b'],
    ['', 'b'],
    ['content-length', '-1'],
    ['content-length', '1, 2'],
    ['content-length', '0x10'],
  ])('leaves out the invalid %j: %j and says so', (name, value) => {
    const result = answerHeaders([[name, value]]);
    expect(result.headers).toEqual([]);
    expect(result.invalid).toHaveLength(1);
    expect(result.invalid[0]).not.toMatch(/[\r\n]/);
  });

  test('refuses a second, different length', () => {
    const result = answerHeaders([
      ['content-length', '1'],
      ['content-length', '2'],
    ]);
    expect(result).toMatchObject({ contentLength: 1, invalid: ['content-length'] });
  });

  test('stops at 64 KiB and 200 headers', () => {
    expect(answerHeaders(Array.from({ length: 500 }, () => ['x-a', '1'])).headers).toHaveLength(200);
    expect(answerHeaders([['x-a', 'y'.repeat(70_000)]]).headers).toHaveLength(0);
  });
});

describe('archiveFormat', () => {
  test.each([
    [[0x1f, 0x8b, 8, 0], 'tar.gz'],
    [[0x50, 0x4b, 3, 4], 'zip'],
    [[0x50, 0x4b, 5, 6], 'zip'],
    [[0x50, 0x4b, 7, 8], null],
    [[0x42, 0x5a, 0x68, 0x39], null],
    [[], null],
  ])('of %j is %s', (bytes, format) => {
    expect(archiveFormat(Buffer.from(bytes))).toBe(format);
  });
});
