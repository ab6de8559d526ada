import { type Entry, upperOf } from './entry.ts';
import type { Shelf } from './shelf.ts';

/** Names within a network group: each container's own, and its aliases. Only of those that run. */
export function peersOf(shelf: Pick<Shelf, 'all'>, group: string): (name: string) => string | null {
  return (asked) => {
    const name = asked.toLowerCase().replace(/\.$/, '');
    const found = shelf.all().find((entry) => entry.run !== null && isCalled(entry, group, name));
    return found === undefined ? null : upperOf(found);
  };
}

function isCalled({ record: { name, config } }: Entry, group: string, asked: string): boolean {
  const { network } = config;
  return network.group === group && [name, ...(network.aliases ?? [])].some((one) => one.toLowerCase() === asked);
}
