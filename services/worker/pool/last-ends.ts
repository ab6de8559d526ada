/** Why each version's last instance ended: what its next start is due to. */
import type { StartCause } from '../../core/invocations/types.ts';

export type EndCause = Extract<StartCause, 'idle' | 'evicted' | 'ended'>;

export interface LastEnds<T extends object> {
  /** The pool is about to end it. */
  because(instance: T, cause: 'idle' | 'evicted'): void;
  /** It has ended. */
  note(key: string, instance: T): void;
  of(key: string): 'first' | EndCause;
}

export function createLastEnds<T extends object>(capacity: number): LastEnds<T> {
  const causes = new WeakMap<T, 'idle' | 'evicted'>();
  /** In the order in which they ended; what is forgotten counts as a first start. */
  const ends = new Map<string, EndCause>();
  return {
    because: (instance, cause) => void causes.set(instance, cause),
    note(key, instance) {
      ends.delete(key);
      ends.set(key, causes.get(instance) ?? 'ended');
      const [oldest] = ends.keys();
      if (ends.size > capacity && oldest !== undefined) ends.delete(oldest);
    },
    of: (key) => ends.get(key) ?? 'first',
  };
}
