import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { WaferError } from '../../core/errors.ts';
import type { ImageBuildOptions } from '../../core/images/dockerfile/builder-types.ts';
import { createClient } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { count, formatBytes, formatMs } from '../format.ts';
import { buildImage, locateDockerfile } from '../image-building.ts';
import { repeated } from '../repeated.ts';

/** `NAME=value`, or `NAME` for its value in the environment. */
function buildArgs(given: readonly string[], env: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    given.flatMap((text) => {
      const equals = text.indexOf('=');
      if (equals > 0) return [[text.slice(0, equals), text.slice(equals + 1)] as const];
      const value = env[text];
      return value === undefined ? [] : [[text, value] as const];
    }),
  );
}

/** `id=NAME,src=FILE`, or `id=NAME,env=VARIABLE`. */
function secrets(
  given: readonly string[],
  env: Record<string, string | undefined>,
  cwd: string,
): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const parts = new Map(
        text.split(',').map((part) => [part.split('=')[0] ?? '', part.slice(part.indexOf('=') + 1)]),
      );
      const id = parts.get('id');
      const file = parts.get('src') ?? parts.get('source');
      const value = file === undefined ? env[parts.get('env') ?? id ?? ''] : readSecret(resolve(cwd, file));
      if (id === undefined || value === undefined)
        throw new WaferError('usage', `--secret ${text.slice(0, 60)} is not id=NAME,src=FILE or id=NAME,env=VARIABLE.`);
      return [id, value] as const;
    }),
  );
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WaferError('usage', `The secret can not be read: ${(cause as Error).message}`, { cause });
  }
}

export default command({
  name: 'build',
  about: 'Builds an image from a Dockerfile. Steps whose inputs are the same as before are reused.',
  args: {
    dir: { type: 'positional', description: 'Folder that COPY takes files from', default: '.' },
    tag: { type: 'string', alias: 't', description: 'Name of the image; may be repeated' },
    file: { type: 'string', alias: 'f', description: 'The Dockerfile; default: Dockerfile in the folder' },
    'build-arg': { type: 'string', description: 'NAME=value for ARG; may be repeated' },
    secret: { type: 'string', description: 'id=NAME,src=FILE for RUN --mount=type=secret; may be repeated' },
    target: { type: 'string', description: 'Stage to build; default: the last one' },
    'no-cache': { type: 'boolean', description: 'Run every step again' },
    ...jsonFlag,
  },
  examples: [
    ['wafer build -t app', 'the current folder'],
    ['wafer build ./app -t app:1.0 --build-arg VERSION=1.0', 'with a value for ARG VERSION'],
    ['wafer build -f Dockerfile.dev --target test', 'one stage of another Dockerfile'],
  ],
  run: async ({ dir, file, target, json }, { ui, env, cwd, rawArgs }) => {
    const startedAt = Date.now();
    const folder = resolve(cwd, dir);
    const options: ImageBuildOptions = {
      ...locateDockerfile(folder, cwd, file),
      tags: repeated(rawArgs, ['--tag', '-t']),
      buildArgs: buildArgs(repeated(rawArgs, ['--build-arg']), env),
      secrets: secrets(repeated(rawArgs, ['--secret']), env, cwd),
      noCache: rawArgs.includes('--no-cache'),
      ...(target === undefined ? {} : { target }),
    };
    const image = await buildImage(createClient(env), folder, options, ui);
    if (json) return ui.json(image);
    const took = formatMs(Date.now() - startedAt);
    const steps =
      image.stepsCached === 0 ? '' : `, ${image.stepsCached} of ${image.stepsCached + image.stepsRun} steps reused`;
    ui.out(
      `${ui.paint('green', '✓')} ${ui.paint('bold', image.tags.join(', '))} after ${took}: ${count(image.layers, 'layer')}, ${formatBytes(image.bytes)}${steps}.`,
    );
    ui.out(image.digest);
  },
});
