/**
 * The image half of `npm run bench`, each line next to its counterpart in the same run: a Dockerfile with buildah,
 * cached and cold; a large image unpacked with umoci; what a second image on the same base adds to the disk.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { openImageStore } from '../../services/core/images/index.ts';
import type { ImageStore } from '../../services/core/images/types.ts';
import { type Buildah, openBuildah } from '../helpers/buildah.ts';
import { openHostAt, removeData } from '../helpers/data-dir.ts';
import type { TestPlatform } from '../helpers/platform.ts';
import { TEST_DATA } from '../helpers/test-data.ts';
import { timed } from './stats.ts';

const exec = promisify(execFile);

export interface Rounds {
  cached: number;
  cold: number;
  unpack: number;
}

/** A layer of some 10,000 files and 75 MB, a small one, and a copied context. */
const DOCKERFILE = `FROM debian12
RUN mkdir -p /opt && cp -a /usr /opt/usr
RUN find /opt/usr -type f | wc -l > /count
ENV MODE=bench
COPY . /context
CMD ["cat", "/count"]
`;
/** With the base about 300 MB as files. */
const LARGE = `FROM debian12
RUN cp -a /usr /a
RUN cp -a /usr /b
RUN cp -a /usr /c
`;

export interface ImageBench {
  samples: Record<string, number[]>;
  /** Bytes on disk that a second image on the same base added, and bytes of its own layers' files. */
  second: { added: number; own: number };
}

export async function measureImages(wafer: TestPlatform, rounds: Rounds): Promise<ImageBench> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-bench-images-'));
  const buildah = await openBuildah('overlay');
  try {
    const samples: Record<string, number[]> = {};
    const take = async (row: string, work: () => Promise<unknown>) => {
      const ms = await timed(work);
      samples[row] = [...(samples[row] ?? []), ms];
    };
    await measureBuilds(wafer, buildah, { dir, take, rounds });
    const second = await measureSecond(wafer, dir);
    await measureUnpack(wafer, { dir, take, rounds });
    return { samples, second };
  } finally {
    for (const image of ['bench-app', 'bench-second', 'bench-large']) await wafer.wafer(['image', 'rm', image]);
    await buildah.close();
    await rm(dir, { recursive: true, force: true });
  }
}

interface Bench {
  dir: string;
  rounds: Rounds;
  take: (row: string, work: () => Promise<unknown>) => Promise<void>;
}

async function measureBuilds(wafer: TestPlatform, buildah: Buildah, { dir, take, rounds }: Bench): Promise<void> {
  const context = join(dir, 'context');
  await mkdir(context);
  for (let file = 0; file < 200; file++)
    await writeFile(join(context, `file-${file}.txt`), `line ${file}\n`.repeat(200));
  await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
  const archive = archiveOf(context);
  await buildah.pull(join(TEST_DATA, 'store'), 'debian12', 'debian12');
  const bud = (...flags: string[]) => buildah.run('bud', '--quiet', '--pull-never', ...flags, '-t', 'app', context);
  const build = (config: object = {}) => postBuild(wafer, archive, { tags: ['bench-app'], ...config });
  await build();
  await bud('--layers');
  for (let round = 0; round < rounds.cached; round++) {
    await take('buildah bud --layers, cached', () => bud('--layers'));
    await take('wafer build, cached (HTTP)', () => build());
    await take('wafer build, cached (CLI)', () => wafer.wafer(['build', '-t', 'bench-app', context]));
  }
  for (let round = 0; round < rounds.cold; round++) {
    await take('buildah bud, cold', () => bud('--no-cache'));
    await take('wafer build, cold (HTTP)', () => build({ noCache: true }));
  }
}

async function postBuild(wafer: TestPlatform, archive: Buffer, config: object): Promise<void> {
  const form = new FormData();
  form.append('config', JSON.stringify(config));
  form.append('archive', new Blob([new Uint8Array(archive)]), 'context.tar.gz');
  const reply = await wafer.fetch('/v1/images/build', { method: 'POST', body: form });
  if (reply.status !== 201) throw new Error(`the build answered ${reply.status}: ${await reply.text()}`);
  await reply.arrayBuffer();
}

const archiveOf = (folder: string) => execFileSync('tar', ['-cz', '-C', folder, '.'], { maxBuffer: 256 * 1024 * 1024 });

/** Blocks on disk of all that the platform's user can see: blobs, records, documents. Files in unpacked layers are the engine's. */
function storeBytes(): number {
  const script = `du -s --block-size=1 '${join(TEST_DATA, 'store')}' 2>/dev/null | cut -f1`;
  return Number(execFileSync('sh', ['-c', script], { encoding: 'utf8' }));
}

async function measureSecond(wafer: TestPlatform, dir: string): Promise<ImageBench['second']> {
  const context = join(dir, 'second');
  await mkdir(context);
  await writeFile(join(context, 'Dockerfile'), 'FROM debian12\nCOPY own /own\n');
  await writeFile(join(context, 'own'), Buffer.alloc(1_000_000, 'own bytes of the second image\n'));
  const before = storeBytes();
  await postBuild(wafer, archiveOf(context), { tags: ['bench-second'], noCache: true });
  return { added: storeBytes() - before, own: 1_000_000 };
}

/** The same layout by both, from disk, all layers: a store and an engine of its own have nothing of it yet. */
async function measureUnpack(wafer: TestPlatform, { dir, take, rounds }: Bench): Promise<void> {
  const context = join(dir, 'large');
  await mkdir(context);
  await writeFile(join(context, 'Dockerfile'), LARGE);
  await postBuild(wafer, archiveOf(context), { tags: ['bench-large'] });
  const layout = await saveLayout(wafer, 'bench-large', dir);
  for (let round = 0; round < rounds.unpack; round++) {
    const bundle = join(dir, `bundle-${round}`);
    const image = `${layout.path}:${layout.tag}`;
    await take('umoci unpack, 300 MB', () => exec('umoci', ['unpack', '--rootless', '--image', image, bundle]));
    await exec('sh', ['-c', `chmod -R u+rwX '${bundle}' && rm -rf '${bundle}'`]);
    const { store, close } = await openFreshStore();
    try {
      await take('wafer import, 300 MB', () => importLayout(store, layout));
    } finally {
      await close();
    }
  }
}

interface Layout {
  path: string;
  tag: string;
  manifest: Buffer;
  config: Buffer;
}

async function saveLayout(wafer: TestPlatform, image: string, dir: string): Promise<Layout> {
  const archive = join(dir, 'large.tar');
  const { status, stderr } = await wafer.wafer(['image', 'save', '--format', 'oci-archive', '-o', archive, image]);
  if (status !== 0) throw new Error(`wafer image save: ${stderr}`);
  const path = join(dir, 'layout');
  await mkdir(path);
  await exec('tar', ['-x', '-C', path, '-f', archive]);
  await rm(archive);
  const index = JSON.parse(await readFile(join(path, 'index.json'), 'utf8')) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  const [entry] = index.manifests;
  if (entry === undefined) throw new Error('the archive has no image');
  const manifest = await readFile(blobPath(path, entry.digest));
  const { config } = JSON.parse(manifest.toString()) as { config: { digest: string } };
  const tag = 'large';
  await exec('umoci', ['tag', '--image', `${path}:${entry.annotations?.['org.opencontainers.image.ref.name']}`, tag]);
  return { path, tag, manifest, config: await readFile(blobPath(path, config.digest)) };
}

const blobPath = (layout: string, digest: string) => join(layout, 'blobs', ...digest.split(':'));

async function importLayout(store: ImageStore, { path, manifest, config }: Layout): Promise<void> {
  await store.importImage({
    manifest,
    config,
    tags: ['large'],
    signal: new AbortController().signal,
    async fetch(blob, sink) {
      const file = createReadStream(blobPath(path, blob.digest), { highWaterMark: 1024 * 1024 });
      for await (const chunk of file) await sink.append(chunk as Buffer);
    },
  });
}

async function openFreshStore(): Promise<{ store: ImageStore; close(): Promise<void> }> {
  const dir = await mkdtemp(join(TEST_DATA, 'bench-'));
  const host = await openHostAt(dir);
  const unpacker = {
    unpack: (name: string, tar: Readable) => host.unpack(name, tar),
    remove: (name: string) => host.removeLayer(name),
  };
  const quiet = { warn: () => undefined, info: () => undefined };
  const store = await openImageStore({ dir: join(dir, 'store'), unpacker, log: quiet });
  const close = async () => {
    await host.close();
    await removeData(dir);
  };
  return { store, close };
}
