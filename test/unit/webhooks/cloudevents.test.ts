/** CloudEvents over HTTP: three ways in, one form out. Examples of the specification's own documents. */
import { describe, expect, it } from 'vitest';
import { recogniseCloudEvent } from '../../../services/core/triggers/cloudevents/parse.ts';

const recognise = (headers: Record<string, string>, body: string | Buffer = '') =>
  recogniseCloudEvent(headers, Buffer.from(body));
const codeOf = (headers: Record<string, string>, body?: string | Buffer) => {
  try {
    return recognise(headers, body)?.mode ?? 'none';
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const STRUCTURED = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const EVENT = {
  specversion: '1.0',
  id: '1234-1234-1234',
  source: '/mycontext/subcontext',
  type: 'com.example.someevent',
};
const BINARY = {
  'ce-specversion': '1.0',
  'ce-type': 'com.example.someevent',
  'ce-id': '1234-1234-1234',
  'ce-source': '/mycontext/subcontext',
};
const dataOf = (contentType: string | undefined, body: string | Buffer) => {
  const found = recognise({ ...BINARY, ...(contentType !== undefined && { 'content-type': contentType }) }, body);
  const { data, data_base64 } = JSON.parse(found?.json ?? '{}') as { data?: unknown; data_base64?: string };
  return data_base64 ?? data;
};

describe('a CloudEvent', () => {
  it('is told by its content type, in any case, or by its four headers', () => {
    expect(recognise(STRUCTURED, JSON.stringify(EVENT))).toEqual({
      mode: 'structured',
      event: EVENT,
      json: JSON.stringify(EVENT),
    });
    expect(codeOf({ 'content-type': 'Application/CloudEvents+JSON' }, JSON.stringify(EVENT))).toBe('structured');
    expect(codeOf(BATCH, '[]')).toBe('batch');
    expect(codeOf(BINARY)).toBe('binary');
    for (const missing of Object.keys(BINARY)) {
      const { [missing as keyof typeof BINARY]: _missing, ...others } = BINARY;
      expect([missing, codeOf(others)]).toEqual([missing, 'none']);
    }
    expect(codeOf({ 'content-type': 'application/json' }, JSON.stringify(EVENT))).toBe('none');
  });

  it('of headers has their attributes, decoded, and the content type of its data', () => {
    const headers = {
      ...BINARY,
      'content-type': 'application/json; charset=utf-8',
      'ce-time': '2018-04-05T03:56:24Z',
      'ce-comexampleextension1': 'value',
      // HTTP binding, 3.1.3.2: "Euro € 😀" is sent like this.
      'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
    };
    expect(recognise(headers, '{"a":1}')).toMatchObject({
      mode: 'binary',
      event: {
        ...EVENT,
        time: '2018-04-05T03:56:24Z',
        comexampleextension1: 'value',
        subject: 'Euro € 😀',
        datacontenttype: 'application/json; charset=utf-8',
        data: { a: 1 },
      },
    });
  });

  it('has data as JSON, as text, or as base64, whatever its sender wrote', () => {
    expect(dataOf('application/json', '[1]')).toEqual([1]);
    expect(dataOf('application/vnd.api+json', '"x"')).toBe('x');
    expect(dataOf('text/plain', 'hällo')).toBe('hällo');
    expect(dataOf('image/png', Buffer.from([0, 255]))).toBe('AP8=');
    expect(dataOf('text/plain', Buffer.from([255]))).toBe('/w==');
    expect(dataOf(undefined, 'x')).toBe('eA==');
    expect(dataOf('application/json', '')).toBeUndefined();
  });

  it('keeps numbers as their sender wrote them', () => {
    const big = '12345678901234567890.10';
    expect(recognise({ ...BINARY, 'content-type': 'application/json' }, `{"n":${big}}`)?.json).toContain(
      `"data":{"n":${big}}`,
    );
    const structured = JSON.stringify({ ...EVENT, data: 0 }).replace('"data":0', `"data":${big}`);
    expect(recognise(STRUCTURED, structured)?.json).toBe(structured);
    expect(recognise(BATCH, `[${structured}]`)?.json).toBe(`[${structured}]`);
  });

  it.each([
    ['no object', STRUCTURED, '[]', 'invalid_request'],
    ['no JSON', STRUCTURED, '{', 'invalid_json'],
    ['not UTF-8', STRUCTURED, Buffer.from([0x22, 0xff, 0x22]), 'invalid_json'],
    ['of another version', STRUCTURED, JSON.stringify({ ...EVENT, specversion: '0.3' }), 'invalid_request'],
    ['without an id', STRUCTURED, JSON.stringify({ ...EVENT, id: '' }), 'invalid_request'],
    ['with a time that is none', STRUCTURED, JSON.stringify({ ...EVENT, time: 'today' }), 'invalid_request'],
    [
      'with two kinds of data',
      STRUCTURED,
      JSON.stringify({ ...EVENT, data: 1, data_base64: 'AA==' }),
      'invalid_request',
    ],
    ['with base64 that is none', STRUCTURED, JSON.stringify({ ...EVENT, data_base64: '!' }), 'invalid_request'],
    ['with an attribute of capitals', STRUCTURED, JSON.stringify({ ...EVENT, myExt: 'x' }), 'invalid_request'],
    ['in a format that is not JSON', { 'content-type': 'application/cloudevents+avro' }, 'x', 'unsupported_media_type'],
    ['in a batch that is none', BATCH, '{}', 'invalid_request'],
    ['in a batch of too many', BATCH, `[${Array(1_001).fill(JSON.stringify(EVENT)).join()}]`, 'invalid_request'],
    ['in a batch with another that is none', BATCH, `[${JSON.stringify(EVENT)},1]`, 'invalid_request'],
    ['of headers, with ce-datacontenttype', { ...BINARY, 'ce-datacontenttype': 'text/plain' }, '', 'invalid_request'],
    ['of headers, with ce-data', { ...BINARY, 'ce-data': 'x' }, '', 'invalid_request'],
    ['of headers that are no UTF-8', { ...BINARY, 'ce-subject': '%ff' }, '', 'invalid_request'],
    ['of headers that were not encoded', { ...BINARY, 'ce-subject': 'ä' }, '', 'invalid_request'],
    ['of data that says it is JSON', { ...BINARY, 'content-type': 'application/json' }, '{', 'invalid_json'],
  ])('%s is refused', (_what, headers, body, code) => {
    expect(codeOf(headers as Record<string, string>, body)).toBe(code);
  });
});
