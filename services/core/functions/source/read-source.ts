/**
 * Turns what a deploy sent into a normalised tree. No entry ever becomes a file of the
 * host: contents go into one spool file without a name, names stay in memory, and only the
 * engine unpacks the layer tar, inside its jail.
 *
 * Refused, never repaired: `..`, absolute and odd names, devices, pipes, hard links, links
 * that leave the folder, duplicates, entries below links, names that differ only in case or
 * Unicode form, damaged or too large archives. Dropped: owners, times, setuid bits,
 * extended attributes, version-control folders and caches. An archive whose only top-level
 * entry is a folder (as code hosts make them) loses that folder.
 */
import type { UploadSource } from '../types.ts';
import { DEFAULT_SOURCE_LIMITS, type SourceLimits } from './limits.ts';
import { createMeter } from './meter.ts';
import { readFiles } from './read-files.ts';
import { type ReadContext, readTarGz } from './read-tar.ts';
import { readZip } from './read-zip.ts';
import { refuseArchive } from './refuse.ts';
import { createSourceTree } from './source-tree.ts';
import { openSpool, type Spool } from './spool.ts';
import { createTreeBuilder } from './tree-builder.ts';
import type { SourceOptions, SourceTree } from './types.ts';

async function readInto(source: UploadSource, context: ReadContext, tmpDir: string, limits: SourceLimits) {
  if (source.kind === 'files') return readFiles(source.files, context);
  if (source.format === 'zip') return readZip(source.stream, context, tmpDir, limits);
  return readTarGz(source.stream, context);
}

/**
 * Owns the source's stream: it is read to its end or destroyed. The caller closes the tree.
 * After a failure nothing is left in `tmpDir`.
 * @throws WaferError `invalid_archive | archive_too_large | disk_full`, naming the entry and
 * the reason; the signal's reason; the stream's own error
 */
export async function readSource(
  source: UploadSource,
  options: SourceOptions,
  signal: AbortSignal,
): Promise<SourceTree> {
  // It may fail before anybody reads it; the reader sees the error later, but an unheard one ends the process.
  if (source.kind === 'archive') source.stream.on('error', () => undefined);
  const limits: SourceLimits = { ...DEFAULT_SOURCE_LIMITS, ...options };
  let spool: Spool | undefined;
  try {
    spool = await openSpool(options.tmpDir);
    const builder = createTreeBuilder(limits, {
      keepNodeModules: options.keepNodeModules ?? false,
      context: options.context ?? false,
    });
    await readInto(source, { builder, meter: createMeter(limits), spool, signal }, options.tmpDir, limits);
    const nodes = builder.finish(source.kind === 'archive');
    if (options.context !== true && !nodes.some((node) => node.kind === 'file'))
      throw refuseArchive('it holds no files');
    return createSourceTree(nodes, spool, limits.readBytes);
  } catch (error) {
    await spool?.close();
    if (source.kind === 'archive') source.stream.destroy();
    throw error;
  }
}
