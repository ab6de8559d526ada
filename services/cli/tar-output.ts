/** Tars that come from the platform, into a file or on stdout. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { WaferError } from '../core/errors.ts';
import type { CliContext } from './command.ts';

/** Before anything is asked for. @throws WaferError `usage` */
export function assertNotTerminal(output: string | undefined, { ui }: CliContext): void {
  if (output !== undefined || !ui.stdoutIsTty) return;
  throw new WaferError('usage', 'An archive is not for a terminal.', { hint: 'Add -o FILE.' });
}

/** What breaks off leaves no file. */
export async function writeTar(
  body: Readable,
  output: string | undefined,
  what: string,
  { ui, cwd }: CliContext,
): Promise<void> {
  if (output === undefined || output === '-') {
    for await (const chunk of body as AsyncIterable<Buffer>) await ui.raw(chunk);
    return;
  }
  const path = resolve(cwd, output);
  try {
    await pipeline(body, createWriteStream(path));
  } catch (error) {
    await rm(path, { force: true });
    throw new WaferError('not_reachable', `The archive could not be written to ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  ui.err(`${ui.paintErr('green', '✓')} ${what} is in ${path}.`);
}
