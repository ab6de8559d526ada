/** What a repository has: manifests, blobs, and the lists of them. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DistributionError } from '../../core/images/distribution/errors.ts';
import { byName } from '../../core/images/distribution/names.ts';
import type { Distribution } from '../../core/images/distribution/service.ts';
import { MEDIA } from '../../core/images/types.ts';
import { blobRange, pageOf } from '../distribution/ranges.ts';
import { detachedBody } from '../http/body.ts';
import { callerSignal } from '../http/caller.ts';

const split = ({ url }: FastifyRequest): { path: string; query: URLSearchParams } => {
  const [path = '', ...query] = url.split('?');
  return { path, query: new URLSearchParams(query.join('?')) };
};

/** The same headers for HEAD, and no body. */
const send = (request: FastifyRequest, reply: FastifyReply, bytes: Buffer) =>
  reply.header('content-length', String(bytes.length)).send(request.method === 'HEAD' ? undefined : bytes);

const sendJson = (request: FastifyRequest, reply: FastifyReply, value: unknown) => {
  if (!reply.hasHeader('content-type')) reply.header('content-type', 'application/json');
  return send(request, reply, Buffer.from(JSON.stringify(value)));
};

async function readManifest({ raw }: FastifyRequest, maxBytes: number): Promise<Buffer> {
  const tooLarge = () =>
    new DistributionError('MANIFEST_INVALID', `A manifest may have at most ${maxBytes} bytes.`, { status: 413 });
  if (Number(raw.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of detachedBody(raw) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export async function manifestRequest(
  distribution: Distribution,
  { name, reference }: { name: string; reference: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (request.method === 'DELETE') {
    await distribution.removeManifest(name, reference);
    return reply.code(202).header('content-length', '0').send();
  }
  if (request.method === 'PUT') return putManifest(distribution, { name, reference }, request, reply);
  const { digest, mediaType, bytes } = await distribution.manifest(name, reference);
  reply.headers({ 'content-type': mediaType, 'docker-content-digest': digest, etag: `"${digest}"` });
  return send(request, reply, bytes);
}

/** In a header there is no room for everything. */
const headerText = (text: string) =>
  text
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["\\]/g, "'")
    .slice(0, 500);

async function putManifest(
  distribution: Distribution,
  { name, reference }: { name: string; reference: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const signal = callerSignal(reply);
  const bytes = await readManifest(request, distribution.limits.manifestBytes);
  const contentType = request.headers['content-type'] ?? '';
  const pushed = await distribution.pushManifest(name, reference, { bytes, contentType, signal });
  if (pushed.subject !== null) reply.header('oci-subject', pushed.subject);
  if (pushed.warning !== null) {
    reply.header('warning', `299 - "It is kept, but can not be run here. ${headerText(pushed.warning)}"`);
  }
  const location = `/v2/${name}/manifests/${pushed.reference}`;
  return reply.code(201).headers({ location, 'docker-content-digest': pushed.digest, 'content-length': '0' }).send();
}

export async function blobRequest(
  distribution: Distribution,
  { name, digest }: { name: string; digest: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (request.method === 'DELETE') {
    await distribution.removeBlob(name, digest);
    return reply.code(202).header('content-length', '0').send();
  }
  const blob = await distribution.blob(name, digest);
  const type = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
  reply.headers({ ...type, 'docker-content-digest': digest, etag: `"${digest}"` });
  const range = request.method === 'HEAD' ? null : blobRange(request.headers.range, blob.size);
  if (range !== null) {
    const { start, end } = range;
    const headers = { 'content-range': `bytes ${start}-${end}/${blob.size}`, 'content-length': `${end - start + 1}` };
    return reply
      .code(206)
      .headers(headers)
      .send(await blob.part(start, end));
  }
  reply.header('content-length', String(blob.size));
  return reply.send(request.method === 'HEAD' ? undefined : await blob.whole());
}

export async function listTags(
  distribution: Distribution,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { path, query } = split(request);
  const { items, next } = pageOf(await distribution.tags(name), query, path, byName);
  if (next !== null) reply.header('link', next);
  return sendJson(request, reply, { name, tags: items });
}

export async function listRepositories(
  distribution: Distribution,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { path, query } = split(request);
  const { items, next } = pageOf(await distribution.repositories(), query, path, byName);
  if (next !== null) reply.header('link', next);
  return sendJson(request, reply, { repositories: items });
}

/** Descriptors in one answer. */
const REFERRERS_PAGE = '200';
const byText = (a: string, b: string) => (a < b ? -1 : Number(a > b));

export async function listReferrers(
  distribution: Distribution,
  { name, digest }: { name: string; digest: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { path, query } = split(request);
  const artifactType = query.get('artifactType');
  const all = await distribution.referrers(name, digest, artifactType);
  const digests = all.map((one) => one.digest).sort(byText);
  const window = new URLSearchParams({
    n: REFERRERS_PAGE,
    ...(query.has('last') ? { last: query.get('last') ?? '' } : {}),
  });
  const { items, next } = pageOf(digests, window, path, byText);
  if (artifactType !== null) reply.header('oci-filters-applied', 'artifactType');
  if (next !== null) {
    const filter = artifactType === null ? '' : `&${new URLSearchParams({ artifactType })}`;
    reply.header('link', next.replace('>', `${filter}>`));
  }
  const manifests = items.map((item) => all.find((one) => one.digest === item));
  reply.header('content-type', MEDIA.index);
  return sendJson(request, reply, { schemaVersion: 2, mediaType: MEDIA.index, manifests });
}
