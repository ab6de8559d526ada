/** The text of `wafer.json` -> a plain value. Comments and trailing commas are allowed, as in every editor's settings. */
import {
  createScanner,
  type Node,
  type ParseError,
  type ParseErrorCode,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import { WaferError } from '../errors.ts';

/** Against a hostile file: the parser is recursive, and settings are small. */
const TEXT_LIMITS = { maxBytes: 1024 * 1024, maxDepth: 32 };

/** jsonc-parser's `SyntaxKind`, an ambient const enum that isolated modules can not read. */
const TOKEN = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, end: 17 };

const PLAIN_WORDS: Partial<Record<ReturnType<typeof printParseErrorCode>, string>> = {
  PropertyNameExpected: 'a property name in double quotes is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: 'a colon is expected here',
  CommaExpected: 'a comma is expected here',
  CloseBraceExpected: 'a closing } is missing',
  CloseBracketExpected: 'a closing ] is missing',
  EndOfFileExpected: 'there is text behind the end of the settings',
  InvalidSymbol: 'this is not a value; text needs double quotes',
  InvalidNumberFormat: 'this is not a number',
  UnexpectedEndOfString: 'the text has no closing double quote',
  UnexpectedEndOfComment: 'the comment is not closed',
  InvalidEscapeCharacter: 'this escape is not allowed',
  InvalidUnicode: 'this is not a valid \\u escape',
  InvalidCharacter: 'this character is not allowed here',
};

/**
 * `file` names the text in messages.
 * @throws WaferError `invalid_config`, with `details` {file, line, column} for syntax, {file, path, line, column} for content
 */
export function parseConfigText(text: string, file: string): unknown {
  const fail = failAt(text, file);
  if (Buffer.byteLength(text) > TEXT_LIMITS.maxBytes) fail(0, `it is larger than ${TEXT_LIMITS.maxBytes} bytes`);
  const body = text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text;
  refuseDepth(body, fail);
  const errors: ParseError[] = [];
  const root = parseTree(body, errors, { allowTrailingComma: true, allowEmptyContent: false });
  const first = errors[0];
  if (first !== undefined) fail(first.offset, inWords(first.error));
  if (root === undefined) return fail(0, 'it is empty; the smallest one is {}');
  return toValue(root, '', fail);
}

type Fail = (offset: number, problem: string, path?: string) => never;

const failAt =
  (text: string, file: string): Fail =>
  (offset, problem, path) => {
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    const column = offset - (before.lastIndexOf('\n') + 1) + 1;
    const subject = path === undefined ? '' : `${path}: `;
    throw new WaferError('invalid_config', `${file}, line ${line}, column ${column}: ${subject}${problem}.`, {
      details: { file, line, column, ...(path !== undefined && { path }) },
    });
  };

const inWords = (code: ParseErrorCode) => PLAIN_WORDS[printParseErrorCode(code)] ?? 'this is not valid JSON';

/** Without recursion, before anything recursive sees the text. */
function refuseDepth(text: string, fail: Fail): void {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let kind: number = scanner.scan(); kind !== TOKEN.end; kind = scanner.scan()) {
    if (kind === TOKEN.openBrace || kind === TOKEN.openBracket) depth++;
    if (kind === TOKEN.closeBrace || kind === TOKEN.closeBracket) depth--;
    if (depth > TEXT_LIMITS.maxDepth)
      fail(scanner.getTokenOffset(), `it is nested deeper than ${TEXT_LIMITS.maxDepth}`);
  }
}

/** Own walk instead of the parser's: that one lets the last of two equal keys win and follows `__proto__`. */
function toValue(node: Node, path: string, fail: Fail): unknown {
  if (node.type === 'array') return (node.children ?? []).map((item, index) => toValue(item, `${path}/${index}`, fail));
  if (node.type !== 'object') return node.value;
  const entries = new Map<string, unknown>();
  for (const property of node.children ?? []) {
    const [nameNode, valueNode] = property.children ?? [];
    if (nameNode === undefined || valueNode === undefined) fail(property.offset, 'a value is expected here');
    else {
      const name = String(nameNode.value);
      const place = `${path}/${pointerPart(name)}`;
      if (name === '__proto__') fail(nameNode.offset, 'this name is not allowed', place);
      if (entries.has(name)) fail(nameNode.offset, 'this key is there twice', place);
      entries.set(name, toValue(valueNode, place, fail));
    }
  }
  return Object.fromEntries(entries);
}

/** RFC 6901. */
export const pointerPart = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');
