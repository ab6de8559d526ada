/** The runtimes of the base images without anything around them: started from where their layers lie, on the bare host. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { programInLayers } from '../../helpers/layer-file.ts';
import type { TestPlatform } from '../../helpers/platform.ts';
import { CLEAN_ENV, type Launch, openLauncher } from './launcher.ts';

const exec = promisify(execFile);

export { CLEAN_ENV, type Launched } from './launcher.ts';

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
  launch: Launch;
}

export async function openReference(wafer: TestPlatform, dir: string): Promise<Reference> {
  const launch = await openLauncher(dir);
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

async function findInImage(wafer: TestPlatform, tag: string, path: string): Promise<string> {
  const { images } = (await (await wafer.fetch('/v1/images')).json()) as ListedImages;
  const layers = images.find(({ tags }) => tags.includes(tag))?.layers ?? [];
  return programInLayers(
    layers.map(({ diffId }) => diffId.replace(/^sha256:/, '')),
    path,
  );
}
