/** What ADD fetches in one build: each URL once, in a spool without a name on disk. */
import { createHash } from 'node:crypto';
import { openSpool, type Spool } from '../../functions/source/spool.ts';
import { TransientError } from '../registry/http.ts';
import { REMOTE_LIMITS, type RemoteFiles, readRemoteUrl, tooLarge } from '../remote-files.ts';

export interface FetchedFile {
  /** The last part of the URL's path; '' when there is none. */
  name: string;
  size: number;
  lastModified: number | null;
  /** sha256 of its bytes, hex. */
  digest: string;
  open(): AsyncIterable<Buffer>;
}

export interface Remotes {
  get(url: string, signal: AbortSignal): Promise<FetchedFile>;
  close(): Promise<void>;
}

const GIT = /^(git@|git:\/\/|ssh:\/\/)|\.git(#.*|\/?)$/i;
const URL_LIKE = /^([a-z][a-z0-9+.-]*:\/\/|git@)/i;

export const isRemote = (source: string): boolean => URL_LIKE.test(source);
export const isGit = (source: string): boolean => GIT.test(source);

function nameOfUrl({ pathname }: URL): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    const name = decodeURIComponent(last);
    return name === '.' || name === '..' || /[/\0]/.test(name) ? '' : name;
  } catch {
    return last;
  }
}

async function read(body: AsyncIterable<Buffer>, spool: Spool, url: URL) {
  const hash = createHash('sha256');
  const offset = spool.size;
  try {
    for await (const chunk of body) {
      if (spool.size - offset + chunk.length > REMOTE_LIMITS.bytes) throw tooLarge(url, REMOTE_LIMITS.bytes);
      hash.update(chunk);
      await spool.append(chunk);
    }
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      /^ECONN|^EPIPE|ERR_STREAM_PREMATURE_CLOSE|^UND_ERR/.test(String(error.code))
    )
      throw new TransientError(`${url.host} broke off`, { cause: error });
    throw error;
  }
  return { offset, size: spool.size - offset, digest: hash.digest('hex') };
}

export function createRemotes(files: RemoteFiles, tmpDir: string): Remotes {
  const known = new Map<string, Promise<FetchedFile>>();
  let spool: Promise<Spool> | undefined;
  // One after the other: they share a spool.
  let last: Promise<unknown> = Promise.resolve();
  const fetchOne = async (text: string, signal: AbortSignal): Promise<FetchedFile> => {
    const url = readRemoteUrl(text);
    spool ??= openSpool(tmpDir);
    const into = await spool;
    const { offset, size, digest, lastModified } = await files.fetch(text, signal, async (file) => ({
      ...(await read(file.body as AsyncIterable<Buffer>, into, url)),
      lastModified: file.lastModified,
    }));
    return { name: nameOfUrl(url), size, digest, lastModified, open: () => into.read(offset, size) };
  };
  return {
    get(url, signal) {
      const found = known.get(url) ?? last.then(() => fetchOne(url, signal));
      known.set(url, found);
      last = found.catch(() => undefined);
      return found;
    },
    async close() {
      await last;
      await (await spool)?.close();
    },
  };
}
