/**
 * Mounts of RUN without a mount: what a step is to see lies in layers on top of the stage's own, and what it
 * writes there is taken out of its difference. So the engine needs to know nothing of it, and a build sees a
 * cache as it was when the step began, whatever other builds do meanwhile.
 */
import type { Readable } from 'node:stream';
import { WaferError } from '../../errors.ts';
import { OWN_PREFIX } from '../reserved.ts';
import type { LayerInfo } from '../types.ts';
import { type BuildContext, latestOf } from './build-context.ts';
import { placeCopies } from './copy-plan.ts';
import { digestSelected, selectSources } from './copy-select.ts';
import { type CopySource, layerSource } from './copy-source.ts';
import { isWithin, withoutMounts } from './diff-filter.ts';
import { createLayerDraft, type LayerDraft } from './layer-draft.ts';
import type { RunMount } from './mount-options.ts';
import { stepKey } from './step-cache.ts';
import { type Instruction, refuse, type Stage } from './types.ts';

export interface PreparedMounts {
  /** On top of the stage's layers. */
  layers: LayerInfo[];
  files: Record<string, { content: string }>;
  env: Record<string, string>;
  /** The difference without the mounts. */
  clean(tar: Readable): Readable;
  /** Keeps what the step wrote to its caches. */
  saveCaches(pack: (only: string[]) => Promise<Readable>): Promise<void>;
  close(): Promise<void>;
}

interface Where {
  build: BuildContext;
  stage: Stage;
  instruction: Instruction;
}

const CACHE_TAG = OWN_PREFIX.mountCache;
/** Differences of a cache on top of each other; then it starts anew. */
const MAX_CACHE_LAYERS = 16;
const cacheTag = (mount: RunMount) => CACHE_TAG + stepKey(mount.id, mount.target);
const relative = (mount: RunMount) => (mount.target ?? '').slice(1);

/** What goes into the key of the step: content of binds, names of the rest. A cache or secret never changes a key. */
export async function mountKeys(where: Where, mounts: readonly RunMount[]): Promise<string[]> {
  const keys: string[] = [];
  for (const mount of mounts) {
    const { type, target, id, env } = mount;
    if (type !== 'bind') {
      keys.push(stepKey(type, target, id, env));
      continue;
    }
    const source = await bindSource(where, mount);
    try {
      const selected = selectSources(where.instruction, source, [mount.source]);
      keys.push(stepKey(type, target, await digestSelected(source, selected)));
    } finally {
      await source.close();
    }
  }
  return keys;
}

async function bindSource({ build, stage, instruction }: Where, mount: RunMount): Promise<CopySource> {
  if (mount.from === null) return build.context;
  const { layers } = await build.layersOf(mount.from, stage, instruction.at, 'RUN --mount');
  const { images, tmpDir } = build.deps;
  return layerSource(layers, `"${mount.from}"`, { images, tmpDir, indexes: build.indexes });
}

/** The caller closes it. */
export async function prepareMounts(
  where: Where,
  mounts: readonly RunMount[],
  below: readonly LayerInfo[],
): Promise<PreparedMounts> {
  const { build } = where;
  const placed = mounts.filter((mount) => mount.target !== null);
  const targets = placed.map(relative);
  const tree = await build.indexes.tree(below);
  const draft = createLayerDraft(await build.indexes.tree(below), { uid: 0, gid: 0, mtime: latestOf(build) });
  const sources: CopySource[] = [];
  const secrets = readSecrets(where, mounts);
  for (const mount of placed.filter((one) => one.type !== 'secret')) {
    draft.put(draft.resolve(relative(mount)), folderOf(mount, latestOf(build)));
    if (draft.get(relative(mount))?.kind !== 'dir')
      throw refuse(where.instruction, `${mount.target} leads through a link.`);
    draft.hideBelow(relative(mount));
    if (mount.type === 'bind') sources.push(await placeBind(where, mount, draft));
  }
  const base = draft.isEmpty ? [] : [await addLayer(build, draft.toTar(), 'mounts')];
  for (const source of sources) if (source !== build.context) await source.close();
  const caches = await Promise.all(
    mounts.filter((one) => one.type === 'cache').map((mount) => findCache(build, mount)),
  );
  return {
    ...secrets,
    layers: [...base, ...caches.flatMap(({ layers }) => layers)],
    clean: (tar) => (targets.length === 0 ? tar : withoutMounts(tar, targets, tree)),
    async saveCaches(pack) {
      for (const cache of caches) await saveCache(build, cache, await pack([relative(cache.mount)]));
    },
    async close() {
      build.deps.images.forget(base.map((layer) => layer.diffId));
    },
  };
}

const folderOf = ({ mode, uid, gid }: RunMount, mtime: number) => ({
  kind: 'dir' as const,
  mode,
  uid,
  gid,
  size: 0,
  mtime,
});

async function placeBind(where: Where, mount: RunMount, draft: LayerDraft): Promise<CopySource> {
  const source = await bindSource(where, mount);
  const selected = selectSources(where.instruction, source, [mount.source]);
  await digestSelected(source, selected); // loads them
  if (selected.some(({ entry }) => entry.kind !== 'dir'))
    throw refuse(
      where.instruction,
      '--mount=type=bind takes a folder; a single file can not be mounted yet, use COPY.',
    );
  await placeCopies(draft, {
    source,
    selected,
    inline: [],
    fetched: [],
    destination: mount.target ?? '/',
    isFolder: true,
    owner: null,
    chmod: null,
    unpackInto: null,
    latest: latestOf(where.build),
  });
  return source;
}

async function addLayer(build: BuildContext, tar: Readable, createdBy: string): Promise<LayerInfo> {
  const layer = await build.deps.images.addLayer(tar, { createdBy, fast: true });
  build.hold([layer.diffId]);
  return layer;
}

function readSecrets({ build, instruction }: Where, mounts: readonly RunMount[]) {
  const files: Record<string, { content: string }> = {};
  const env: Record<string, string> = {};
  for (const mount of mounts.filter((one) => one.type === 'secret')) {
    const given = build.request.secrets ?? {};
    const value = Object.hasOwn(given, mount.id) ? given[mount.id] : undefined;
    if (value === undefined && mount.required) {
      throw new WaferError(
        'build_failed',
        `${instruction.file}:${instruction.at.line}: the secret ${JSON.stringify(mount.id)} is required, and was not given.`,
        {
          hint: `Give it with --secret id=${mount.id},src=FILE.`,
        },
      );
    }
    if (value === undefined) continue;
    if (mount.env !== null) env[mount.env] = value;
    if (mount.target !== null) files[mount.target] = { content: value };
  }
  return { files, env };
}

interface Cache {
  mount: RunMount;
  layers: LayerInfo[];
}

async function findCache(build: BuildContext, mount: RunMount): Promise<Cache> {
  const image = await build.deps.images.find(cacheTag(mount)).catch(() => null);
  const layers = image?.layers ?? [];
  if (layers.length > 0) build.hold(layers.map((layer) => layer.diffId));
  return { mount, layers };
}

async function saveCache(build: BuildContext, { mount, layers }: Cache, tar: Readable): Promise<void> {
  const { images } = build.deps;
  const layer = await addLayer(build, tar, 'cache mount');
  const index = await build.indexes.of(layer.diffId);
  const target = relative(mount);
  const touched = [...index.entries.keys(), ...index.whiteouts].some((path) => isWithin(path, target));
  if (!touched) return images.forget([layer.diffId]);
  if (layers.length + 1 > MAX_CACHE_LAYERS) return images.untag(cacheTag(mount));
  const all = [...layers, layer].map((one) => one.diffId);
  await images.putImage({ layers: all, config: {}, tag: cacheTag(mount) });
}
