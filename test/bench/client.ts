/** The client that all lines use, for Wafer and for its counterparts: connections that are open, one request at a time on each. */
import { Pool } from 'undici';
import { PHASES, type Phases, type StartKind } from '../../services/core/invocations/types.ts';

export interface Answer {
  status: number;
  text: string;
  /** From the request to the last byte of the answer. */
  ms: number;
  start: StartKind | null;
  /** From `Server-Timing`; absent where the server has none. */
  phases: Phases | null;
}

export interface Client {
  /** @throws when the status is not the wanted one, which is 200 unless said */
  post(path: string, body: string, wanted?: number, more?: Record<string, string>): Promise<Answer>;
  /** JSON. @throws when the status is not 201 */
  put(path: string, body: string): Promise<void>;
  /** Opens every connection with a GET. */
  open(path: string): Promise<void>;
  close(): Promise<void>;
}

/** @param key of the platform; none for others */
export function openClient(url: string, { key, connections = 1 }: { key?: string; connections?: number } = {}): Client {
  const pool = new Pool(url, { connections, pipelining: 1, keepAliveTimeout: 60_000 });
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  };
  return {
    async post(path, body, wanted = 200, more) {
      const began = performance.now();
      const reply = await pool.request({
        method: 'POST',
        path,
        headers: more ? { ...headers, ...more } : headers,
        body,
      });
      const text = await reply.body.text();
      const ms = performance.now() - began;
      if (reply.statusCode !== wanted) throw new Error(`${path} answered ${reply.statusCode}: ${text.slice(0, 300)}`);
      const start = reply.headers['x-wafer-start'];
      const timing = reply.headers['server-timing'];
      return {
        status: reply.statusCode,
        text,
        ms,
        start: typeof start === 'string' ? (start as StartKind) : null,
        phases: typeof timing === 'string' ? parseTiming(timing) : null,
      };
    },
    async put(path, body) {
      const reply = await pool.request({ method: 'PUT', path, headers, body });
      const text = await reply.body.text();
      if (reply.statusCode !== 201) throw new Error(`PUT ${path} answered ${reply.statusCode}: ${text.slice(0, 300)}`);
    },
    async open(path) {
      const get = async () => (await pool.request({ method: 'GET', path, headers })).body.dump();
      await Promise.all(Array.from({ length: connections }, get));
    },
    close: () => pool.close(),
  };
}

function parseTiming(header: string): Phases {
  const found = new Map([...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]));
  return Object.fromEntries(PHASES.map((phase) => [phase, found.get(phase) ?? 0])) as Phases;
}

/** From when the call had a blank, or began to make a sandbox. */
export const sumStarted = (phases: Phases): number =>
  PHASES.reduce((sum, phase) => sum + (phase === 'queue' ? 0 : phases[phase]), 0);
