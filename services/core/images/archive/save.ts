/** Writes an image as the tar that other tools load. Nothing in it has a time: the same image gives the same bytes. */
import { Readable } from 'node:stream';
import { WaferError } from '../../errors.ts';
import { tarEnd, tarHeader } from '../../functions/source/tar-writer.ts';
import { hexOf } from '../digest.ts';
import { type Manifest, parseManifest } from '../documents.ts';
import { REF_NAME } from '../layout.ts';
import { type Descriptor, type Image, type ImageStore, MEDIA } from '../types.ts';

export const ARCHIVE_FORMATS = ['oci-archive', 'docker-archive'] as const;
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

const MODE = 0o644;
/** What the size field of a header holds. */
const MAX_FILE = 8 * 1024 ** 3 - 1;

async function* file(
  path: string,
  size: number,
  content: AsyncIterable<Buffer> | Iterable<Buffer>,
): AsyncGenerator<Buffer> {
  if (size > MAX_FILE) throw new WaferError('invalid_image', `${path} is too large for the archive: ${size} bytes.`);
  yield tarHeader({ kind: 'file', path, mode: MODE, size });
  yield* content;
  yield Buffer.alloc((512 - (size % 512)) % 512);
}

const document = (path: string, value: Buffer | object) => {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
  return file(path, bytes.length, [bytes]);
};

interface Saved {
  store: ImageStore;
  image: Image;
  manifest: Manifest;
  manifestBytes: Buffer;
  names: string[];
}

const unique = (blobs: readonly Descriptor[]) => [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];

async function* ociArchive({ store, image, manifest, manifestBytes, names }: Saved): AsyncGenerator<Buffer> {
  const entry = { mediaType: manifest.mediaType, digest: image.digest, size: manifestBytes.length };
  const manifests =
    names.length === 0 ? [entry] : names.map((name) => ({ ...entry, annotations: { [REF_NAME]: name } }));
  yield* document('oci-layout', { imageLayoutVersion: '1.0.0' });
  // Some readers give folders that the archive does not name to root, which an ordinary user can not.
  for (const path of ['blobs', 'blobs/sha256']) yield tarHeader({ kind: 'dir', path, mode: 0o755, size: 0 });
  yield* document('index.json', { schemaVersion: 2, mediaType: MEDIA.index, manifests });
  yield* document(`blobs/sha256/${hexOf(image.digest)}`, manifestBytes);
  for (const { digest, size } of unique([manifest.config, ...manifest.layers])) {
    yield* file(`blobs/sha256/${hexOf(digest)}`, size, (await store.readBlob(digest)) as AsyncIterable<Buffer>);
  }
  yield tarEnd();
}

/** Names without a tag mean nothing to its readers. */
const repoTags = (names: readonly string[]) => names.filter((name) => /^[^@]+:[^/:@]+$/.test(name));

async function* dockerArchive({ store, image, manifest, names }: Saved): AsyncGenerator<Buffer> {
  const config = `${hexOf(manifest.config.digest)}.json`;
  const layerFile = (hex: string) => `${hex}.tar`;
  const layers = image.layers.map(({ diffId }) => layerFile(hexOf(diffId)));
  yield* document('manifest.json', [{ Config: config, RepoTags: repoTags(names), Layers: layers }]);
  yield* document(config, await store.document(manifest.config.digest));
  const each = new Map(image.layers.map((layer) => [layer.diffId, layer]));
  for (const { diffId, tarBytes } of each.values()) {
    yield* file(layerFile(hexOf(diffId)), tarBytes, (await store.exportLayer(diffId)) as AsyncIterable<Buffer>);
  }
  yield tarEnd();
}

/** The archive as a stream; the image is held until it is closed. `names` are what its reader will call it. */
export async function saveArchive(
  store: ImageStore,
  image: Image,
  format: ArchiveFormat,
  names: string[],
): Promise<Readable> {
  const lease = store.lease([image.digest]);
  try {
    const manifestBytes = await store.document(image.digest);
    const manifest = parseManifest(manifestBytes);
    if (manifest === null) throw new WaferError('digest_mismatch', `${image.digest} is not the manifest of an image.`);
    const saved = { store, image, manifest, manifestBytes, names };
    const bytes = format === 'oci-archive' ? ociArchive(saved) : dockerArchive(saved);
    const stream = Readable.from(bytes, { objectMode: false });
    stream.once('close', () => lease.release());
    return stream;
  } catch (error) {
    lease.release();
    throw error;
  }
}
