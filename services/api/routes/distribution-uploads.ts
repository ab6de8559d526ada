/** Blobs on their way in: `POST /v2/<name>/blobs/uploads/`, then PATCH, PUT, GET or DELETE of the upload. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Distribution } from '../../core/images/distribution/service.ts';
import { type Chunk, progressHeaders } from '../../core/images/distribution/uploads.ts';
import { chunkRange } from '../distribution/ranges.ts';
import { detachedBody, hasBody } from '../http/body.ts';

const queryOf = ({ url }: FastifyRequest) => new URLSearchParams(url.split('?').slice(1).join('?'));

/** The body, and where the client says that it belongs. */
function chunkOf({ raw }: FastifyRequest): Chunk {
  const { 'content-range': range, 'content-length': length } = raw.headers;
  return { range: chunkRange(range, length), body: hasBody(raw) ? detachedBody(raw) : Readable.from([]) };
}

const created = (reply: FastifyReply, name: string, digest: string) =>
  reply
    .code(201)
    .headers({ location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest, 'content-length': '0' })
    .send();

const standing = (reply: FastifyReply, status: number, headers: Record<string, string>) =>
  reply
    .code(status)
    .headers({ ...headers, ...(status === 204 ? {} : { 'content-length': '0' }) })
    .send();

/** A whole blob in one request, a mount, or the beginning of an upload. */
export async function startUpload(
  distribution: Distribution,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = queryOf(request);
  const [digest, mount, from] = [query.get('digest'), query.get('mount'), query.get('from')];
  if (digest !== null && mount === null) {
    const { body } = chunkOf(request);
    return created(reply, name, await distribution.pushBlob(name, digest, body));
  }
  // Without `from` there is nowhere to look: a digest alone opens no other repository.
  const id = await distribution.startUpload(name, mount === null || from === null ? null : { digest: mount, from });
  if (id === null) return created(reply, name, mount ?? '');
  return standing(reply, 202, progressHeaders(name, id, 0));
}

export async function continueUpload(
  distribution: Distribution,
  { name, id }: { name: string; id: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  switch (request.method) {
    case 'PATCH': {
      const size = await distribution.append(name, id, chunkOf(request));
      return standing(reply, 202, progressHeaders(name, id, size));
    }
    case 'PUT': {
      const chunk = hasBody(request.raw) ? chunkOf(request) : null;
      const digest = await distribution.finishUpload(name, id, queryOf(request).get('digest') ?? '', chunk);
      return created(reply, name, digest);
    }
    case 'DELETE': {
      await distribution.cancelUpload(name, id);
      return reply.code(204).send();
    }
    default: {
      const size = await distribution.uploadStatus(name, id);
      return standing(reply, 204, progressHeaders(name, id, size));
    }
  }
}
