/** Caps on an untrusted archive. Every one has a test that feeds what it stops. */
export interface SourceLimits {
  /** Bytes of the archive as sent. Stops an endless upload. */
  compressedBytes: number;
  /** Bytes of the tar, or of all files, once unpacked. Stops gzip and zip bombs. */
  unpackedBytes: number;
  /** Unpacked by compressed; checked above `ratioFloorBytes`, since a small file of zeros is honest. */
  ratio: number;
  ratioFloorBytes: number;
  /** Entries of any kind, ignored ones too. Stops millions of empty files. */
  entries: number;
  /** Folders above an entry; stops trees that no tool can remove. */
  depth: number;
  /** Bytes of one name (what Linux allows) and of a whole path. */
  nameBytes: number;
  pathBytes: number;
  /** Bytes that `SourceTree.read` returns at most; settings and lock files only. */
  readBytes: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_SOURCE_LIMITS: SourceLimits = {
  compressedBytes: 100 * MIB,
  unpackedBytes: 250 * MIB,
  ratio: 200,
  ratioFloorBytes: 32 * MIB,
  entries: 20_000,
  depth: 64,
  nameBytes: 255,
  pathBytes: 1024,
  readBytes: 16 * MIB,
};
