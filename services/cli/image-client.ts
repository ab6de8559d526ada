/** The client of `/v1/images` and `/v1/registries`. */
import type { Readable } from 'node:stream';
import type { Problem } from '../core/errors.ts';
import type { ImageDetail, StoreUsage } from '../core/images/describe.ts';
import type { TransferEvent } from '../core/images/progress.ts';
import type { Transferred } from '../core/images/service.ts';
import { connect, jsonCaller, parse, problemError, query, readProblem } from './client.ts';
import { type HttpReply, type HttpRequest, readLines } from './transport.ts';

export type TransferLine<T> = TransferEvent | { type: 'done'; result: T } | { type: 'failed'; problem: Problem };

export interface Removed {
  untagged: string[];
  removed: string | null;
  layers: number;
  bytes: number;
}

export interface ImageClient {
  readonly url: string;
  inspect(name: string): Promise<ImageDetail>;
  tag(name: string, tag: string): Promise<ImageDetail>;
  remove(name: string): Promise<Removed>;
  prune(all: boolean): Promise<{ untagged: string[]; images: number; layers: number; bytes: number }>;
  usage(): Promise<StoreUsage>;
  /** Lines as they come; the last one is `done` or `failed`. */
  pull(reference: string): AsyncGenerator<TransferLine<Transferred>>;
  push(image: string, as: string | undefined): AsyncGenerator<TransferLine<Transferred>>;
  /** Owns `archive`. */
  load(archive: Readable): AsyncGenerator<TransferLine<{ images: ImageDetail[] }>>;
  save(name: string, format: string): Promise<HttpReply>;
  login(registry: string, username: string, password: string): Promise<void>;
  logout(registry: string): Promise<void>;
}

const JSON_BODY = { 'content-type': 'application/json' };

export function createImageClient(env: Record<string, string | undefined>): ImageClient {
  const connection = connect(env);
  const { call, origin } = connection;
  const json = jsonCaller(connection);
  const at = (name: string) => `/v1/images/${encodeURIComponent(name)}`;
  const registry = (name: string) => `/v1/registries/${encodeURIComponent(name)}`;

  async function* lines<T>(path: string, sent: Pick<HttpRequest, 'headers' | 'body'>): AsyncGenerator<TransferLine<T>> {
    const headers = { accept: 'application/x-ndjson', ...sent.headers };
    const reply = await call('POST', path, { ...sent, headers });
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    for await (const line of readLines(reply, origin)) yield parse(line, origin) as TransferLine<T>;
  }
  const post = (value: object) => ({ headers: JSON_BODY, body: Buffer.from(JSON.stringify(value)) });

  return {
    url: origin,
    inspect: (name) => json('GET', at(name)),
    tag: (name, tag) => json('POST', `${at(name)}/tag`, { tag }),
    remove: (name) => json('DELETE', at(name)),
    prune: (all) => json('POST', '/v1/images/prune', { all }),
    usage: () => json('GET', '/v1/images/df'),
    pull: (reference) => lines('/v1/images/pull', post({ reference })),
    push: (image, as) => lines('/v1/images/push', post(as === undefined ? { image } : { image, as })),
    load: (archive) =>
      lines('/v1/images/load', { headers: { 'content-type': 'application/octet-stream' }, body: archive }),
    save: async (name, format) => {
      const reply = await call('GET', `${at(name)}/save${query({ format })}`, { headers: { accept: '*/*' } });
      if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
      return reply;
    },
    login: async (name, username, password) => void (await json('PUT', registry(name), { username, password })),
    logout: async (name) => void (await json('DELETE', registry(name))),
  };
}
