/** Draws the tree of layers: what stands on what, with images and functions where they end. */
import type { ImageTree, TreeImage, TreeLayer } from '../core/images/layer-tree.ts';
import { count, formatBytes, safeText, shortDigest } from './format.ts';
import type { Ui } from './ui.ts';

interface Branch {
  /** Several where nothing else begins or ends between them. */
  layers: TreeLayer[];
  images: TreeImage[];
  branches: Branch[];
}

interface DrawOptions {
  /** Every layer on a line of its own. */
  everyLayer: boolean;
}

const STEP_WIDTH = 60;

function groupBy<K, T>(all: readonly T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const one of all) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return groups;
}

function intoBranches(tree: ImageTree, { everyLayer }: DrawOptions): Branch[] {
  const above = groupBy(tree.layers, ({ parent }) => parent);
  const ends = groupBy(tree.images, ({ top }) => top);
  const branch = (first: TreeLayer): Branch => {
    const layers = [first];
    for (let last = first; ; ) {
      const next = above.get(last.chainId) ?? [];
      const images = ends.get(last.chainId) ?? [];
      const [only] = next;
      if (everyLayer || images.length > 0 || next.length !== 1 || only === undefined)
        return { layers, images, branches: next.map(branch) };
      layers.push(only);
      last = only;
    }
  };
  return (above.get(null) ?? []).map(branch);
}

/** `hello 3, 4`: one image can be several versions. */
function functionNames({ functions }: TreeImage): string[] {
  const byName = groupBy(functions, ({ name }) => name);
  return [...byName].map(([name, versions]) => `${name} ${versions.map(({ version }) => version).join(', ')}`);
}

function imageLine(image: TreeImage, ui: Ui): string {
  const names = image.tags.filter((tag) => image.functions.length === 0 || !tag.startsWith('functions/'));
  const functions = functionNames(image).map((name) => `${ui.paint('cyan', 'function')} ${ui.paint('bold', name)}`);
  const shown = [...names.map((name) => ui.paint('bold', safeText(name))), ...functions].join(', ');
  const own = image.ownBytes === 0 ? 'all of it shared' : `${formatBytes(image.ownBytes)} its own`;
  return `${shown || '(no name)'} ${ui.paint('dim', `${shortDigest(image.digest)}  ${formatBytes(image.bytes)}, ${own}`)}`;
}

function layerLine({ layers }: Branch, ui: Ui): string {
  const [first] = layers;
  const bytes = formatBytes(layers.reduce((sum, layer) => sum + layer.bytes, 0)).padStart(8);
  const step = safeText(layers.at(-1)?.createdBy ?? '').replace(/\s+/g, ' ');
  const text = step.length > STEP_WIDTH ? `${step.slice(0, STEP_WIDTH - 1)}…` : step;
  const what = layers.length === 1 ? text : `${layers.length} layers, the last: ${text}`;
  const uses = first?.images ?? 0;
  const shared = uses > 1 ? ui.paint('green', `  in ${count(uses, 'image')}`) : '';
  return `${shortDigest(layers.at(-1)?.diffId ?? '')} ${bytes}  ${what}${shared}`;
}

function draw(branch: Branch, ui: Ui, lead: string, ownLead: string): void {
  ui.out(`${ui.paint('dim', ownLead)}${layerLine(branch, ui)}`);
  const below = [...branch.images.map((image) => ({ image })), ...branch.branches.map((one) => ({ one }))];
  for (const [at, item] of below.entries()) {
    const isLast = at === below.length - 1;
    const corner = `${lead}${isLast ? '└─ ' : '├─ '}`;
    if ('image' in item) ui.out(`${ui.paint('dim', corner)}${imageLine(item.image, ui)}`);
    else draw(item.one, ui, `${lead}${isLast ? '   ' : '│  '}`, corner);
  }
}

/** Big families first, so that what is shared most stands on top. */
function sorted(branches: Branch[]): Branch[] {
  const uses = ({ layers }: Branch) => layers[0]?.images ?? 0;
  return branches.map((branch) => ({ ...branch, branches: sorted(branch.branches) })).sort((a, b) => uses(b) - uses(a));
}

export function drawTree(tree: ImageTree, ui: Ui, options: DrawOptions): void {
  for (const branch of sorted(intoBranches(tree, options))) draw(branch, ui, '', '');
  for (const image of tree.images.filter(({ top }) => top === null)) ui.out(`${imageLine(image, ui)} (no layers)`);
  const stored = new Map(tree.layers.map(({ diffId, bytes }) => [diffId, bytes]));
  const once = [...stored.values()].reduce((sum, bytes) => sum + bytes, 0);
  const all = tree.images.reduce((sum, { bytes }) => sum + bytes, 0);
  ui.out();
  ui.out(
    `${count(tree.images.length, 'image')} of ${formatBytes(all)} on ${count(stored.size, 'layer')} of ${formatBytes(once)}.`,
  );
}
