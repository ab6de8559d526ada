/** One POST to a receiver: to checked addresses only, never redirected, bounded in time and size. */
import type { LookupFunction } from 'node:net';
import { Agent, type Dispatcher, request } from 'undici';
import type { AddressGuard } from './addresses.ts';
import type { Posted } from './types.ts';

export interface Poster {
  /** Does not reject: what went wrong is a value. */
  post(url: string, headers: Record<string, string>, body: Buffer): Promise<Posted>;
  close(): Promise<void>;
}

export interface PosterOptions {
  guard: AddressGuard;
  /** Of a whole attempt. */
  timeoutMs?: number;
}

export const ATTEMPT_MS = 15_000;
/** What a receiver says is not read further. */
const ANSWER_BYTES = 64 * 1024;
const MOST_RETRY_AFTER_MS = 6 * 3_600_000;

export function createPoster({ guard, timeoutMs = ATTEMPT_MS }: PosterOptions): Poster {
  const options = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, maxResponseSize: ANSWER_BYTES, pipelining: 1 };
  // Connections are not kept: an address that was checked is used for one attempt.
  const agentFor = (lookup: LookupFunction | undefined) =>
    new Agent({ ...options, connect: { timeout: timeoutMs, ...(lookup !== undefined && { lookup }) } });
  const running = new AbortController();
  return {
    async post(text, headers, body) {
      const opened = guard.open(text);
      if ('problem' in opened) return { error: `the URL ${opened.problem}` };
      const { url, lookup } = opened;
      const agent = agentFor(lookup);
      const signal = AbortSignal.any([running.signal, AbortSignal.timeout(timeoutMs)]);
      try {
        const answer = await request(url, { method: 'POST', headers, body, dispatcher: agent, signal });
        return await readAnswer(answer);
      } catch (error) {
        return { error: inWords(error, timeoutMs) };
      } finally {
        await agent.destroy().catch(() => {});
      }
    },
    close: async () => running.abort(),
  };
}

async function readAnswer({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Posted> {
  // Its head is what counts; a body that breaks off or is too large changes nothing.
  await body.dump({ limit: ANSWER_BYTES }).catch(() => {});
  const retryAfterMs = readRetryAfter(headers['retry-after'], Date.now());
  return { status: statusCode, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** Seconds, or a date. */
export function readRetryAfter(value: string | string[] | undefined, now: number): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MOST_RETRY_AFTER_MS) : undefined;
}

function inWords(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError' || error.name.endsWith('TimeoutError'))
    return `there was no answer in ${timeoutMs} ms`;
  return error.message || ('code' in error ? String(error.code) : error.name);
}
