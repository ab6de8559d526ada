/** The runtimes of the base images without anything around them: started from where their layers lie, on the bare host. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TEST_DATA, type TestPlatform } from '../../helpers/platform.ts';

const exec = promisify(execFile);

/** What a program that nobody configured sees. */
export const CLEAN_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

export interface Launched {
  /** From the fork to the exit, of each. */
  ms: number[];
  /** User and system time of each and of its children. */
  cpuMs: number[];
  /** From the first fork to the last exit. */
  allMs: number;
}

export interface Reference {
  /** The base image's own binary. */
  readonly node: string;
  readonly python: string;
  readonly nodeVersion: string;
  readonly pythonVersion: string;
  /** `node -e 0`, once; ms. */
  startNode(): Promise<number>;
  /** `python3 -I -S -c pass`, once; ms. */
  startPython(): Promise<number>;
  /** A program with no environment but PATH, timed by a small C program. @throws when it fails */
  launch(
    argv: string[],
    options?: { count?: number; parallel?: number; env?: Record<string, string> },
  ): Promise<Launched>;
}

export async function openReference(wafer: TestPlatform, dir: string): Promise<Reference> {
  const launcher = join(dir, 'launch');
  await exec('gcc', ['-O2', '-static', '-o', launcher, join(import.meta.dirname, 'launch.c')]);
  const launch: Reference['launch'] = async (argv, { count = 1, parallel = 1, env = CLEAN_ENV } = {}) => {
    const { stdout } = await exec(launcher, [String(count), String(parallel), ...argv], {
      env,
      maxBuffer: 16 * 1024 * 1024,
    });
    return JSON.parse(stdout) as Launched;
  };
  const node = await findInImage(wafer, 'node24', 'usr/local/bin/node');
  const python = await findInImage(wafer, 'python3.11', 'usr/bin/python3.11');
  const version = async (program: string) =>
    (await exec(program, ['--version'], { env: CLEAN_ENV })).stdout.trim().replace(/^(Python |v)/, '');
  const first = async (argv: string[]) => (await launch(argv)).ms[0] ?? Number.NaN;
  return {
    node,
    python,
    nodeVersion: await version(node),
    pythonVersion: await version(python),
    startNode: () => first([node, '-e', '0']),
    startPython: () => first([python, '-I', '-S', '-c', 'pass']),
    launch,
  };
}

interface ListedImages {
  images: { tags: string[]; layers: { diffId: string }[] }[];
}

/** The file as it lies in a layer of the store: the platform's user may read what everybody may. */
async function findInImage(wafer: TestPlatform, tag: string, path: string): Promise<string> {
  const { images } = (await (await wafer.fetch('/v1/images')).json()) as ListedImages;
  const layers = images.find(({ tags }) => tags.includes(tag))?.layers ?? [];
  for (const { diffId } of layers.toReversed()) {
    const file = join(TEST_DATA, 'store/layers', diffId.replace(/^sha256:/, ''), path);
    if (await isExecutable(file)) return file;
  }
  throw new Error(`the image ${tag} has no /${path} that can be run from its layer`);
}

const isExecutable = (file: string) =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
