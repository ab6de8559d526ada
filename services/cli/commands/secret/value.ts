/** Where the value of a secret comes from. Never an argument: those are in the history of shells and in `ps`. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { WaferError } from '../../../core/errors.ts';
import { MAX_SECRET_BYTES } from '../../../core/secrets/types.ts';
import { ask } from '../../ask.ts';

export const secretArgument = {
  name: { type: 'positional', description: 'Name of the secret', required: true },
} as const;

export const valueFlags = {
  file: { type: 'string', alias: 'f', valueHint: 'PATH', description: 'Read the value from a file, byte for byte' },
  random: { type: 'boolean', description: 'Make a random value of 32 bytes, which nobody sees' },
} as const;

const RANDOM_BYTES = 32;
const NEWLINE = 10;
const RETURN = 13;

/** @throws WaferError `usage` when there is none, or it is too large */
export async function readValue(
  name: string,
  { file, random }: { file?: string | undefined; random?: boolean | undefined },
  cwd: string,
): Promise<Buffer> {
  if (file !== undefined && random) throw new WaferError('usage', 'Use either --file or --random.');
  const value = random
    ? Buffer.from(randomBytes(RANDOM_BYTES).toString('base64url'))
    : file === undefined
      ? await readInput(name)
      : await readValueFile(resolve(cwd, file), file);
  if (value.length === 0) throw new WaferError('usage', 'The value is empty.');
  if (value.length > MAX_SECRET_BYTES)
    throw new WaferError('usage', `The value has ${value.length} bytes; at most ${MAX_SECRET_BYTES} are allowed.`);
  return value;
}

/** A newline at the end is the terminal's or `echo`'s. */
async function readInput(name: string): Promise<Buffer> {
  if (process.stdin.isTTY === true) return Buffer.from(await ask(`Value of ${name}: `, true));
  const bytes = await buffer(process.stdin);
  if (bytes.at(-1) !== NEWLINE) return bytes;
  return bytes.subarray(0, bytes.at(-2) === RETURN ? -2 : -1);
}

async function readValueFile(path: string, shown: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new WaferError('usage', `${shown} can not be read: ${code ?? (cause as Error).message}.`, { cause });
  }
}
