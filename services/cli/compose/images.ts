/** The images of a project's services: built where the file says how, else found or pulled. */
import { resolve } from 'node:path';
import { WaferError } from '../../core/errors.ts';
import { createClient } from '../client.ts';
import { findImage } from '../containers/find-image.ts';
import { buildImage } from '../image-building.ts';
import { createImageClient } from '../image-client.ts';
import type { Ui } from '../ui.ts';
import { imageName } from './labels.ts';
import type { ComposeBuild, ComposeProject, ComposeService } from './types.ts';

type Env = Record<string, string | undefined>;

async function isThere(name: string, env: Env): Promise<string | null> {
  try {
    return (await createImageClient(env).inspect(name)).digest;
  } catch (error) {
    if (error instanceof WaferError && ['image_not_found', 'not_found'].includes(error.code)) return null;
    throw error;
  }
}

async function buildService(build: ComposeBuild, tag: string, ui: Ui, env: Env): Promise<string> {
  const { context, dockerfile, dockerfileText, args, target } = build;
  const { digest } = await buildImage(
    createClient(env),
    resolve(context),
    {
      dockerfile: dockerfile ?? 'Dockerfile',
      ...(dockerfileText === undefined ? {} : { dockerfileText }),
      ...(target === undefined ? {} : { target }),
      buildArgs: args,
      tags: [tag],
    },
    ui,
  );
  return digest;
}

/** One after the other: they share the machine. @returns service -> digest */
export async function prepareImages(
  project: ComposeProject,
  services: Iterable<ComposeService>,
  options: { build: boolean; ui: Ui; env: Env },
): Promise<Map<string, string>> {
  const { ui, env } = options;
  const digests = new Map<string, string>();
  for (const service of services) {
    const name = imageName(project, service);
    if (service.build === undefined) {
      digests.set(service.name, await findImage(name, 'missing', ui, env));
      continue;
    }
    const digest = options.build ? null : await isThere(name, env);
    digests.set(service.name, digest ?? (await buildService(service.build, name, ui, env)));
  }
  return digests;
}
