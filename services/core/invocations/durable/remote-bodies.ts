/**
 * Events and results of a worker on another machine: small ones in the record as ever, large ones by the API. It may be
 * started again at any time, so what it does not answer is asked again for a while.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { WaferError } from '../../errors.ts';
import { type Bodies, digestOf, inlineBody, inlineBytes } from './bodies.ts';

export interface Home {
  /** Of the API. */
  url: string;
  key: string;
}

const TIMEOUT_MS = 60_000;
/** About a start of the platform; who asks waits with room that others could use. */
const PATIENCE_MS = 10_000;
const ASK_AGAIN_MS = 250;

/** @param patienceMs only tests give it */
export function remoteBodies({ url, key }: Home, patienceMs = PATIENCE_MS): Bodies {
  const ask = async (method: 'GET' | 'PUT', id: string, part: string, body?: Buffer, type?: string) => {
    const reply = await request(`${url}/v1/bodies/${id}/${part}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(type !== undefined && { 'content-type': type }) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      ...(body !== undefined && { body }),
    }).catch((cause: unknown) => {
      throw new WaferError('not_reachable', `${url} does not answer.`, { cause, hint: 'Is "wafer up" running there?' });
    });
    const bytes = Buffer.from(await reply.body.arrayBuffer());
    if (reply.statusCode < 300) return bytes;
    throw new WaferError(codeOf(reply.statusCode), `${url} answered ${reply.statusCode} for the ${part} of ${id}.`);
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
