/** Bytes -> logical lines: directives read, comments gone, continuations joined, every character still knows its place. */
import { DOCKERFILE_LIMITS, type DockerfileLimits } from './limits.ts';
import { dockerfileError, type Position } from './types.ts';

export interface LogicalLine {
  text: string;
  /** The place of a character of `text`. */
  positionAt(offset: number): Position;
}

export interface LineReader {
  readonly mark: '\\' | '`';
  /** Null at the end. */
  next(): LogicalLine | null;
  /** Physical lines up to one that `isEnd`; null when none is, and then nothing is taken. */
  takeUntil(isEnd: (line: string) => boolean): string[] | null;
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const KNOWN_DIRECTIVES = new Set(['syntax', 'escape', 'check']);

function decode(bytes: Buffer, file: string, limits: DockerfileLimits): string {
  const start = { line: 1, column: 1 };
  if (bytes.length > limits.bytes) throw dockerfileError(file, start, `it is larger than ${limits.bytes} bytes.`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // drops a byte order mark
  } catch {
    throw dockerfileError(file, start, 'it is not UTF-8 text.');
  }
}

function split(text: string, file: string, limits: DockerfileLimits): string[] {
  const lines = text.split('\n', limits.lines + 1).map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (lines.length > limits.lines)
    throw dockerfileError(file, { line: limits.lines, column: 1 }, `it has more than ${limits.lines} lines.`);
  for (const [index, line] of lines.entries()) {
    if (line.length > limits.lineLength) {
      const at = { line: index + 1, column: limits.lineLength };
      throw dockerfileError(file, at, `the line is longer than ${limits.lineLength} characters.`);
    }
    const nul = line.indexOf('\0');
    if (nul !== -1) throw dockerfileError(file, { line: index + 1, column: nul + 1 }, 'there is a NUL character.');
  }
  return lines;
}

/** Only above everything else; `syntax` names a frontend and is ignored, there is only this one. */
function readEscape(lines: string[], file: string): '\\' | '`' {
  let mark: '\\' | '`' | undefined;
  for (const [index, line] of lines.entries()) {
    const [, name = '', value = ''] = DIRECTIVE.exec(line) ?? [];
    if (!KNOWN_DIRECTIVES.has(name.toLowerCase())) break;
    if (name.toLowerCase() !== 'escape') continue;
    const at = { line: index + 1, column: 1 };
    if (mark !== undefined) throw dockerfileError(file, at, 'the directive "escape" is there twice.');
    if (value !== '\\' && value !== '`') throw dockerfileError(file, at, '"escape" is neither \\ nor `.');
    mark = value;
  }
  return mark ?? '\\';
}

/** Where the continuation mark of this line is; -1 without one. Two marks are a character, not a continuation. */
function continuationAt(line: string, mark: string): number {
  const end = line.replace(/[ \t]+$/, '').length - 1;
  return line[end] === mark && line[end - 1] !== mark ? end : -1;
}

/** @throws WaferError `invalid_dockerfile` */
export function openLines(bytes: Buffer, file: string, limits = DOCKERFILE_LIMITS): LineReader {
  const lines = split(decode(bytes, file, limits), file, limits);
  const mark = readEscape(lines, file);
  let at = 0;
  const isSkipped = (line: string) => /^\s*(#|$)/.test(line);

  const next = (): LogicalLine | null => {
    while (at < lines.length && isSkipped(lines[at] ?? '')) at += 1;
    if (at >= lines.length) return null;
    const parts: { offset: number; line: number; column: number }[] = [];
    let text = '';
    for (let more = true; more && at < lines.length; at += 1) {
      const line = lines[at] ?? '';
      if (parts.length > 0 && isSkipped(line)) continue;
      const cut = continuationAt(line, mark);
      const from = parts.length === 0 ? line.length - line.trimStart().length : 0;
      parts.push({ offset: text.length, line: at + 1, column: from + 1 });
      text += line.slice(from, cut === -1 ? undefined : cut);
      more = cut !== -1;
      if (text.length > limits.bytes) break;
    }
    return { text, positionAt: (offset) => placeIn(parts, offset) };
  };

  return {
    mark,
    next,
    takeUntil(isEnd) {
      const end = lines.findIndex((line, index) => index >= at && isEnd(line));
      if (end === -1) return null;
      const taken = lines.slice(at, end);
      at = end + 1;
      return taken;
    },
  };
}

function placeIn(parts: { offset: number; line: number; column: number }[], offset: number): Position {
  const part = parts.findLast((one) => one.offset <= offset) ?? { offset: 0, line: 1, column: 1 };
  return { line: part.line, column: part.column + offset - part.offset };
}
