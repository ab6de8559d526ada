/** Turns what the Redis client throws into registered errors; scripts' own bugs stay what they are. */
import { coerceError, WaferError } from '../errors.ts';

/** Replies that mean "not now", with what to do. Everything else in capitals is our bug. */
const REFUSALS: Record<string, string> = {
  LOADING: 'Redis is still loading its data; try again in a moment.',
  OOM: 'Redis has reached its maxmemory; raise it (CONFIG SET maxmemory) or remove functions.',
  READONLY: 'This Redis is a read-only replica; set WAFER_REDIS_URL to the primary.',
  MASTERDOWN: 'The Redis primary is down.',
  BUSY: 'Redis is busy with a script of somebody else.',
  NOAUTH: 'Redis wants a password; put it into WAFER_REDIS_URL (redis://user:password@host:6379).',
  WRONGPASS: 'Redis refuses the user or password in WAFER_REDIS_URL.',
  NOPERM: "The Redis user may not run the commands that Wafer needs; see the server's ACL.",
  NOREPLICAS: 'Redis has too few replicas to accept writes (min-replicas-to-write).',
};

const CONNECTION_LOST =
  /Connection is closed|Stream isn't writeable|Command timed out|max retries per request|ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|EACCES|EHOSTUNREACH|ENETUNREACH|Socket timeout/i;

export const isConnectionLost = (error: unknown) => error instanceof Error && CONNECTION_LOST.test(error.message);

/** `what` completes "Redis could not ...", e.g. `publish hello`. */
export function toStoreError(error: unknown, what: string): Error {
  if (error instanceof WaferError) return error;
  const cause = coerceError(error);
  const word = /^[A-Z]+/.exec(cause.message)?.[0] ?? '';
  if (word === 'MISCONF') {
    return new WaferError('disk_full', `Redis could not ${what}: it can not write its files (${cause.message}).`, {
      cause,
      hint: 'Free space on the disk of the Redis data directory.',
    });
  }
  const hint = REFUSALS[word];
  if (hint !== undefined) {
    return new WaferError('store_unavailable', `Redis could not ${what}: ${cause.message}`, { cause, hint });
  }
  if (!isConnectionLost(cause)) return cause;
  return new WaferError('store_unavailable', `Redis could not ${what}: ${lostInWords(cause.message)}.`, {
    cause,
    hint: 'Redis is restarting or gone; the log of the platform has the reason.',
  });
}

/** Whether it was sent matters to who asks: only the first can be tried again blindly. */
function lostInWords(message: string): string {
  if (/isn't writeable|Connection is closed/.test(message)) return 'there is no connection';
  if (/max retries per request/.test(message))
    return 'the connection was lost before the answer, so it may have been done';
  return message;
}

/** @throws WaferError `store_unavailable | disk_full` in place of what the client throws */
export async function withStore<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw toStoreError(error, what);
  }
}
