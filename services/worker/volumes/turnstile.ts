/** One at a time, in order of arrival; who waits may leave. */
import type { CallerSignal } from '../../core/invocations/light-signal.ts';

export interface Turnstile {
  /** Gives the function that lets the next one in; null when the signal or the time ended the wait. */
  enter(
    signal: Pick<CallerSignal, 'aborted' | 'addEventListener' | 'removeEventListener'>,
    ms: number,
  ): Promise<(() => void) | null>;
}

export function createTurnstile(): Turnstile {
  const waiting: (() => void)[] = [];
  let isTaken = false;

  const leave = () => {
    const next = waiting.shift();
    if (next === undefined) isTaken = false;
    else next();
  };
  const once = () => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      leave();
    };
  };
  return {
    enter(signal, ms) {
      if (signal.aborted) return Promise.resolve(null);
      if (!isTaken) {
        isTaken = true;
        return Promise.resolve(once());
      }
      return new Promise((resolve) => {
        const stop = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', giveUp);
        };
        const enter = () => {
          stop();
          resolve(once());
        };
        const giveUp = () => {
          stop();
          const at = waiting.indexOf(enter);
          if (at < 0) return; // it was let in a moment ago
          waiting.splice(at, 1);
          resolve(null);
        };
        const timer = setTimeout(giveUp, ms);
        signal.addEventListener('abort', giveUp);
        waiting.push(enter);
      });
    },
  };
}
