/** Child of the full-disk test: `store-full.ts DIR`, DIR on a file system of 3 MiB. Prints what happened. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WaferError } from '../../services/core/errors.ts';
import { openImageStore } from '../../services/core/images/index.ts';
import { makeTar, streamOf } from './make-tar.ts';
import { createTarUnpacker } from './tar-unpacker.ts';

const dir = String(process.argv[2]);
const log = { warn: () => undefined, info: () => undefined };
const store = await openImageStore({ dir, unpacker: createTarUnpacker(join(dir, 'layers')), log });
const MIB = 1024 * 1024;

async function codeOf(content: Buffer): Promise<string> {
  try {
    await store.addLayer(streamOf(makeTar({ file: content })), { createdBy: 'large' });
    return 'stored';
  } catch (error) {
    return error instanceof WaferError ? error.code : String(error);
  }
}

// The first does not fit as a blob; the second does (zeros), but not unpacked.
const code = await codeOf(randomBytes(5 * MIB));
const unpackCode = await codeOf(Buffer.alloc(5 * MIB));
const left = Object.fromEntries(
  ['blobs/sha256', 'layers', 'meta', 'tmp'].map((name) => [name, readdirSync(join(dir, name)).length]),
);
const small = await store.addLayer(streamOf(makeTar({ file: 'x' })), { createdBy: 'small' });
process.stdout.write(JSON.stringify({ code, unpackCode, left, afterwards: small.createdBy }));
