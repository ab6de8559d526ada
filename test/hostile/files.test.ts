/** What a function does to files, links, descriptors and privilege bits; and what the host's layers are afterwards. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leastRoomTaken } from '../helpers/leaks.ts';
import { TEST_DATA } from '../helpers/test-data.ts';
import { type Lab, openLab } from './lab.ts';

const REFUSED = /^(ENOENT|EACCES|EPERM|EROFS|ENOTDIR|ENXIO|null)$/;

let lab: Lab;
let answers: Record<string, string[]>;
let hashBefore: string;
beforeAll(async () => {
  lab = await openLab('files');
  hashBefore = await hashOfEnv();
  answers = await lab.answers(['files', 'look'], { control: true });
});
afterAll(() => lab?.close());

/** Through the page cache, as another sandbox would see it. */
async function hashOfEnv(): Promise<string> {
  for (const layer of lab.test.base('debian12').layers) {
    const content = await readFile(join(TEST_DATA, 'store/layers', layer, 'usr/bin/env')).catch(() => null);
    if (content !== null) return createHash('sha256').update(content).digest('hex');
  }
  throw new Error('no layer has /usr/bin/env');
}

describe('the files of the kernel and of pid 1', () => {
  const names = () => Object.keys(answers).filter((name) => /^\/(proc|sys|dev)\//.test(name));
  it('are absent, masked or refused', () => {
    expect(names().length).toBeGreaterThan(35);
    const open = names().filter((name) => !REFUSED.test(answers[name]?.join() ?? ''));
    expect(open).toEqual([]);
  });
  it('refuse to be written where they can be read', () => {
    const paths = [
      '/.wafer/node/build/main.cjs',
      '/function/files',
      '/etc/hosts',
      '/etc/resolv.conf',
      '/proc/self/exe',
    ];
    for (const path of paths) expect(answers[path]?.join(), path).toMatch(/^(EROFS|EACCES|ETXTBSY)$/);
    expect(answers['write-uid-map']).toEqual(['EPERM']);
    expect(answers['oom-score-lower']).toEqual(['EACCES']);
  });
  it('F40: show no descriptor but 0, 1, 2 and the control socket', () => {
    const open = Object.entries(answers).filter(([name]) => name.startsWith('fd-'));
    expect(Object.fromEntries(open)).toEqual({
      'fd-0': ['/dev/null'],
      'fd-1': ['pipe'],
      'fd-2': ['pipe'],
      'fd-3': ['socket'],
    });
  });
});

describe('every mount', () => {
  it('is read-only but for the scratch ones, and gives neither privilege nor devices', async () => {
    const { out } = await lab.run([], { argv: ['cat', '/proc/self/mountinfo'] });
    const mounts = out
      .trim()
      .split('\n')
      .map((line) => {
        const [, , , , point = '', flags = ''] = line.split(' ');
        return { point, flags: flags.split(',') };
      });
    const points = (flag: string) => mounts.filter(({ flags }) => flags.includes(flag)).map(({ point }) => point);
    const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);
    const without = (flag: string) => mounts.map(({ point }) => point).filter((point) => !points(flag).includes(point));
    // The masks of /proc are /dev/null itself or the empty directory.
    const notMask = (point: string) => !/^\/proc\/(?!sys$)./.test(point);
    expect(without('nosuid').filter(notMask)).toEqual([]);
    expect(without('nodev').filter(notMask).sort()).toEqual(['/dev/pts', ...devices].sort());
    expect(points('rw').filter(notMask).sort()).toEqual(['/dev/pts', '/dev/shm', '/proc', '/tmp', ...devices].sort());
    for (const point of ['/dev', '/dev/pts', '/proc', ...devices]) expect(points('noexec')).toContain(point);
  });
});

describe('the directories of /proc that speak of the machine, and the scratch file systems', () => {
  it('are empty, or not there', async () => {
    const { out } = await lab.run([], {
      argv: ['sh', '-c', 'cd /proc; ls -A acpi bus driver fs irq scsi 2>/dev/null'],
    });
    expect(out.split('\n').filter((line) => line !== '' && !line.endsWith(':'))).toEqual([]);
  });
  it('have a size and a number of files', async () => {
    const { out } = await lab.run([], { argv: ['stat', '-f', '-c', '%n %c %b %S', '/tmp', '/dev/shm'] });
    const sizes = out
      .trim()
      .split('\n')
      .map((line) => {
        const [point, files, blocks, size] = line.split(' ');
        return [point, Number(files), Number(blocks) * Number(size)];
      });
    expect(sizes).toEqual([
      ['/tmp', 65_536, 8 << 20],
      ['/dev/shm', 4096, 64 << 20],
    ]);
  });
});

describe('a file of a shared layer', () => {
  it('can not be linked, renamed, removed, changed, hidden or mapped for writing', () => {
    const names = Object.keys(answers).filter((name) =>
      /-base-file$|^link-code|-to-(root|code)$|^whiteout-base/.test(name),
    );
    expect(names).toHaveLength(9);
    for (const name of names) expect(answers[name]?.join(), name).toMatch(/^(EROFS|EXDEV|EPERM|EACCES)$/);
    expect(answers['map-shared-write']).toEqual(['EACCES']);
    expect(answers['force-write-shared']).toEqual(['EIO']);
    expect(answers['chown-tmp']).toEqual(['EPERM']);
    expect(answers['tmpfile-root']).toEqual(['EROFS']);
  });
  it('has the same content after attempts on its pages in the cache', async () => {
    for (const name of ['copy-fail-alg', 'dirty-frag-xfrm', 'dirty-frag-rxrpc'])
      expect(answers[name], name).toEqual(['EPERM']);
    expect(answers['copy-fail-splice']).toEqual(['ENOSYS']);
    expect(await hashOfEnv()).toBe(hashBefore);
  });
  it('can not be hidden by a whiteout: not even in /tmp can one be made', () => {
    expect(answers['whiteout-tmp']).toEqual(['EPERM']);
  });
});

describe('privilege bits', () => {
  const plain = /^ids 1000:1000:1000:1000\ncaps 0+\n$/;
  it('of a layer are gone', async () => {
    expect((await lab.run(['files-setuid'])).out).toMatch(plain);
    const { out } = await lab.run([], { argv: ['stat', '-c', '%a', '/function/files-setuid'] });
    expect(out).toBe('755\n');
    const search = ['find', '/usr', '/function', '-xdev', '-perm', '/6000', '-type', 'f'];
    expect((await lab.run([], { argv: search, memoryBytes: 256 << 20 })).out).toBe('');
  });
  it('that a function sets itself raise nothing', async () => {
    expect((await lab.run(['files', 'setuid'])).out).toMatch(/^chmod-setuid ok\nids 1000:1000:1000:1000\ncaps 0+\n$/);
  });
  it.each([
    ['su', '-c', 'id'],
    ['newuidmap', '1', '0', '0', '1'],
    ['sudo', 'id'],
  ])('%s gives no other id', async (...argv) => {
    const { status, out } = await lab.run([], { argv: ['sh', '-c', `${argv.join(' ')} </dev/null`] });
    expect(status, out).not.toBe(0);
    expect(out).not.toContain('uid=0');
  });
});

describe('a file of 1 TiB', () => {
  it('takes no room of the host, and ends at the size of /tmp', async () => {
    const taken = await leastRoomTaken(async () => {
      const { out, reason } = await lab.run(['files', 'sparse'], { tmpBytes: 8 << 20 });
      expect(reason).toBe('exited');
      expect(out).toMatch(/^fallocate-1-TiB (ENOSPC|EFBIG)$/m);
      expect(out).toMatch(/^filled ENOSPC$/m);
      expect(Number(/^megabytes (\d+)$/m.exec(out)?.[1])).toBeLessThan(8);
    });
    expect(taken).toBeLessThan(64 << 20);
  });
});

describe('a program that dies', () => {
  it.each([
    ['segv', 11],
    ['sys', 31],
    ['abort', 6],
  ])('of %s tells its signal and leaves no core file', async (how, signal) => {
    const exit = await lab.run(['files', 'die', how]);
    expect(exit).toMatchObject({ signal, status: null, reason: 'exited' });
    expect(exit.out).toBe('raise-core-limit EPERM\n');
    const cores = (await readdir(process.cwd())).filter((name) => /^core(\.|$)/.test(name));
    expect(cores).toEqual([]);
    await expect(stat(join(TEST_DATA, 'work/core'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('two sandboxes', () => {
  it('share no /tmp, no /dev/shm and no abstract socket', async () => {
    const holder = 'echo mine > /tmp/secret; echo mine > /dev/shm/secret; echo ready; exec sleep 60';
    const first = await lab.start([], { argv: ['sh', '-c', holder] });
    await new Promise((ready) => first.onOutput(ready));
    const { out } = await lab.run([], {
      argv: ['sh', '-c', 'cat /tmp/secret /dev/shm/secret; ls /tmp /dev/shm; cat /proc/net/unix'],
    });
    expect(out).not.toContain('mine');
    expect(out.match(/No such file/g)).toHaveLength(2);
    expect(out).not.toMatch(/@|wafer/);
    await first.destroy();
  });
});

it('the next program runs and the host has what it had', async () => {
  expect(await lab.checkRest()).toEqual({ next: 'fine\n', host: lab.before });
});
