/**
 * The data directory of tests with a platform or an engine: kept between runs, so that base images are made once. Only one
 * platform uses it at a time, so of the test files that run side by side each has a directory of its own.
 */
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** So many files run side by side (vitest.config.ts). */
const DIRECTORIES = 2;
const RETRY_MS = 50;

export const TEST_DATA = process.env['WAFER_TEST_DATA'] ?? (await takeDirectory());
/** For the processes that a test starts, and for the next test file of this process. */
process.env['WAFER_TEST_DATA'] = TEST_DATA;

/**
 * This process has it until it ends. (Vitest's VITEST_POOL_ID does not do: two workers have the same where a group of
 * projects begins.)
 */
async function takeDirectory(): Promise<string> {
  const first = join(homedir(), '.local/share/wafer-test');
  for (let isFirstLook = true; ; isFirstLook = false) {
    for (let number = 1; number <= DIRECTORIES; number++)
      if (await isFree(number)) return number === 1 ? first : `${first}-${number}`;
    if (isFirstLook) process.stderr.write(`${first} and the next are in use by other tests: waiting\n`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** An abstract socket's name is taken by one process, and free as soon as that has ended, however it did: unix(7). */
function isFree(number: number): Promise<boolean> {
  const server = createServer().unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(`\0wafer-test-data-${process.getuid?.()}-${number}`, () => resolve(true));
  });
}
