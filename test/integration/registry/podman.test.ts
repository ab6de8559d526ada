/** Archives between Wafer and podman, buildah and skopeo, both ways and in both forms. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArchiveFormat } from '../../../services/core/images/archive/save.ts';
import { type Buildah, openBuildah } from '../../helpers/buildah.ts';
import { skopeo } from '../../helpers/docker-registry.ts';
import { type ImageLab, openImageLab } from '../../helpers/image-service.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { openPodman, type Podman } from '../../helpers/podman.ts';

let dir: string;
let podman: Podman;
let buildah: Buildah;
let lab: ImageLab;
let labs = 0;
const transfer = { onEvent: () => {}, signal: new AbortController().signal };
const NAME = 'registry.example/team/app:v1';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-archives-'));
  podman = await openPodman();
  buildah = await openBuildah();
  lab = await openImageLab(join(dir, 'store'));
  const layers = [];
  for (const files of [
    { 'etc/': null, 'etc/os': 'linux' },
    { app: 'x'.repeat(9000), 'etc/.wh.os': '' },
  ])
    layers.push(
      (await lab.store.addLayer(streamOf(makeTar(files)), { createdBy: `COPY ${Object.keys(files)[0]} /` })).diffId,
    );
  await lab.store.putImage({
    layers,
    config: { Cmd: ['/app', '--flag'], Env: ['A=b c'], Labels: { note: 'yes' }, WorkingDir: '/etc' },
    tag: NAME,
  });
});
afterAll(async () => {
  await podman?.close();
  await buildah?.close();
  await rm(dir, { recursive: true, force: true });
});

const configDigest = async (at: ImageLab, name: string) => {
  const { digest } = await at.service.inspect(name);
  return JSON.parse((await at.store.document(digest)).toString()).config.digest as string;
};
const save = async (format: ArchiveFormat) => {
  const path = join(dir, `${format}.tar`);
  await pipeline((await lab.service.save(NAME, format)).stream, createWriteStream(path));
  return path;
};
const load = async (path: string) => {
  const other = await openImageLab(join(dir, `other-${labs++}`));
  const [image] = await other.service.load(createReadStream(path), transfer);
  return { other, image: image! };
};

describe.each(['oci-archive', 'docker-archive'] as const)('a saved %s', (format) => {
  it('is loaded by podman, with its name, its id, its layers, its config and its history', async () => {
    const said = await podman.run('load', '-i', await save(format));
    const ours = await lab.service.inspect(NAME);
    // Podman takes the names of an oci-archive as local ones.
    const name = /Loaded image: (\S+)/.exec(said)![1]!;
    expect(name.endsWith(NAME)).toBe(true);
    const theirs = await podman.inspect(name);
    expect(`sha256:${theirs.Id}`).toBe(await configDigest(lab, NAME));
    expect(theirs.RootFS.Layers).toEqual(ours.layers.map(({ diffId }) => diffId));
    expect(theirs.Config).toMatchObject({
      Cmd: ['/app', '--flag'],
      Env: ['A=b c'],
      Labels: { note: 'yes' },
      WorkingDir: '/etc',
    });
    expect(theirs.History.map(({ created_by }) => created_by)).toEqual(ours.history.map(({ createdBy }) => createdBy));
    await podman.run('rmi', '--force', theirs.Id);
  });

  it('is read by skopeo', async () => {
    const inspected = JSON.parse(await skopeo('inspect', `${format}:${await save(format)}`));
    expect(inspected).toMatchObject({ Os: 'linux', Env: ['A=b c'], Labels: { note: 'yes' } });
    expect(inspected.Layers).toHaveLength(2);
    if (format === 'oci-archive') expect(inspected.Digest).toBe((await lab.service.inspect(NAME)).digest);
  });

  it('of podman is loaded here, with the same id, layers and config', async () => {
    await podman.run('load', '-i', await save('docker-archive'));
    const theirs = await podman.inspect(NAME);
    const path = join(dir, `podman-${format}.tar`);
    await podman.run('save', '--format', format, '-o', path, NAME);
    const { other, image } = await load(path);
    expect(await configDigest(other, image.digest)).toBe(`sha256:${theirs.Id}`);
    expect(image.layers.map(({ diffId }) => diffId)).toEqual(theirs.RootFS.Layers);
    expect(image.tags).toEqual([NAME]);
    expect(image.config).toMatchObject({ Cmd: ['/app', '--flag'], WorkingDir: '/etc' });
    await podman.run('rmi', '--force', theirs.Id);
  });
});

describe('an image of buildah', () => {
  it.each(['oci', 'docker'])(
    'in the form of %s is loaded with the id and the digests that it has there',
    async (form) => {
      await writeFile(
        join(dir, 'Dockerfile'),
        'FROM scratch\nCOPY app /app\nENV A=b\nLABEL note=yes\nENTRYPOINT ["/app"]\n',
      );
      await writeFile(join(dir, 'app'), 'app');
      const name = `localhost/made-${form}`;
      await buildah.run('bud', '--format', form, '-t', name, dir);
      const path = join(dir, `buildah-${form}.tar`);
      const archive = form === 'oci' ? 'oci-archive' : 'docker-archive';
      await buildah.run('push', name, `${archive}:${path}:${name}:v1`);
      const { other, image } = await load(path);
      const id = (await buildah.run('inspect', '--type', 'image', '--format', '{{.FromImageID}}', name)).trim();
      expect(await configDigest(other, image.digest)).toBe(`sha256:${id}`);
      expect(image.tags).toContain(`${name}:v1`);
      expect(image).toMatchObject({ config: { Entrypoint: ['/app'], Labels: { note: 'yes' } } });
      if (form === 'oci') {
        const { Digest } = JSON.parse(await skopeo('inspect', `oci-archive:${path}`));
        expect(image.digest).toBe(Digest);
      }
    },
  );
});
