/** Brings one blob into a repository: it is there, is mounted from another one, or goes up. */
import type { Readable } from 'node:stream';
import { WaferError } from '../../errors.ts';
import type { Descriptor } from '../types.ts';
import type { Target } from './hosts.ts';
import { type Reply, TransientError } from './http.ts';
import { backOff, gaveUp } from './retry.ts';
import type { RegistrySession } from './session.ts';

export interface Upload {
  repository: string;
  blob: Descriptor;
  /** Another repository of the registry that should have it. */
  mountFrom: string | null;
  /** Anew for each try. */
  open(): Promise<Readable>;
  onBytes(bytes: number): void;
  signal: AbortSignal;
}

const whatOf = ({ repository, blob }: Upload) => `blob ${blob.digest.slice(0, 19)} of ${repository}`;

async function isThere(session: RegistrySession, upload: Upload): Promise<boolean> {
  const { repository, blob, signal } = upload;
  const to = `${repository}/blobs/${blob.digest}`;
  const reply = await session.request({ method: 'HEAD', to, expect: [200, 404], what: whatOf(upload), signal });
  reply.body.resume();
  return reply.status === 200;
}

/** Where to send what comes next. Relative or absolute; another host gets no credentials. */
function nextPlace(session: RegistrySession, reply: Reply, what: string): Target {
  reply.body.resume();
  const location = reply.header('location');
  if (location !== undefined) return session.locate(location, reply.url);
  throw new WaferError('registry_failed', `${session.registry} does not say where ${what} goes.`);
}

/** Null when the blob was mounted. */
async function begin(session: RegistrySession, upload: Upload): Promise<Target | null> {
  const { repository, blob, mountFrom, signal } = upload;
  const mount = mountFrom === null ? '' : `?${new URLSearchParams({ mount: blob.digest, from: mountFrom })}`;
  const what = `an upload to ${repository}`;
  const request = {
    method: 'POST',
    to: `${repository}/blobs/uploads/${mount}`,
    body: Buffer.alloc(0),
    what,
    signal,
  } as const;
  const reply = await session.request({ ...request, expect: [201, 202] });
  if (reply.status === 202) return nextPlace(session, reply, whatOf(upload));
  reply.body.resume();
  return null;
}

/** Pieces of one size, the last one shorter; at least one, which may be empty. */
async function* pieces(source: Readable, size: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    let rest = chunk;
    while (bytes + rest.length > size) {
      yield Buffer.concat([...held, rest.subarray(0, size - bytes)]);
      rest = rest.subarray(size - bytes);
      held = [];
      bytes = 0;
    }
    held.push(rest);
    bytes += rest.length;
  }
  yield Buffer.concat(held);
}

const withDigest = ({ url, ...target }: Target, digest: string): Target => {
  const closing = new URL(url);
  closing.searchParams.set('digest', digest);
  return { ...target, url: closing };
};

const OCTETS = { 'content-type': 'application/octet-stream' };

/** One piece in one PUT when it is the only one, else each in a PATCH. A failed piece fails the try. */
async function sendPieces(session: RegistrySession, upload: Upload, begun: Target): Promise<void> {
  const { blob, signal } = upload;
  const what = whatOf(upload);
  const source = await upload.open();
  let place = begun;
  let sent = 0;
  try {
    for await (const body of pieces(source, session.limits.chunkBytes)) {
      const isLast = sent + body.length === blob.size;
      if (isLast && sent === 0) {
        const request = { method: 'PUT', to: withDigest(place, blob.digest), headers: OCTETS, body } as const;
        (await session.attempt({ ...request, expect: [201], what, signal })).body.resume();
        return upload.onBytes(blob.size);
      }
      const headers = { ...OCTETS, 'content-range': `${sent}-${sent + body.length - 1}` };
      const reply = await session.attempt({ method: 'PATCH', to: place, headers, body, expect: [202], what, signal });
      place = nextPlace(session, reply, what);
      sent += body.length;
      upload.onBytes(sent);
    }
  } finally {
    source.destroy();
  }
  const closing = { method: 'PUT', to: withDigest(place, blob.digest), body: Buffer.alloc(0) } as const;
  (await session.attempt({ ...closing, expect: [201], what, signal })).body.resume();
}

/** A try that breaks off begins anew: what of it arrived is known only to the registry. */
async function sendBlob(session: RegistrySession, upload: Upload, first: Target): Promise<void> {
  const { limits } = session;
  let begun: Target | null = first;
  for (let tried = 1; begun !== null; tried++) {
    try {
      return await sendPieces(session, upload, begun);
    } catch (error) {
      upload.signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      if (tried >= limits.attempts) throw gaveUp(`Sending ${whatOf(upload)}`, tried, error);
      await backOff(error, tried, limits, upload.signal);
      begun = await begin(session, { ...upload, mountFrom: null });
    }
  }
}

export type UploadEnd = 'exists' | 'mounted' | 'done';

export async function uploadBlob(session: RegistrySession, upload: Upload): Promise<UploadEnd> {
  if (await isThere(session, upload)) return 'exists';
  const place = await begin(session, upload);
  if (place === null) return 'mounted';
  upload.onBytes(0);
  await sendBlob(session, upload, place);
  return 'done';
}
