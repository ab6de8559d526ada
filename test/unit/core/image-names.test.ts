import { describe, expect, it } from 'vitest';
import { createImageNames, isOnlyBuildCache } from '../../../services/core/images/reserved.ts';

const names = createImageNames(() => ['node24', 'node24-tools']);

describe('a name', () => {
  it.each([
    ['app:1.0', 'user', true, true],
    ['registry.example/functions/x:y', 'user', true, true],
    ['node24x', 'user', true, true],
    ['node24', 'base', false, false],
    ['node24:latest', 'base', false, false],
    ['node24-tools', 'base', false, false],
    ['functions/hello@3f3f3f3f3f3f', 'version', false, false],
    ['deps/0123', 'dependencies', false, false],
    ['build-cache/0123', 'stepCache', false, true],
    ['build-mount/0123', 'mountCache', false, true],
    ['build/0123456789ab', 'unnamed', false, true],
  ] as const)('%s belongs to %s; a user may take it: %s; rm may remove it: %s', (tag, owner, take, remove) => {
    expect([names.ownerOf(tag), names.mayTake(tag), names.mayRemove(tag)]).toEqual([owner, take, remove]);
  });

  it('of the build cache alone makes an image that nobody is shown', () => {
    expect(isOnlyBuildCache({ tags: ['build-cache/1', 'build-mount/2'] })).toBe(true);
    expect(isOnlyBuildCache({ tags: ['build-cache/1', 'app:1'] })).toBe(false);
    expect(isOnlyBuildCache({ tags: [] })).toBe(false);
  });
});
