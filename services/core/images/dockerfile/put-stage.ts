import { OWN_PREFIX } from '../reserved.ts';
import type { Image, ImageStore } from '../types.ts';
import type { StageState } from './stage-state.ts';

/** Images that nobody named: without `-t`, and what a failed build leaves to be looked at. */
export const UNNAMED_PREFIX = OWN_PREFIX.unnamed;

export function putStage(state: StageState, images: ImageStore, tag?: string): Promise<Image> {
  return images.putImage({
    layers: state.layers.map((layer) => layer.diffId),
    config: state.config,
    history: [...state.history],
    ...(state.created === undefined ? {} : { created: state.created }),
    ...(state.author === undefined ? {} : { author: state.author }),
    ...(tag === undefined ? {} : { tag }),
  });
}
