/** Reads `infra/base-images/<name>/image.json`; see infra/base-images/README.md for the format. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Check, Errors } from 'typebox/value';

const Mmdebstrap = Type.Object({ kind: Type.Literal('mmdebstrap'), script: Type.String() });
const Run = Type.Object({ kind: Type.Literal('run'), script: Type.String() });
const NpmFiles = Type.Object({
  kind: Type.Literal('npm-files'),
  package: Type.String(),
  version: Type.String(),
  integrity: Type.Record(Type.String(), Type.String()),
  files: Type.Array(Type.String()),
  trees: Type.Array(Type.String()),
  links: Type.Array(Type.String()),
});
const LayerSource = Type.Union([Mmdebstrap, Run, NpmFiles]);
const ImageFile = Type.Object({
  name: Type.String(),
  description: Type.String(),
  from: Type.Union([Type.String(), Type.Null()]),
  layers: Type.Array(LayerSource),
  tools: Type.Array(LayerSource),
  env: Type.Array(Type.String()),
  default: Type.Array(Type.String()),
});

export type LayerSource = Static<typeof LayerSource>;
export type NpmFiles = Static<typeof NpmFiles>;
export interface Definition extends Static<typeof ImageFile> {
  dir: string;
  /** Digest of everything that the definition is made of: a change makes a new image. */
  digest: string;
}

/** All definitions, parents before children. @throws TypeError on a broken file: it is part of the program */
export async function readDefinitions(dir: string): Promise<Definition[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const shared = await digestFiles(
    dir,
    entries.filter((entry) => entry.name.endsWith('.sh')).map((entry) => entry.name),
  );
  const definitions = await Promise.all(names.sort().map((name) => readDefinition(join(dir, name), shared)));
  return parentsFirst(definitions);
}

async function readDefinition(dir: string, shared: string): Promise<Definition> {
  const value: unknown = JSON.parse(await readFile(join(dir, 'image.json'), 'utf8'));
  if (!Check(ImageFile, value))
    throw new TypeError(`${dir}/image.json: ${[...Errors(ImageFile, value)][0]?.message ?? 'not valid'}`);
  return { ...value, dir, digest: await digestFiles(dir, await readdir(dir), shared) };
}

async function digestFiles(dir: string, names: string[], seed = ''): Promise<string> {
  const hash = createHash('sha256').update(seed);
  for (const name of names.sort()) hash.update(`${name}\0`).update(await readFile(join(dir, name)));
  return hash.digest('hex');
}

function parentsFirst(definitions: Definition[]): Definition[] {
  const sorted: Definition[] = [];
  const visit = (one: Definition) => {
    if (sorted.includes(one)) return;
    const parent = definitions.find((other) => other.name === one.from);
    if (one.from !== null && parent === undefined)
      throw new TypeError(`${one.dir}/image.json: from ${one.from} does not exist`);
    if (parent !== undefined) visit(parent);
    sorted.push(one);
  };
  definitions.forEach(visit);
  return sorted;
}
