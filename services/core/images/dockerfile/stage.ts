/** One stage: its base, then its instructions one after the other. */
import { WaferError } from '../../errors.ts';
import type { LayerInfo } from '../types.ts';
import type { BuildContext } from './build-context.ts';
import { copyStep } from './copy-step.ts';
import { applyMetadata, joinPath } from './metadata.ts';
import { parseTriggers } from './parse.ts';
import { putStage, UNNAMED_PREFIX } from './put-stage.ts';
import { expandIn, HOST_PLATFORM } from './scope.ts';
import { SCRATCH, type StageState, stateOfImage, withStep } from './stage-state.ts';
import { assertNotLater, findStage, oneFlag } from './stages.ts';
import { stepKey } from './step-cache.ts';
import type { LayerStep, StepInput } from './step-tools.ts';
import { runStep, workdirStep } from './steps.ts';
import { type Instruction, refuse, type Stage } from './types.ts';

export async function buildStage(stage: Stage, build: BuildContext): Promise<StageState> {
  let state = await baseOf(stage, build);
  const scope = build.scope.stage(() => state.config.Env ?? []);
  const triggers = parseTriggers(state.config.OnBuild ?? [], `ONBUILD of ${stage.base}`);
  const { OnBuild: _triggers, ...config } = state.config;
  state = { ...state, config };
  const all = [...triggers, ...stage.instructions];
  for (const [index, instruction] of all.entries()) {
    build.signal.throwIfAborted();
    const label = labelOf(stage, instruction, index + 1, all.length);
    try {
      state = await step({ build, stage, state, scope, instruction, label });
    } catch (error) {
      throw await explain(error, instruction, label, state, build);
    }
  }
  return state;
}

const MAX_LABEL = 100;

function labelOf({ name, index }: Stage, { text }: Instruction, number: number, total: number): string {
  const line = text.replace(/\s+/g, ' ');
  const shown = line.length > MAX_LABEL ? `${line.slice(0, MAX_LABEL - 1)}…` : line;
  return `[${name ?? `stage ${index}`} ${number}/${total}] ${shown}`;
}

async function baseOf(stage: Stage, build: BuildContext): Promise<StageState> {
  const { from } = stage;
  const { mark } = build.dockerfile;
  const platform = expandIn(from, oneFlag(from, 'platform') ?? '', build.scope.global, mark);
  const [, os, arch] = /^([a-z]+)\/([a-z0-9_]+)(\/v?\d+)?$/.exec(platform) ?? [];
  if (platform !== '' && `${os}/${arch}` !== HOST_PLATFORM)
    throw refuse(from, `--platform=${platform.slice(0, 64)} can not be built here: this machine is ${HOST_PLATFORM}.`);
  const reference = expandIn(from, stage.base, build.scope.global, mark);
  if (reference === '') throw refuse(from, `${JSON.stringify(stage.base.slice(0, 64))} expands to nothing.`);
  if (reference === 'scratch') return { ...SCRATCH, key: stepKey('scratch', HOST_PLATFORM) };
  const above = findStage(build.dockerfile.stages, reference, stage.index);
  // A number is an image's name here; only COPY --from counts stages.
  if (above !== undefined && above.name !== null && reference.toLowerCase() === above.name)
    return { ...(await build.buildStage(above)), hasOwnCmd: false };
  if (!/^\d+$/.test(reference)) assertNotLater(build.dockerfile, stage, reference, from.at, 'FROM');
  return stateOfImage(await build.image(reference, from));
}

async function step(input: StepInput): Promise<StageState> {
  const { instruction, scope, state, build } = input;
  switch (instruction.keyword) {
    case 'ARG':
      scope.declare(instruction);
      return { ...state, key: stepKey(state.key, 'ARG', instruction.args) };
    case 'RUN':
      return layerStep(input, runStep(input), state);
    case 'COPY':
    case 'ADD':
      return layerStep(input, copyStep(input), state);
    case 'WORKDIR': {
      const given = expandIn(instruction, instruction.args, scope.get, build.dockerfile.mark);
      const path = joinPath(state.config.WorkingDir ?? '/', given);
      return layerStep(input, workdirStep(input, path), { ...state, config: { ...state.config, WorkingDir: path } });
    }
    default: {
      const { mark } = build.dockerfile;
      const after = { ...state, ...applyMetadata(state, { instruction, scope: scope.get, mark }) };
      const key = stepKey(state.key, JSON.stringify([after.config, after.author ?? '']));
      return withStep(after, key, instruction.text, null, build.epoch);
    }
  }
}

/** `after` is the state without the layer. */
async function layerStep(input: StepInput, what: LayerStep, after: StageState): Promise<StageState> {
  const { build, label } = input;
  const tried: string[] = [];
  let found: LayerInfo | null | undefined;
  for (const compute of what.keys) {
    tried.push(await compute());
    if (build.request.noCache !== true) found = await build.cache.find(tried.at(-1) ?? '');
    if (found !== undefined) break;
  }
  const isCached = found !== undefined;
  // Only now: a key may have to wait for another stage.
  const begun = performance.now();
  if (!isCached) build.onEvent({ type: 'step', step: label, state: 'start' });
  const layer = found === undefined ? await what.make() : found;
  if (layer !== null) build.hold([layer.diffId]);
  // A hit by content is remembered by the cheap key too.
  for (const key of isCached ? tried.slice(0, -1) : tried) build.cache.put(key, layer);
  build.count[isCached ? 'cached' : 'run'] += 1;
  build.onEvent({ type: 'step', step: label, state: isCached ? 'cached' : 'done', ms: performance.now() - begun });
  return withStep(after, what.nextKey(layer, tried[0] ?? ''), what.createdBy, layer, build.epoch);
}

/** The failure with file, line and step; the image up to the step before stays under a name, to be looked at. */
async function explain(
  error: unknown,
  instruction: Instruction,
  label: string,
  state: StageState,
  build: BuildContext,
): Promise<unknown> {
  if (!(error instanceof WaferError) || build.signal.aborted || error.details?.['image'] !== undefined) return error;
  const { file, at } = instruction;
  const made = await putStage(state, build.deps.images).catch(() => null);
  const tag = made === null ? null : `${UNNAMED_PREFIX}${made.digest.slice(7, 19)}`;
  if (made !== null && tag !== null) await build.deps.images.tag(made.digest, tag);
  const place = { file, line: at.line, column: at.column };
  const hint =
    tag === null
      ? error.hint
      : (error.hint ?? `The image up to the step before is ${tag}; look into it with "wafer run -it ${tag} sh".`);
  const message = error.message.startsWith(`${file}:`) ? error.message : `${file}:${at.line}: ${error.message}`;
  return new WaferError(error.code, message, {
    details: { ...place, ...error.details, step: label, ...(tag === null ? {} : { image: tag, digest: made?.digest }) },
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
