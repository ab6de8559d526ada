/** `/v2/` of the whole platform: real clients, the engine's jail, real deploys. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, skopeo } from '../helpers/docker-registry.ts';
import { makeImage, sha256, writeLayout } from '../helpers/oci-layout.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { rawTar } from '../helpers/raw-tar.ts';

let dir: string;
let wafer: TestPlatform;
let host: string;
/** Numbers of versions are never given again, so the names are new in every run. */
const [hello, moved, old] = ['hello', 'moved', 'old'].map((name) => `${name}-${Date.now()}`) as [
  string,
  string,
  string,
];
const IN: string[] = ['--dest-tls-verify=false'];
const OUT: string[] = ['--src-tls-verify=false'];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-v2-e2e-'));
  const port = await freePort();
  host = `127.0.0.1:${port}`;
  wafer = await startTestPlatform({ WAFER_PORT: String(port), WAFER_INSECURE_REGISTRIES: host });
  IN.push(`--dest-creds=any:${wafer.key}`);
  OUT.push(`--src-creds=any:${wafer.key}`);
});

afterAll(async () => {
  for (const name of [hello, moved, old]) await wafer?.remove(name);
  await wafer?.wafer(['image', 'logout', host]);
  await wafer?.wafer(['image', 'prune', '--all']);
  await wafer?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const at = (name: string) => `docker://${host}/${name}`;
const inspect = async (name: string) =>
  JSON.parse(await skopeo('inspect', '--tls-verify=false', `--creds=any:${wafer.key}`, at(name)));
const run = async (...args: string[]) => {
  const { status, stdout, stderr } = await wafer.wafer(args);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return stdout;
};
const handler = (text: string) => ({
  'index.mjs': `export const handler = () => ({ says: ${JSON.stringify(text)} });`,
});

describe('an image', () => {
  it('that skopeo pushes is listed, is pushed and pulled by the CLI, and goes with rm', async () => {
    const image = makeImage([{ 'etc/': null, 'etc/one.txt': `one ${dir}` }, { 'etc/.wh.one.txt': '' }]);
    await skopeo('copy', ...IN, writeLayout(join(dir, 'layout'), image), at('team/app:v1'));
    expect(await run('image', 'ls')).toContain('team/app:v1');
    expect(JSON.parse(await run('image', 'inspect', 'team/app:v1', '--json'))).toMatchObject({ digest: image.digest });

    const input = `${wafer.key}\n`;
    const login = await wafer.wafer(['image', 'login', host, '-u', 'me', '--password-stdin'], { input });
    expect(login.status).toBe(0);
    await run('image', 'push', 'team/app:v1', `${host}/second/app:v2`);
    expect((await inspect('second/app:v2')).Digest).toBe(image.digest);
    await run('image', 'rm', 'team/app:v1');
    await run('image', 'pull', `${host}/second/app:v2`);
    expect(await run('image', 'ls')).toContain(`${host}/second/app:v2`);
    await run('image', 'rm', `${host}/second/app:v2`);
    await run('image', 'rm', 'second/app:v2');
    const gone = await wafer.fetch(`/v2/second/app/manifests/${image.digest}`);
    expect(gone.status).toBe(404);
  });

  it('that was built here can be read by its name, as can base images', async () => {
    const folder = join(dir, 'build');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(folder);
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY note.txt /\nCMD ["/note.txt"]\n');
    writeFileSync(join(folder, 'note.txt'), `note ${dir}`);
    await run('build', '-t', 'built-here', folder);
    const out = join(dir, 'out');
    await skopeo('copy', ...OUT, at('built-here:latest'), `oci:${out}:x`);
    const { Digest } = await inspect('built-here');
    expect(Digest).toBe(JSON.parse(await run('image', 'inspect', 'built-here', '--json')).digest);
    const base = JSON.parse(await run('image', 'inspect', 'node24', '--json'));
    expect((await inspect('node24')).Digest).toBe(base.digest);
    await run('image', 'rm', 'built-here');
  });

  it('with an entry that leads out of its layer is refused by the jail, and nothing of it stays', async () => {
    const before = JSON.parse(await run('image', 'df', '--json'));
    for (const entry of [
      { name: '../../../escaped.txt', body: 'out' },
      { name: 'etc/x', type: '3' },
    ]) {
      const tar = rawTar([entry]);
      const image = makeImage([{ a: dir }], {
        pack: () => tar,
        config: (config) => ({ ...config, rootfs: { type: 'layers', diff_ids: [sha256(tar)] } }),
        layerType: 'application/vnd.oci.image.layer.v1.tar',
      });
      const source = writeLayout(mkdtempSync(join(dir, 'bad-')), image);
      await expect(skopeo('copy', ...IN, source, at('bad:v1'))).rejects.toThrow(/manifest|invalid/i);
    }
    expect((await wafer.fetch('/v2/bad/manifests/v1')).status).toBe(404);
    expect(JSON.parse(await run('image', 'df', '--json')).layers).toBe(before.layers);
  });
});

describe('a function', () => {
  it('is copied out as an image, and is the same function where it is pushed', async () => {
    await wafer.deploy(hello, handler('one'));
    await wafer.deploy(hello, handler('two'));
    const { Digest, RepoTags } = await inspect(`functions/${hello}`);
    expect([...RepoTags].sort()).toEqual(['1', '2', 'latest', 'live']);
    const versions = (await (await wafer.fetch(`/v1/functions/${hello}/versions`)).json()) as {
      versions: { number: number; image: string }[];
    };
    expect(versions.versions.find(({ number }) => number === 2)?.image).toBe(Digest);

    const archive = `oci:${join(dir, 'functions')}:one`;
    await skopeo('copy', ...OUT, at(`functions/${hello}:1`), archive);
    await wafer.remove(hello);
    await skopeo('copy', ...IN, archive, at(`functions/${moved}:live`));
    expect((await wafer.invoke(moved)).body).toEqual({ says: 'one' });
    const first = JSON.parse(readFileSync(join(dir, 'functions/index.json'), 'utf8')).manifests[0].digest;
    expect((await inspect(`functions/${moved}:1`)).Digest).toBe(first);
    // From one name to another, without a way round: its blobs are mounted.
    await wafer.deploy(old, handler('three'));
    await skopeo('copy', ...OUT, ...IN, at(`functions/${old}:live`), at(`functions/${moved}:live`));
    expect((await wafer.invoke(moved)).body).toEqual({ says: 'three' });
    expect((await inspect(`functions/${moved}`)).RepoTags).toContain('2');
  });

  it('goes on serving when the image that is pushed can not be one', async () => {
    await wafer.deploy(old, handler('still here'));
    const image = makeImage([{ x: dir }], {
      config: (config) => ({ ...config, config: { Labels: { 'dev.wafer.config': '{"timeoutMs":"soon"}' } } }),
    });
    const source = writeLayout(join(dir, 'broken'), image);
    await expect(skopeo('copy', ...IN, source, at(`functions/${old}:live`))).rejects.toThrow(/not deployed|timeoutMs/);
    expect((await wafer.invoke(old)).body).toEqual({ says: 'still here' });
    const blobs = await wafer.fetch(`/v2/functions/${old}/blobs/${image.layers[0]?.digest}`);
    expect(blobs.status).toBe(404);
    await expect(
      skopeo('delete', '--tls-verify=false', `--creds=any:${wafer.key}`, at(`functions/${old}:live`)),
    ).rejects.toThrow();
  });
});
