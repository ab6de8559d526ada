/**
 * `.env` and `env_file`: `NAME=value` lines, `export` allowed, `#` comments. 'single quotes' take
 * everything as it is, over lines too; "double quotes" know \n and variables; bare values know
 * variables and end before ` #`.
 */
import { interpolate, type Variables } from './interpolate.ts';

/** Line from 1. */
export class DotenvError extends Error {
  override readonly name = 'DotenvError';
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*([\s\S]*))?$/;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' };

interface Lines {
  lines: readonly string[];
  at: number;
}

/** The text up to the closing quote, which may be lines below. */
function readQuoted(source: Lines, begun: string, quote: string): string {
  const first = source.at;
  let text = begun.slice(1);
  for (;;) {
    for (let index = 0; index < text.length; index++) {
      if (text[index] === '\\' && quote === '"') index += 1;
      else if (text[index] === quote) {
        const after = text.slice(index + 1).trim();
        if (after !== '' && !after.startsWith('#'))
          throw new DotenvError(source.at + 1, 'text follows the closing quote');
        return text.slice(0, index);
      }
    }
    source.at += 1;
    if (source.at >= source.lines.length) throw new DotenvError(first + 1, `the quote ${quote} is not closed`);
    text += `\n${source.lines[source.at]}`;
  }
}

/** Values may use what stands above, and what `outer` has. @throws DotenvError */
export function readDotenv(
  text: string,
  outer: (name: string) => string | undefined,
): { name: string; value: string | null }[] {
  const source: Lines = { lines: text.replace(/^\uFEFF/, '').split(/\r?\n/), at: 0 };
  const found = new Map<string, string | null>();
  const variables: Variables = { get: (name) => outer(name) ?? found.get(name) ?? undefined, onMissing: () => {} };
  for (; source.at < source.lines.length; source.at++) {
    const line = source.lines[source.at] ?? '';
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const number = source.at + 1;
    const [, name, value] = ASSIGNMENT.exec(line) ?? [];
    if (name === undefined) throw new DotenvError(number, 'it is not NAME=value');
    try {
      found.set(name, value === undefined ? null : readValue(source, value, variables));
    } catch (error) {
      throw error instanceof DotenvError ? error : new DotenvError(number, (error as Error).message);
    }
  }
  return [...found].map(([name, value]) => ({ name, value }));
}

function readValue(source: Lines, begun: string, variables: Variables): string {
  if (begun.startsWith("'")) return readQuoted(source, begun, "'");
  if (begun.startsWith('"')) {
    const quoted = readQuoted(source, begun, '"');
    return interpolate(quoted.replace(/\\\$/g, '$$$$'), variables).replace(
      /\\(.)/gs,
      (_whole, char: string) => ESCAPES[char] ?? char,
    );
  }
  return interpolate(begun.replace(/(^|\s)#.*$/, '').trim(), variables);
}
