/** How many refused requests are looked at and kept: whoever knows a URL can send any number. */

export interface Refusals {
  /** `keep`: it is written down; `tell`: it is only answered; `drop`: its sender is told to slow down. */
  count(webhookId: string): 'keep' | 'tell' | 'drop';
  /** Until the minute is over. */
  retryAfterMs(): number;
}

const WINDOW_MS = 60_000;
const KEPT = 20;
const TOLD = 120;
/** Webhooks in one window; more share the last place. */
const MOST = 10_000;

export function createRefusals(now: () => number): Refusals {
  let since = 0;
  let counts = new Map<string, number>();
  return {
    count(webhookId) {
      if (now() - since >= WINDOW_MS || now() < since) {
        since = now();
        counts = new Map();
      }
      const place = counts.has(webhookId) || counts.size < MOST ? webhookId : '';
      const count = (counts.get(place) ?? 0) + 1;
      counts.set(place, count);
      if (count <= KEPT) return 'keep';
      return count <= TOLD ? 'tell' : 'drop';
    },
    retryAfterMs: () => Math.max(1_000, since + WINDOW_MS - now()),
  };
}
