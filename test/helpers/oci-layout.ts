/** Writes OCI layouts of small images for skopeo to copy, with full control over every document. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { MEDIA } from '../../services/core/images/types.ts';
import { makeTar } from './make-tar.ts';

export const sha256 = (bytes: Buffer | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export interface MadeImage {
  manifest: Buffer;
  config: Buffer;
  /** Digest -> bytes, documents and layers. */
  blobs: Map<string, Buffer>;
  digest: string;
  layers: { digest: string; diffId: string; size: number; tar: Buffer }[];
}

export interface MakeOptions {
  layerType?: string;
  manifestType?: string;
  configType?: string;
  pack?: (tar: Buffer) => Buffer;
  /** Changes the documents before they are written. */
  config?: (config: Record<string, unknown>) => Record<string, unknown>;
  manifest?: (manifest: Record<string, unknown>) => Record<string, unknown>;
}

export function makeImage(layers: Record<string, string | Buffer | null>[], options: MakeOptions = {}): MadeImage {
  const { layerType = MEDIA.layerGzip, manifestType = MEDIA.manifest, configType = MEDIA.config } = options;
  const pack = options.pack ?? ((tar: Buffer) => gzipSync(tar));
  const blobs = new Map<string, Buffer>();
  const keep = (bytes: Buffer) => {
    blobs.set(sha256(bytes), bytes);
    return { digest: sha256(bytes), size: bytes.length };
  };
  const made = layers.map((files) => {
    const tar = makeTar(files);
    return { tar, diffId: sha256(tar), ...keep(pack(tar)) };
  });
  const plainConfig = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: ['/bin/true'], Env: ['A=b'] },
    rootfs: { type: 'layers', diff_ids: made.map(({ diffId }) => diffId) },
    history: made.map((_, at) => ({ created_by: `step ${at + 1}` })),
  };
  const config = Buffer.from(JSON.stringify((options.config ?? ((same) => same))(plainConfig)));
  const plain = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: configType, ...keep(config) },
    layers: made.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
  };
  const manifest = Buffer.from(JSON.stringify((options.manifest ?? ((same) => same))(plain)));
  return { manifest, config, blobs, layers: made, digest: keep(manifest).digest };
}

export function writeLayout(dir: string, image: MadeImage, tag = 'v1'): string {
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
  for (const [digest, bytes] of image.blobs) writeFileSync(join(dir, 'blobs/sha256', digest.slice(7)), bytes);
  const { mediaType = MEDIA.manifest } = JSON.parse(image.manifest.toString());
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  const manifests = [{ mediaType, digest: image.digest, size: image.manifest.length, annotations }];
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  writeFileSync(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return `oci:${dir}:${tag}`;
}
