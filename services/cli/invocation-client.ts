/** The part of the API about invocations: what was called or accepted. */
import type { Invocation } from '../core/invocations/view.ts';
import type { Delivery, SigningSecrets } from '../core/triggers/callbacks/types.ts';
import { connect, jsonCaller, problemError, query, readProblem } from './client.ts';
import { type HttpReply, readAll } from './transport.ts';

type Env = Record<string, string | undefined>;

export interface AcceptOptions {
  alias?: string | undefined;
  version?: number | undefined;
  delayMs?: number | undefined;
  priority?: string | undefined;
  key?: string | undefined;
  idempotencyKey?: string | undefined;
  callbackUrl?: string | undefined;
}

export interface ListOptions {
  function?: string | undefined;
  state?: string | undefined;
  limit?: number | undefined;
}

export interface InvocationClient {
  /** `repeated`: the same idempotency key and body came before. */
  accept(name: string, body: Buffer, options: AcceptOptions): Promise<{ id: string; state: 'accepted' | 'repeated' }>;
  list(options: ListOptions): Promise<Invocation[]>;
  get(id: string): Promise<Invocation>;
  cancel(id: string): Promise<Invocation>;
  replay(id: string, version: number | undefined): Promise<{ id: string }>;
  /** The caller reads `body`. */
  read(id: string, part: 'result' | 'request'): Promise<HttpReply>;
  bytes(id: string, part: 'result' | 'request'): Promise<Buffer>;
  /** Asks again and again; `onChange` when the state or the number of attempts is another. */
  untilEnded(id: string, onChange?: (invocation: Invocation) => void): Promise<Invocation>;
  deadLetters(options: ListOptions): Promise<Invocation[]>;
  redrive(choice: Choice): Promise<{ id: string; again: string }[]>;
  purge(choice: Choice): Promise<string[]>;
  deliveries(id: string): Promise<Delivery[]>;
  redeliver(id: string, target: string): Promise<Delivery>;
  callbackSecrets(): Promise<SigningSecrets>;
  rotateCallbackSecret(keepMs: number | undefined): Promise<SigningSecrets>;
}

/** Those that are named, or all of a function, or all. */
export interface Choice {
  ids?: string[];
  function?: string;
}

const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 1_000;

export function createInvocationClient(env: Env): InvocationClient {
  const connection = connect(env);
  const json = jsonCaller(connection);
  const at = (id: string) => `/v1/invocations/${encodeURIComponent(id)}`;
  const read = async (id: string, part: 'result' | 'request') => {
    const reply = await connection.call('GET', `${at(id)}/${part}`, { headers: { accept: '*/*' } });
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    return reply;
  };
  const get = (id: string) => json<Invocation>('GET', at(id));
  return {
    async accept(name, body, { idempotencyKey, callbackUrl, ...options }) {
      const headers = {
        'content-type': 'application/json',
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(callbackUrl !== undefined && { 'x-callback-url': callbackUrl }),
      };
      const path = `/v1/functions/${encodeURIComponent(name)}/async${query({ ...options })}`;
      const reply = await connection.call('POST', path, { headers, body });
      if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
      return JSON.parse((await readAll(reply, connection.origin)).toString());
    },
    list: async (options) =>
      (await json<{ invocations: Invocation[] }>('GET', `/v1/invocations${query({ ...options })}`)).invocations,
    get,
    cancel: (id) => json('DELETE', at(id)),
    replay: (id, version) => json('POST', `${at(id)}/replay`, version === undefined ? {} : { version }),
    read,
    bytes: async (id, part) => readAll(await read(id, part), connection.origin),
    async untilEnded(id, onChange) {
      let seen = '';
      for (let pause = FIRST_LOOK_MS; ; pause = Math.min(pause * 1.5, LAST_LOOK_MS)) {
        const invocation = await get(id);
        const now = `${invocation.state} ${invocation.attempts}`;
        if (now !== seen) onChange?.(invocation);
        seen = now;
        if (isEnded(invocation)) return invocation;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    },
    deadLetters: async (options) =>
      (await json<{ invocations: Invocation[] }>('GET', `/v1/dead-letters${query({ ...options })}`)).invocations,
    redrive: async (choice) =>
      (await json<{ redriven: { id: string; again: string }[] }>('POST', '/v1/dead-letters/redrive', choice)).redriven,
    purge: async (choice) => (await json<{ purged: string[] }>('POST', '/v1/dead-letters/purge', choice)).purged,
    deliveries: async (id) => (await json<{ deliveries: Delivery[] }>('GET', `${at(id)}/deliveries`)).deliveries,
    redeliver: (id, target) => json('POST', `${at(id)}/deliveries/${encodeURIComponent(target)}/redeliver`),
    callbackSecrets: () => json('GET', '/v1/callbacks/secret'),
    rotateCallbackSecret: (keepMs) =>
      json('POST', '/v1/callbacks/secret/rotate', keepMs === undefined ? {} : { keepMs }),
  };
}

export const isEnded = ({ state }: Invocation): boolean => state !== 'queued' && state !== 'running';
