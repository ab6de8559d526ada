import { describe, expect, it } from 'vitest';
import { assertVolumeName, badVolumePath, nestedPath, parseVolumeRef } from '../../../services/core/volumes/names.ts';

describe('the name of a volume', () => {
  it.each(['a', 'reports', 'A.b_c-9', 'x'.repeat(64)])('may be %s', (name) => {
    expect(() => assertVolumeName(name)).not.toThrow();
  });

  it.each(['', '_own', '.hidden', '-x', 'a/b', '../x', 'a@b', 'x'.repeat(65), 'a\0', 'ü'])('may not be %j', (name) => {
    expect(() => assertVolumeName(name)).toThrow(expect.objectContaining({ code: 'invalid_name' }));
  });

  it('is followed by @ and a snapshot in a reference', () => {
    expect(parseVolumeRef('a')).toEqual({ name: 'a', snapshot: null });
    expect(parseVolumeRef('a@b')).toEqual({ name: 'a', snapshot: 'b' });
  });
});

describe('the path of a volume', () => {
  it.each(['/data', '/var/lib/app', '/home/me', '/usr/share/x', '/binary', '/temporary'])('may be %s', (path) => {
    expect(badVolumePath(path)).toBeNull();
  });

  it.each(['/', 'data', '/data/', '//data', '/a/../b', '/a/./b', `/${'x'.repeat(255)}`])('may not be %s', (path) => {
    expect(badVolumePath(path)).toMatch(/absolute path/);
  });

  it.each([
    '/bin',
    '/dev/x',
    '/etc',
    '/function',
    '/lib/x',
    '/proc',
    '/run',
    '/sys',
    '/tmp/x',
    '/.wafer',
    '/.volumes/0',
  ])('is not %s, where something else is', (path) => {
    expect(badVolumePath(path)).toMatch(/where no volume can be/);
  });

  it('does not lie in that of another', () => {
    expect(nestedPath(['/data', '/data/x'])).toBe('/data/x');
    expect(nestedPath(['/data', '/data'])).toBe('/data');
    expect(nestedPath(['/data', '/data2', '/x/data'])).toBeUndefined();
  });
});
