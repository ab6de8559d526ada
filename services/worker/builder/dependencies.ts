/**
 * The dependency layer: what `npm ci` or `pip install` makes of a lock file on a base
 * image. Its key is the digest of exactly these inputs, so all functions with the same
 * lock file share one layer.
 */
import { createHash } from 'node:crypto';
import { WaferError } from '../../core/errors.ts';
import type { FunctionConfig } from '../../core/functions/schema.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import { OWN_PREFIX } from '../../core/images/reserved.ts';
import type { ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { BaseImage } from '../base-images/index.ts';
import type { BuildOutput, BuildSandboxes } from './build-sandbox.ts';
import type { Registries, RegistryAccess } from './registries.ts';
import { createSharedWork } from './shared-work.ts';

export interface DependencyBuilder {
  /** Whether the source has any, so that a build without them does not speak of them. */
  needed(source: SourceTree, config: FunctionConfig): Promise<boolean>;
  /** Null when the source has no dependencies. `cached` when another deploy made the layer. */
  layer(
    source: SourceTree,
    config: FunctionConfig,
    base: BaseImage,
    onOutput: BuildOutput,
    signal: AbortSignal,
  ): Promise<{ layer: LayerInfo; key: string; cached: boolean } | null>;
}

/** Tag of an image that holds the layer of a key, so that it outlives restarts and garbage collection. */
export const DEPENDENCY_TAG_PREFIX = OWN_PREFIX.dependencies;
export const dependencyTag = (key: string): string => DEPENDENCY_TAG_PREFIX + key;

interface Plan {
  /** Files of the source that decide the result. */
  inputs: string[];
  step: string;
  command: string;
  only: string[];
  access: () => Promise<RegistryAccess>;
}

export interface DependencyDeps {
  images: ImageStore;
  sandboxes: BuildSandboxes;
  registries: Registries;
}

export function createDependencyBuilder({ images, sandboxes, registries }: DependencyDeps): DependencyBuilder {
  const inCommon = createSharedWork<LayerInfo>();
  return {
    needed: async (source, config) => (await makePlan(source, config, registries)) !== null,
    async layer(source, config, base, onOutput, signal) {
      const plan = await makePlan(source, config, registries);
      if (plan === null) return null;
      const inputs = await readInputs(source, plan.inputs);
      const key = keyOf(plan, inputs, base);
      const known = await images.find(dependencyTag(key));
      const top = known?.layers.at(-1);
      if (top !== undefined) return { layer: top, key, cached: true };
      const work = (output: BuildOutput, cut: AbortSignal) =>
        install(plan, inputs, base, { sandboxes, images }, output, cut);
      const { value, isOwn } = await inCommon({ key, signal, onOutput, work });
      return { layer: value, key, cached: !isOwn };
    },
  };
}

async function makePlan(source: SourceTree, config: FunctionConfig, registries: Registries): Promise<Plan | null> {
  const has = (path: string) => source.entries.some((entry) => entry.path === path && entry.kind === 'file');
  if (has('requirements.txt') && (config.runtime === 'python' || (config.runtime === 'http' && !has('package.json'))))
    return pythonPlan(registries);
  if (has('package.json') && config.runtime !== 'python' && (await hasNpmDependencies(source))) {
    const lock = ['package-lock.json', 'npm-shrinkwrap.json'].find(has);
    return nodePlan(lock, registries);
  }
  return null;
}

const pythonPlan = (registries: Registries): Plan => ({
  inputs: ['requirements.txt'],
  step: 'pip install',
  command:
    // Byte code by hash: a layer's times are clamped. What does not compile (templates) stays source.
    'mkdir -p /function/.deps && cd /function && python3 -m pip install --no-warn-script-location --target /function/.deps -r requirements.txt && (PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash /function/.deps || true)',
  only: ['function/.deps'],
  access: registries.pip,
});

const nodePlan = (lock: string | undefined, registries: Registries): Plan => ({
  inputs: lock === undefined ? ['package.json'] : ['package.json', lock],
  step: lock === undefined ? 'npm install' : 'npm ci',
  command: `cd /function && npm ${lock === undefined ? 'install --no-package-lock' : 'ci'} --omit=dev && rm -rf /function/node_modules/.cache`,
  only: ['function/node_modules'],
  access: registries.npm,
});

async function hasNpmDependencies(source: SourceTree): Promise<boolean> {
  const text = (await source.read('package.json')).toString('utf8');
  try {
    const { dependencies, optionalDependencies } = JSON.parse(text) as Record<string, object | undefined>;
    return Object.keys({ ...dependencies, ...optionalDependencies }).length > 0;
  } catch (error) {
    throw new WaferError('build_failed', `package.json is not valid JSON: ${(error as Error).message}`, {
      details: { step: 'dependencies' },
      cause: error,
    });
  }
}

async function readInputs(source: SourceTree, names: string[]): Promise<Record<string, Buffer>> {
  const contents = await Promise.all(names.map(async (name) => [name, await source.read(name)] as const));
  return Object.fromEntries(contents);
}

/** base digest + tools + command + every input file. */
function keyOf(plan: Plan, inputs: Record<string, Buffer>, base: BaseImage): string {
  const hash = createHash('sha256').update(`${base.image.digest}\n${base.toolLayers.join('\n')}\n${plan.command}\n`);
  for (const [name, content] of Object.entries(inputs)) hash.update(`${name} ${content.length}\n`).update(content);
  return hash.digest('hex');
}

async function install(
  plan: Plan,
  inputs: Record<string, Buffer>,
  base: BaseImage,
  { sandboxes, images }: Pick<DependencyDeps, 'sandboxes' | 'images'>,
  onOutput: BuildOutput,
  signal: AbortSignal,
): Promise<LayerInfo> {
  const access = await plan.access();
  const files = Object.fromEntries(Object.entries(inputs).map(([name, content]) => [`/function/${name}`, content]));
  const command = {
    step: plan.step,
    layers: [...base.layers, ...base.toolLayers],
    argv: ['/bin/sh', '-c', plan.command],
    env: { ...base.env, ...access.env },
    files: { ...access.files, ...files },
    egress: access.egress,
    signal,
  };
  return sandboxes.run(command, plan.only, onOutput, (tar) => images.addLayer(tar, { createdBy: plan.step }));
}
