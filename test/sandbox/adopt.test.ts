/** What a build step wrote, adopted as a layer or packed and unpacked again: both are the same file system. */
import { PassThrough, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxSpec } from '../../runtime/sandbox/index.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';

let test: TestHost;
let next = 0;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());

const LAYERS = ['adopted-test', 'unpacked-test', 'ground-test'];

async function run(script: string, spec: Partial<SandboxSpec>): Promise<string> {
  const sandbox = await test.host.create({
    id: `adopt${next++}`,
    profile: 'build',
    layers: test.base('debian12').layers,
    argv: ['bash', '-ec', script],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    ...spec,
  });
  const said = { stdout: '', stderr: '' };
  sandbox.onOutput((stream, chunk) => {
    said[stream] += chunk.toString();
  });
  const exit = await sandbox.exited;
  if (exit.status !== 0) throw new Error(`${script.slice(0, 80)}: ${JSON.stringify(exit)} ${said.stderr}`);
  return said.stdout;
}

/** Runs it over the layers; what it wrote is left in the upper. */
async function write(script: string, upper: string, over: string[] = []): Promise<Readable> {
  await run(script, { upper, layers: [...test.base('debian12').layers, ...over] });
  return test.host.pack(upper);
}

const LIST = `
find /t /usr/share/doc -printf '%p|%y|%m|%U:%G|%l|%n|%Ts\\n' | sort
find /t -type f -print0 | sort -z | xargs -0 -r sha256sum
[ ! -e /usr/share/info ] && [ ! -e /etc/motd ] && echo info is gone`;

const GROUND = `
mkdir -p /t/gone /t/opaque/deep /t/kept /t/to-file/x
echo 1 > /t/gone/a; echo 2 > /t/opaque/old; echo 3 > /t/opaque/deep/old; echo 4 > /t/kept/a; echo 5 > /t/changed
echo 6 > /t/to-dir`;

const CHANGES = `
rm -rf /t/gone /usr/share/info; rm /etc/motd
rm -rf /t/opaque; mkdir /t/opaque; echo new > /t/opaque/new
rm -rf /t/to-file; echo file > /t/to-file; rm /t/to-dir; mkdir -m 2750 /t/to-dir
echo more >> /t/changed; touch -d @1000000000 /t/changed
mkdir -m 1777 /t/add; echo one > /t/add/one; ln /t/add/one /t/add/two; ln -s ../kept /t/add/link
chown 1000:8 /t/add/one; chmod 6755 /t/kept/a; truncate -s 3000000 /t/add/sparse; printf x >> /t/add/sparse
find /t -exec touch -hd @1000000001 {} +`;

describe('a layer that was adopted', () => {
  it('shows the same files as the one that its tar is unpacked to, and is made without the tar', async () => {
    for (const layer of LAYERS) await test.host.removeLayer(layer);
    await test.host.unpack('ground-test', await write(GROUND, 'build-adopt-ground'));
    const tar = await buffer(await write(CHANGES, 'build-adopt', ['ground-test']));
    const whole = new PassThrough();
    whole.end(tar);
    await test.host.unpack('unpacked-test', whole);

    expect(await test.host.adopt('build-adopt', 'adopted-test')).toBe(true);
    await expect(test.host.pack('build-adopt').then(buffer)).rejects.toThrow(/build-adopt|pack/);

    const seen = (layer: string) => run(LIST, { layers: [...test.base('debian12').layers, 'ground-test', layer] });
    const adopted = await seen('adopted-test');
    expect(adopted).toBe(await seen('unpacked-test'));
    expect(adopted).toContain('info is gone');
    expect(adopted).not.toMatch(/\/t\/gone|\/t\/opaque\/(old|deep)/);
    for (const layer of LAYERS) await test.host.removeLayer(layer);
    for (const upper of ['build-adopt', 'build-adopt-ground']) await test.host.removeWork(upper);
  });

  it('belongs to the layer owner with mode 755, whatever the step did to its root', async () => {
    await test.host.removeLayer('adopted-test');
    await (await write('chown 1000:1000 /; chmod 700 /', 'build-adopt-root')).resume().toArray();
    await test.host.adopt('build-adopt-root', 'adopted-test');
    const layers = [...test.base('debian12').layers, 'adopted-test'];
    expect(await run("stat -c '%a %u:%g' /", { layers })).toBe('755 0:0\n');
    await test.host.removeLayer('adopted-test');
    await test.host.removeWork('build-adopt-root');
  });

  it('is refused for an upper that is not there, a name that is taken, and a name that is a path', async () => {
    await expect(test.host.adopt('build-nobody', 'adopted-test')).rejects.toMatchObject({ code: 'adopt_failed' });
    await expect(test.host.adopt('../work', 'adopted-test')).rejects.toMatchObject({ code: 'bad_request' });
    const [taken = ''] = test.base('debian12').layers;
    await (await write('touch /x', 'build-adopt-taken')).resume().toArray();
    await expect(test.host.adopt('build-adopt-taken', taken)).rejects.toThrow(/exists/);
    await test.host.removeWork('build-adopt-taken');
  });

  it('is known to be more than its tar when a step leaves a socket', async () => {
    const counts: number[] = [];
    const bind = 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("/socket")) or die $!';
    await run(`perl -e '${bind}'; test -S /socket`, { upper: 'build-adopt-socket' });
    const tar = await test.host.pack('build-adopt-socket', { onLeftOut: (count) => counts.push(count) });
    await tar.resume().toArray();
    expect(counts).toEqual([1]);
    await test.host.removeWork('build-adopt-socket');
  });
});
