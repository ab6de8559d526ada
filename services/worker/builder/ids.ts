import { randomBytes } from 'node:crypto';

/** Names of uppers and build sandboxes; the prefix lets the next start find left-overs of a crash. */
export const BUILD_PREFIX = 'build-';
export const newBuildId = (): string => `${BUILD_PREFIX}${randomBytes(8).toString('hex')}`;
