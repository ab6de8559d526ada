/** What all stages of one build share. */
import type { Image, LayerInfo, Lease } from '../types.ts';
import type { ImageBuilderDeps, ImageBuildRequest, OnBuildEvent } from './builder-types.ts';
import type { CopySource } from './copy-source.ts';
import type { LayerIndexes } from './layer-index.ts';
import type { Remotes } from './remotes.ts';
import type { BuildScope } from './scope.ts';
import type { StageState } from './stage-state.ts';
import type { StepCache } from './step-cache.ts';
import type { Dockerfile, Instruction, Position, Stage } from './types.ts';

export interface BuildContext {
  deps: ImageBuilderDeps;
  request: ImageBuildRequest;
  dockerfile: Dockerfile;
  scope: BuildScope;
  cache: StepCache;
  indexes: LayerIndexes;
  context: CopySource;
  /** What ADD fetched. */
  remotes: Remotes;
  /** `SOURCE_DATE_EPOCH`, in seconds. */
  epoch: number | undefined;
  onEvent: OnBuildEvent;
  /** Aborts when the caller goes, or another stage fails. */
  signal: AbortSignal;
  /** Kept from garbage collection until the build ends. */
  hold(digests: readonly string[]): void;
  /** At most so many steps of one build run at the same time. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** The end of a stage above `by`, or of an image. */
  layersOf(
    reference: string,
    by: Stage,
    at: Position,
    keyword: string,
  ): Promise<{ layers: readonly LayerInfo[]; key: string }>;
  image(reference: string, instruction: Instruction): Promise<Image>;
  buildStage(stage: Stage): Promise<StageState>;
  count: { run: number; cached: number };
}

/** No file of a copied layer is newer than this, so that the same inputs give the same layer: 2025-01-01. */
const DEFAULT_LATEST = 1_735_689_600;
export const latestOf = ({ epoch }: Pick<BuildContext, 'epoch'>): number => epoch ?? DEFAULT_LATEST;

export function createHolder(lease: (digests: string[]) => Lease) {
  const leases: Lease[] = [];
  return {
    hold: (digests: readonly string[]) => void leases.push(lease([...digests])),
    release() {
      for (const one of leases.splice(0)) one.release();
    },
  };
}

export function createTurns(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      return await work();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}
