import { refuseEntry, show } from './refuse.ts';
import type { SourceNode } from './types.ts';

/** As the kernel: more links than this on one way are a loop. */
const MAX_HOPS = 40;
/** Path components walked for one link, and for all links: chains of links multiply, an honest tree needs a few each. */
const MAX_STEPS = 512;
const MAX_TOTAL_STEPS = 500_000;

/**
 * Follows every link through the tree's other links, as a kernel would. Comparing text is
 * not enough: with `up -> ..` deep in the tree, `up/../..` leaves it. A link to something
 * that is not there is fine as long as the way to it stays inside.
 * @throws WaferError `invalid_archive`
 */
export function assertLinksStayInside(nodes: ReadonlyMap<string, SourceNode>): void {
  let steps = 0;
  for (const node of nodes.values()) {
    if (node.kind !== 'symlink') continue;
    steps += followLink(node, nodes);
    if (steps > MAX_TOTAL_STEPS) throw refuseEntry(node.path, 'the links of the archive are too tangled');
  }
}

const reversed = (target: string | undefined) => (target ?? '').split('/').reverse();

/** @returns how many steps it took */
function followLink(link: SourceNode, nodes: ReadonlyMap<string, SourceNode>): number {
  const refuse = (reason: string) => refuseEntry(link.path, `its link target ${show(link.target ?? '')} ${reason}`);
  const place = link.path.split('/').slice(0, -1);
  const pending = reversed(link.target);
  let hops = 0;
  let steps = 0;
  while (pending.length > 0) {
    steps += 1;
    if (steps > MAX_STEPS) throw refuse('takes too many steps');
    const step = pending.pop();
    if (step === undefined || step === '' || step === '.') continue;
    if (step === '..') {
      if (place.pop() === undefined) throw refuse('leaves the folder');
      continue;
    }
    const next = nodes.get([...place, step].join('/'));
    if (next?.kind !== 'symlink') {
      place.push(step);
      continue;
    }
    hops += 1;
    if (hops > MAX_HOPS) throw refuse('is a loop of links');
    pending.push(...reversed(next.target));
  }
  return steps;
}
