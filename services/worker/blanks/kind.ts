/** Which versions a blank fits, and what it is made of. */
import { MAX_ATTACHED_LAYERS, type SandboxSpec } from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion, Preload } from '../../core/functions/types.ts';
import type { BaseImage } from '../base-images/index.ts';
import { NOTHING_YET } from '../egress/policy.ts';
import { BASE_ENV, type InstancePlan, PROGRAMS, pointsOf, STANDARD_LIMITS } from '../instances/plan.ts';

export type BlankRuntime = 'node' | 'python';

/** Two versions of one kind can be served by the same blank. */
export interface BlankKind {
  runtime: BlankRuntime;
  base: BaseImage;
  preload: Preload | undefined;
  /** Where volumes will be; a sandbox with any has the user that owns the files of volumes. */
  points: readonly string[];
  /** It has a way out, which is shut until it is bound. A function without egress never gets such a one. */
  egress: boolean;
}

const MIB = 1024 * 1024;
/** Of an unbound one; far above what a booted runtime takes. It gets its version's own with the code. */
const MEMORY_MB = 256;
const TMP_MB = 64;

export const keyOf = ({ runtime, base, preload, points, egress }: BlankKind): string =>
  JSON.stringify([runtime, base.image.digest, preload ?? '', egress, ...points]);

/** Undefined for a version with a root or a program of its own. */
export function kindOf(
  { base: name, config, preload }: FunctionVersion,
  getBase: (name: string) => BaseImage | undefined,
): BlankKind | undefined {
  const { runtime } = config;
  if (runtime !== 'node' && runtime !== 'python') return undefined;
  const base = name === '' ? undefined : getBase(name);
  if (base === undefined) return undefined;
  return { runtime, base, preload, points: pointsOf(config).points ?? [], egress: config.egress !== undefined };
}

/** Of a version that `kindOf` knows no kind of. */
export function whyNoKind({ base, config: { runtime } }: FunctionVersion): 'own_program' | 'own_root' | 'other_base' {
  if (runtime !== 'node' && runtime !== 'python') return 'own_program';
  return base === '' ? 'own_root' : 'other_base'; // its base image is there no more
}

/** A version that was built before its base image changed has other layers below its code. */
export function fits({ base }: BlankKind, { spec }: Pick<InstancePlan, 'spec'>): boolean {
  const code = spec.codeLayers ?? [];
  return (
    code.length > 0 &&
    code.length <= MAX_ATTACHED_LAYERS &&
    spec.layers.length === base.layers.length &&
    spec.layers.every((layer, at) => layer === base.layers[at])
  );
}

/** As a version's own, but for the code. Its working directory is there before the code is. */
export const blankSpec = ({ runtime, base, preload, points, egress }: BlankKind): Omit<SandboxSpec, 'id'> => ({
  profile: 'function',
  layers: base.layers,
  argv: PROGRAMS[runtime],
  // The runtime goes through a first call of its own before it is ready; its environment is the version's from INIT on.
  env: { ...BASE_ENV, WAFER_BLANK: preload ?? '1' },
  cwd: '/',
  control: true,
  memoryBytes: MEMORY_MB * MIB,
  tmpBytes: TMP_MB * MIB,
  ...STANDARD_LIMITS,
  ...(points.length === 0 ? {} : { points }),
  ...(egress ? { egress: NOTHING_YET } : {}),
});
