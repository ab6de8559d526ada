/**
 * Events and results of a worker on another machine: small ones in the record as ever, large ones by the API. It may be
 * started again at any time, so what it does not answer is asked again for a while.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { WaferError } from '../../errors.ts';
import { askHome, type Home } from '../../home.ts';
import { type Bodies, digestOf, inlineBody, inlineBytes } from './bodies.ts';

const TIMEOUT_MS = 60_000;
/** About a start of the platform; who asks waits with room that others could use. */
const PATIENCE_MS = 10_000;
const ASK_AGAIN_MS = 250;

/** @param patienceMs only tests give it */
export function remoteBodies(home: Home, patienceMs = PATIENCE_MS): Bodies {
  const { url } = home;
  const ask = async (method: 'GET' | 'PUT', id: string, part: string, body?: Buffer, contentType?: string) => {
    const question = { method, timeoutMs: TIMEOUT_MS, body, contentType };
    const { status, bytes } = await askHome(home, `/v1/bodies/${id}/${part}`, question);
    if (status < 300) return bytes;
    throw new WaferError(codeOf(status), `${url} answered ${status} for the ${part} of ${id}.`);
  };
  const call: typeof ask = async (...request) => {
    const end = performance.now() + patienceMs;
    for (;;) {
      try {
        return await ask(...request);
      } catch (error) {
        if (!isUnreachable(error) || performance.now() > end) throw error;
        await pause(ASK_AGAIN_MS);
      }
    }
  };
  return {
    async put(id, part, bytes, contentType) {
      const small = inlineBody(bytes, contentType);
      if (small.inline === undefined) await call('PUT', id, part, bytes, contentType);
      return small;
    },
    async get(id, part, body) {
      if (body.inline !== undefined) return inlineBytes(body.inline);
      const bytes = await call('GET', id, part);
      if (digestOf(bytes) === body.digest) return bytes;
      throw new WaferError('digest_mismatch', `The ${part} of ${id} from ${url} is not what was written.`);
    },
    forget: async () => {}, // the API's own sweep does
  };
}

/** It does not have the bytes; it can not now; or it never will, and asking again is for nothing. */
function codeOf(status: number): 'digest_mismatch' | 'not_reachable' | 'internal' {
  if (status === 404) return 'digest_mismatch';
  return status >= 500 || status === 429 ? 'not_reachable' : 'internal';
}

/** Who has them does not answer now; they are not lost. */
export const isUnreachable = (error: unknown): error is WaferError =>
  error instanceof WaferError && error.code === 'not_reachable';
