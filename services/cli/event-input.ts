import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, WaferError } from '../core/errors.ts';
import type { Ui } from './ui.ts';

const PATIENCE_MS = 2_000;

async function readStdin(ui: Ui): Promise<Buffer> {
  const note = setTimeout(
    () => ui.err('Waiting for the event on stdin; give --data to call without one.'),
    PATIENCE_MS,
  );
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  } finally {
    clearTimeout(note);
  }
  return Buffer.concat(chunks);
}

/** A shell pipe or a redirected file; not a terminal, /dev/null, or the socket that a parent program left open. */
function isPiped(): boolean {
  try {
    const stats = fstatSync(0);
    return stats.isFIFO() || stats.isFile();
  } catch (error) {
    if (isErrno(error, 'EBADF')) return false;
    throw error;
  }
}

async function readEventFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = isErrno(cause, 'ENOENT') ? 'it does not exist' : (cause as Error).message;
    throw new WaferError('usage', `The event file ${path} can not be read: ${reason}.`, { cause });
  }
}

function checkJson(bytes: Buffer, source: string): Buffer {
  try {
    JSON.parse(bytes.toString());
    return bytes;
  } catch (cause) {
    throw new WaferError('invalid_json', `The event from ${source} is not JSON: ${(cause as Error).message}.`, {
      hint: `Quote it for the shell: --data '{"name":"Ada"}'`,
      cause,
    });
  }
}

/** The event of a call: `--data JSON`, `--data @file`, `--data -`, a pipe, or `{}`. @throws WaferError `usage | invalid_json` */
export async function readEvent(data: string | undefined, cwd: string, ui: Ui): Promise<Buffer> {
  if (data === undefined) {
    const piped = isPiped() ? await readStdin(ui) : Buffer.alloc(0);
    return piped.toString().trim() === '' ? Buffer.from('{}') : checkJson(piped, 'stdin');
  }
  if (data === '-') return checkJson(await readStdin(ui), 'stdin');
  if (data.startsWith('@')) return checkJson(await readEventFile(resolve(cwd, data.slice(1))), data.slice(1));
  return checkJson(Buffer.from(data), '--data');
}
