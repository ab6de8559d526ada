/** Which place in a block of memory is whose: the least recently used name loses its place when all are taken. */
export interface Slots {
  /** The place of the name, and whether it has to be cleared: it is new, or was another's. `heirOf` gives its place up. */
  take(name: string, heirOf: () => string): { slot: number; isNew: boolean };
  find(name: string): number | undefined;
  readonly size: number;
}

export function createSlots(capacity: number): Slots {
  /** Least recently used first. */
  const slots = new Map<string, number>();
  const remove = (name: string): number | undefined => {
    const slot = slots.get(name);
    slots.delete(name);
    return slot;
  };
  const free = (): number => {
    const [oldest] = slots.keys();
    return slots.size < capacity || oldest === undefined ? slots.size : (remove(oldest) ?? 0);
  };
  return {
    take(name, heirOf) {
      const known = remove(name) ?? remove(heirOf());
      const slot = known ?? free();
      slots.set(name, slot);
      return { slot, isNew: known === undefined };
    },
    find: (name) => slots.get(name),
    get size() {
      return slots.size;
    },
  };
}
