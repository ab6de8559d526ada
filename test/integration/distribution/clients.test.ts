/** Real clients against `/v2/`: skopeo in every direction with docker-registry as the peer, buildah, and podman where it is installed. */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hostArchitecture } from '../../../services/core/images/documents.ts';
import { parseReference } from '../../../services/core/images/reference.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import { pullImage } from '../../../services/core/images/registry/pull.ts';
import { pushImage } from '../../../services/core/images/registry/push.ts';
import { MEDIA } from '../../../services/core/images/types.ts';
import { skopeo, startDockerRegistry } from '../../helpers/docker-registry.ts';
import { type MadeImage, makeImage, sha256, writeLayout } from '../../helpers/oci-layout.ts';
import { describe1, type Lab, newDir, smallImage, startLab, TEST_KEY } from './lab.ts';

const exec = promisify(execFile);
const creds = `anybody:${TEST_KEY}`;
const IN = ['--dest-tls-verify=false', `--dest-creds=${creds}`];
const OUT = ['--src-tls-verify=false', `--src-creds=${creds}`];
const at = (lab: Lab, name: string) => `docker://${lab.host}/${name}`;
const inspect = async (lab: Lab, name: string, ...flags: string[]) =>
  JSON.parse(await skopeo('inspect', '--tls-verify=false', `--creds=${creds}`, ...flags, at(lab, name)));

const blobsOf = (dir: string) => readdirSync(join(dir, 'blobs/sha256')).map((hex) => `sha256:${hex}`);
function expectSame(dir: string, image: MadeImage): void {
  for (const [digest, bytes] of image.blobs) {
    expect(readFileSync(join(dir, 'blobs/sha256', digest.slice(7))).equals(bytes)).toBe(true);
  }
}

/** An index over an image for this host and one for another, as an OCI layout. */
function writeIndexLayout(dir: string) {
  const images = [
    { image: smallImage(), architecture: hostArchitecture() },
    { image: smallImage({ config: (config) => ({ ...config, architecture: 's390x' }) }), architecture: 's390x' },
  ];
  const manifests = images.map(({ image, architecture }) =>
    describe1(image, { platform: { os: 'linux', architecture } }),
  );
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests }));
  const blobs = new Map(images.flatMap(({ image }) => [...image.blobs]));
  blobs.set(sha256(index), index);
  const [here] = images;
  if (here === undefined) throw new Error('there is one');
  const whole = { ...here.image, blobs, manifest: index, digest: sha256(index) };
  return { source: writeLayout(dir, whole), whole, here: here.image };
}

describe('skopeo', () => {
  it('copies an image in, which is an image of the store, and out again byte by byte', async () => {
    const lab = await startLab();
    const image = smallImage();
    await skopeo('copy', ...IN, writeLayout(newDir(), image), at(lab, 'team/app:v1'));
    const stored = await lab.store.get('team/app:v1');
    expect(stored.digest).toBe(image.digest);
    const [name = ''] = lab.store.layerNames(stored);
    expect(readFileSync(join(lab.dir, 'layers', name, 'etc/one.txt'), 'utf8')).toMatch(/^one /);
    const out = newDir();
    await skopeo('copy', ...OUT, at(lab, 'team/app:v1'), `oci:${out}:back`);
    expectSame(out, image);
    expect((await inspect(lab, 'team/app:v1')).Digest).toBe(image.digest);
    expect((await inspect(lab, 'team/app:v1')).RepoTags).toEqual(['v1']);
  });

  it('copies as Docker wants it, and with plain and zstd layers where this Node can read them', async () => {
    const lab = await startLab();
    const image = smallImage();
    const source = writeLayout(newDir(), image);
    await skopeo('copy', '--format=v2s2', ...IN, source, at(lab, 'app:docker'));
    const { mediaType } = await inspect(lab, 'app:docker', '--raw');
    expect(mediaType).toBe(MEDIA.dockerManifest);
    expect((await lab.store.get('app:docker')).layers.map(({ diffId }) => diffId)).toEqual(
      image.layers.map(({ diffId }) => diffId),
    );
    const plain = makeImage([{ 'one.txt': 'plain' }], { layerType: MEDIA.layer, pack: (tar) => tar });
    await skopeo('copy', '--dest-decompress', ...IN, writeLayout(newDir(), plain), at(lab, 'app:plain'));
    const out = newDir();
    await skopeo('copy', ...OUT, at(lab, 'app:plain'), `oci:${out}:back`);
    await skopeo('copy', ...OUT, at(lab, 'app:docker'), `docker-archive:${join(out, 'a.tar')}:x/y:z`);
    expect((await lab.store.list()).length).toBe(2);
  });

  it('copies an index with all that it has, and back', async () => {
    const lab = await startLab();
    const { source, whole, here } = writeIndexLayout(newDir());
    await skopeo('copy', '--all', ...IN, source, at(lab, 'multi:v1'));
    expect((await lab.store.get('multi:v1')).digest).toBe(here.digest);
    expect(
      sha256(
        Buffer.from(await skopeo('inspect', '--tls-verify=false', `--creds=${creds}`, '--raw', at(lab, 'multi:v1'))),
      ),
    ).toBe(whole.digest);
    lab.pass(60 * 60 * 1000);
    await lab.store.collectGarbage();
    const out = newDir();
    await skopeo('copy', '--all', ...OUT, at(lab, 'multi:v1'), `oci:${out}:back`);
    expectSame(out, whole);
    const one = newDir();
    await skopeo('copy', ...OUT, at(lab, 'multi:v1'), `oci:${one}:back`);
    expect(blobsOf(one)).toContain(here.digest);
  });

  it('copies to and from docker-registry, and between repositories by mounting', async () => {
    const lab = await startLab();
    const peer = await startDockerRegistry(newDir());
    onTestFinished(() => peer.close());
    const image = smallImage();
    const there = `docker://${peer.host}/from/there:v1`;
    await skopeo('copy', '--dest-tls-verify=false', writeLayout(newDir(), image), there);
    await skopeo('copy', '--src-tls-verify=false', ...IN, there, at(lab, 'here:v1'));
    await skopeo('copy', ...OUT, ...IN, at(lab, 'here:v1'), at(lab, 'second/place:v2'));
    await skopeo(
      'copy',
      ...OUT,
      '--dest-tls-verify=false',
      at(lab, 'second/place:v2'),
      `docker://${peer.host}/back:v3`,
    );
    const back = JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${peer.host}/back:v3`));
    expect(back.Digest).toBe(image.digest);
    expect((await lab.store.get(image.digest)).tags).toEqual(['here:v1', 'second/place:v2']);
  });

  it('lists tags, deletes, and is told why when the key is wrong', async () => {
    const lab = await startLab();
    const source = writeLayout(newDir(), smallImage());
    for (const tag of ['v1', 'v2']) await skopeo('copy', ...IN, source, at(lab, `app:${tag}`));
    const list = ['list-tags', '--tls-verify=false', `--creds=${creds}`, `docker://${lab.host}/app`];
    expect(JSON.parse(await skopeo(...list)).Tags).toEqual(['v1', 'v2']);
    await skopeo('delete', '--tls-verify=false', `--creds=${creds}`, at(lab, 'app:v1'));
    await expect(inspect(lab, 'app:v2')).rejects.toThrow(/manifest|unknown|name/i);
    expect(await lab.store.list()).toEqual([]);
    const wrong = skopeo('copy', '--dest-tls-verify=false', '--dest-creds=anybody:wrong', source, at(lab, 'app:v3'));
    await expect(wrong).rejects.toThrow(/unauthorized|authentication required/i);
  });

  it('moves what is larger than one chunk, and many layers at a time', async () => {
    const lab = await startLab();
    const image = makeImage(
      Array.from({ length: 6 }, (_, n) => ({ [`f${n}`]: randomBytes(n === 0 ? 12_000_000 : 200_000) })),
    );
    await skopeo('copy', ...IN, writeLayout(newDir(), image), at(lab, 'big:v1'));
    const out = newDir();
    await skopeo('copy', ...OUT, at(lab, 'big:v1'), `oci:${out}:back`);
    expectSame(out, image);
    expect(lab.files().uploads).toEqual([]);
  });
});

describe('the client of Wafer', () => {
  const client = (lab: Lab) =>
    createRegistryClient({
      insecure: [lab.host],
      credentials: { get: async () => ({ username: 'wafer', password: TEST_KEY }) },
      limits: { chunkBytes: 500_000 },
    });
  const transfer = { onEvent: () => {}, signal: new AbortController().signal };

  it('pushes in chunks to another Wafer, mounts what is there, and pulls it back', async () => {
    const [here, there] = [await startLab(), await startLab()];
    const image = makeImage([{ big: randomBytes(2_000_000) }, { small: 'x' }]);
    await here.push('app', image);
    const place = (name: string) => parseReference(`${there.host}/${name}`, null);
    await pushImage(here.store, client(there), await here.store.get('app:v1'), place('team/app:v1'), transfer);
    expect((await there.store.get('team/app:v1')).digest).toBe(image.digest);
    await here.store.tag('app:v1', `${there.host}/team/app:v1`);
    const states: string[] = [];
    const onEvent = (event: { state: string }) => void states.push(event.state);
    const options = { ...transfer, onEvent };
    await pushImage(here.store, client(there), await here.store.get('app:v1'), place('other:v2'), options);
    expect(new Set(states)).toEqual(new Set(['mounted']));
    await here.store.untag('app:v1');
    await here.store.untag(`${there.host}/team/app:v1`);
    here.pass(60 * 60 * 1000);
    await here.store.collectGarbage();
    expect(here.files().blobs).toEqual([]);
    const { image: pulled, tag } = await pullImage(here.store, client(there), place('other:v2'), transfer);
    expect([pulled.digest, tag]).toEqual([image.digest, `${there.host}/other:v2`]);
  });

  it('takes the image of this host out of an index', async () => {
    const [here, there] = [await startLab(), await startLab()];
    const { source, here: wanted } = writeIndexLayout(newDir());
    await skopeo('copy', '--all', ...IN, source, at(there, 'multi:v1'));
    const reference = parseReference(`${there.host}/multi:v1`, null);
    expect((await pullImage(here.store, client(there), reference, transfer)).image.digest).toBe(wanted.digest);
  });
});

const isThere = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Rootless, in a storage of its own; the layers of these images hold files of one owner, so that one id is enough. */
describe.each(['buildah', 'podman'])('%s', (program) => {
  it.skipIf(!isThere(program))('logs in, pulls what was built here, and pushes it under another name', async () => {
    const lab = await startLab();
    const dir = newDir();
    const runtime = join(dir, 'run');
    mkdirSync(runtime, { mode: 0o700 });
    writeFileSync(join(dir, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    const env = { ...process.env, XDG_RUNTIME_DIR: runtime, REGISTRY_AUTH_FILE: join(dir, 'auth.json'), HOME: dir };
    const storage = ['--root', join(dir, 'root'), '--runroot', runtime, '--storage-driver', 'vfs'];
    const run = (...args: string[]) => exec(program, [...storage, ...args], { cwd: dir, env });
    onTestFinished(async () => {
      await exec(program, [...storage, 'unshare', 'rm', '-rf', join(dir, 'root')], { cwd: dir, env });
    });
    const image = smallImage();
    await lab.push('team/app', image);
    const policy = ['--signature-policy', join(dir, 'policy.json')];
    await run('login', '--tls-verify=false', '-u', 'anybody', '-p', TEST_KEY, lab.host);
    await run('pull', '--tls-verify=false', ...policy, `${lab.host}/team/app:v1`);
    await run('tag', `${lab.host}/team/app:v1`, `${lab.host}/again:v2`);
    await run('push', '--tls-verify=false', ...policy, `${lab.host}/again:v2`);
    const pushed = await lab.store.get('again:v2');
    expect(pushed.layers.map(({ diffId }) => diffId)).toEqual(image.layers.map(({ diffId }) => diffId));
    await run('logout', lab.host);
    const unseen = run('pull', '--tls-verify=false', ...policy, `${lab.host}/team/other:v1`);
    await expect(unseen).rejects.toThrow(/unauthorized|authentication/);
  });
});
