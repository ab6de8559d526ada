/**
 * Bytes of an untrusted archive on disk, without a name: the file is unlinked as soon as
 * it is open, so nothing stays behind when the process dies.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, WaferError } from '../../errors.ts';

export interface Spool {
  readonly size: number;
  readonly fd: number;
  append(chunk: Buffer): Promise<void>;
  /** The bytes from `offset` on, in chunks of at most 256 KiB. */
  read(offset: number, length: number): AsyncGenerator<Buffer>;
  /** Idempotent. */
  close(): Promise<void>;
}

const CHUNK = 256 * 1024;

function diskFull(cause: unknown, dir: string): unknown {
  if (!isErrno(cause, 'ENOSPC', 'EDQUOT')) return cause;
  return new WaferError('disk_full', `No space is left in ${dir} to receive an archive.`, {
    cause,
    hint: 'Free some space and deploy again.',
  });
}

async function writeAll(handle: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

async function* readRange(handle: FileHandle, offset: number, length: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < length; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, length - done));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset + done);
    if (bytesRead === 0) throw new Error('the spool file is shorter than what was written to it');
    done += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** @throws WaferError `disk_full` */
export async function openSpool(dir: string): Promise<Spool> {
  const path = join(dir, `spool-${randomUUID()}`);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
  const handle = await open(path, flags, 0o600).catch((error: unknown) => {
    throw diskFull(error, dir);
  });
  await unlink(path);
  let size = 0;
  let closing: Promise<void> | undefined;
  return {
    get size() {
      return size;
    },
    fd: handle.fd,
    async append(chunk) {
      await writeAll(handle, chunk, size).catch((error: unknown) => {
        throw diskFull(error, dir);
      });
      size += chunk.length;
    },
    read: (offset, length) => readRange(handle, offset, length),
    close() {
      closing ??= handle.close();
      return closing;
    },
  };
}
