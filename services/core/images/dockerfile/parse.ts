/** A Dockerfile's text -> instructions and stages, each with its place. Nothing is expanded, nothing is looked up. */
import { didYouMean } from '../../functions/nearest.ts';
import { takeHeredocs } from './heredocs.ts';
import { DOCKERFILE_LIMITS } from './limits.ts';
import { type LineReader, type LogicalLine, openLines } from './lines.ts';
import {
  type Dockerfile,
  dockerfileError,
  type Flag,
  type Instruction,
  KEYWORDS,
  type Keyword,
  refuse,
  type Stage,
} from './types.ts';
import { splitWords, WordError } from './words.ts';

const FLAGS: Partial<Record<Keyword, readonly string[]>> = {
  FROM: ['platform'],
  RUN: ['mount', 'network', 'security', 'device'],
  COPY: ['from', 'chown', 'chmod', 'link', 'parents', 'exclude'],
  ADD: ['chown', 'chmod', 'link', 'checksum', 'keep-git-dir', 'unpack', 'exclude'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
};
const WITH_HEREDOCS: readonly string[] = ['RUN', 'COPY', 'ADD'];
const STAGE_NAME = /^[a-z][a-z0-9._-]*$/;

/** @throws WaferError `invalid_dockerfile` with file, line and column */
export function parseDockerfile(bytes: Buffer, file: string): Dockerfile {
  const reader = openLines(bytes, file);
  const instructions: Instruction[] = [];
  for (let line = reader.next(); line !== null; line = reader.next())
    instructions.push(parseInstruction(line, reader, file));
  return { file, mark: reader.mark, ...intoStages(instructions, file) };
}

/** Instructions of an image's ONBUILD: one text each. */
export function parseTriggers(texts: readonly string[], file: string): Instruction[] {
  return texts.map((text) => {
    const instruction = parseOne(text, file);
    assertTrigger(instruction, instruction.keyword);
    return instruction;
  });
}

/** A text that is one instruction, with its heredocs. */
export function parseOne(text: string, file: string): Instruction {
  const reader = openLines(Buffer.from(text), file);
  const line = reader.next();
  if (line === null) throw dockerfileError(file, { line: 1, column: 1 }, 'there is no instruction.');
  const instruction = parseInstruction(line, reader, file);
  const next = reader.next();
  if (next !== null) throw dockerfileError(file, next.positionAt(0), 'there is more than one instruction.');
  return instruction;
}

function parseInstruction(line: LogicalLine, reader: LineReader, file: string): Instruction {
  const [word = ''] = /^\S+/.exec(line.text) ?? [];
  const keyword = KEYWORDS.find((one) => one === word.toUpperCase());
  const at = line.positionAt(0);
  if (keyword === undefined) {
    const shown = JSON.stringify(word.slice(0, 64));
    throw dockerfileError(file, at, `there is no instruction ${shown}.${didYouMean(word, KEYWORDS)}`);
  }
  const flags = readFlags(line, word.length, keyword, reader.mark, file);
  const rest = line.text.slice(flags.end);
  const skipped = rest.length - rest.trimStart().length;
  const args = rest.trim();
  const argsAt = line.positionAt(flags.end + skipped);
  const json = parseJson(args);
  const spoken = keyword === 'ONBUILD' ? (/^\S+/.exec(args)?.[0].toUpperCase() ?? '') : keyword;
  const hasHeredocs = WITH_HEREDOCS.includes(spoken) && json === null;
  const heredocs = hasHeredocs ? takeHeredocs(args, reader, file, argsAt) : [];
  const text = line.text.trim();
  const instruction = { keyword, flags: flags.list, args, json, heredocs, file, at, argsAt, text };
  if (args === '') throw refuse(instruction, 'there is nothing behind it.');
  if (keyword === 'ONBUILD') assertTrigger(instruction, spoken);
  return instruction;
}

function assertTrigger(instruction: Instruction, keyword: string): void {
  if (keyword === 'ONBUILD' && instruction.keyword === 'ONBUILD' && /^onbuild\b/i.test(instruction.args))
    throw refuse(instruction, 'ONBUILD in ONBUILD is not allowed.');
  if (['FROM', 'MAINTAINER'].includes(keyword)) throw refuse(instruction, `${keyword} is not allowed in ONBUILD.`);
  if (!KEYWORDS.some((one) => one === keyword))
    throw refuse(instruction, `there is no instruction ${JSON.stringify(keyword.slice(0, 64))}.`);
}

/** `--name=value` words right behind the keyword; the words after `--` are arguments. */
function readFlags(line: LogicalLine, from: number, keyword: Keyword, mark: string, file: string) {
  const known = FLAGS[keyword];
  const list: Flag[] = [];
  let end = from;
  while (known !== undefined) {
    const [, space = '', start = ''] = /^(\s*)(--\S*)/.exec(line.text.slice(end)) ?? [];
    if (start === '') break;
    const begin = end + space.length;
    const at = line.positionAt(begin);
    const word = flagWord(line.text.slice(begin), mark);
    end = begin + word.length;
    if (word === '--') break;
    const equals = word.indexOf('=');
    const name = word.slice(2, equals === -1 ? undefined : equals);
    if (!known.includes(name))
      throw dockerfileError(
        file,
        at,
        `${keyword} has no flag ${JSON.stringify(`--${name.slice(0, 64)}`)}.${didYouMean(name, known)}`,
      );
    list.push({ name, value: equals === -1 ? null : word.slice(equals + 1), at });
  }
  return { list, end };
}

/** The first word, with its quotes. An open quote is no word: the argument is to blame, not the flag. */
function flagWord(text: string, mark: string): string {
  try {
    return splitWords(text, mark)[0]?.word ?? '';
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    return /^\S+/.exec(text)?.[0] ?? '';
  }
}

/** Null for what is not an array of strings: then it is for the shell, like `[ -f x ]`. */
function parseJson(args: string): string[] | null {
  if (!args.startsWith('[')) return null;
  try {
    const value: unknown = JSON.parse(args);
    return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : null;
  } catch {
    return null;
  }
}

function intoStages(instructions: Instruction[], file: string): Pick<Dockerfile, 'globalArgs' | 'stages'> {
  const globalArgs: Instruction[] = [];
  const stages: Stage[] = [];
  for (const instruction of instructions) {
    const stage = stages.at(-1);
    if (instruction.keyword === 'FROM') stages.push(startStage(instruction, stages));
    else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.keyword === 'ARG') globalArgs.push(instruction);
    else throw refuse(instruction, 'only ARG may stand before the first FROM.');
    if ((stage?.instructions.length ?? 0) > DOCKERFILE_LIMITS.instructions)
      throw refuse(instruction, `a stage has at most ${DOCKERFILE_LIMITS.instructions} instructions.`);
  }
  if (stages.length === 0)
    throw dockerfileError(file, { line: 1, column: 1 }, 'there is no FROM, so there is nothing to build.');
  return { globalArgs, stages };
}

function startStage(from: Instruction, before: Stage[]): Stage {
  if (before.length >= DOCKERFILE_LIMITS.stages)
    throw refuse(from, `there are more than ${DOCKERFILE_LIMITS.stages} stages.`);
  const words = from.args.split(/\s+/);
  const [base = '', as, given] = words;
  if (words.length !== 1 && !(words.length === 3 && as?.toUpperCase() === 'AS'))
    throw refuse(from, 'write "FROM image" or "FROM image AS name".');
  const name = given?.toLowerCase() ?? null;
  if (name !== null && (!STAGE_NAME.test(name) || name === 'scratch'))
    throw refuse(from, `${JSON.stringify(name.slice(0, 64))} can not be the name of a stage.`);
  if (name !== null && before.some((stage) => stage.name === name))
    throw refuse(from, `there are two stages with the name ${JSON.stringify(name)}.`);
  return { index: before.length, name, base, from, instructions: [] };
}
