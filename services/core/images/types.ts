/**
 * The image store: an OCI image layout (`oci-layout`, `index.json`, `blobs/sha256`)
 * plus every layer unpacked once under its diff id, ready to be an overlay lower.
 *
 * Files inside unpacked layers belong to subordinate ids, so only the engine can
 * write or remove them: the store gets a `LayerUnpacker` and never walks into one.
 */
import type { Readable, Writable } from 'node:stream';
import type { StoreContent } from './distribution/content.ts';

/** `sha256:` + 64 lower-case hex digits; checked before any use as a path. */
export type Digest = string;

export const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
} as const;

export interface Descriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  annotations?: Record<string, string>;
}

export interface Healthcheck {
  /** `NONE`, or `CMD` and argv, or `CMD-SHELL` and a line. */
  Test: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

export interface ImageConfig {
  architecture: string;
  os: 'linux';
  created?: string;
  author?: string;
  config: {
    User?: string;
    Env?: string[];
    Entrypoint?: string[];
    Cmd?: string[];
    WorkingDir?: string;
    Labels?: Record<string, string>;
    ExposedPorts?: Record<string, object>;
    Volumes?: Record<string, object>;
    StopSignal?: string;
    /** The next three are Docker's; other tools read them in OCI configs too. Times in nanoseconds. */
    Healthcheck?: Healthcheck;
    Shell?: string[];
    OnBuild?: string[];
  };
  rootfs: { type: 'layers'; diff_ids: Digest[] };
  history: { created?: string; created_by?: string; comment?: string; empty_layer?: boolean }[];
}

/** A layer in the store: blob (compressed), unpacked directory, and what is known about it. */
export interface LayerInfo {
  /** Digest of the uncompressed tar; names the unpacked directory. */
  diffId: Digest;
  /** Compressed blob. */
  blob: Descriptor;
  /** Bytes of the uncompressed tar. */
  tarBytes: number;
  createdBy: string;
  createdAt: number;
}

export interface Image {
  /** Manifest digest. */
  digest: Digest;
  tags: string[];
  config: ImageConfig;
  layers: LayerInfo[];
}

/** Carried out by the engine inside a jail; `stream` is an uncompressed tar. */
export interface LayerUnpacker {
  /** Creates the unpacked layer `name` (64 hex, or a temporary one) atomically: it is there whole or not at all. */
  unpack(name: string, stream: Readable, signal?: AbortSignal): Promise<{ entries: number; bytes: number }>;
  remove(name: string): Promise<void>;
}

/** Where the bytes of one blob go; digest and size are checked on the way, whatever the source says. */
export interface BlobSink {
  /** Bytes that are in it: where a source that broke off goes on. */
  readonly size: number;
  /** @throws WaferError `digest_mismatch` when there are more than the descriptor says */
  append(chunk: Buffer): Promise<void>;
  /** Back to empty, for a source that can not go on where it broke off. */
  restart(): Promise<void>;
}

export type ImportState = 'exists' | 'fetching' | 'unpacking' | 'done';

/** An image from somewhere else, with its documents byte by byte. */
export interface ImageImport {
  manifest: Buffer;
  config: Buffer;
  tags: string[];
  /** Brings the bytes of a layer that the store lacks. Runs for up to `IMPORT_PARALLEL` layers at a time. */
  fetch(blob: Descriptor, sink: BlobSink, signal: AbortSignal): Promise<void>;
  onLayer?: (blob: Descriptor, state: ImportState) => void;
  signal: AbortSignal;
}

export interface AddLayerOptions {
  createdBy: string;
  /** When given and different from what was read: `digest_mismatch`, and nothing stays. */
  expectedDiffId?: Digest;
  /** Half the time for a tenth more bytes: for layers that a build waits for. */
  fast?: boolean;
  /** Ends reading and unpacking; nothing stays. */
  signal?: AbortSignal;
  /**
   * After the tar was read to its end: what it was made from becomes the unpacked layer of this name, so that nothing
   * has to be unpacked. False when it can not; then the tar is.
   */
  adopt?: (layer: string) => Promise<boolean>;
  /** Gets the tar too, as it passes; holds it back while it is full. One that fails stops nothing. */
  alsoTo?: Writable;
}

export interface ImageStore {
  /** Takes an uncompressed tar; compresses, digests and unpacks in one pass. Idempotent: same content, same layer. */
  addLayer(tar: Readable, options: AddLayerOptions): Promise<LayerInfo>;
  layer(diffId: Digest): Promise<LayerInfo | null>;
  /** Writes config and manifest; with `tag` it is in index.json, without it only a lease keeps it. */
  putImage(image: {
    layers: Digest[];
    config: Omit<ImageConfig, 'rootfs' | 'history' | 'os' | 'architecture'>['config'];
    tag?: string;
    annotations?: Record<string, string>;
    /** When given: one entry that is not `empty_layer` for each layer. Else made from the layers. */
    history?: ImageConfig['history'];
    created?: string;
    author?: string;
  }): Promise<Image>;
  /**
   * Takes an image as it is: manifest, config and blobs keep their bytes and digests. Layers
   * that are there cost nothing; a new one is unpacked only if it has the diff id of the config.
   * @throws WaferError `invalid_image | digest_mismatch`, and what `fetch` throws
   */
  importImage(image: ImageImport): Promise<Image>;
  /** The bytes of a manifest or config. @throws WaferError `not_found` */
  document(digest: Digest): Promise<Buffer>;
  /** By tag (`node24`) or digest. @throws WaferError `image_not_found` */
  get(reference: string): Promise<Image>;
  find(reference: string): Promise<Image | null>;
  list(): Promise<Image[]>;
  tag(reference: string, tag: string): Promise<void>;
  /** What a client of the registry had pushed under this name goes with it. */
  untag(tag: string): Promise<void>;
  /**
   * While held, garbage collection keeps these layers and images. Leases are in
   * memory: a crash ends them together with the sandboxes that needed them.
   */
  lease(references: string[]): Lease;
  /** What was added for a build that failed needs no grace: the next collection may take it, unless it is leased or referred to. */
  forget(digests: Digest[]): void;
  /** Removes untagged images, unreferenced layers and blobs, left-over temporaries. Never one that is leased or tagged. */
  collectGarbage(): Promise<{ images: number; layers: number; bytes: number }>;
  usage(): Promise<{ blobsBytes: number; layers: number; images: number }>;
  /** Layer names as the engine wants them: 64 hex digits, bottom first. */
  layerNames(image: Image): string[];
  /** Errors before its end when the bytes are not those of the digest. @throws WaferError `not_found` */
  readBlob(digest: Digest): Promise<Readable>;
  /** What the registry server serves; see distribution/. */
  readonly content: StoreContent;
  /** The layer's uncompressed tar, checked against the diff id like a blob. @throws WaferError `not_found` */
  exportLayer(diffId: Digest): Promise<Readable>;
}

export interface Lease {
  release(): void;
}
