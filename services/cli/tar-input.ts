/** Tars that go to the platform, from a file or from stdin. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { WaferError } from '../core/errors.ts';

const CHUNK = 256 * 1024;

/** `-` and nothing are stdin. @throws WaferError `usage` */
export async function openTar(input: string | undefined, cwd: string, hint: string): Promise<Readable> {
  if (input === undefined || input === '-') {
    if (process.stdin.isTTY === true) throw new WaferError('usage', 'There is no archive on stdin.', { hint });
    return process.stdin;
  }
  const path = resolve(cwd, input);
  const file = await open(path).catch((cause: Error) => {
    throw new WaferError('usage', `${path} can not be read: ${cause.message}`, { cause });
  });
  return file.createReadStream({ highWaterMark: CHUNK });
}
