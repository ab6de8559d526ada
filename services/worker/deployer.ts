/**
 * Deploy: source -> dependency layer -> code layer -> image -> version. The version is
 * published last, in one step; any failure before leaves the old one serving and the
 * store without anything new.
 */
import { WaferError } from '../core/errors.ts';
import type { FunctionConfig } from '../core/functions/schema.ts';
import { readSource, type SourceTree } from '../core/functions/source/index.ts';
import type { BuildEvent, Deployer, DeployRequest, FunctionStore, FunctionVersion } from '../core/functions/types.ts';
import type { ImageStore, LayerInfo } from '../core/images/types.ts';
import type { Dispatcher } from '../core/invocations/types.ts';
import type { BaseImage, BaseImages } from './base-images/index.ts';
import { type BuildLeases, openBuildLeases } from './build/build-leases.ts';
import type { BuildOutput, BuildSandboxes } from './build/build-sandbox.ts';
import { configFromSource } from './build/config.ts';
import { DEPENDENCY_TAG_PREFIX, type DependencyBuilder, dependencyTag } from './build/dependencies.ts';
import { bundleTypescript, typescriptEntry } from './build/typescript.ts';
import { LABEL_BASE_LAYERS } from './instance-plan.ts';

export interface DeployerDeps {
  functions: FunctionStore;
  images: ImageStore;
  bases: BaseImages;
  sandboxes: BuildSandboxes;
  dependencies: DependencyBuilder;
  dispatcher: Dispatcher;
  tmpDir: string;
  /** Told after a version went live. Must not throw. */
  onPublished: (version: FunctionVersion) => void;
}

/** Tag of a version's image; the store can be rebuilt from these. */
export const versionTag = (name: string, digest: string): string => `functions/${name}@${digest.slice(7, 19)}`;
export const VERSION_TAG_PREFIX = 'functions/';

export function createDeployer(deps: DeployerDeps): Deployer {
  const last = new Map<string, Promise<unknown>>();
  return {
    async deploy(request, onEvent) {
      // One deploy of a function at a time: the last one to start is the one that serves.
      const before = last.get(request.name) ?? Promise.resolve();
      const mine = before.catch(() => {}).then(() => deploy(request, deps, onEvent));
      last.set(request.name, mine);
      try {
        return await mine;
      } finally {
        if (last.get(request.name) === mine) last.delete(request.name);
      }
    },
    async remove(name) {
      await deps.functions.remove(name);
      await deps.dispatcher.retire(name);
      const images = await deps.images.list();
      const mine = `${VERSION_TAG_PREFIX}${name}@`;
      for (const tag of images.flatMap((image) => image.tags)) if (tag.startsWith(mine)) await deps.images.untag(tag);
      await dropUnusedDependencies(deps.images);
      await deps.images.collectGarbage();
    },
  };
}

/** A shared dependency layer goes with the last version that has it. */
async function dropUnusedDependencies(store: ImageStore): Promise<void> {
  const images = await store.list();
  const isVersion = (tag: string) => tag.startsWith(VERSION_TAG_PREFIX);
  const used = new Set(
    images.filter((image) => image.tags.some(isVersion)).flatMap((image) => image.layers.map((layer) => layer.diffId)),
  );
  for (const image of images) {
    const top = image.layers.at(-1);
    if (top === undefined || used.has(top.diffId)) continue;
    for (const tag of image.tags) if (tag.startsWith(DEPENDENCY_TAG_PREFIX)) await store.untag(tag);
  }
}

async function deploy(
  request: DeployRequest,
  deps: DeployerDeps,
  onEvent: (event: BuildEvent) => void,
): Promise<FunctionVersion> {
  const source = await readSource(request.source, { tmpDir: deps.tmpDir, keepNodeModules: true }, request.signal);
  const leases = openBuildLeases(deps.images);
  try {
    const config = await configFromSource(request, source, deps.bases);
    const base = deps.bases.get(config.base);
    if (base === undefined) throw unknownBase(config, deps.bases);
    leases.hold(base.image.digest);
    const built = await build(source, config, base, deps, request.signal, onEvent, leases);
    request.signal.throwIfAborted();
    const version = await publish(request.name, config, base, built, deps);
    onEvent({ type: 'deployed', version });
    deps.onPublished(version);
    return version;
  } catch (error) {
    await leases.discard();
    throw error;
  } finally {
    leases.release();
    await source.close();
  }
}

function unknownBase(config: FunctionConfig, bases: BaseImages): WaferError {
  const names = bases.list().map((base) => base.name);
  return new WaferError(
    'invalid_config',
    `/base: there is no base image "${config.base}"; there are ${names.join(', ')}.`,
    { details: { path: '/base' } },
  );
}

interface Built {
  layers: LayerInfo[];
  codeBytes: number;
  addedBytes: number;
  dependencyKey: string | null;
}

async function build(
  source: SourceTree,
  config: FunctionConfig,
  base: BaseImage,
  deps: DeployerDeps,
  signal: AbortSignal,
  onEvent: (event: BuildEvent) => void,
  leases: BuildLeases,
): Promise<Built> {
  const dependencies = (await deps.dependencies.needed(source, config))
    ? await inStep('dependencies', onEvent, (output) => deps.dependencies.layer(source, config, base, output, signal))
    : null;
  if (dependencies !== null) leases.made(dependencies.layer);
  const code = await inStep('code', onEvent, async (output) => {
    const bundle = await bundleIfTypescript(source, config, base, dependencies?.layer ?? null, deps, output, signal);
    const keep = (path: string) =>
      dependencies === null || !(path === 'node_modules' || path.startsWith('node_modules/'));
    return deps.images.addLayer(source.toTar('function/', { keep, add: bundle === null ? [] : [bundle] }), {
      createdBy: 'code',
    });
  });
  leases.made(code);
  const layers = dependencies === null ? [code] : [dependencies.layer, code];
  const made = dependencies === null || dependencies.cached ? [code] : layers;
  const addedBytes = made.reduce((sum, layer) => sum + layer.blob.size, 0);
  return { layers, codeBytes: source.totalBytes, addedBytes, dependencyKey: dependencies?.key ?? null };
}

function bundleIfTypescript(
  source: SourceTree,
  config: FunctionConfig,
  base: BaseImage,
  dependencies: LayerInfo | null,
  deps: DeployerDeps,
  output: BuildOutput,
  signal: AbortSignal,
) {
  const entry = config.runtime === 'node' ? typescriptEntry(source, config.handler) : null;
  if (entry === null) return Promise.resolve(null);
  const below = dependencies === null ? null : dependencies.diffId.slice('sha256:'.length);
  return bundleTypescript({ entry, base, dependencies: below, source }, deps, output, signal);
}

async function inStep<T extends object | null>(
  step: string,
  onEvent: (event: BuildEvent) => void,
  work: (output: BuildOutput) => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  onEvent({ type: 'step', step, state: 'start' });
  const result = await work((stream, text) => onEvent({ type: 'log', step, stream, text }));
  onEvent({
    type: 'step',
    step,
    state: result !== null && 'cached' in result && result.cached === true ? 'cached' : 'done',
    ms: performance.now() - startedAt,
  });
  return result;
}

async function publish(
  name: string,
  config: FunctionConfig,
  base: BaseImage,
  built: Built,
  deps: DeployerDeps,
): Promise<FunctionVersion> {
  const { images, functions } = deps;
  const layers = [...base.image.layers, ...built.layers].map((layer) => layer.diffId);
  const labels = {
    [LABEL_BASE_LAYERS]: String(base.image.layers.length),
    'dev.wafer.base': base.name,
    'dev.wafer.function': name,
    'dev.wafer.config': JSON.stringify(config),
  };
  const image = await images.putImage({
    layers,
    config: { Labels: labels, WorkingDir: '/function', Env: base.image.config.config.Env ?? [] },
  });
  const lease = images.lease([image.digest]);
  try {
    await images.tag(image.digest, versionTag(name, image.digest));
    if (built.dependencyKey !== null) {
      const own = [...base.image.layers, built.layers[0]].flatMap((layer) =>
        layer === undefined ? [] : [layer.diffId],
      );
      await images.putImage({ layers: own, config: {}, tag: dependencyTag(built.dependencyKey) });
    }
    return await functions.publish({
      functionName: name,
      image: image.digest,
      base: base.name,
      config,
      codeBytes: built.codeBytes,
      addedBytes: built.addedBytes,
    });
  } finally {
    lease.release();
  }
}
