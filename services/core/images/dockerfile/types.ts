/** A Dockerfile as read: positions kept, nothing expanded. */
import { WaferError } from '../../errors.ts';

/** 1-based. */
export interface Position {
  line: number;
  column: number;
}

export const KEYWORDS = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const;
export type Keyword = (typeof KEYWORDS)[number];

export interface Flag {
  name: string;
  /** Not expanded, quotes kept; null for `--link`. */
  value: string | null;
  at: Position;
}

export interface Heredoc {
  /** The delimiter without quotes. */
  name: string;
  content: string;
  /** The delimiter was not quoted, so variables count. */
  expand: boolean;
  /** As written on the line: `<<-"EOF"`. */
  word: string;
}

export interface Instruction {
  keyword: Keyword;
  flags: Flag[];
  /** What follows keyword and flags, continuation lines joined. */
  args: string;
  /** `args` when it is a JSON array of strings. */
  json: string[] | null;
  heredocs: Heredoc[];
  file: string;
  at: Position;
  argsAt: Position;
  /** One line for logs and history: keyword, flags, arguments. */
  text: string;
}

export interface Stage {
  index: number;
  name: string | null;
  /** Not expanded: an image, `scratch`, or an earlier stage. */
  base: string;
  from: Instruction;
  instructions: Instruction[];
}

export interface Dockerfile {
  file: string;
  mark: '\\' | '`';
  /** Before the first FROM. */
  globalArgs: Instruction[];
  stages: Stage[];
}

/** Always with the place, in the text and in the details. */
export function dockerfileError(file: string, at: Position, message: string, hint?: string): WaferError {
  return new WaferError('invalid_dockerfile', `${file}:${at.line}:${at.column}: ${message}`, {
    details: { file, line: at.line, column: at.column },
    ...(hint === undefined ? {} : { hint }),
  });
}

export const refuse = (instruction: Instruction, message: string, hint?: string): WaferError =>
  dockerfileError(instruction.file, instruction.at, `${instruction.keyword}: ${message}`, hint);
