/**
 * A unix socket's address holds 107 bytes, and longer ones are cut off without an
 * error, so a long home path would connect to nothing. Such a socket is reached
 * through an open descriptor of its directory instead: `/proc/self/fd/N/redis.sock`.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

const MAX_SOCKET_PATH_BYTES = 107;

export interface SocketPath {
  /** Valid in this process until `close()`; also for reconnects. */
  path: string;
  close(): Promise<void>;
}

export const fitsSocketAddress = (path: string) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES;

/** @throws errno error when the directory is long and can not be opened */
export async function openSocketPath(path: string): Promise<SocketPath> {
  if (fitsSocketAddress(path)) return { path, close: async () => {} };
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${directory.fd}/${basename(path)}`, close: () => directory.close() };
}
