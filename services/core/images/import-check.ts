/** What an image from somewhere else must be before anything of it is fetched. */
import { WaferError } from '../errors.ts';
import { compressionOf } from './compression.ts';
import { hostArchitecture, isRecord, type Manifest, parseConfig, parseManifest } from './documents.ts';
import { MAX_LAYERS } from './images.ts';
import type { Descriptor, Digest, ImageConfig } from './types.ts';

export interface CheckedImage {
  manifest: Manifest;
  config: ImageConfig;
  layers: { blob: Descriptor; diffId: Digest }[];
}

/** A layer above this is refused before its first byte. */
const MAX_BLOB_BYTES = 16 * 1024 ** 3;
/** Far more than any honest image has. */
const MAX_STRINGS = 2_000;

const refuse = (why: string) => new WaferError('invalid_image', `The image is not acceptable: ${why}.`);

const isStrings = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (Array.isArray(value) && value.length <= MAX_STRINGS && value.every((one) => typeof one === 'string'));

const isText = (value: unknown): boolean => value === undefined || value === null || typeof value === 'string';

function isLabels(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return isRecord(value) && Object.keys(value).length <= MAX_STRINGS && Object.values(value).every(isText);
}

/** As Go writes one: names with nothing, or an empty object. */
function isSet(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return (
    isRecord(value) &&
    Object.keys(value).length <= MAX_STRINGS &&
    Object.values(value).every((one) => one === null || isRecord(one))
  );
}

function isHealthcheck(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  const numbers = ['Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries'];
  return (
    isRecord(value) &&
    isStrings(value['Test']) &&
    numbers.every((key) => value[key] === undefined || value[key] === null || Number.isSafeInteger(value[key]))
  );
}

function checkRunConfig(config: unknown): void {
  if (!isRecord(config)) throw refuse('its "config" is not an object');
  for (const key of ['Env', 'Entrypoint', 'Cmd', 'Shell', 'OnBuild']) {
    if (!isStrings(config[key])) throw refuse(`"${key}" is not a list of at most ${MAX_STRINGS} strings`);
  }
  for (const key of ['User', 'WorkingDir', 'StopSignal'])
    if (!isText(config[key])) throw refuse(`"${key}" is not a string`);
  if (!isLabels(config['Labels'])) throw refuse('"Labels" is not a map of strings');
  for (const key of ['Volumes', 'ExposedPorts'])
    if (!isSet(config[key])) throw refuse(`"${key}" is not a set of names`);
  if (!isHealthcheck(config['Healthcheck'])) throw refuse('"Healthcheck" is not a check');
}

function checkHistory(history: unknown): void {
  const isHistory =
    Array.isArray(history) &&
    history.length <= MAX_STRINGS &&
    history.every((one) => isRecord(one) && isText(one['created_by']) && isText(one['created']));
  if (!isHistory) throw refuse('its history is not a list of steps');
}

function checkPlatform({ os, architecture }: ImageConfig): void {
  if (os === 'linux' && architecture === hostArchitecture()) return;
  const shown = JSON.stringify(`${String(os)}/${String(architecture)}`.slice(0, 60));
  throw new WaferError('invalid_image', `The image is for ${shown}; this host is linux/${hostArchitecture()}.`);
}

/** @throws WaferError `invalid_image`, or `digest_mismatch` when the documents do not belong together */
export function checkImage(manifestBytes: Buffer, configBytes: Buffer): CheckedImage {
  const manifest = parseManifest(manifestBytes);
  if (manifest === null) throw refuse('its manifest is not one of an image');
  if (manifest.layers.length > MAX_LAYERS) throw refuse(`it has more than ${MAX_LAYERS} layers`);
  for (const { mediaType, size } of manifest.layers) {
    compressionOf(mediaType);
    if (size > MAX_BLOB_BYTES) throw refuse(`a layer has more than ${MAX_BLOB_BYTES} bytes`);
  }
  const config = parseConfig(configBytes, manifest);
  checkPlatform(config);
  checkRunConfig(config.config);
  checkHistory(config.history);
  const layers = manifest.layers.map((blob, at) => ({ blob, diffId: config.rootfs.diff_ids[at] ?? '' }));
  return { manifest, config, layers };
}
