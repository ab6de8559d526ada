/**
 * Deploy: source -> dependency layer -> code layer -> image -> version; or an image as it is, see deploy-image.ts. The version is
 * published last, in one step; any failure before leaves the old one serving and the
 * store without anything new.
 */
import { WaferError } from '../../core/errors.ts';
import { dockerfileOf } from '../../core/functions/dockerfile.ts';
import type { ConfigFile, FunctionConfig } from '../../core/functions/schema.ts';
import { readSource, type SourceOptions, type SourceTree } from '../../core/functions/source/index.ts';
import type {
  BuildEvent,
  Deployer,
  DeployRequest,
  FunctionStore,
  FunctionVersion,
} from '../../core/functions/types.ts';
import type { ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { Dispatcher } from '../../core/invocations/types.ts';
import type { Log } from '../../core/log.ts';
import type { BaseImage, BaseImages } from '../base-images/index.ts';
import { type BuildLeases, openBuildLeases } from '../builder/build-leases.ts';
import type { BuildOutput, BuildSandboxes } from '../builder/build-sandbox.ts';
import { type Compiled, type CompileFacts, type CompileInputs, compile, compiledRuntime } from '../builder/compile.ts';
import { completeConfig, readConfigFile } from '../builder/config.ts';
import { DEPENDENCY_TAG_PREFIX, type DependencyBuilder } from '../builder/dependencies.ts';
import type { ImageSource } from '../builder/image-source.ts';
import { choosePreload } from '../builder/preload.ts';
import { bundleTypescript, typescriptEntry } from '../builder/typescript.ts';
import { deployDockerfile, deployReference, type ImageDeploy } from './deploy-image.ts';
import { CONTEXT_LIMITS, type ContextBuilds } from './image-builds.ts';
import { type Built, publishVersion, VERSION_TAG_PREFIX } from './publish-version.ts';

/** As they were written, or as a version stores them. */
export type AssertedSettings = Pick<FunctionConfig, 'onSuccess' | 'onFailure'> &
  Pick<ConfigFile, 'volumes' | 'egress' | 'secrets' | 'secretEnv' | 'memoryMb' | 'cpu' | 'pids'>;

export interface DeployerDeps {
  functions: FunctionStore;
  images: ImageStore;
  bases: BaseImages;
  sandboxes: BuildSandboxes;
  dependencies: DependencyBuilder;
  builds: Pick<ContextBuilds, 'buildContext'>;
  imageSource: ImageSource;
  dispatcher: Dispatcher;
  tmpDir: string;
  log: Log;
  /** Where onSuccess, onFailure and egress lead, whether the volumes and the secrets are there, and limits below those of the operator. @throws WaferError `invalid_config | volume_not_found` */
  assertConfig: (config: AssertedSettings) => Promise<void>;
  /** Told after a version went live. Must not throw. */
  onPublished: (version: FunctionVersion) => void;
}

export function createDeployer(deps: DeployerDeps): Deployer {
  const inTurn = createTurns();
  return {
    async deploy(request, onEvent) {
      const run = (make: Make) => inTurn(request.name, () => deploy(request, make, deps, onEvent));
      const { source: given } = request;
      if (given.kind === 'image')
        return run((leases) => deployReference(given.reference, { request, deps, leases, onEvent }));
      // The upload is read at once: its sender must not wait for another build.
      const source = await readSource(given, sourceOptions(request, deps.tmpDir), request.signal);
      try {
        return await run((leases) => deploySource(source, { request, deps, leases, onEvent }));
      } finally {
        await source.close();
      }
    },
    async remove(name) {
      // In turn with deploys: one that is about to publish must not lose its image. Only the wait for calls is not.
      const retired = await inTurn(name, async () => {
        await deps.functions.remove(name);
        const ended = deps.dispatcher.retire(name);
        await dropVersions(name, deps.images);
        return { ended };
      });
      await retired.ended;
      await dropUnusedDependencies(deps.images);
      await deps.images.collectGarbage();
    },
  };
}

/** One deploy of a function at a time: the last one that came is the one that serves. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const before = last.get(name) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(work);
    last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (last.get(name) === mine) last.delete(name);
    }
  };
}

async function dropVersions(name: string, store: ImageStore): Promise<void> {
  const mine = `${VERSION_TAG_PREFIX}${name}@`;
  for (const { digest, tags, layers } of await store.list()) {
    const dropped = tags.filter((tag) => tag.startsWith(mine));
    for (const tag of dropped) await store.untag(tag);
    // Nobody is about to use what it leaves: the next collection takes it.
    if (dropped.length > 0) store.forget([digest, ...layers.map(({ diffId }) => diffId)]);
  }
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

/** Makes the version, and publishes it. */
type Make = (leases: BuildLeases) => Promise<FunctionVersion>;

/** One that names a Dockerfile sends a build context: nothing of it is left out, and its modes count. */
function sourceOptions({ config }: DeployRequest, tmpDir: string): SourceOptions {
  const isContext = typeof config === 'object' && config !== null && 'dockerfile' in config;
  return isContext ? { tmpDir, context: true, ...CONTEXT_LIMITS } : { tmpDir, keepNodeModules: true };
}

async function deploy(
  request: DeployRequest,
  make: Make,
  deps: DeployerDeps,
  onEvent: (event: BuildEvent) => void,
): Promise<FunctionVersion> {
  const leases = openBuildLeases(deps.images, deps.log);
  try {
    request.signal.throwIfAborted();
    const version = await make(leases);
    onEvent({ type: 'deployed', version });
    deps.onPublished(version);
    return version;
  } catch (error) {
    await leases.discard();
    throw error;
  } finally {
    leases.release();
  }
}

async function deploySource(source: SourceTree, context: ImageDeploy): Promise<FunctionVersion> {
  const { request, deps, leases, onEvent } = context;
  const file = await readConfigFile(request, source);
  // Before minutes of building; what an image says is looked at when it is published.
  await deps.assertConfig(file);
  const dockerfile = dockerfileOf(file, () => source.find('Dockerfile')?.kind === 'file');
  if (dockerfile !== null) return deployDockerfile(dockerfile, file, source, context);
  const config = completeConfig(file, source, deps.bases);
  const base = deps.bases.get(config.base);
  if (base === undefined) throw unknownBase(config, deps.bases);
  leases.hold(base.image.digest);
  const built = await build(source, config, base, deps, request.signal, onEvent, leases);
  request.signal.throwIfAborted();
  return publishVersion(request.name, config, base, built, deps);
}

function unknownBase(config: FunctionConfig, bases: BaseImages): WaferError {
  const names = bases.list().map((base) => base.name);
  return new WaferError(
    'invalid_config',
    `/base: there is no base image "${config.base}"; there are ${names.join(', ')}.`,
    { details: { path: '/base' } },
  );
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
  let bundledBytes = 0;
  const code = await inStep('code', onEvent, async (output) => {
    const bundle = await bundleIfTypescript(source, config, base, dependencies?.layer ?? null, deps, output, signal);
    bundledBytes = bundle?.content.length ?? 0;
    const keep = (path: string) =>
      dependencies === null || !(path === 'node_modules' || path.startsWith('node_modules/'));
    return deps.images.addLayer(source.toTar('function/', { keep, add: bundle === null ? [] : [bundle] }), {
      createdBy: 'code',
    });
  });
  leases.made(code);
  const layers = dependencies === null ? [code] : [dependencies.layer, code];
  const made = dependencies === null || dependencies.cached ? [code] : [...layers];
  const compiled = await compileIfWorth({ source, config, base, layers, bundledBytes }, deps, onEvent, signal);
  if (compiled !== null) {
    leases.made(compiled.layer);
    layers.push(compiled.layer);
    made.push(compiled.layer);
  }
  const addedBytes = made.reduce((sum, layer) => sum + layer.blob.size, 0);
  const preload = await choosePreload(config, source, compiled?.builtins ?? []);
  return { layers, codeBytes: source.totalBytes, addedBytes, dependencyKey: dependencies?.key ?? null, preload };
}

async function compileIfWorth(
  inputs: CompileInputs & CompileFacts,
  deps: DeployerDeps,
  onEvent: (event: BuildEvent) => void,
  signal: AbortSignal,
): Promise<Compiled | null> {
  const runtime = compiledRuntime(inputs);
  if (runtime === null) return null;
  return inStep('compile', onEvent, (output) => compile(runtime, inputs, deps, output, signal));
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
