/**
 * Texts that many images have, kept in memory once: what is parsed is shared by nobody, and the image of a
 * function is mostly what its base image says. So a deployed function takes a kilobyte less.
 */
import type { Image, LayerInfo } from './types.ts';

/** Those that come first stay: base images are read before what is built on them. */
const MOST_TEXTS = 1_000;

/** Changes the image, which nobody else has yet, to say the same with texts that others have. */
export type ShareTexts = (image: Omit<Image, 'tags'>) => void;

export function createShareTexts(): ShareTexts {
  const texts = new Map<string, string>();
  const share = (text: string): string => {
    const known = texts.get(text);
    if (known === undefined && texts.size < MOST_TEXTS) texts.set(text, text);
    return known ?? text;
  };
  const shareLayer = (layer: LayerInfo) => {
    layer.diffId = share(layer.diffId);
    layer.createdBy = share(layer.createdBy);
    layer.blob = { ...layer.blob, mediaType: share(layer.blob.mediaType), digest: share(layer.blob.digest) };
  };
  return ({ layers, config }) => {
    layers.forEach(shareLayer);
    config.rootfs.diff_ids = config.rootfs.diff_ids.map(share);
    for (const entry of isList(config.history) ? config.history : [])
      if (isText(entry?.created_by)) entry.created_by = share(entry.created_by);
    const { Env } = config.config;
    if (isList(Env) && Env.every(isText)) config.config.Env = Env.map(share);
  };
}

// Documents are from strangers, too.
const isList = (value: unknown) => Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
