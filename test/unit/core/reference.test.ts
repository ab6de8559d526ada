import { describe, expect, it } from 'vitest';
import { formatReference, manifestOf, parseReference } from '../../../services/core/images/reference.ts';

const HEX = 'a'.repeat(64);
const parse = (text: string, fallback: string | null = null) => parseReference(text, fallback);

describe('a reference', () => {
  it.each([
    ['registry.example/app', 'registry.example', 'app', 'latest', null],
    ['registry.example:5000/team/app:v1', 'registry.example:5000', 'team/app', 'v1', null],
    ['localhost/app:v1', 'localhost', 'app', 'v1', null],
    ['127.0.0.1:5000/a/b/c', '127.0.0.1:5000', 'a/b/c', 'latest', null],
    ['[::1]:5000/app', '[::1]:5000', 'app', 'latest', null],
    [`REGISTRY.example/app@sha256:${HEX}`, 'registry.example', 'app', null, `sha256:${HEX}`],
    [`registry.example/app:v1@sha256:${HEX}`, 'registry.example', 'app', 'v1', `sha256:${HEX}`],
    ['registry.example/a-b/c__d/e.f', 'registry.example', 'a-b/c__d/e.f', 'latest', null],
  ])('%s is taken apart', (text, registry, repository, tag, digest) => {
    expect(parse(text)).toEqual({ registry, repository, tag, digest });
  });

  it('without a registry belongs to the default one, one component alone to its library', () => {
    expect(parse('app:v1', 'hub.example')).toMatchObject({
      registry: 'hub.example',
      repository: 'library/app',
      tag: 'v1',
    });
    expect(parse('team/app', 'hub.example')).toMatchObject({ registry: 'hub.example', repository: 'team/app' });
    expect(parse('other.example/app', 'hub.example')).toMatchObject({ registry: 'other.example', repository: 'app' });
  });

  it('without a registry and without a default is refused with what to do', () => {
    expect(() => parse('team/app:v1')).toThrow(
      expect.objectContaining({ code: 'invalid_name', hint: expect.stringContaining('WAFER_DEFAULT_REGISTRY') }),
    );
  });

  it('is asked for by digest when it has one, and named by its tag', () => {
    const both = parse(`registry.example/app:v1@sha256:${HEX}`);
    expect(manifestOf(both)).toBe(`sha256:${HEX}`);
    expect(formatReference(both)).toBe('registry.example/app:v1');
    expect(formatReference(parse(`registry.example/app@sha256:${HEX}`))).toBe(`registry.example/app@sha256:${HEX}`);
  });

  it.each([
    '',
    '/',
    'registry.example/',
    'registry.example//app',
    'registry.example/../app',
    'registry.example/app/..',
    'registry.example/App',
    'registry.example/app:',
    'registry.example/app:-v1',
    `registry.example/app:${'t'.repeat(129)}`,
    `registry.example/${'a'.repeat(256)}`,
    'registry.example/app@',
    'registry.example/app@sha256:abc',
    `registry.example/app@sha256:${'A'.repeat(64)}`,
    `registry.example/app@sha1:${'a'.repeat(40)}`,
    `registry.example/app@sha512:${'a'.repeat(128)}`,
    `registry.example/app@sha256:${'a'.repeat(63)}`,
    `registry.example/app@sha256:../${'a'.repeat(61)}`,
    `registry.example/app@sha256:${HEX}@sha256:${HEX}`,
    'registry.example:0/app',
    'registry.example:99999/app',
    'registry.example:5000:5000/app',
    'http://registry.example/app',
    'user:password@registry.example/app',
    'registry.example/app\0',
    'registry.example/app\r\nx: y',
    'registry.example/app?x=y',
    'registry.example/app#x',
    'registry.example/app%2e%2e',
    'registry..example/app',
    '-registry.example/app',
    '[::1/app',
    'x'.repeat(2000),
  ])('%j is refused', (text) => {
    expect(() => parse(text, 'hub.example')).toThrow(expect.objectContaining({ code: 'invalid_name' }));
  });
});
