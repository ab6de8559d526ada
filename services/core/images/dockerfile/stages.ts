/** Which stages a target needs, and what a reference to a stage or image means. */
import { type Dockerfile, dockerfileError, type Instruction, type Position, refuse, type Stage } from './types.ts';

/** The stage called so: a name (any case), or its number. Only stages above `before`. */
export function findStage(stages: readonly Stage[], reference: string, before: number): Stage | undefined {
  const named = stages.slice(0, before).find((stage) => stage.name === reference.toLowerCase());
  return named ?? (/^\d{1,6}$/.test(reference) ? stages.slice(0, before)[Number(reference)] : undefined);
}

/** @throws WaferError `invalid_dockerfile` */
export function targetStage(dockerfile: Dockerfile, target: string | undefined): Stage {
  const { stages, file } = dockerfile;
  const found = target === undefined ? stages.at(-1) : findStage(stages, target, stages.length);
  if (found !== undefined) return found;
  const names = stages.map((stage) => stage.name ?? String(stage.index)).join(', ');
  throw dockerfileError(
    file,
    { line: 1, column: 1 },
    `there is no stage ${JSON.stringify((target ?? '').slice(0, 64))}; there are ${names}.`,
  );
}

/** A reference of `stage` to itself or to a stage below it is a mistake, never an image of that name. */
export function assertNotLater(
  dockerfile: Dockerfile,
  stage: Stage,
  reference: string,
  at: Position,
  keyword: string,
): void {
  const isSelf = stage.name === reference.toLowerCase() || String(stage.index) === reference;
  const later = findStage(dockerfile.stages, reference, dockerfile.stages.length);
  if (!isSelf && later === undefined && !/^\d+$/.test(reference)) return;
  const what = isSelf ? 'is the stage itself' : later === undefined ? 'is no stage' : 'is a stage further down';
  throw dockerfileError(
    dockerfile.file,
    at,
    `${keyword}: ${JSON.stringify(reference.slice(0, 64))} ${what}; only stages above can be used.`,
  );
}

/** Stages that `stage` names literally and so will want; what is behind a variable is found later. */
export function stagesWanted(dockerfile: Dockerfile, stage: Stage): Stage[] {
  const references = [stage.base, ...stage.instructions.flatMap(sourcesOf)];
  const found = references.flatMap((reference) => findStage(dockerfile.stages, reference, stage.index) ?? []);
  return [...new Set(found)];
}

function sourcesOf({ keyword, flags }: Instruction): string[] {
  if (keyword === 'COPY') return flags.filter((flag) => flag.name === 'from').map((flag) => flag.value ?? '');
  if (keyword !== 'RUN') return [];
  return flags.flatMap((flag) =>
    flag.name === 'mount' ? (/(?:^|,)from=([^,]+)/.exec(flag.value ?? '')?.[1] ?? []) : [],
  );
}

export function oneFlag({ flags }: Instruction, name: string): string | undefined {
  const found = flags.findLast((flag) => flag.name === name);
  return found === undefined ? undefined : (found.value ?? 'true');
}

/** Flags that other builders have and this one has not: never passed over. */
export function refuseFlags(instruction: Instruction, names: Record<string, string>): void {
  for (const { name } of instruction.flags) {
    const why = names[name];
    if (why !== undefined) throw refuse(instruction, `--${name} ${why}`);
  }
}
