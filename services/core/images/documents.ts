/** Config and manifest of an image: written so that the same inputs give the same digest, read as if a stranger wrote them. */
import { WaferError } from '../errors.ts';
import { isDigest } from './digest.ts';
import { type Descriptor, type Digest, type ImageConfig, type LayerInfo, MEDIA } from './types.ts';

export interface Manifest {
  schemaVersion: 2;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
  annotations?: Record<string, string>;
}

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' };

/** This host's processor as images name it. */
export const hostArchitecture = (): string => ARCHITECTURES[process.arch] ?? process.arch;

const CONFIGS: readonly string[] = [MEDIA.config, MEDIA.dockerConfig];
const MANIFESTS: readonly unknown[] = [MEDIA.manifest, MEDIA.dockerManifest];

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

type ConfigInput = Pick<ImageConfig, 'config' | 'created' | 'author'> & Partial<Pick<ImageConfig, 'history'>>;

/** Keys in one fixed order, maps sorted, no times of our own: digests must not depend on who asked when. */
export function makeConfig(layers: readonly LayerInfo[], input: ConfigInput): ImageConfig {
  const { config, created, author } = input;
  const history: ImageConfig['history'] = input.history ?? layers.map((layer) => ({ created_by: layer.createdBy }));
  if (history.filter((entry) => entry.empty_layer !== true).length !== layers.length)
    throw new WaferError('internal', 'The history of an image does not fit its layers.');
  const { User, Env, Entrypoint, Cmd, WorkingDir, Labels, ExposedPorts, Volumes } = config;
  const { StopSignal, Healthcheck, Shell, OnBuild } = config;
  const known = {
    User,
    ExposedPorts: ExposedPorts && sorted(ExposedPorts),
    Env,
    Entrypoint,
    Cmd,
    Volumes: Volumes && sorted(Volumes),
    WorkingDir,
    Labels: Labels && sorted(Labels),
    StopSignal,
    Healthcheck,
    Shell,
    OnBuild,
  };
  return {
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
    architecture: hostArchitecture(),
    os: 'linux',
    config: Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history,
  };
}

export function makeManifest(
  config: Descriptor,
  layers: readonly LayerInfo[],
  annotations: Record<string, string> | undefined,
): Manifest {
  return {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config,
    layers: layers.map(({ blob: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
    ...(annotations === undefined ? {} : { annotations: sorted(annotations) }),
  };
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isDescriptor = (value: unknown): value is Descriptor =>
  isRecord(value) &&
  typeof value['mediaType'] === 'string' &&
  isDigest(value['digest']) &&
  Number.isSafeInteger(value['size']) &&
  Number(value['size']) >= 0;

export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Null when the bytes are something else, as most blobs are. A document that is an index as well
 * is neither. Manifests of OCI need not say their media type; then the config's says what they are.
 */
export function parseManifest(bytes: Buffer): Manifest | null {
  const value = bytes[0] === 0x7b ? parseJson(bytes) : undefined;
  if (!isRecord(value) || 'manifests' in value) return null;
  const { mediaType, config, layers } = value;
  if (!isDescriptor(config) || !Array.isArray(layers) || !layers.every(isDescriptor)) return null;
  const isManifest = mediaType === undefined ? CONFIGS.includes(config.mediaType) : MANIFESTS.includes(mediaType);
  if (!isManifest) return null;
  return { ...(value as unknown as Manifest), mediaType: typeof mediaType === 'string' ? mediaType : MEDIA.manifest };
}

/** @throws WaferError `digest_mismatch` when config and manifest do not belong together */
export function parseConfig(bytes: Buffer, manifest: Manifest): ImageConfig {
  const value = parseJson(bytes);
  const rootfs = isRecord(value) && isRecord(value['rootfs']) ? value['rootfs'] : {};
  const diffIds = rootfs['diff_ids'];
  const fits = Array.isArray(diffIds) && diffIds.every(isDigest) && diffIds.length === manifest.layers.length;
  if (!isRecord(value) || !fits) {
    throw new WaferError('digest_mismatch', `Image config ${manifest.config.digest} does not fit its manifest.`);
  }
  const config = value as unknown as ImageConfig;
  return { ...config, config: config.config ?? {}, history: config.history ?? [] };
}

/** The `created_by` of each layer, by position; history has entries for empty steps too. */
export function createdByOf(config: ImageConfig): string[] {
  const real = config.history.filter((entry) => entry.empty_layer !== true);
  return config.rootfs.diff_ids.map((_, index) => real[index]?.created_by ?? 'unknown');
}

export function isLayerInfo(value: unknown, diffId: Digest): value is LayerInfo {
  return (
    isRecord(value) &&
    value['diffId'] === diffId &&
    isDescriptor(value['blob']) &&
    Number.isSafeInteger(value['tarBytes']) &&
    typeof value['createdBy'] === 'string' &&
    Number.isSafeInteger(value['createdAt'])
  );
}
