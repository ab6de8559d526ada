/** Files of live containers: out as a tar, in from a tar, and never anything of the host. */
import { PassThrough, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import tar from 'tar-stream';
import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../../runtime/sandbox/index.ts';
import { containerLab } from './container-lab.ts';

const lab = containerLab('files');

interface Entry {
  type: string | null | undefined;
  mode: number;
  uid: number;
  link: string | null | undefined;
  content: string;
}

async function entriesOf(stream: Readable): Promise<Record<string, Entry>> {
  const entries: Record<string, Entry> = {};
  for await (const entry of stream.pipe(tar.extract())) {
    const { name, type, mode = 0, uid = -1, linkname } = entry.header;
    entries[name] = { type, mode, uid, link: linkname, content: await text(entry) };
  }
  return entries;
}

const read = async (sandbox: Sandbox, path: string) => entriesOf(await sandbox.readFiles(path));

function archive(...entries: [Partial<tar.Header> & { name: string }, string?][]): Readable {
  const pack = tar.pack();
  for (const [header, content] of entries) pack.entry(header, content ?? '');
  pack.finalize();
  return pack.pipe(new PassThrough());
}

describe('readFiles', () => {
  it('gives a directory under its last name, with owners, modes and links, and a single file', async () => {
    const sandbox = await lab.create();
    const script =
      'mkdir -p /srv/site/sub && cd /srv/site && echo a > a && chmod 640 a && chown 33:33 a && ln a b && ln -s a c && echo w > .wh.x';
    await lab.sh(sandbox, script);
    const entries = await read(sandbox, '/srv/site');
    expect(Object.keys(entries).sort()).toEqual(['site/', 'site/.wh.x', 'site/a', 'site/b', 'site/c', 'site/sub/']);
    expect(entries['site/a']).toMatchObject({ mode: 0o640, uid: 33, content: 'a\n' });
    expect(entries['site/b']).toMatchObject({ type: 'link', link: 'site/a' });
    expect(entries['site/c']).toMatchObject({ type: 'symlink', link: 'a' });
    expect(await read(sandbox, '/srv/site/a')).toMatchObject({ a: { content: 'a\n' } });
    expect(Object.keys(await read(sandbox, '/srv/site/.'))).toContain('sub/');
    expect((await read(sandbox, '/srv/site/c'))['c']).toMatchObject({ type: 'symlink', link: 'a' });
  });

  it('sees what a running program wrote, in its /tmp and in its image', async () => {
    const sandbox = await lab.create(['sh', '-c', 'echo one > /tmp/x; echo ok; exec sleep 600'], { tmpBytes: 1 << 20 });
    await new Promise<void>((resolve) => sandbox.onOutput(() => resolve()));
    expect(await read(sandbox, '/tmp/x')).toMatchObject({ x: { content: 'one\n' } });
    expect((await read(sandbox, '/etc/debian_version'))['debian_version']?.content).toMatch(/^12/);
  });

  it('gives the whole root without other file systems', async () => {
    const sandbox = await lab.create([], { layers: lab.base('debian12') });
    await lab.sh(sandbox, 'echo mine > /mine');
    const names = Object.keys(await read(sandbox, '/'));
    expect(names).toEqual(expect.arrayContaining(['mine', 'etc/debian_version', 'usr/', 'proc/', 'dev/']));
    expect(names.filter((name) => /^(proc|dev|\.wafer)\/./.test(name))).toEqual([]);
    expect(names).not.toContain('.wafer/');
  });

  it('says that a path does not exist', async () => {
    const sandbox = await lab.create();
    await expect(sandbox.readFiles('/no/such')).rejects.toMatchObject({ code: 'not_found' });
    await expect(sandbox.readFiles('/proc/1/environ')).rejects.toMatchObject({ code: 'not_found' });
    await expect(sandbox.readFiles('/etc/../../x')).rejects.toMatchObject({ code: 'bad_request' });
    await expect(sandbox.readFiles('etc')).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('never leaves the root, wherever links lead', async () => {
    const sandbox = await lab.create();
    const host = `${lab.workDir}/${sandbox.id}`;
    await lab.sh(
      sandbox,
      `mkdir -p /etc/inner && echo inside > /etc/inner/f && ln -s ../../../../../../etc/inner /up && ln -s ${host} /host && ln -s /proc/1/root /magic && mkdir /d && ln -s / /d/root`,
    );
    expect(await read(sandbox, '/up/')).toMatchObject({ 'up/f': { content: 'inside\n' } });
    for (const path of ['/host/upper', '/magic/etc', '/magic/', '/proc/1/root/etc', '/proc/self/cwd/etc'])
      await expect(sandbox.readFiles(path), path).rejects.toMatchObject({ code: 'not_found' });
    expect(Object.keys(await read(sandbox, '/d'))).toEqual(['d/', 'd/root']);
  });

  it('works in a frozen sandbox', async () => {
    const sandbox = await lab.create();
    await sandbox.freeze();
    expect(Object.keys(await read(sandbox, '/etc/debian_version'))).toEqual(['debian_version']);
  });
});

describe('writeFiles', () => {
  it('unpacks into a directory that exists, and leaves what is there', async () => {
    const sandbox = await lab.create();
    await lab.sh(
      sandbox,
      'mkdir -m 750 /into && chown 33 /into && mkdir -p /into/old /real && echo k > /into/old/k && ln -s ../real /into/link',
    );
    const stream = archive(
      [{ name: './', type: 'directory', mode: 0o777, uid: 0 }],
      [{ name: 'old/', type: 'directory', mode: 0o700 }],
      [{ name: 'old/new', mode: 0o4755, uid: 34, gid: 35 }, 'n'],
      [{ name: '.wh.k' }, 'not a whiteout'],
      [{ name: 'deep/er/x' }, 'x'],
      [{ name: 'l', type: 'symlink', linkname: '/etc/passwd' }],
    );
    await sandbox.writeFiles('/into', stream);
    const told = await lab.sh(
      sandbox,
      'stat -c "%n %a %u:%g" /into /into/old /into/old/new; cat /into/old/k /into/.wh.k /into/deep/er/x; readlink /into/l',
    );
    expect(told).toBe('/into 750 33:0\n/into/old 700 0:0\n/into/old/new 755 34:35\nk\nnot a whiteoutx/etc/passwd\n');
  });

  it('comes back as it was read', async () => {
    const sandbox = await lab.create();
    await lab.sh(sandbox, 'mkdir -p /a/b /c && echo 1 > /a/b/f && chown -R 12:13 /a/b && ln -s f /a/b/s');
    await sandbox.writeFiles('/c', await sandbox.readFiles('/a'));
    expect(await lab.sh(sandbox, 'cd /c/a/b && stat -c "%n %u:%g" . f && readlink s')).toBe('. 12:13\nf 12:13\nf\n');
  });

  it('refuses what would leave the directory or replace one, and a directory that does not exist', async () => {
    const sandbox = await lab.create();
    await lab.sh(sandbox, 'mkdir -p /t/dir /elsewhere; ln -s ../../../../elsewhere /t/out; ln -s /elsewhere /t/abs');
    const refused = (...entries: Parameters<typeof archive>) =>
      expect(sandbox.writeFiles('/t', archive(...entries))).rejects.toMatchObject({ code: 'write_failed' });
    await refused([{ name: '../x' }, 'x']);
    await refused([{ name: 'out/x' }, 'x']);
    await refused([{ name: 'abs/x' }, 'x']);
    await refused([{ name: 'dir' }, 'x']);
    await refused([{ name: 'null', type: 'character-device' }]);
    await refused([{ name: 'h', type: 'link', linkname: '../elsewhere/f' }]);
    await expect(sandbox.writeFiles('/none', archive([{ name: 'x' }, 'x']))).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await lab.sh(sandbox, 'ls -A /elsewhere')).toBe('');
  });

  it('does not write into a read-only root, or into what is not a disk', async () => {
    const sandbox = await lab.create(['sleep', '600'], { upper: undefined as unknown as string });
    await expect(sandbox.writeFiles('/etc', archive([{ name: 'x' }, 'x']))).rejects.toMatchObject({
      code: 'write_failed',
    });
    await expect(sandbox.writeFiles('/proc', archive([{ name: 'x' }, 'x']))).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('leaves nothing behind', async () => {
    const sandbox = await lab.create();
    const round = async () => {
      await sandbox.writeFiles('/srv', archive([{ name: 'x' }, 'x']));
      await read(sandbox, '/srv');
      await sandbox.readFiles('/none').catch(() => {});
    };
    await round();
    const before = await lab.host.engineStats();
    for (let i = 0; i < 10; i++) await round();
    expect(await lab.host.engineStats()).toEqual(before);
  });
});
