/** A stage between two steps. Never changed, only replaced. */
import type { Image, ImageConfig, LayerInfo } from '../types.ts';
import type { MetadataState } from './metadata.ts';

export interface StageState extends MetadataState {
  /** Bottom first. */
  layers: readonly LayerInfo[];
  history: readonly ImageConfig['history'][number][];
  /** Names base and all steps up to here, with what went into them. */
  key: string;
  /** Of the newest step, RFC 3339. */
  created: string | undefined;
}

/** As the engine wants them. Of a layer that is there twice the upper one counts: overlayfs refuses one directory twice. */
export function layerNames(layers: readonly LayerInfo[]): string[] {
  const names = layers.map((layer) => layer.diffId.slice('sha256:'.length));
  return names.filter((name, index) => names.lastIndexOf(name) === index);
}

export function stateOfImage(image: Image): StageState {
  const { config, layers } = image;
  const real = config.history.filter((entry) => entry.empty_layer !== true).length;
  return {
    config: structuredClone(config.config),
    author: config.author,
    hasOwnCmd: false,
    layers,
    history: real === layers.length ? config.history : layers.map((layer) => ({ created_by: layer.createdBy })),
    key: image.digest,
    created: config.created,
  };
}

export const SCRATCH: StageState = {
  config: {},
  author: undefined,
  hasOwnCmd: false,
  layers: [],
  history: [],
  key: 'scratch',
  created: undefined,
};

export function withStep(
  state: StageState,
  key: string,
  createdBy: string,
  layer: LayerInfo | null,
  epoch: number | undefined,
): StageState {
  const time = epoch !== undefined ? epoch * 1000 : layer?.createdAt;
  const created = time === undefined ? state.created : new Date(time).toISOString();
  const entry = {
    ...(created === undefined ? {} : { created }),
    created_by: createdBy,
    ...(layer === null ? { empty_layer: true } : {}),
  };
  const layers = layer === null ? state.layers : [...state.layers, layer];
  return { ...state, layers, history: [...state.history, entry], key, created };
}
