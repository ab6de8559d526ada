/** Changes of secrets by other processes on the same Redis: looked for every so often, and told to the feed. */
import { coerceError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { SecretFeed } from './feed.ts';
import type { SecretStore } from './store.ts';

/** The bound for what others change, as for aliases. */
export const FOLLOW_MS = 2_000;

export interface FollowOptions {
  store: Pick<SecretStore, 'revision' | 'heads'>;
  feed: Pick<SecretFeed, 'note'>;
  log: Log;
  everyMs?: number;
}

/** @returns what ends it; resolves when nothing is under way any more */
export function followSecrets({ store, feed, log, everyMs = FOLLOW_MS }: FollowOptions): () => Promise<void> {
  let seen = '';
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let isEnded = false;

  const look = async () => {
    const revision = await store.revision();
    if (revision === seen) return;
    // Read behind it: a change meanwhile makes the next look find another one.
    for (const head of await store.heads()) feed.note(head);
    seen = revision;
  };
  const again = () => {
    if (isEnded) return;
    timer = setTimeout(() => {
      looking = look()
        .catch((error: unknown) => log.debug({ err: coerceError(error) }, 'changes of secrets are not known yet'))
        .finally(again);
    }, everyMs).unref();
  };
  again();
  return async () => {
    isEnded = true;
    clearTimeout(timer);
    await looking;
  };
}
