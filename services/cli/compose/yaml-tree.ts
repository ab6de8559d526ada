/**
 * A YAML file as values that know their place: aliases and merge keys put in, variables
 * put in. A few lines of aliases can stand for billions of values, so what comes out is counted.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { type Place, refuse } from './places.ts';

/** A file of people's hands is far below each. */
export const YAML_LIMITS = { bytes: 1024 * 1024, values: 50_000, depth: 40 } as const;

export interface TextValue {
  kind: 'text';
  /** As it is written, quotes and escapes taken away, variables put in. */
  text: string;
  /** Written without quotes, as a number, true or false. */
  isPlain: boolean;
  at: Place;
}
export interface NullValue {
  kind: 'null';
  at: Place;
}
export interface ListValue {
  kind: 'list';
  items: Value[];
  at: Place;
}
export interface MapValue {
  kind: 'map';
  entries: Map<string, { value: Value; at: Place }>;
  at: Place;
}
export type Value = TextValue | NullValue | ListValue | MapValue;

/** Puts variables into a text. @throws Error saying what is wrong */
export type Interpolate = (text: string) => string;

interface Reader {
  /** Seen so far; an alias means the newest of its name. */
  anchors: Map<string, Node>;
  /** Within what an alias stands for. */
  isExpanding: boolean;
  interpolate: Interpolate;
  place(node: { range?: [number, number, number] | null | undefined } | null | undefined): Place;
  values: number;
}

/** @throws WaferError `usage` with the place */
export function readYaml(text: string, file: string, interpolate: Interpolate): Value {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (Buffer.byteLength(text) > YAML_LIMITS.bytes)
    throw refuse({ file, line: 1, column: 1 }, `the file is larger than ${YAML_LIMITS.bytes} bytes.`);
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core', stringKeys: true });
  const [error] = doc.errors;
  if (error !== undefined) throw refuse(placeAt(error.pos[0]), `${error.message}.`);
  const reader: Reader = {
    anchors: new Map(),
    isExpanding: false,
    interpolate,
    place: (node) => placeAt(node?.range?.[0] ?? 0),
    values: 0,
  };
  return readNode(reader, doc.contents as Node | null, 0, placeAt(0));
}

function readNode(reader: Reader, node: Node | null | undefined, depth: number, parent: Place): Value {
  if (node === null || node === undefined) return { kind: 'null', at: parent };
  const at = reader.place(node);
  reader.values += 1;
  if (reader.values > YAML_LIMITS.values)
    throw refuse(at, `the file stands for more than ${YAML_LIMITS.values} values: an alias is repeated too often.`);
  if (depth > YAML_LIMITS.depth) throw refuse(at, `it is nested more than ${YAML_LIMITS.depth} deep.`);
  if (isAlias(node)) {
    const target = reader.anchors.get(node.source);
    if (target === undefined) throw refuse(at, `there is no &${node.source} before this.`);
    const inside = reader.isExpanding;
    reader.isExpanding = true;
    const value = readNode(reader, target, depth + 1, at);
    reader.isExpanding = inside;
    return value;
  }
  const { anchor } = node as { anchor?: string };
  if (anchor !== undefined && !reader.isExpanding) reader.anchors.set(anchor, node);
  if (isMap(node)) return readMap(reader, node, depth, at);
  if (isSeq(node))
    return { kind: 'list', at, items: node.items.map((one) => readNode(reader, one as Node, depth + 1, at)) };
  if (isScalar(node)) return readScalar(reader, node, at);
  throw refuse(at, 'it is not a value.');
}

function readScalar({ interpolate }: Reader, node: Scalar, at: Place): TextValue | NullValue {
  if (node.value === null) return { kind: 'null', at };
  const isPlain = typeof node.value !== 'string';
  // 1.10 stays 1.10.
  const text = isPlain ? (node.source ?? String(node.value)) : (node.value as string);
  try {
    return { kind: 'text', text: interpolate(text), isPlain, at };
  } catch (error) {
    throw refuse(at, (error as Error).message);
  }
}

const keyOf = ({ key }: Pair): string => String(isScalar(key) ? (key.source ?? key.value) : key);

/** What is written in the map itself wins over what is merged into it. */
function readMap(reader: Reader, node: YAMLMap, depth: number, at: Place): MapValue {
  const entries: MapValue['entries'] = new Map();
  const merged: Value[] = [];
  for (const pair of node.items) {
    const key = keyOf(pair as Pair);
    const keyAt = reader.place(pair.key as Node);
    const value = readNode(reader, pair.value as Node | null, depth + 1, keyAt);
    if (key === '<<') merged.push(...(value.kind === 'list' ? value.items : [value]));
    else entries.set(key, { value, at: keyAt });
  }
  for (const source of merged) {
    if (source.kind !== 'map') throw refuse(source.at, '"<<" takes a map or a list of maps.');
    for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
  }
  return { kind: 'map', entries, at };
}
