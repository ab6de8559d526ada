/** Unpacking as the store needs it: with an end in time, and failures that say what could not be unpacked. */
import type { Readable } from 'node:stream';
import { coerceError, WaferError } from '../errors.ts';
import type { LayerUnpacker } from './types.ts';

function unpackFailure(error: unknown, what: string): unknown {
  if (error instanceof WaferError) return error;
  const { message } = coerceError(error);
  if (/ENOSPC|EDQUOT|no space left|quota exceeded/i.test(message)) {
    return new WaferError('disk_full', `No space is left to unpack ${what}.`, {
      cause: error,
      hint: 'Free some space, or remove functions that are not needed; then try again.',
    });
  }
  return new WaferError('engine_failed', `${capital(what)} could not be unpacked: ${message}`, { cause: error });
}

/** The largest layer that is taken, on a slow disk: one that needs longer is made to take time. */
const UNPACK_MS = 30 * 60_000;

const capital = (text: string) => text.replace(/^./, (first) => first.toUpperCase());

const tookTooLong = (what: string, ms: number, cause: unknown) =>
  new WaferError('invalid_image', `${capital(what)} was not unpacked in ${ms / 1000} s.`, { cause });

export interface Unpacking {
  /** Owns `tar`. `what` is for messages: `layer sha256:...`. @throws WaferError `engine_failed | disk_full | invalid_image` */
  into(name: string, what: string, tar: Readable, signal?: AbortSignal): Promise<void>;
  /** How many run now. */
  active(): number;
}

export function createUnpacking(unpacker: Pick<LayerUnpacker, 'unpack'>, unpackMs = UNPACK_MS): Unpacking {
  let unpacking = 0;
  return {
    active: () => unpacking,
    async into(name, what, tar, signal) {
      const timeout = AbortSignal.timeout(unpackMs);
      unpacking += 1;
      try {
        const until = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
        await unpacker.unpack(name, tar, until);
      } catch (error) {
        signal?.throwIfAborted();
        if (timeout.aborted) throw tookTooLong(what, unpackMs, error);
        throw unpackFailure(error, what);
      } finally {
        unpacking -= 1;
        tar.destroy();
      }
    },
  };
}
