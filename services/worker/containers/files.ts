/** Files in and out: of one that runs directly, else through a sandbox of the same layers in which nothing runs. */
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Sandbox } from '../../../runtime/sandbox/index.ts';
import { checkPath } from '../../core/containers/config.ts';
import type { Containers } from '../../core/containers/types.ts';
import { coerceError } from '../../core/errors.ts';
import type { Context } from './context.ts';
import { type Entry, upperOf } from './entry.ts';
import { asWaferError } from './exits.ts';
import { rootOf } from './spec.ts';

/** Sandboxes in which nothing runs. */
const PARKED_PREFIX = 'p-';

type Files = Pick<Containers, 'readFiles' | 'writeFiles'>;

export function createFiles(context: Context): Files {
  const { shelf } = context;
  return {
    readFiles(ref, path) {
      checkPath('path', path);
      return streamed(context, ref, (sandbox) => sandbox.readFiles(path), path);
    },
    async writeFiles(ref, path, tar) {
      try {
        checkPath('path', path);
        await shelf.alone(ref, (entry) =>
          withSandbox(context, entry, (sandbox) => sandbox.writeFiles(path, tar), path),
        );
      } finally {
        tar.destroy();
      }
    },
  };
}

/** The container is alone until the stream has ended, since a start would take its writable layer; one that runs is not. */
function streamed(
  context: Context,
  ref: string,
  read: (sandbox: Sandbox) => Promise<Readable>,
  path: string,
): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const work = async (entry: Entry) => {
      const { run } = entry;
      if (run !== null) return resolve(await explained(read(run.sandbox), entry, path));
      await withSandbox(
        context,
        entry,
        async (sandbox) => {
          const tar = await read(sandbox);
          resolve(tar);
          await finished(tar).catch(() => undefined); // its reader knows
        },
        path,
      );
    };
    context.shelf.alone(ref, work).catch(reject);
  });
}

export async function withSandbox<T>(
  context: Context,
  entry: Entry,
  use: (sandbox: Sandbox) => Promise<T>,
  path: string,
): Promise<T> {
  if (entry.run !== null) return explained(use(entry.run.sandbox), entry, path);
  const parked = await explained(park(context, entry), entry, path);
  try {
    return await explained(use(parked), entry, path);
  } finally {
    await parked.destroy();
  }
}

async function park(context: Context, entry: Entry): Promise<Sandbox> {
  const image = await context.images.get(entry.record.imageDigest);
  const id = `${PARKED_PREFIX}${upperOf(entry)}`;
  return context.host.create({ ...rootOf(context, entry, image), id, argv: [], env: {} });
}

async function explained<T>(work: Promise<T>, { record }: Entry, path: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw asWaferError(coerceError(error), `${path} in the container ${record.name}`);
  }
}
