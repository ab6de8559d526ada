/** A Dockerfile and a context -> an image. Stages that the target does not need are not built; the others run side by side. */
import { coerceError, WaferError } from '../../errors.ts';
import type { Image } from '../types.ts';
import { type BuildContext, createHolder, createTurns, latestOf } from './build-context.ts';
import type { BuiltImage, ImageBuilderDeps, ImageBuildRequest, OnBuildEvent } from './builder-types.ts';
import { contextSource } from './copy-source.ts';
import { parseContextIgnore } from './ignore.ts';
import { createLayerIndexes, type LayerIndexes } from './layer-index.ts';
import { parseDockerfile } from './parse.ts';
import { putStage, UNNAMED_PREFIX } from './put-stage.ts';
import { createRemotes } from './remotes.ts';
import { createScope } from './scope.ts';
import { buildStage } from './stage.ts';
import type { StageState } from './stage-state.ts';
import { assertNotLater, findStage, stagesWanted, targetStage } from './stages.ts';
import { createStepCache } from './step-cache.ts';
import { refuse, type Stage } from './types.ts';

/** RUN steps of one build at the same time; each may take the memory of a build sandbox. */
const PARALLEL_RUNS = 3;

export interface ImageBuilder {
  /**
   * `onEvent` must not throw. The caller closes the context.
   * @throws WaferError `invalid_dockerfile | build_failed | image_not_found | invalid_name`; with `details.image` when
   * there is an image of what was built up to the step before
   */
  build(request: ImageBuildRequest, onEvent: OnBuildEvent): Promise<BuiltImage>;
}

export function createImageBuilder(deps: ImageBuilderDeps): ImageBuilder {
  const indexes = createLayerIndexes(deps.images);
  return { build: (request, onEvent) => build(request, onEvent, deps, indexes) };
}

async function build(
  asked: ImageBuildRequest,
  onEvent: OnBuildEvent,
  deps: ImageBuilderDeps,
  indexes: LayerIndexes,
): Promise<BuiltImage> {
  const request = { ...asked, tags: asked.tags?.map(deps.nameForTag) ?? [] };
  const context = await openBuild(request, onEvent, deps, indexes);
  try {
    const { dockerfile } = context.build;
    const target = targetStage(dockerfile, request.target);
    const state = await context.build.buildStage(target);
    for (const name of context.build.scope.unused())
      onEvent({ type: 'log', step: 'wafer', stream: 'stderr', text: `No ARG asks for the build argument ${name}.` });
    return await finish(state, context.build);
  } catch (error) {
    context.abort(error);
    await context.settled();
    await context.build.cache.settled().catch(() => undefined); // why the build failed counts more
    throw error;
  } finally {
    context.release();
    await context.build.remotes.close();
  }
}

async function readDockerfile({ context, dockerfile = 'Dockerfile', dockerfileText }: ImageBuildRequest) {
  if (dockerfileText !== undefined) return { file: dockerfile, bytes: Buffer.from(dockerfileText) };
  const found = context.find(dockerfile);
  if (found?.kind === 'file') return { file: dockerfile, bytes: await context.read(dockerfile) };
  throw new WaferError(
    'invalid_dockerfile',
    `There is no file ${JSON.stringify(dockerfile.slice(0, 200))} in the build context.`,
    {
      hint: 'Name it with -f FILE.',
      details: { file: dockerfile },
    },
  );
}

async function readIgnore({ context, dockerfile = 'Dockerfile' }: ImageBuildRequest) {
  const name = [`${dockerfile}.dockerignore`, '.dockerignore'].find((one) => context.find(one)?.kind === 'file');
  return parseContextIgnore(name === undefined ? '' : (await context.read(name)).toString('utf8'), name);
}

function readEpoch(args: Record<string, string> = {}): number | undefined {
  const text = args['SOURCE_DATE_EPOCH'];
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,11}$/.test(text)) return Number(text);
  throw new WaferError('invalid_request', `SOURCE_DATE_EPOCH=${text.slice(0, 32)} is not a number of seconds.`);
}

async function openBuild(
  request: ImageBuildRequest,
  onEvent: OnBuildEvent,
  deps: ImageBuilderDeps,
  indexes: LayerIndexes,
) {
  const { file, bytes } = await readDockerfile(request);
  const dockerfile = parseDockerfile(bytes, file);
  const ignore = await readIgnore(request);
  const epoch = readEpoch(request.buildArgs);
  const holder = createHolder((digests) => deps.images.lease(digests));
  const failed = new AbortController();
  const stages = new Map<number, Promise<StageState>>();
  const build: BuildContext = {
    deps,
    request,
    dockerfile,
    epoch,
    onEvent,
    indexes,
    scope: createScope(dockerfile.globalArgs, request.buildArgs ?? {}, dockerfile.mark),
    cache: createStepCache(deps.images),
    context: contextSource(request.context, ignore, latestOf({ epoch })),
    remotes: createRemotes(deps.remotes, deps.tmpDir),
    signal: AbortSignal.any([request.signal, failed.signal]),
    hold: holder.hold,
    inTurn: createTurns(PARALLEL_RUNS),
    count: { run: 0, cached: 0 },
    async layersOf(reference, by, at, keyword) {
      const stage = findStage(dockerfile.stages, reference, by.index);
      if (stage !== undefined) return build.buildStage(stage);
      assertNotLater(dockerfile, by, reference, at, keyword);
      const image = await build.image(reference, { ...by.from, at });
      return { layers: image.layers, key: image.digest };
    },
    async image(reference, instruction): Promise<Image> {
      const image = await deps.resolveImage(reference).catch((error: unknown) => {
        if (!(error instanceof WaferError && error.code === 'image_not_found')) throw error;
        throw refuse(
          instruction,
          `there is no image ${JSON.stringify(reference.slice(0, 200))}.`,
          '"wafer images" lists the images.',
        );
      });
      holder.hold([image.digest]);
      return image;
    },
    buildStage(stage) {
      const known = stages.get(stage.index) ?? startStage(stage, build, failed);
      stages.set(stage.index, known);
      return known;
    },
  };
  return {
    build,
    abort: (reason: unknown) => failed.abort(reason),
    settled: () => Promise.allSettled(stages.values()),
    release: holder.release,
  };
}

/** What the stage names is begun at once, and waited for where it is used. The first failure ends the others. */
function startStage(stage: Stage, build: BuildContext, failed: AbortController): Promise<StageState> {
  for (const wanted of stagesWanted(build.dockerfile, stage)) build.buildStage(wanted).catch(() => undefined);
  const running = buildStage(stage, build);
  running.catch((error: unknown) => failed.abort(coerceError(error)));
  return running;
}

async function finish(state: StageState, build: BuildContext): Promise<BuiltImage> {
  const { request, deps, count } = build;
  build.signal.throwIfAborted();
  const [first, ...others] = request.tags ?? [];
  const made = await putStage(state, deps.images, first);
  const tags = first === undefined ? [`${UNNAMED_PREFIX}${made.digest.slice(7, 19)}`] : others;
  for (const tag of tags) await deps.images.tag(made.digest, tag);
  await build.cache.settled();
  if (count.run > 0) await build.cache.prune();
  const { digest, layers } = made;
  const bytes = layers.reduce((sum, layer) => sum + layer.blob.size, 0);
  const names = first === undefined ? tags : [first, ...others];
  return { digest, tags: names, layers: layers.length, bytes, stepsRun: count.run, stepsCached: count.cached };
}
