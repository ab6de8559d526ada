/**
 * Base images: made once from `infra/base-images`, found again by their definition's
 * digest, rebuilt only when it changes. Each may have tool layers that only builds see.
 */
import type { BuiltRuntime } from '../../core/functions/defaults.ts';
import type { Image, ImageStore, LayerInfo } from '../../core/images/types.ts';
import { type Definition, type LayerSource, readDefinitions } from './definition.ts';
import { envOf, type LayerSourceDeps, makeLayer } from './layer-sources.ts';

export interface BaseImage {
  name: string;
  image: Image;
  /** Layer names, bottom first. */
  layers: string[];
  /** Go on top of `layers` in build sandboxes. */
  toolLayers: string[];
  env: Record<string, string>;
  /** Runtimes that take this base when wafer.json names none. */
  defaultFor: string[];
}

export interface BaseProgress {
  image: string;
  /** 0-100 of this image. */
  percent: number;
  text: string;
  state: 'building' | 'built' | 'ready';
}

export interface BaseImages {
  /** @throws WaferError `build_failed` naming the image and the step */
  prepare(onProgress: (progress: BaseProgress) => void): Promise<void>;
  /** Makes none: `bring` gets each by its name into the store. For a worker whose versions are built elsewhere. */
  bring(bring: (name: string) => Promise<Image>): Promise<void>;
  get(name: string): BaseImage | undefined;
  list(): BaseImage[];
  defaultFor(runtime: BuiltRuntime): string;
}

const LABEL_DEFINITION = 'dev.wafer.definition';
export const toolsTag = (name: string): string => `${name}-tools`;

export function createBaseImages(deps: LayerSourceDeps): BaseImages {
  const ready = new Map<string, BaseImage>();
  return {
    async prepare(onProgress) {
      for (const definition of await readDefinitions(deps.dir)) {
        const parent = definition.from === null ? undefined : ready.get(definition.from);
        ready.set(definition.name, await prepareOne(definition, parent, deps, onProgress));
      }
    },
    async bring(bring) {
      for (const definition of await readDefinitions(deps.dir)) {
        const image = await bring(definition.name);
        await deps.images.tag(image.digest, definition.name);
        ready.set(definition.name, describe(definition, deps.images, image, image));
      }
    },
    get: (name) => ready.get(name),
    list: () => [...ready.values()],
    defaultFor(runtime) {
      const found = [...ready.values()].filter((base) => base.defaultFor.includes(runtime));
      return found.at(-1)?.name ?? 'debian12';
    },
  };
}

async function prepareOne(
  definition: Definition,
  parent: BaseImage | undefined,
  deps: LayerSourceDeps,
  onProgress: (progress: BaseProgress) => void,
): Promise<BaseImage> {
  const { images } = deps;
  const { name } = definition;
  const parentLayers = parent?.image.layers ?? [];
  const key = `${definition.digest}/${parent?.image.digest ?? ''}`;
  const known = await findMade(images, name, key);
  const knownTools = await findMade(images, toolsTag(name), key);
  const report = (state: BaseProgress['state'], percent: number, text: string) =>
    onProgress({ image: name, state, percent, text });
  let image = known;
  let tools = knownTools;
  if (image === null || tools === null) {
    const total = definition.layers.length + definition.tools.length;
    const made = await makeAll(
      [...definition.layers, ...definition.tools],
      definition,
      parentLayers,
      deps,
      (index, percent, text) => report('building', Math.floor((index * 100 + percent) / total), text),
    );
    const config = {
      Env: definition.env,
      Labels: { [LABEL_DEFINITION]: key, 'dev.wafer.description': definition.description },
    };
    const all = [...parentLayers, ...made].map((layer) => layer.diffId);
    const own = parentLayers.length + definition.layers.length;
    image = await images.putImage({ layers: all.slice(0, own), config, tag: name });
    tools = await images.putImage({ layers: all, config, tag: toolsTag(name) });
    report('built', 100, '');
  } else report('ready', 100, '');
  return describe(definition, images, image, tools);
}

function describe(definition: Definition, images: ImageStore, image: Image, tools: Image): BaseImage {
  const names = images.layerNames(image);
  return {
    name: definition.name,
    image,
    layers: names,
    toolLayers: images.layerNames(tools).slice(names.length),
    env: envOf(definition),
    defaultFor: definition.default,
  };
}

async function findMade(images: ImageStore, tag: string, key: string): Promise<Image | null> {
  const image = await images.find(tag);
  return image?.config.config.Labels?.[LABEL_DEFINITION] === key ? image : null;
}

async function makeAll(
  sources: LayerSource[],
  definition: Definition,
  parentLayers: LayerInfo[],
  deps: LayerSourceDeps,
  onProgress: (index: number, percent: number, text: string) => void,
): Promise<LayerInfo[]> {
  const made: LayerInfo[] = [];
  for (const [index, source] of sources.entries()) {
    const below = [...parentLayers, ...made].map((layer) => layer.diffId.slice('sha256:'.length));
    made.push(await makeLayer(source, definition, below, deps, (percent, text) => onProgress(index, percent, text)));
  }
  return made;
}
