/** Images through the whole platform: the CLI, the API, the engine's jail, a real registry, skopeo. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DockerRegistry, skopeo, startDockerRegistry } from '../helpers/docker-registry.ts';
import { type MadeImage, makeImage, writeLayout } from '../helpers/oci-layout.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';

let dir: string;
let registry: DockerRegistry;
let wafer: TestPlatform;
let image: MadeImage;
let name: string;
/** bcrypt of `pass word`. */
const HTPASSWD = 'ada:$2b$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.\n';
let locked: DockerRegistry;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-images-'));
  registry = await startDockerRegistry(join(dir, 'registry'));
  writeFileSync(join(dir, 'htpasswd'), HTPASSWD);
  locked = await startDockerRegistry(join(dir, 'locked'), { htpasswd: { realm: 'x', path: join(dir, 'htpasswd') } });
  wafer = await startTestPlatform({ WAFER_INSECURE_REGISTRIES: `${registry.host},${locked.host}` });
  image = makeImage([
    { 'etc/': null, 'etc/one.txt': `one ${dir}` },
    { 'etc/two.txt': 'two' },
    { 'etc/.wh.one.txt': '' },
  ]);
  name = `${registry.host}/team/app:v1`;
  const source = writeLayout(join(dir, 'layout'), image);
  await skopeo('copy', '--dest-tls-verify=false', source, `docker://${name}`);
});

afterAll(async () => {
  await wafer?.wafer(['image', 'prune', '--all']);
  await wafer?.stop();
  await registry?.close();
  await locked?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await wafer.wafer(['image', ...args]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return { stdout, stderr };
}
const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout);
const inspectThere = async (reference: string, ...flags: string[]) =>
  JSON.parse(await skopeo('inspect', '--tls-verify=false', ...flags, `docker://${reference}`));

describe('wafer image', () => {
  it('pull brings an image from a registry; the engine unpacks it; the second time it is there', async () => {
    const { stdout, stderr } = await run('pull', name);
    expect(stdout).toContain(image.digest.slice(7, 19));
    expect(stderr.match(/done \(/g)).toHaveLength(3);
    expect(await json('pull', name)).toEqual({ digest: image.digest, name, isNew: false });
  });

  it('inspect, history and ls show its layers with parents and sizes', async () => {
    const detail = await json('inspect', name);
    expect(detail).toMatchObject({ digest: image.digest, tags: [name], config: { Cmd: ['/bin/true'] } });
    const ids = image.layers.map(({ diffId }) => diffId);
    expect(detail.layers.map(({ diffId, parent }: { diffId: string; parent: string }) => [diffId, parent])).toEqual(
      ids.map((id, at) => [id, ids[at - 1] ?? null]),
    );
    expect((await run('inspect', image.digest.slice(7, 19))).stdout).toContain(ids[2]!.slice(7, 19));
    const { stdout } = await run('history', name);
    expect(stdout).toMatch(new RegExp(`${ids[2]!.slice(7, 19)} +${ids[1]!.slice(7, 19)} +\\d+ B +step 3`));
    expect((await run('ls')).stdout).toContain(name);
  });

  it('tag and push give the registry the same digest', async () => {
    const copy = `${registry.host}/copy/app:v2`;
    await run('tag', name, copy);
    await run('push', copy);
    expect((await inspectThere(copy)).Digest).toBe(image.digest);
    await run('push', name, `${registry.host}/third/app:v3`);
    expect((await inspectThere(`${registry.host}/third/app:v3`)).Digest).toBe(image.digest);
  });

  it('push of a base image gives skopeo what it runs', async () => {
    const there = `${registry.host}/base/node:24`;
    await run('push', 'node24', there);
    const { Digest, Layers } = await inspectThere(there);
    const detail = await json('inspect', 'node24');
    expect(Digest).toBe(detail.digest);
    expect(Layers).toEqual(detail.layers.map(({ blob }: { blob: string }) => blob));
  });

  it('save and load bring it through a file, and stdout and stdin, with its digest', async () => {
    const file = join(dir, 'app.tar');
    await run('save', name, '-o', file);
    expect(statSync(file).size).toBeGreaterThan(1000);
    const seen = JSON.parse(await skopeo('inspect', '--raw', `oci-archive:${file}`));
    expect(seen).toEqual(JSON.parse(image.manifest.toString()));
    await run('rm', image.digest);
    const [loaded] = await json('load', '-i', file);
    expect(loaded).toMatchObject({ digest: image.digest });
    expect(loaded.tags).toContain(name);
    const docker = join(dir, 'docker.tar');
    await run('save', name, '-o', docker, '--format', 'docker-archive');
    expect(JSON.parse(await skopeo('inspect', `docker-archive:${docker}`)).Layers).toHaveLength(3);
  });

  it('rm takes a name, and the layers with the last one; the names of the platform stay', async () => {
    const before = await json('df');
    const mine = `${registry.host}/own/app:v1`;
    const own = makeImage([{ own: dir }]);
    await skopeo('copy', '--dest-tls-verify=false', writeLayout(join(dir, 'own'), own), `docker://${mine}`);
    await run('pull', mine);
    expect((await json('df')).layers).toBe(before.layers + 1);
    expect(await json('rm', mine)).toMatchObject({ untagged: [mine], removed: own.digest, layers: 1 });
    expect((await json('df')).layers).toBe(before.layers);
    const { status, stderr } = await wafer.wafer(['image', 'rm', 'node24']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('a name that the platform gives')]);
    expect((await run('df')).stdout).toMatch(/unpacked +about/);
  });

  it('login keeps a password that the registry takes, and logout forgets it', async () => {
    const there = `${locked.host}/team/app:v1`;
    const refused = await wafer.wafer(['image', 'push', name, there]);
    expect([refused.status, refused.stderr]).toEqual([3, expect.stringMatching(/401[\s\S]*fix: .*login/)]);
    const login = (input: string) =>
      wafer.wafer(['image', 'login', locked.host, '-u', 'ada', '--password-stdin'], { input });
    expect((await login('wrong\n')).status).toBe(3);
    expect((await login('pass word\n')).status).toBe(0);
    await run('push', name, there);
    expect((await inspectThere(there, '--creds=ada:pass word')).Digest).toBe(image.digest);
    await run('logout', locked.host);
    expect((await wafer.wafer(['image', 'pull', there])).status).toBe(3);
  });

  it('refuses what a layer may not have, says why, and leaves nothing', async () => {
    const tar = join(dir, 'device.tar');
    execFileSync('python3', [
      '-c',
      'import sys, tarfile\nt = tarfile.open(sys.argv[1], "w")\ni = tarfile.TarInfo("etc/x")\ni.type = tarfile.CHRTYPE\nt.addfile(i)\nt.close()',
      tar,
    ]);
    const bad = makeImage([{ x: 'y' }], {
      pack: () => readFileSync(tar),
      layerType: 'application/vnd.oci.image.layer.v1.tar',
    });
    const config = JSON.parse(bad.config.toString());
    config.rootfs.diff_ids = [bad.layers[0]!.digest];
    const hostile = makeImage([{ x: 'y' }], {
      pack: () => readFileSync(tar),
      layerType: 'application/vnd.oci.image.layer.v1.tar',
      config: () => config,
    });
    const there = `${registry.host}/bad/app:v1`;
    await skopeo('copy', '--dest-tls-verify=false', writeLayout(join(dir, 'bad'), hostile), `docker://${there}`);
    const before = await json('df');
    const { status, stderr } = await wafer.wafer(['image', 'pull', there]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/can not be unpacked.*etc\/x/)]);
    expect((await json('df')).blobsBytes).toBe(before.blobsBytes);
    await run('pull', name);
  });
});

describe('a root file system', () => {
  it('goes out as one tar and comes back as an image of one layer, which the tree and df know', async () => {
    await run('pull', name);
    const path = join(dir, 'root.tar');
    await run('export', name, '-o', path);
    expect(execFileSync('tar', ['-tf', path]).toString().split('\n').filter(Boolean)).toEqual(['etc/', 'etc/two.txt']);
    const flat = await json('import', path, 'flat:1', '-m', 'from tape', '-c', 'CMD ["/bin/true"]', '-c', 'ENV A=b');
    expect(flat).toMatchObject({ tags: ['flat:1'], config: { Cmd: ['/bin/true'], Env: ['A=b'] }, layers: [{}] });
    expect((await run('history', 'flat:1')).stdout).toContain('wafer image import');
    const tree = (await run('tree')).stdout;
    for (const shown of ['flat:1', 'debian12', 'node24', name]) expect(tree).toContain(shown);
    expect((await run('tree', 'node24')).stdout).not.toContain('flat:1');
    expect((await run('df')).stdout).toContain('build cache');
    writeFileSync(join(dir, 'hostile.tar'), '<!doctype html>'.repeat(100));
    expect(await wafer.wafer(['image', 'import', join(dir, 'hostile.tar')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('does not begin like a tar'),
    });
  });

  it('is found in its registry, and what is not offered is said', async () => {
    expect((await run('search', 'app', '--registry', registry.host)).stdout).toContain(`${registry.host}/team/app`);
    expect(await wafer.wafer(['image', 'search', 'app'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('WAFER_DEFAULT_REGISTRY'),
    });
  });
});

describe('the build cache', () => {
  it('is pruned by its name, and the next build runs its steps again', async () => {
    const context = join(dir, 'context');
    mkdirSync(context, { recursive: true });
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY f /f\n');
    writeFileSync(join(context, 'f'), `f ${dir}`);
    const build = async () => JSON.parse((await wafer.wafer(['build', context, '-t', 'pruned:1', '--json'])).stdout);
    await build();
    expect(await build()).toMatchObject({ stepsRun: 0 });
    expect((await json('prune', '--build-cache')).untagged).toEqual(
      expect.arrayContaining([expect.stringMatching(/^build-cache\//)]),
    );
    expect(await build()).toMatchObject({ stepsRun: 1 });
    await run('rm', 'pruned:1');
  });
});
