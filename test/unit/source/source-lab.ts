import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect } from 'vitest';
import { readSource, type SourceOptions, type SourceTree } from '../../../services/core/functions/source/index.ts';
import type { UploadSource } from '../../../services/core/functions/types.ts';
import { streamOf } from '../../helpers/make-tar.ts';
import { type RawEntry, rawTar } from '../../helpers/raw-tar.ts';
import { rawZip, type ZipPart } from '../../helpers/raw-zip.ts';

let tmpDir: string;
const trees: SourceTree[] = [];

/** Called by each file of tests: each test reads into a folder of its own, and what reading left there fails it. */
export function readInOwnFolder(): void {
  beforeEach(() => {
    tmpDir = mkdtempSync(join(tmpdir(), 'wafer-source-'));
  });
  afterEach(async () => {
    for (const tree of trees.splice(0)) await tree.close();
    const left = readdirSync(tmpDir);
    rmSync(tmpDir, { recursive: true });
    expect(left).toEqual([]);
  });
}

const never = new AbortController().signal;
export async function read(
  source: UploadSource,
  options: Partial<SourceOptions> = {},
  signal = never,
): Promise<SourceTree> {
  const tree = await readSource(source, { tmpDir, ...options }, signal);
  trees.push(tree);
  return tree;
}
export const archive = (format: 'tar.gz' | 'zip', bytes: Buffer): UploadSource => ({
  kind: 'archive',
  format,
  stream: streamOf(bytes, 1000),
});
export const targz = (tar: Buffer, options?: Partial<SourceOptions>) => read(archive('tar.gz', gzipSync(tar)), options);
export const tarEntries = (entries: RawEntry[], options?: Partial<SourceOptions>) =>
  targz(rawTar([{ name: 'index.mjs', body: 'x' }, ...entries]), options);
export const zip = (parts: ZipPart[], changes: Parameters<typeof rawZip>[1] = {}, options?: Partial<SourceOptions>) =>
  read(archive('zip', rawZip(parts, changes)), options);
export const paths = (tree: SourceTree) =>
  tree.entries.map((entry) => `${entry.path}${entry.kind === 'dir' ? '/' : ''}`);
export const refused = (reason: RegExp, entry?: string) => ({
  code: 'invalid_archive',
  message: expect.stringMatching(reason),
  ...(entry === undefined ? {} : { details: expect.objectContaining({ entry }) }),
});

export const FILES = { 'index.mjs': 'export {}', 'lib/a.txt': 'aaa', 'lib/deep/b.txt': 'b'.repeat(3000) };
export const SORTED = ['index.mjs', 'lib/', 'lib/a.txt', 'lib/deep/', 'lib/deep/b.txt'];
