/** Brings a blob into a sink. Goes on where it broke off, starts anew where the registry can not do that. */
import { isErrno, WaferError } from '../../errors.ts';
import { digestOf, mismatch } from '../digest.ts';
import type { BlobSink, Descriptor } from '../types.ts';
import { type Reply, readSmall, TransientError } from './http.ts';
import type { RegistryLimits } from './limits.ts';
import { withRetries } from './retry.ts';
import type { RegistrySession } from './session.ts';

interface Download {
  repository: string;
  blob: Descriptor;
  signal: AbortSignal;
}

const whatOf = ({ repository, blob }: Download) => `blob ${blob.digest.slice(0, 19)} of ${repository}`;

/** Ends a body that brings next to nothing. Only the answer itself is cut: the next try may be quicker. */
function watchSpeed(reply: Reply, received: () => number, limits: RegistryLimits): () => void {
  let before = received();
  const timer = setInterval(() => {
    if (received() - before < limits.stallBytes) {
      reply.body.destroy(
        new TransientError(`${reply.url.host} brings less than ${limits.stallBytes} bytes in ${limits.stallMs} ms`),
      );
    }
    before = received();
  }, limits.stallMs);
  return () => clearInterval(timer);
}

async function readInto(reply: Reply, sink: BlobSink, what: string, limits: RegistryLimits): Promise<void> {
  const stop = watchSpeed(reply, () => sink.size, limits);
  try {
    for await (const chunk of reply.body as AsyncIterable<Buffer>) await sink.append(chunk);
  } catch (error) {
    reply.body.destroy();
    if (error instanceof WaferError || error instanceof TransientError) throw error;
    // Ours, not the registry's.
    if (isErrno(error, 'ENOSPC', 'EDQUOT', 'EIO', 'EFBIG', 'EROFS')) throw error;
    throw new TransientError(`${what} broke off at byte ${sink.size}`, { cause: error });
  } finally {
    stop();
  }
}

/** `bytes 100-199/200` for what was asked for; anything else is not what we need. One that ends too early is gone on with. */
function continuesAt(reply: Reply, from: number, size: number): boolean {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(reply.header('content-range') ?? '');
  if (match === null || Number(match[1]) !== from) return false;
  return match[3] === '*' || Number(match[3]) === size;
}

async function openAt(session: RegistrySession, download: Download, sink: BlobSink): Promise<Reply> {
  const { repository, blob, signal } = download;
  const from = sink.size;
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  const request = {
    method: 'GET',
    to: `${repository}/blobs/${blob.digest}`,
    headers,
    what: whatOf(download),
    signal,
  } as const;
  const reply = await session.attempt({ ...request, expect: [200, 206, 416] });
  if (reply.status === 206 && continuesAt(reply, from, blob.size)) return reply;
  if (from > 0) await sink.restart();
  if (reply.status === 200) return reply;
  reply.body.destroy();
  throw new TransientError(
    `${session.registry} answered ${reply.status} for another part of ${request.what} than was asked for`,
  );
}

/** Size and digest are the sink's to check. @throws WaferError `registry_failed | registry_denied | digest_mismatch` */
export async function downloadBlob(session: RegistrySession, download: Download, sink: BlobSink): Promise<void> {
  const { limits } = session;
  const what = whatOf(download);
  let best = 0;
  /** Bytes that were never there before: a blob has only so many, so this ends. */
  const progressed = () => {
    const isFurther = sink.size >= best + limits.progressBytes;
    best = Math.max(best, sink.size);
    return isFurther;
  };
  const work = async () => {
    const reply = await openAt(session, download, sink);
    await readInto(reply, sink, what, limits);
    if (sink.size < download.blob.size)
      throw new TransientError(`${what} ended at byte ${sink.size} of ${download.blob.size}`);
  };
  await withRetries(`Reading ${what}`, limits, download.signal, work, progressed);
}

/** A config: small, held in memory, checked. */
export async function readDocument(session: RegistrySession, download: Download): Promise<Buffer> {
  const { repository, blob, signal } = download;
  const { limits } = session;
  const what = whatOf(download);
  if (blob.size > limits.documentBytes)
    throw new WaferError('invalid_image', `The config of ${repository} has ${blob.size} bytes.`);
  return withRetries(`Reading ${what}`, limits, signal, async () => {
    const reply = await session.attempt({
      method: 'GET',
      to: `${repository}/blobs/${blob.digest}`,
      expect: [200],
      what,
      signal,
    });
    const bytes = await readSmall(reply, limits.documentBytes, 'The image config');
    if (bytes.length < blob.size) throw new TransientError(`${what} ended at byte ${bytes.length} of ${blob.size}`);
    if (bytes.length !== blob.size || digestOf(bytes) !== blob.digest)
      throw mismatch(what, blob.digest, digestOf(bytes));
    return bytes;
  });
}
