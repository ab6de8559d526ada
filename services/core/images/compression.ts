/** What a layer's media type says about its bytes. */
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { WaferError } from '../errors.ts';
import { MEDIA } from './types.ts';

type Compression = 'none' | 'gzip' | 'zstd';

const COMPRESSIONS: Record<string, Compression> = {
  [MEDIA.layer]: 'none',
  [MEDIA.layerGzip]: 'gzip',
  [MEDIA.layerZstd]: 'zstd',
  [MEDIA.dockerLayer]: 'none',
  [MEDIA.dockerLayerGzip]: 'gzip',
  [MEDIA.dockerLayerZstd]: 'zstd',
};

/** Node has it since 22.15; the types here are those of the oldest Node that Wafer takes. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: typeof PIECES) => Transform };

/** Node's own 16 KiB make a layer of 100 MB into 6,000 turns of the loop: three times the time. */
const PIECES = { chunkSize: 256 * 1024 };

/** @throws WaferError `invalid_image` for a layer that this host can not read */
export function compressionOf(mediaType: string): Compression {
  const found = Object.hasOwn(COMPRESSIONS, mediaType) ? COMPRESSIONS[mediaType] : undefined;
  if (found === undefined) {
    throw new WaferError('invalid_image', `A layer has the media type ${JSON.stringify(mediaType.slice(0, 120))}.`, {
      hint: 'Wafer takes layers that are tars: plain, with gzip, or with zstd.',
    });
  }
  if (found === 'zstd' && createZstdDecompress === undefined) {
    throw new WaferError(
      'invalid_image',
      `A layer is compressed with zstd, which Node ${process.version} can not read.`,
      {
        hint: 'Run Wafer with Node 22.15 or newer, or use an image with gzip layers.',
      },
    );
  }
  return found;
}

/** Null when there is nothing to do. @throws as `compressionOf` */
export function decompressor(mediaType: string): Transform | null {
  const kind = compressionOf(mediaType);
  if (kind === 'none' || createZstdDecompress === undefined) return kind === 'none' ? null : zlib.createGunzip(PIECES);
  return kind === 'zstd' ? createZstdDecompress(PIECES) : zlib.createGunzip(PIECES);
}
