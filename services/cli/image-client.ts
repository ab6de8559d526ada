/** The client of `/v1/images` and `/v1/registries`. */
import type { Readable } from 'node:stream';
import type { Problem } from '../core/errors.ts';
import type { ImageDetail, StoreUsage } from '../core/images/describe.ts';
import type { ImageTree } from '../core/images/layer-tree.ts';
import type { TransferEvent } from '../core/images/progress.ts';
import type { SearchResult } from '../core/images/registry/search.ts';
import type { PruneOptions, Transferred } from '../core/images/service.ts';
import { connect, jsonCaller, parse, problemError, query, readProblem } from './client.ts';
import { type HttpReply, type HttpRequest, readAll, readLines } from './transport.ts';

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
  prune(options: PruneOptions): Promise<{ untagged: string[]; images: number; layers: number; bytes: number }>;
  usage(): Promise<StoreUsage>;
  tree(image: string | undefined): Promise<ImageTree>;
  search(term: string, options: { registry?: string; limit?: number }): Promise<SearchResult>;
  /** Owns `root`. */
  importRoot(root: Readable, options: { tag?: string; message?: string; changes: string[] }): Promise<ImageDetail>;
  /** The root file system as a tar. */
  exportRoot(name: string): Promise<HttpReply>;
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
  const stream = async (path: string) => {
    const reply = await call('GET', path, { headers: { accept: '*/*' } });
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    return reply;
  };
  const post = (value: object) => ({ headers: JSON_BODY, body: Buffer.from(JSON.stringify(value)) });

  return {
    url: origin,
    inspect: (name) => json('GET', at(name)),
    tag: (name, tag) => json('POST', `${at(name)}/tag`, { tag }),
    remove: (name) => json('DELETE', at(name)),
    prune: (options) => json('POST', '/v1/images/prune', options),
    usage: () => json('GET', '/v1/images/df'),
    tree: (image) => json('GET', `/v1/images/tree${query({ image })}`),
    search: (term, options) => json('GET', `/v1/images/search${query({ term, ...options })}`),
    async importRoot(root, { changes, ...options }) {
      const repeated = changes.map((change) => `change=${encodeURIComponent(change)}`);
      const path = `/v1/images/import${[query(options) || '?', ...repeated].join('&').replace('?&', '?')}`;
      const headers = { 'content-type': 'application/octet-stream' };
      const reply = await call('POST', path, { headers, body: root });
      if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
      return parse((await readAll(reply, origin)).toString(), origin) as ImageDetail;
    },
    exportRoot: (name) => stream(`${at(name)}/export`),
    pull: (reference) => lines('/v1/images/pull', post({ reference })),
    push: (image, as) => lines('/v1/images/push', post(as === undefined ? { image } : { image, as })),
    load: (archive) =>
      lines('/v1/images/load', { headers: { 'content-type': 'application/octet-stream' }, body: archive }),
    save: (name, format) => stream(`${at(name)}/save${query({ format })}`),
    login: async (name, username, password) => void (await json('PUT', registry(name), { username, password })),
    logout: async (name) => void (await json('DELETE', registry(name))),
  };
}
