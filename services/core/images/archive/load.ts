/**
 * Loads images from an `oci-archive` or a `docker-archive`, told apart by what is in them.
 * Newer tools write both into one file; then the OCI half is read, which has the digests.
 */
import type { Readable } from 'node:stream';
import { digestOf, isDigest } from '../digest.ts';
import { hostArchitecture, isDescriptor, isRecord, type Manifest, parseJson, parseManifest } from '../documents.ts';
import { MAX_LAYERS } from '../images.ts';
import { REF_NAME } from '../layout.ts';
import { createReporter, type OnTransfer } from '../progress.ts';
import { type Descriptor, type Digest, type Image, type ImageStore, MEDIA } from '../types.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits, type Spool, spoolArchive } from './spool.ts';
import { refuseArchive } from './tar-reader.ts';

export interface LoadOptions {
  /** On the disk of the store; what is left there by a crash is removed at the next start. */
  tmpDir: string;
  /** The whole name for a name in the archive; null when it can not have one here. */
  nameOf(name: string): string | null;
  onEvent: OnTransfer;
  signal: AbortSignal;
  limits?: Partial<ArchiveLimits>;
}

interface Part {
  manifest: Buffer;
  config: Buffer;
  names: string[];
  fileOf(blob: Descriptor): string;
}

/** What Docker's and containerd's tools write beside the tag alone. */
const WHOLE_NAME = 'io.containerd.image.name';
const MAX_IMAGES = 100;
const INDEXES: readonly unknown[] = [MEDIA.index, MEDIA.dockerIndex];
const MAX_DEPTH = 4;

const blobPath = (digest: Digest) => `blobs/sha256/${digest.slice('sha256:'.length)}`;

async function ociDocument(spool: Spool, { digest, size }: Descriptor): Promise<Buffer> {
  const bytes = await spool.document(blobPath(digest));
  if (bytes.length !== size || digestOf(bytes) !== digest) throw refuseArchive(`blob ${digest} is damaged`);
  return bytes;
}

const namesOf = ({ annotations }: Descriptor): string[] => {
  const name = annotations?.[WHOLE_NAME] ?? annotations?.[REF_NAME];
  return typeof name === 'string' && name !== '' ? [name] : [];
};

function fitsHost(value: unknown): boolean {
  if (!isRecord(value) || !isRecord(value['platform'])) return true;
  return value['platform']['os'] === 'linux' && value['platform']['architecture'] === hostArchitecture();
}

/** Of an index in the index: the image for this host. */
async function ociPart(spool: Spool, entry: Descriptor, names: string[], depth = 0): Promise<Part> {
  if (depth > MAX_DEPTH) throw refuseArchive(`its index is nested deeper than ${MAX_DEPTH}`);
  const bytes = await ociDocument(spool, entry);
  const value = parseJson(bytes);
  if (isRecord(value) && 'manifests' in value && 'layers' in value)
    throw refuseArchive('a manifest is an image and an index at once');
  if (INDEXES.includes(entry.mediaType) && isRecord(value) && Array.isArray(value['manifests'])) {
    const child = value['manifests'].filter(fitsHost).find(isDescriptor);
    if (child === undefined) throw refuseArchive(`it has nothing for linux/${hostArchitecture()}`);
    return ociPart(spool, child, names, depth + 1);
  }
  const manifest = parseManifest(bytes);
  if (manifest === null) throw refuseArchive(`${entry.digest} is not the manifest of an image`);
  return {
    manifest: bytes,
    config: await ociDocument(spool, manifest.config),
    names,
    fileOf: ({ digest }) => blobPath(digest),
  };
}

async function ociParts(spool: Spool): Promise<Part[]> {
  const index = parseJson(await spool.document('index.json'));
  const entries: unknown = isRecord(index) ? index['manifests'] : undefined;
  if (!Array.isArray(entries) || entries.length > MAX_IMAGES || !entries.every(isDescriptor)) {
    throw refuseArchive('its index.json is not an index of images');
  }
  const parts: Part[] = [];
  for (const entry of entries) parts.push(await ociPart(spool, entry, namesOf(entry)));
  return parts;
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

/**
 * A docker-archive has no manifest of its own and plain tars: the layers are added first, which
 * compresses them or finds them in the store, and a manifest is made of them. The config stays as it is.
 */
async function dockerPart(store: ImageStore, spool: Spool, value: unknown, made: Digest[]): Promise<Part> {
  const { Config: name, Layers: files, RepoTags: names } = isRecord(value) ? value : {};
  if (typeof name !== 'string' || !isStrings(files)) throw refuseArchive('its manifest.json is not a list of images');
  const config = await spool.document(name);
  const parsed = parseJson(config);
  const rootfs = isRecord(parsed) && isRecord(parsed['rootfs']) ? parsed['rootfs'] : {};
  const diffIds = rootfs['diff_ids'];
  const fits = isStrings(diffIds) && diffIds.every(isDigest) && diffIds.length === files.length;
  if (!fits || diffIds.length > MAX_LAYERS)
    throw refuseArchive(`${JSON.stringify(name.slice(0, 100))} does not fit its layers`);
  const layers: Descriptor[] = [];
  for (const [at, path] of files.entries()) {
    const file = spool.file(path);
    if (file === null) throw refuseArchive(`${JSON.stringify(path.slice(0, 100))} is missing`);
    const expectedDiffId = diffIds[at] ?? '';
    if ((await store.layer(expectedDiffId)) === null) made.push(expectedDiffId);
    layers.push((await store.addLayer(file.open(), { createdBy: 'load', expectedDiffId })).blob);
  }
  const described = { mediaType: MEDIA.config, digest: digestOf(config), size: config.length };
  const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config: described, layers };
  return {
    manifest: Buffer.from(JSON.stringify(manifest)),
    config,
    names: isStrings(names) ? names : [],
    fileOf: ({ digest }) => digest,
  };
}

async function dockerParts(store: ImageStore, spool: Spool, made: Digest[]): Promise<Part[]> {
  const list = parseJson(await spool.document('manifest.json'));
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_IMAGES) {
    throw refuseArchive('its manifest.json is not a list of images');
  }
  const parts: Part[] = [];
  for (const value of list) parts.push(await dockerPart(store, spool, value, made));
  return parts;
}

async function partsOf(store: ImageStore, spool: Spool, made: Digest[]): Promise<Part[]> {
  if (spool.file('index.json') !== null && spool.file('oci-layout') !== null) return ociParts(spool);
  if (spool.file('manifest.json') !== null) return dockerParts(store, spool, made);
  throw refuseArchive('it is neither an oci-archive (index.json) nor a docker-archive (manifest.json)');
}

async function importPart(store: ImageStore, spool: Spool, part: Part, options: LoadOptions): Promise<Image> {
  const report = createReporter(options.onEvent);
  return store.importImage({
    manifest: part.manifest,
    config: part.config,
    tags: part.names.map(options.nameOf).filter((one) => one !== null),
    signal: options.signal,
    onLayer: report,
    async fetch(blob, sink, signal) {
      const file = spool.file(part.fileOf(blob));
      if (file === null) throw refuseArchive(`blob ${blob.digest} is missing`);
      const stream: Readable = file.open();
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        signal.throwIfAborted();
        await sink.append(chunk);
        report(blob, 'fetching', sink.size);
      }
    },
  });
}

/** Owns `source`. @throws WaferError `invalid_archive | invalid_image | digest_mismatch | disk_full` */
export async function loadArchive(store: ImageStore, source: Readable, options: LoadOptions): Promise<Image[]> {
  const limits = { ...ARCHIVE_LIMITS, ...options.limits };
  const spool = await spoolArchive(source, options.tmpDir, limits, options.signal);
  const made: Digest[] = [];
  try {
    const images: Image[] = [];
    for (const part of await partsOf(store, spool, made)) images.push(await importPart(store, spool, part, options));
    return images;
  } catch (error) {
    store.forget(made);
    throw error;
  } finally {
    await spool.close();
  }
}
