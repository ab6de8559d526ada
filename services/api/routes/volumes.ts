/** Volumes: make, list, remove; their files, as JSON, as bytes with ranges, as tars; snapshots. */
import { WaferError } from '../../core/errors.ts';
import type { VolumeListing } from '../../core/volumes/types.ts';
import type { ApiDeps } from '../deps.ts';
import { detachedBody } from '../http/body.ts';
import type { App } from '../http/create-server.ts';
import { oneRange } from '../http/range.ts';
import { COMMON, content, json, list, problems, ref } from '../openapi/docs.ts';
import {
  LimitsBody,
  PathQuery,
  SnapshotParams,
  VolumeBody,
  VolumeParams,
  VolumeRefParams,
} from '../schemas/volumes.ts';

const tags = ['volumes'];
const TAR = 'application/x-tar';
const BYTES = 'application/octet-stream';
const tar = { type: 'string', contentMediaType: TAR };
const EXAMPLE = {
  name: 'reports',
  transactions: null,
  revision: 1,
  maxBytes: null,
  maxEntries: null,
  createdAt: 1_762_000_000_000,
  snapshots: [{ name: 'monday', createdAt: 1_762_100_000_000 }],
  functions: ['report-to-volume'],
  mounts: 1,
};
const FILE = { name: 'chart.svg', type: 'file', mode: 0o644, size: 2_048, modified: 1_762_000_000_000 };
const LISTING = {
  path: '/',
  name: '/',
  type: 'dir',
  mode: 0o700,
  size: 4_096,
  modified: 1_762_000_000_000,
  files: [FILE],
};
const FINDING = [...COMMON, 'volume_not_found'] as const;

export async function volumeRoutes(app: App, deps: ApiDeps): Promise<void> {
  readRoutes(app, deps);
  changeRoutes(app, deps);
  snapshotRoutes(app, deps);
  fileRoutes(app, deps);
  app.register(async (inner) => writeRoute(inner, deps));
}

function readRoutes(app: App, { volumes }: ApiDeps): void {
  app.get('/v1/volumes', { schema: listSchema }, async () => ({ volumes: await volumes.list() }));
  app.get('/v1/volumes/:name', { schema: oneSchema }, async ({ params }) => volumes.get(params.name));
  app.get('/v1/volumes/:name/usage', { schema: usageSchema }, async ({ params }) => volumes.usage(params.name));
}

function changeRoutes(app: App, { volumes }: ApiDeps): void {
  app.put('/v1/volumes/:name', { schema: createSchema }, async ({ params, body }, reply) =>
    reply.code(201).send(await volumes.create(params.name, body)),
  );
  app.patch('/v1/volumes/:name', { schema: limitsSchema }, async ({ params, body }) =>
    volumes.setLimits(params.name, body),
  );
  app.delete('/v1/volumes/:name', { schema: removeSchema }, async ({ params }, reply) => {
    await volumes.remove(params.name);
    return reply.code(204).send(null);
  });
  app.post('/v1/volumes/prune', { schema: pruneSchema }, async () => ({ removed: await volumes.prune() }));
}

function snapshotRoutes(app: App, { volumes }: ApiDeps): void {
  app.put('/v1/volumes/:name/snapshots/:snapshot', { schema: snapshotSchema }, async ({ params }, reply) =>
    reply.code(201).send(await volumes.snapshot(params.name, params.snapshot)),
  );
  app.delete('/v1/volumes/:name/snapshots/:snapshot', { schema: removeSnapshotSchema }, async ({ params }, reply) => {
    await volumes.removeSnapshot(params.name, params.snapshot);
    return reply.code(204).send(null);
  });
  app.post('/v1/volumes/:name/snapshots/:snapshot/rollback', { schema: rollbackSchema }, async ({ params }) =>
    volumes.rollback(params.name, params.snapshot),
  );
}

function fileRoutes(app: App, { volumes }: ApiDeps): void {
  app.get('/v1/volumes/:name/files', { schema: filesSchema }, async ({ params, query }) =>
    volumes.files(params.name, query.path ?? '/'),
  );
  app.get(
    '/v1/volumes/:name/content',
    { exposeHeadRoute: false, schema: contentSchema },
    async ({ params, query, headers }, reply) => {
      const found = await volumes.files(params.name, query.path ?? '/');
      if (found.type !== 'file') throw notAFile(params.name, found);
      reply.headers(headersOf(found));
      const ifRange = headers['if-range'];
      const range = oneRange(headers.range, found.size, ifRange === undefined || ifRange === etagOf(found));
      if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${found.size}`).send('');
      const { start, end } = range ?? { start: 0, end: found.size - 1 };
      const length = end - start + 1;
      if (range !== null) reply.code(206).header('content-range', `bytes ${start}-${end}/${found.size}`);
      reply.header('content-length', length);
      return reply.send(await volumes.download(params.name, found.path, { offset: start, length }));
    },
  );
  app.get('/v1/volumes/:name/tar', { exposeHeadRoute: false, schema: tarSchema }, async ({ params, query }, reply) =>
    reply.type(TAR).send(await volumes.read(params.name, query.path ?? '/')),
  );
}

/** A file that was replaced has another one. */
const etagOf = ({ size, modified }: VolumeListing) => `"${size.toString(36)}-${modified.toString(36)}"`;

/** Never shown by a browser as what it says it is: it is a function's. */
const headersOf = (found: VolumeListing) => ({
  'content-type': BYTES,
  'accept-ranges': 'bytes',
  etag: etagOf(found),
  'last-modified': new Date(found.modified).toUTCString(),
  'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(found.name)}`,
});

const notAFile = (name: string, { path, type }: VolumeListing) =>
  new WaferError('not_found', `${path} of ${name} is ${type === 'dir' ? 'a directory' : 'no file'}.`, {
    hint: type === 'dir' ? 'Ask for /files, or for all of it as /tar.' : 'Only files have content.',
  });

/** In a scope of its own: the body goes to the engine as it comes, never held. */
async function writeRoute(app: App, { volumes }: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser([TAR, BYTES], (_request, _payload, done) => done(null));
  app.put(
    '/v1/volumes/:name/tar',
    { config: { bodyDocs }, bodyLimit: Number.MAX_SAFE_INTEGER, schema: writeSchema },
    async (request) => volumes.write(request.params.name, request.query.path ?? '/', detachedBody(request.raw)),
  );
}

const bodyDocs = { required: true, content: { [TAR]: { schema: tar }, [BYTES]: { schema: tar } } };
const volume = (description: string) => json(description, ref('Volume'), EXAMPLE);
const named = problems(...FINDING);

const listSchema = {
  tags,
  operationId: 'listVolumes',
  summary: 'List the volumes',
  response: { 200: json('All volumes', list('volumes', 'Volume'), { volumes: [EXAMPLE] }), ...problems(...COMMON) },
};
const oneSchema = {
  tags,
  operationId: 'describeVolume',
  summary: 'Describe a volume',
  params: VolumeParams,
  response: { 200: volume('The volume'), ...named },
};
const usageSchema = {
  tags,
  operationId: 'measureVolume',
  summary: 'What a volume, or a snapshot, takes',
  description: 'It is measured when it is asked for. Of a volume without transactions snapshots are left out.',
  params: VolumeRefParams,
  response: { 200: json('Measured now', ref('VolumeUsage'), { bytes: 4_096, entries: 2 }), ...named },
};
const createSchema = {
  tags,
  operationId: 'createVolume',
  summary: 'Make a volume',
  params: VolumeParams,
  body: VolumeBody,
  response: { 201: volume('Made'), ...problems(...COMMON, 'invalid_name', 'invalid_json', 'conflict', 'disk_full') },
};
const limitsSchema = {
  tags,
  operationId: 'limitVolume',
  summary: 'Change what a volume may take',
  params: VolumeParams,
  body: LimitsBody,
  response: { 200: volume('The volume'), ...problems(...FINDING, 'invalid_json') },
};
const removeSchema = {
  tags,
  operationId: 'removeVolume',
  summary: 'Remove a volume with its snapshots',
  params: VolumeParams,
  response: { 204: { type: 'null', description: 'Removed' }, ...problems(...FINDING, 'volume_in_use') },
};
const pruneSchema = {
  tags,
  operationId: 'pruneVolumes',
  summary: 'Remove the volumes that no function mounts',
  response: {
    200: json(
      'Their names',
      { type: 'object', required: ['removed'], properties: { removed: { type: 'array', items: { type: 'string' } } } },
      { removed: ['old-reports'] },
    ),
    ...problems(...COMMON, 'volume_in_use'),
  },
};
const snapshotSchema = {
  tags,
  operationId: 'snapshotVolume',
  summary: 'Keep the state of a volume under a name',
  description: 'It can be mounted read-only as `NAME@SNAPSHOT`.',
  params: SnapshotParams,
  response: { 201: volume('The volume'), ...problems(...FINDING, 'invalid_name', 'conflict', 'engine_failed') },
};
const removeSnapshotSchema = {
  tags,
  operationId: 'removeSnapshot',
  summary: 'Remove a snapshot',
  params: SnapshotParams,
  response: { 204: { type: 'null', description: 'Removed' }, ...named },
};
const rollbackSchema = {
  tags,
  operationId: 'rollbackVolume',
  summary: 'Give a volume the state of a snapshot again',
  params: SnapshotParams,
  response: { 200: volume('The volume'), ...problems(...FINDING, 'volume_in_use', 'engine_failed') },
};
const filesSchema = {
  tags,
  operationId: 'listVolumeFiles',
  summary: 'What is at a path of a volume, or of a snapshot',
  params: VolumeRefParams,
  querystring: PathQuery,
  response: {
    200: json('The file, or the directory with what is in it', ref('VolumeListing'), LISTING),
    ...problems(...FINDING, 'not_found', 'engine_failed'),
  },
};
const contentSchema = {
  tags,
  operationId: 'downloadVolumeFile',
  summary: 'A file of a volume, or of a snapshot',
  description: 'One range of bytes can be asked for (`Range`, `If-Range`).',
  params: VolumeRefParams,
  querystring: PathQuery,
  response: {
    200: content('The file', { [BYTES]: { type: 'string', contentMediaType: BYTES } }),
    206: content('A part of it', { [BYTES]: { type: 'string', contentMediaType: BYTES } }),
    416: content('It has no such part', { [BYTES]: { type: 'string', contentMediaType: BYTES } }),
    ...problems(...FINDING, 'not_found', 'engine_failed'),
  },
};
const tarSchema = {
  tags,
  operationId: 'readVolume',
  summary: 'A path of a volume, or of a snapshot, as a tar',
  description: 'The entries begin with the last name of `path`; of `/` they are what is in the volume.',
  params: VolumeRefParams,
  querystring: PathQuery,
  response: { 200: content('The tar', { [TAR]: tar }), ...problems(...FINDING, 'not_found', 'engine_failed') },
};
const writeSchema = {
  tags,
  operationId: 'writeVolume',
  summary: 'Unpack a tar into a directory of a volume',
  description: 'Everything belongs to the functions then. Of a volume with transactions it is one of these.',
  params: VolumeParams,
  querystring: PathQuery,
  response: {
    200: volume('It is there'),
    ...problems(
      ...FINDING,
      'not_found',
      'invalid_archive',
      'unsupported_media_type',
      'volume_conflict',
      'volume_full',
      'disk_full',
      'engine_failed',
    ),
  },
};
