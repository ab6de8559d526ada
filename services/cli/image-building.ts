/** A folder becomes an image: `wafer build` and the services of compose files. */
import { existsSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { WaferError } from '../core/errors.ts';
import { packContext } from '../core/functions/source/pack-folder.ts';
import type { BuiltImage, ImageBuildOptions } from '../core/images/dockerfile/builder-types.ts';
import { createBuildLog } from './build-log.ts';
import { type Client, problemError } from './client.ts';
import { count } from './format.ts';
import type { Ui } from './ui.ts';

/** A Dockerfile outside of the context is sent as text. */
export function locateDockerfile(
  folder: string,
  cwd: string,
  given: string | undefined,
): { dockerfile: string; dockerfileText?: string } {
  if (given === undefined) return { dockerfile: 'Dockerfile' };
  const path = existsSync(resolve(cwd, given)) ? resolve(cwd, given) : resolve(folder, given);
  const inside = relative(folder, path);
  if (!inside.startsWith('..') && !inside.startsWith('/')) return { dockerfile: inside };
  try {
    return { dockerfile: given, dockerfileText: readFileSync(path, 'utf8') };
  } catch (cause) {
    throw new WaferError('usage', `The Dockerfile can not be read: ${(cause as Error).message}`, { cause });
  }
}

/** Shows the build on stderr. @throws WaferError the build's failure, `not_reachable` */
export async function buildImage(
  client: Client,
  folder: string,
  options: ImageBuildOptions,
  ui: Ui,
): Promise<BuiltImage> {
  const log = createBuildLog(ui);
  try {
    const packed = await packContext(folder, options.dockerfile ?? 'Dockerfile');
    log.note(`Sending ${count(packed.files, 'file')} of ${folder}`);
    for await (const event of client.buildImage(packed.stream, options)) {
      if (event.type === 'built') return event.image;
      if (event.type === 'failed') throw problemError(event.problem);
      log.event(event);
    }
  } finally {
    log.close();
  }
  throw new WaferError('not_reachable', `The connection to ${client.url} ended before the build did.`);
}
