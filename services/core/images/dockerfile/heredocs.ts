/** `<<EOF`: the lines below an instruction that belong to it. */
import { DOCKERFILE_LIMITS } from './limits.ts';
import type { LineReader } from './lines.ts';
import { dockerfileError, type Heredoc, type Position } from './types.ts';
import { expandWord, splitWords, WordError } from './words.ts';

/** Whole words only: in `cat 3<<EOF` the shell has a descriptor, in `a<<b` we have nothing. */
const HEREDOC = /^(\d*)<<(-?)([^<]+)$/;

/** @throws WaferError `invalid_dockerfile` when one is not closed */
export function takeHeredocs(args: string, reader: LineReader, file: string, at: Position): Heredoc[] {
  const marks = wordsOf(args, reader.mark).flatMap((word) => {
    const [, , chomp = '', delimiter = ''] = HEREDOC.exec(word) ?? [];
    const name = delimiter === '' ? '' : unquote(delimiter, reader.mark);
    return name === '' ? [] : [{ word, chomp: chomp === '-', name, expand: name === delimiter }];
  });
  if (marks.length > DOCKERFILE_LIMITS.heredocs)
    throw dockerfileError(file, at, `more than ${DOCKERFILE_LIMITS.heredocs} heredocs at one instruction.`);
  return marks.map(({ word, chomp, name, expand }) => {
    const stripped = (line: string) => (chomp ? line.replace(/^\t+/, '') : line);
    const lines = reader.takeUntil((line) => stripped(line) === name);
    if (lines === null)
      throw dockerfileError(file, at, `the heredoc is not closed: no line is ${JSON.stringify(name)}.`);
    return { name, content: lines.map((line) => `${stripped(line)}\n`).join(''), expand, word };
  });
}

/** An open quote is the shell's business. */
function wordsOf(args: string, mark: string): string[] {
  try {
    return splitWords(args, mark).map(({ word }) => word);
  } catch (error) {
    if (error instanceof WordError) return [];
    throw error;
  }
}

function unquote(delimiter: string, mark: string): string {
  try {
    return expandWord(delimiter, (name) => `$${name}`, mark);
  } catch (error) {
    if (error instanceof WordError) return '';
    throw error;
  }
}
