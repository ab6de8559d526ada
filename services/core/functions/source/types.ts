/** The normalised tree of an untrusted deploy archive. */
import type { Readable } from 'node:stream';
import type { SourceLimits } from './limits.ts';

export interface SourceOptions extends Partial<SourceLimits> {
  /** Directory (0700, on a disk with room) for spool files; they have no name there once open. */
  tmpDir: string;
  /** Keep `node_modules/` of the archive; else it is ignored like `.git/`. Default false. */
  keepNodeModules?: boolean;
  /**
   * The archive is the context of an image build: nothing is left out, no top folder is taken
   * away, permission bits stay, links may point anywhere (nobody here follows them on the
   * host), names may differ in case only. Default false.
   */
  context?: boolean;
}

export interface SourceEntry {
  /** Relative, NFC or not as the archive had it, `/` between components, never `.` or `..`. */
  path: string;
  kind: 'file' | 'dir' | 'symlink';
  /** Folders 0755, files 0644 or 0755, of a build context as they were; a link has 0777, which means nothing. */
  mode: number;
  /** Bytes; 0 unless a file. */
  size: number;
  /** Of a symlink: relative, and proven to stay inside the tree. */
  target?: string;
}

export interface TarSelection {
  /** Only these paths, and the folders above them. */
  keep?: (path: string) => boolean;
  /** Files that the platform made, 0644; one at the path of a file replaces it. */
  add?: readonly { path: string; content: Buffer }[];
}

export interface SourceTree {
  /** Sorted by path, parents first; folders that the archive did not name are added. */
  readonly entries: readonly SourceEntry[];
  /** Bytes of all files. */
  readonly totalBytes: number;
  /** The entry at this path, if any. */
  find(path: string): SourceEntry | undefined;
  /**
   * A whole small file. @throws WaferError `invalid_archive` when there is no such file, when
   * it is a folder or a link (links are never followed), or when it is larger than `limits.readBytes`
   */
  read(path: string): Promise<Buffer>;
  /**
   * A tar of the tree below `prefix` (`function/` by default; '' for none), the folders of the
   * prefix first. The same tree gives the same bytes. May be called any number of times
   * before `close()`; the stream errors when the tree is closed under it.
   */
  toTar(prefix?: string, selection?: TarSelection): Readable;
  /** The bytes of a file of any size. @throws WaferError `invalid_archive` like `read` */
  open(path: string): AsyncIterable<Buffer>;
  /** Frees the disk space. Streams that are still being read fail. Idempotent. */
  close(): Promise<void>;
}

/** An entry and where its bytes lie in the spool. */
export interface SourceNode extends SourceEntry {
  offset: number;
}
