/** Commands that belong together reach Redis together. */
import type { Redis } from 'ioredis';

/**
 * What is sent over the connection from here to the end of this turn of the event loop leaves in one
 * system call. Redis then runs all of it in one turn of its own, which ends with one wait for the disk;
 * a command for each would wait as often. Order and answers are as ever.
 */
export function inOneWrite({ stream }: Redis): void {
  if (stream === undefined) return; // not connected yet: ioredis sends later what it is given now
  stream.cork();
  setImmediate(() => stream.uncork());
}
