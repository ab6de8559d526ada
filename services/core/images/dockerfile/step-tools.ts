/** What the instructions that make layers share. */
import type { Readable } from 'node:stream';
import type { LayerInfo } from '../types.ts';
import { AccountError } from './accounts.ts';
import { type BuildContext, latestOf } from './build-context.ts';
import type { StepDifference } from './builder-types.ts';
import { createLayerDraft, DraftError, type LayerDraft } from './layer-draft.ts';
import { expandIn, type StageScope } from './scope.ts';
import type { StageState } from './stage-state.ts';
import { type Instruction, refuse, type Stage } from './types.ts';

export interface StepInput {
  build: BuildContext;
  stage: Stage;
  state: StageState;
  scope: StageScope;
  instruction: Instruction;
  /** As shown in events. */
  label: string;
}

export interface LayerStep {
  /** The second key is computed only when the first one is not known: it costs reading. */
  keys: (() => Promise<string>)[];
  createdBy: string;
  /** What the next step's key is made from; must not depend on which key was found. */
  nextKey(layer: LayerInfo | null, firstKey: string): string;
  /** Null when there is nothing to add. */
  make(): Promise<LayerInfo | null>;
}

export const expand = ({ instruction, scope, build }: StepInput, text: string) =>
  expandIn(instruction, text, scope.get, build.dockerfile.mark);

export async function accounts({ build }: StepInput, layers: readonly LayerInfo[]) {
  const [passwd, group] = await Promise.all(
    ['etc/passwd', 'etc/group'].map((path) => build.indexes.account(layers, path)),
  );
  return { passwd: passwd ?? '', group: group ?? '' };
}

/** What a draft or an account file refuses is said with the place. */
export async function placed<T>({ instruction }: StepInput, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DraftError || error instanceof AccountError) throw refuse(instruction, `${error.message}.`);
    throw error;
  }
}

export async function newDraft({ build, state }: StepInput, owner: { uid: number; gid: number }): Promise<LayerDraft> {
  const tree = await build.indexes.tree(state.layers);
  return createLayerDraft(tree, { uid: owner.uid, gid: owner.gid, mtime: latestOf(build) });
}

/** The next step asks what is in it: that is read on the way. */
export async function addLayer(
  { build, instruction }: StepInput,
  tar: Readable,
  adopt?: StepDifference['adopt'],
): Promise<LayerInfo> {
  const { stream, keep } = build.indexes.observe();
  const layer = await build.deps.images.addLayer(tar, {
    createdBy: instruction.text,
    fast: true,
    alsoTo: stream,
    ...(adopt === undefined ? {} : { adopt }),
  });
  keep(layer.diffId);
  return layer;
}
