import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type Extract, extract } from 'tar-stream';
import { WaferError } from '../../errors.ts';
import type { Meter } from './meter.ts';
import { asRefusal, refuseArchive, refuseEntry } from './refuse.ts';
import type { Spool } from './spool.ts';
import type { TreeBuilder } from './tree-builder.ts';

export interface ReadContext {
  builder: TreeBuilder;
  meter: Meter;
  spool: Spool;
  signal: AbortSignal;
}

type Entry = Extract extends AsyncIterable<infer T> ? T : never;

const GZIP_MAGIC = [0x1f, 0x8b];
const END_MARK = 1024;

/** Counts what comes in; looks at the first bytes, since "incorrect header check" helps nobody. */
async function* compressedInput(input: AsyncIterable<Buffer>, meter: Meter): AsyncGenerator<Buffer> {
  let head = Buffer.alloc(0);
  for await (const chunk of input) {
    meter.compressed(chunk.length);
    if (head.length < 2) {
      head = Buffer.concat([head, chunk.subarray(0, 2)]).subarray(0, 2);
      if (GZIP_MAGIC.some((byte, at) => at < head.length && head[at] !== byte)) {
        throw refuseArchive('it is not a gzip file');
      }
    }
    yield chunk;
  }
  if (head.length === 0) throw refuseArchive('it is empty');
}

/** Counts what comes out of gzip, and knows in the end whether the tar had its end mark. */
function tarGate(meter: Meter): Transform {
  let tail: Buffer = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        meter.unpacked(chunk.length);
      } catch (error) {
        done(error as Error);
        return;
      }
      tail = chunk.length >= END_MARK ? chunk.subarray(-END_MARK) : Buffer.concat([tail, chunk]).subarray(-END_MARK);
      done(null, chunk);
    },
    flush(done) {
      const ended = tail.length === END_MARK && tail.every((byte) => byte === 0);
      done(ended ? null : refuseArchive('its tar is cut off: the end mark is missing'));
    },
  });
}

function assertPlain(entry: Entry): void {
  const { name, type, size, pax } = entry.header;
  if (type === 'link') throw refuseEntry(name, 'hard links are not allowed; send the file itself');
  if (type === 'character-device' || type === 'block-device') throw refuseEntry(name, 'it is a device');
  if (type === 'fifo') throw refuseEntry(name, 'it is a pipe');
  if (type !== 'file' && type !== 'contiguous-file' && type !== 'directory' && type !== 'symlink') {
    throw refuseEntry(name, 'its type is not a file, folder or symbolic link');
  }
  if (typeof pax === 'object' && pax !== null && Object.keys(pax).some((key) => key.startsWith('GNU.sparse'))) {
    throw refuseEntry(name, 'sparse files are not allowed');
  }
  if ((type === 'directory' || type === 'symlink') && size !== 0) throw refuseEntry(name, 'its size must be 0');
}

async function storeEntry(entry: Entry, { builder, meter, spool }: ReadContext): Promise<void> {
  assertPlain(entry);
  const { name, type, size, mode, linkname } = entry.header;
  const components = builder.name(name);
  if (components !== null && type === 'directory') builder.addDir(components, (mode ?? 0o755) & 0o7777);
  else if (components !== null && type === 'symlink') builder.addSymlink(components, linkname ?? '');
  else if (components !== null) {
    const bytes = size ?? 0;
    meter.content(bytes);
    const bits = (mode ?? 0o644) & 0o7777;
    builder.addFile(components, { executable: (bits & 0o100) !== 0, mode: bits, size: bytes, offset: spool.size });
    for await (const chunk of entry) await spool.append(chunk as Buffer);
    return;
  }
  entry.resume();
}

/**
 * The failure that says the cause: when one end of a pipeline fails, the other ends fail too.
 * An error of the input counts only if it came first; destroying an input makes it fail as well.
 */
function causeOf(errors: unknown[], inputError: unknown): unknown {
  const ours = errors.find((error) => error instanceof WaferError);
  if (ours !== undefined) return ours;
  if (inputError !== undefined && errors.includes(inputError)) return inputError;
  const isEcho = (error: unknown) => error instanceof Error && /premature close|aborted/i.test(error.message);
  return asRefusal(errors.find((error) => !isEcho(error)) ?? errors[0]);
}

/** Feeds entries in the archive's order to the builder, contents to the spool. Owns `input`. */
export async function readTarGz(input: Readable, context: ReadContext): Promise<void> {
  const gunzip = createGunzip();
  const tar = extract();
  const errors: unknown[] = [];
  let inputError: unknown;
  input.once('error', (error) => {
    inputError = error;
  });
  const feeding = pipeline(compressedInput(input, context.meter), gunzip, tarGate(context.meter), tar, {
    signal: context.signal,
  }).catch((error: unknown) => errors.push(error));
  try {
    for await (const entry of tar) await storeEntry(entry, context);
  } catch (error) {
    errors.unshift(error);
  }
  await feeding;
  context.signal.throwIfAborted();
  if (errors.length > 0) throw causeOf(errors, inputError);
  if (gunzip.bytesWritten !== context.meter.compressedBytes) throw refuseArchive('something follows its end');
}
