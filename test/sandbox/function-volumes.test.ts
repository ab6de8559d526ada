/** Volumes of functions over a real engine: shown at places that the sandbox was made with, also in layers, also changed while it runs. */
import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import tarStream from 'tar-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox, SandboxSpec, ShownVolume } from '../../runtime/sandbox/index.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';

let test: TestHost;
let next = 0;
const live: Sandbox[] = [];
const made = new Set<string>();
beforeAll(async () => {
  test = await openTestHost();
});
afterEach(async () => {
  await Promise.all(live.splice(0).map((one) => one.destroy()));
  for (const name of made) await test.host.removeVolume(name);
  made.clear();
});
afterAll(() => test.close());

const ENV = { PATH: '/usr/bin:/bin' };
const name = () => {
  const one = `_t${process.pid.toString(36)}${(next++).toString(36)}`;
  made.add(one);
  return one;
};

async function volume(): Promise<string> {
  const one = name();
  await test.host.volumes.makeVolume(one);
  return one;
}

async function start(spec: Partial<SandboxSpec> = {}, shown: ShownVolume[] = []): Promise<Sandbox> {
  const sandbox = await test.host.create({
    id: `fv${next++}`,
    profile: 'function',
    layers: test.base('debian12').layers,
    argv: ['sleep', '600'],
    env: ENV,
    memoryBytes: 256 << 20,
    pids: 64,
    tmpBytes: 32 << 20,
    points: ['/data'],
    ...spec,
  });
  live.push(sandbox);
  if (shown.length > 0) await sandbox.mount(shown);
  return sandbox;
}

/** All that a shell script says; it may fail. */
async function sh(sandbox: Sandbox, script: string): Promise<string> {
  let out = '';
  await sandbox.exec(['sh', '-c', `{ ${script}\n} 2>&1`], {
    env: ENV,
    onOutput(_stream, chunk) {
      out += chunk.toString();
    },
  });
  return out;
}

const rw = (one: string, point = 0): ShownVolume => ({ point, layers: [one], mode: 'rw' });
const ro = (...layers: string[]): ShownVolume => ({ point: 0, layers, mode: 'ro' });

describe('a volume of a function', () => {
  it('is written to at the path that was asked for, by the user of the function, and outlives the sandbox', async () => {
    const one = await volume();
    const first = await start({}, [rw(one)]);
    expect(await sh(first, 'echo kept > /data/f && mkdir /data/d && stat -L -c "%u:%g %a" /data /data/f')).toBe(
      '1000:1000 700\n1000:1000 600\n',
    );
    await first.destroy();
    expect(
      await sh(await start({}, [rw(one)]), 'cat /data/f; echo more >> /data/f; chmod 600 /data/f; cat /data/f'),
    ).toBe('kept\nkept\nmore\n');
  });

  it('is shared by sandboxes that have it at once', async () => {
    const one = await volume();
    const [a, b] = [await start({}, [rw(one)]), await start({}, [rw(one)])];
    await sh(a, 'echo a > /data/f');
    expect(await sh(b, 'echo b >> /data/f; cat /data/f')).toBe('a\nb\n');
    expect(await sh(a, 'cat /data/f')).toBe('a\nb\n');
  });

  it('is not there before it is shown, and its place can not be written to', async () => {
    const sandbox = await start();
    expect(await sh(sandbox, 'ls -A /data; echo x > /data/f')).toMatch(/Permission denied|Read-only/);
    const one = await volume();
    await sandbox.mount([rw(one)]);
    expect(await sh(sandbox, 'echo x > /data/f && cat /data/f')).toBe('x\n');
  });

  it('can be read and not written to with mode ro', async () => {
    const one = await volume();
    await sh(await start({}, [rw(one)]), 'echo x > /data/f');
    const reader = await start({}, [ro(one)]);
    expect(await sh(reader, 'cat /data/f; echo y > /data/f')).toMatch(/^x\n.*Read-only/s);
    expect(await sh(reader, 'rm /data/f; mkdir /data/d')).toMatch(/Read-only[\s\S]*Read-only/);
  });

  it('has no set-id programs and no devices', async () => {
    const sandbox = await start({}, [rw(await volume())]);
    expect(await sh(sandbox, 'grep " /.volumes/0 " /proc/self/mountinfo')).toMatch(/rw,nosuid,nodev/);
    expect(await sh(sandbox, 'mknod /data/null c 1 3')).toMatch(/not permitted|denied/);
  });

  it('shows no path of the host where it is a state in layers', async () => {
    const one = await volume();
    const upper = name();
    await test.host.volumes.makeUpper(upper, one);
    const sandbox = await start({ points: ['/data', '/var/lib/x'] }, [
      { point: 0, layers: [one], mode: { upper } },
      { ...ro(await volume(), one), point: 1 },
    ]);
    expect(await sh(sandbox, 'cat /proc/self/mountinfo')).not.toContain(test.volumesDir);
  });

  it('can be at several paths, also below directories of the image', async () => {
    const [a, b] = [await volume(), await volume()];
    const sandbox = await start({ points: ['/data', '/var/lib/app'] }, [rw(a), rw(b, 1)]);
    expect(
      await sh(sandbox, 'echo a > /data/f; echo b > /var/lib/app/f; cat /data/f /var/lib/app/f; ls /var/lib | wc -l'),
    ).toMatch(/^a\nb\n[1-9]/);
  });

  it('belongs to nobody else: a function without volumes has another user, and its own limits on writing', async () => {
    const one = await volume();
    const mounter = await start({}, [rw(one)]);
    const other = await test.host.create({
      id: `fv${next++}`,
      profile: 'function',
      layers: test.base('debian12').layers,
      argv: ['sleep', '600'],
      env: ENV,
    });
    live.push(other);
    expect(other.hostUid).not.toBe(mounter.hostUid);
    expect((await start()).hostUid).toBe(mounter.hostUid);
    await expect(other.mount([rw(one)])).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('a transaction', () => {
  /** An upper over the state, as the worker makes it. */
  async function upperOver(top: string): Promise<string> {
    const upper = name();
    await test.host.volumes.makeUpper(upper, top);
    return upper;
  }

  it('shows the state below it, and leaves that alone', async () => {
    const base = await volume();
    await sh(await start({}, [rw(base)]), 'echo old > /data/f; echo gone > /data/g; mkdir /data/d; echo 1 > /data/d/x');
    const upper = await upperOver(base);
    const writer = await start({}, [{ point: 0, layers: [base], mode: { upper } }]);
    const script =
      'cat /data/f; echo new > /data/f; rm /data/g; rm -r /data/d; mkdir /data/d; echo 2 > /data/d/y; ls /data /data/d';
    expect(await sh(writer, script)).toBe('old\n/data:\nd\nf\n\n/data/d:\ny\n');
    expect(await sh(await start({}, [ro(base)]), 'cat /data/f /data/g; ls /data/d')).toBe('old\ngone\nx\n');
  });

  it('becomes a layer of the state when it is sealed, with what it took away', async () => {
    const base = await volume();
    await sh(await start({}, [rw(base)]), 'echo old > /data/f; echo gone > /data/g; mkdir /data/d; echo 1 > /data/d/x');
    const upper = await upperOver(base);
    const writer = await start({}, [{ point: 0, layers: [base], mode: { upper } }]);
    await sh(writer, 'echo new > /data/f; rm /data/g; rm -r /data/d; mkdir /data/d; echo 2 > /data/d/y');
    await writer.destroy();
    const layer = name();
    expect(await test.host.volumes.sealUpper(upper, layer)).toMatchObject({ entries: 4 });
    expect(await sh(await start({}, [ro(base, layer)]), 'cat /data/f; ls /data /data/d')).toBe(
      'new\n/data:\nd\nf\n\n/data/d:\ny\n',
    );
  });

  it('is nothing when nothing was written', async () => {
    const base = await volume();
    const upper = await upperOver(base);
    const writer = await start({}, [{ point: 0, layers: [base], mode: { upper } }]);
    await sh(writer, 'ls /data');
    await writer.destroy();
    const layer = name();
    expect(await test.host.volumes.sealUpper(upper, layer)).toBeNull();
    expect(await readdir(test.volumesDir)).not.toContain(layer);
  });

  it('is seen by a running reader when the new state is shown to it, and what it has open stays as it was', async () => {
    const [base, layer] = [await volume(), await volume()];
    await sh(await start({}, [rw(base)]), 'echo old > /data/f');
    await sh(await start({}, [rw(layer)]), 'echo new > /data/f');
    const reader = await start({}, [ro(base)]);
    const held = sh(
      reader,
      'exec 5< /data/f; touch /tmp/open; while [ ! -e /tmp/go ]; do sleep 0.05; done; cat <&5; cat /data/f',
    );
    await sh(reader, 'while [ ! -e /tmp/open ]; do sleep 0.05; done');
    await reader.mount([ro(base, layer)]);
    await sh(reader, 'touch /tmp/go');
    expect(await held).toBe('old\nnew\n');
  });

  it('can be put together with those below it: links for files, and the same to see', async () => {
    const [base, layer] = [await volume(), await volume()];
    await sh(
      await start({}, [rw(base)]),
      'mkdir -p /data/a/b; echo 1 > /data/a/b/f; ln -s f /data/a/b/s; echo 2 > /data/g; chmod 751 /data/a',
    );
    const upper = await upperOver(base);
    const writer = await start({}, [{ point: 0, layers: [base], mode: { upper } }]);
    await sh(writer, 'rm /data/g; echo 3 > /data/a/h; mkdir /data/g; echo 4 > /data/g/in; chmod 711 /data');
    await writer.destroy();
    await test.host.removeVolume(layer);
    await test.host.volumes.sealUpper(upper, layer);
    const whole = name();
    await test.host.volumes.copyVolume([base, layer], whole, { links: true });
    const look = 'cd /data && find . -printf "%p %y %m %u\\n" | sort && cat a/b/f a/h g/in && readlink a/b/s';
    const [one, two] = [await start({}, [ro(base, layer)]), await start({}, [ro(whole)])];
    expect(await sh(two, look)).toBe(await sh(one, look));
  });
});

describe('the files of a volume', () => {
  it('are listed and read without leaving it, whatever links are there', async () => {
    const one = await volume();
    const sandbox = await start({}, [rw(one)]);
    await sh(
      sandbox,
      'cd /data; echo hello > f; mkdir d; echo in > d/g; ln -s f s; ln -s /etc/passwd p; ln -s ../../../../../etc e; ln -s /proc/1/root r',
    );
    const { listVolume, readVolumePart } = test.host.volumes;
    const names = (await listVolume([one], '/')).map(({ name: file, type }) => `${file} ${type}`).sort();
    expect(names).toEqual(['. dir', 'd dir', 'e link', 'f file', 'p link', 'r link', 's link']);
    expect(await listVolume([one], '/s')).toMatchObject([{ name: '.', type: 'file', size: 6 }]);
    for (const path of ['/p', '/e/passwd', '/r/etc/passwd', '/../../../etc/passwd', '/nothing'])
      await expect(listVolume([one], path)).rejects.toBeInstanceOf(Error);
    expect(await text(await readVolumePart([one], '/s', { offset: 1, length: 3 }))).toBe('ell');
    await expect(readVolumePart([one], '/p', { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'not_found' });
    await expect(readVolumePart([one], '/d', { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are read and copied without leaving it while a function swaps a directory and a link all the time', async () => {
    const one = await volume();
    const sandbox = await start({}, [rw(one)]);
    const swap =
      'cd /data; mkdir real; echo mine > real/passwd; ln -s /etc link; ln -s real d; touch ready; while :; do ln -sfn /etc d; ln -sfn real d; mv real x; mv link real; mv real link; mv x real; done';
    const swapping = sh(sandbox, swap).catch(() => '');
    await sh(sandbox, 'while [ ! -e /data/ready ]; do sleep 0.05; done');
    const copy = name();
    for (let round = 0; round < 30; round++) {
      const tar = await test.host.volumes.readVolume([one], '/').then(text, () => '');
      const part = await test.host.volumes
        .readVolumePart([one], '/d/passwd', { offset: 0, length: 4 })
        .then(text, () => '');
      const listed = await test.host.volumes.listVolume([one], '/d').catch(() => []);
      expect(tar).not.toContain('root:x:');
      expect(['', 'mine']).toContain(part);
      expect(listed.map((file) => file.name)).not.toContain('shadow');
      await test.host.volumes.copyVolume([one], copy).catch(() => {});
      expect((await test.host.volumes.listVolume([copy], '/').catch(() => [])).length).toBeLessThan(8);
      await test.host.removeVolume(copy);
    }
    await sandbox.destroy();
    await swapping;
  }, 300_000);

  it('of several layers are what a function sees of them', async () => {
    const [base, layer] = [await volume(), await volume()];
    await sh(await start({}, [rw(base)]), 'echo old > /data/f; echo stays > /data/g');
    await sh(await start({}, [rw(layer)]), 'echo new > /data/f');
    const files = await test.host.volumes.listVolume([base, layer], '/');
    expect(files.map(({ name: file }) => file).sort()).toEqual(['.', 'f', 'g']);
    expect(await text(await test.host.volumes.readVolumePart([base, layer], '/f', { offset: 0, length: 4 }))).toBe(
      'new\n',
    );
  });

  it('come and go as tars, and belong to the function then', async () => {
    const [one, two] = [await volume(), await volume()];
    await sh(await start({}, [rw(one)]), 'mkdir /data/d; echo x > /data/d/f; chmod 640 /data/d/f');
    const pack = tarStream.pack();
    pack.entry({ name: 'from-root', uid: 0, gid: 0, mode: 0o644 }, 'y');
    pack.finalize();
    await test.host.volumes.writeVolume([two], '/', Readable.from(pack));
    await test.host.volumes.writeVolume([two], '/', await test.host.volumes.readVolume([one], '/'));
    const sandbox = await start({}, [rw(two)]);
    expect(
      await sh(sandbox, 'cd /data; stat -c "%n %u %a" from-root d d/f; cat d/f; echo z >> from-root && echo written'),
    ).toBe('from-root 1000 644\nd 1000 700\nd/f 1000 640\nx\nwritten\n');
  });

  it('of an archive can not lead out of the volume', async () => {
    const one = await volume();
    const pack = tarStream.pack();
    pack.entry({ name: 'out', type: 'symlink', linkname: '/etc' });
    pack.entry({ name: 'out/planted' }, 'x');
    pack.entry({ name: '../up' }, 'x');
    pack.finalize();
    await expect(test.host.volumes.writeVolume([one], '/', Readable.from(pack))).rejects.toBeInstanceOf(Error);
    expect(await readdir(test.volumesDir)).not.toContain('up');
  });
});

describe('places for volumes', () => {
  it.each([['/tmp/x'], ['/proc/x'], ['/function'], ['/.wafer'], ['/bin'], ['/a/../etc'], ['/'], ['data'], ['/a//b']])(
    'are not at %s',
    async (point) => {
      await expect(start({ points: [point] })).rejects.toMatchObject({ code: 'bad_request' });
    },
  );

  it('do not lie in one another, and there are at most eight', async () => {
    await expect(start({ points: ['/data', '/data/x'] })).rejects.toMatchObject({ code: 'bad_request' });
    const nine = Array.from({ length: 9 }, (_, at) => `/v${at}`);
    await expect(start({ points: nine })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(start({ points: nine.slice(0, 8) })).resolves.toBeDefined();
  });

  it('can be shown nothing that is no volume', async () => {
    const sandbox = await start();
    for (const bad of ['../etc', '.', 'no-such'])
      await expect(sandbox.mount([{ point: 0, layers: [bad], mode: 'rw' }])).rejects.toBeInstanceOf(Error);
    await expect(sandbox.mount([rw(await volume(), 1)])).rejects.toMatchObject({ code: 'bad_request' });
    await expect(
      sandbox.mount([{ point: 0, layers: [await volume(), await volume()], mode: 'rw' }]),
    ).rejects.toMatchObject({
      code: 'bad_request',
    });
  });
});
