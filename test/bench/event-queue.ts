/** What happens next: a binary heap by time; of two at the same time the one that was put first comes first. */
export interface EventQueue<T> {
  put(time: number, what: T): void;
  /** Milliseconds; infinite when there is nothing. */
  nextTime(): number;
  take(): { time: number; what: T } | undefined;
}

interface Entry<T> {
  time: number;
  order: number;
  what: T;
}

export function createEventQueue<T>(): EventQueue<T> {
  const heap: Entry<T>[] = [];
  let order = 0;
  const isBefore = (a: Entry<T>, b: Entry<T>) => a.time < b.time || (a.time === b.time && a.order < b.order);
  const up = (entry: Entry<T>) => {
    let at = heap.length - 1;
    for (;;) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (at === 0 || above === undefined || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  };
  const down = (entry: Entry<T>) => {
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, entry)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = entry;
  };
  return {
    put(time, what) {
      const entry = { time, order: order++, what };
      heap.push(entry);
      up(entry);
    },
    nextTime: () => heap[0]?.time ?? Number.POSITIVE_INFINITY,
    take() {
      const first = heap[0];
      const last = heap.pop();
      if (first !== undefined && last !== undefined && first !== last) down(last);
      return first;
    },
  };
}
