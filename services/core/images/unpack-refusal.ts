import { type ErrorCode, WaferError } from '../errors.ts';

/** What zlib and the engine's unpacker say about the bytes they were given is about the archive, not about us. */
export function unpackRefusal(error: unknown, code: ErrorCode = 'invalid_image'): unknown {
  const cause = error instanceof WaferError && error.code === 'engine_failed' ? error.cause : error;
  if (!(cause instanceof Error) || !('code' in cause)) return error;
  const found = String(cause.code);
  // "cannot ...": the engine asked the kernel for something and did not get it; all else is about the archive.
  const isArchive = found === 'unpack_failed' && !/^\w+: (cannot|out of memory)/.test(cause.message);
  if (!isArchive && !/^Z_|^ERR_ZSTD|^ZSTD/.test(found)) return error;
  return new WaferError(code, `A layer can not be unpacked: ${cause.message}.`, { cause });
}
