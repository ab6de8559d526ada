/** A manifest as it is pushed: read as a stranger's. What it refers to is looked up elsewhere. */

import { isDescriptor, isRecord, parseJson } from '../documents.ts';
import { type Descriptor, type Digest, MEDIA } from '../types.ts';
import { DistributionError } from './errors.ts';
import type { DistributionLimits } from './limits.ts';

export interface ManifestDocument {
  mediaType: string;
  isIndex: boolean;
  /** Its config is that of an image, as opposed to an artifact's. */
  hasImageConfig: boolean;
  /** Null for an index. */
  config: Descriptor | null;
  /** Config and layers; of an index its manifests. */
  refs: Descriptor[];
  subject: Digest | null;
}

const INDEXES: readonly string[] = [MEDIA.index, MEDIA.dockerIndex];
const MANIFESTS: readonly string[] = [MEDIA.manifest, MEDIA.dockerManifest];
const CONFIGS: readonly string[] = [MEDIA.config, MEDIA.dockerConfig];

const refuse = (why: string) => new DistributionError('MANIFEST_INVALID', `The manifest is not acceptable: ${why}.`);

/** Said by the header, by the document, or by both; then they must agree. */
function mediaTypeOf(value: Record<string, unknown>, contentType: string): string {
  const header = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  const own = value['mediaType'];
  if (own !== undefined && typeof own !== 'string') throw refuse('its media type is not a string');
  const mediaType = header === '' ? (own ?? '') : header;
  if (own !== undefined && own !== mediaType) {
    throw refuse('its media type is not the Content-Type that it came with');
  }
  if (INDEXES.includes(mediaType) || MANIFESTS.includes(mediaType)) return mediaType;
  throw refuse(
    `${JSON.stringify(mediaType.slice(0, 120))} is not the media type of an OCI or Docker manifest, or index`,
  );
}

function listOf(value: unknown, what: string, max: number): Descriptor[] {
  if (!Array.isArray(value) || value.length > max || !value.every(isDescriptor)) {
    throw refuse(
      `"${what}" is not a list of at most ${max} descriptors, each with mediaType, size and a sha256 digest`,
    );
  }
  return value;
}

function subjectOf(value: Record<string, unknown>): Digest | null {
  const { subject } = value;
  if (subject === undefined || subject === null) return null;
  if (isDescriptor(subject)) return subject.digest;
  throw refuse('"subject" is not a descriptor');
}

/** @throws DistributionError `MANIFEST_INVALID` */
export function readManifestDocument(bytes: Buffer, contentType: string, limits: DistributionLimits): ManifestDocument {
  const value = parseJson(bytes);
  if (!isRecord(value)) throw refuse('it is not a JSON object');
  if (value['schemaVersion'] !== 2) throw refuse('only manifests of schema version 2 are taken');
  if ('manifests' in value && ('layers' in value || 'config' in value)) {
    throw refuse('it is an image and an index at once');
  }
  const mediaType = mediaTypeOf(value, contentType);
  const subject = subjectOf(value);
  if (INDEXES.includes(mediaType)) {
    const refs = listOf(value['manifests'], 'manifests', limits.references);
    return { mediaType, isIndex: true, hasImageConfig: false, config: null, refs, subject };
  }
  const { config } = value;
  if (!isDescriptor(config)) throw refuse('"config" is not a descriptor');
  const layers = listOf(value['layers'], 'layers', limits.references);
  const hasImageConfig = CONFIGS.includes(config.mediaType);
  return { mediaType, isIndex: false, hasImageConfig, config, refs: [config, ...layers], subject };
}

export interface ReferrerDescriptor extends Descriptor {
  artifactType?: string;
}

/** How a list of referrers shows this manifest. */
export function describeReferrer(bytes: Buffer, digest: Digest, mediaType: string): ReferrerDescriptor {
  const value = parseJson(bytes);
  const { artifactType, config, annotations } = isRecord(value) ? value : {};
  const fromConfig = isRecord(config) && typeof config['mediaType'] === 'string' ? config['mediaType'] : undefined;
  const type = typeof artifactType === 'string' && artifactType !== '' ? artifactType : fromConfig;
  const isStrings = isRecord(annotations) && Object.values(annotations).every((one) => typeof one === 'string');
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(isStrings ? { annotations: annotations as Record<string, string> } : {}),
  };
}
