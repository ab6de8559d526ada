/** The part of the API about volumes. */
import type { Readable } from 'node:stream';
import type { Volume, VolumeLimits, VolumeListing, VolumeRequest, VolumeUsage } from '../core/volumes/types.ts';
import { connect, jsonCaller, problemError, query, readProblem } from './client.ts';
import type { FilesClient } from './files/inside.ts';
import type { HttpReply } from './transport.ts';

export interface VolumeClient extends FilesClient {
  list(): Promise<Volume[]>;
  get(name: string): Promise<Volume>;
  create(name: string, request: VolumeRequest): Promise<Volume>;
  setLimits(name: string, limits: Partial<VolumeLimits>): Promise<Volume>;
  remove(name: string): Promise<void>;
  prune(): Promise<string[]>;
  usage(ref: string): Promise<VolumeUsage>;
  files(ref: string, path: string): Promise<VolumeListing>;
  /** The caller reads or destroys `body`. */
  content(ref: string, path: string): Promise<HttpReply>;
  snapshot(name: string, snapshot: string): Promise<Volume>;
  removeSnapshot(name: string, snapshot: string): Promise<void>;
  rollback(name: string, snapshot: string): Promise<Volume>;
}

const TAR = 'application/x-tar';

export function createVolumeClient(env: Record<string, string | undefined>): VolumeClient {
  const connection = connect(env);
  const json = jsonCaller(connection);
  const at = (name: string) => `/v1/volumes/${encodeURIComponent(name)}`;
  const snapshotAt = (name: string, snapshot: string) => `${at(name)}/snapshots/${encodeURIComponent(snapshot)}`;
  const download = async (path: string) => {
    const reply = await connection.call('GET', path, { headers: { accept: '*/*' } });
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    return reply;
  };
  return {
    list: async () => (await json<{ volumes: Volume[] }>('GET', '/v1/volumes')).volumes,
    get: (name) => json('GET', at(name)),
    create: (name, request) => json('PUT', at(name), request),
    setLimits: (name, limits) => json('PATCH', at(name), limits),
    remove: async (name) => void (await json('DELETE', at(name))),
    prune: async () => (await json<{ removed: string[] }>('POST', '/v1/volumes/prune')).removed,
    usage: (ref) => json('GET', `${at(ref)}/usage`),
    files: (ref, path) => json('GET', `${at(ref)}/files${query({ path })}`),
    content: (ref, path) => download(`${at(ref)}/content${query({ path })}`),
    readFiles: (ref, path) => download(`${at(ref)}/tar${query({ path })}`),
    async writeFiles(name, path, tar: Readable) {
      const headers = { 'content-type': TAR };
      const reply = await connection.call('PUT', `${at(name)}/tar${query({ path })}`, { headers, body: tar });
      if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
      reply.body.resume();
    },
    snapshot: (name, snapshot) => json('PUT', snapshotAt(name, snapshot)),
    removeSnapshot: async (name, snapshot) => void (await json('DELETE', snapshotAt(name, snapshot))),
    rollback: (name, snapshot) => json('POST', `${snapshotAt(name, snapshot)}/rollback`),
  };
}
