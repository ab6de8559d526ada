/**
 * Layers of strangers through the real engine: each is refused by name and leaves nothing, or what it makes
 * lies inside its own root. The numbers are those of the list of hostile inputs.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBuildSandboxes } from '../../services/worker/builder/build-sandbox.ts';
import { type RawEntry, rawPax, rawTar } from '../helpers/raw-tar.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { TEST_DATA } from '../helpers/test-data.ts';

let test: TestHost;
const LAYER = 'a5'.repeat(32);
let before: string[];
const layersDir = () => readdir(join(TEST_DATA, 'store/layers'));

beforeAll(async () => {
  test = await openTestHost();
  await test.host.removeLayer(LAYER);
  before = (await layersDir()).toSorted();
});
afterAll(async () => {
  await test?.host.removeLayer(LAYER);
  await test?.close();
});

const unpack = (bytes: Buffer, limits = {}) => test.host.unpack(LAYER, Readable.from([bytes]), limits);

async function refused(entries: RawEntry[] | Buffer, reason: RegExp, limits = {}): Promise<void> {
  const bytes = Buffer.isBuffer(entries) ? entries : rawTar(entries);
  await test.host.removeLayer(LAYER);
  await expect(unpack(bytes, limits)).rejects.toThrow(reason);
  expect((await layersDir()).toSorted()).toEqual(before);
}

/** What a program sees of the layer: `find` in /t. */
async function seen(entries: RawEntry[], script = "find /t -mindepth 1 -printf '%P %y %m %U:%G %s %l\\n' | sort") {
  await test.host.removeLayer(LAYER);
  await unpack(rawTar(entries));
  try {
    return await look(script, [LAYER]);
  } finally {
    await test.host.removeLayer(LAYER);
  }
}

let runs = 0;
async function look(script: string, layers: string[], spec = {}): Promise<string[]> {
  const sandbox = await test.host.create({
    id: `hostile-image-${runs++}`,
    profile: 'build',
    layers: [...test.base('debian12').layers, ...layers],
    argv: ['sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    memoryBytes: 128 << 20,
    pids: 32,
    tmpBytes: 8 << 20,
    ...spec,
  });
  let out = '';
  sandbox.onOutput((_stream, chunk) => {
    out += chunk.toString();
  });
  await sandbox.exited;
  return out.split('\n').filter((line) => line !== '');
}

const dir = (name: string, mode = 0o755): RawEntry => ({ name: `${name}/`, type: '5', mode, uid: 0 });

describe('names', () => {
  it.each([
    ['../../x', /"\.\."/],
    ['a/../../x', /"\.\."/],
    ['a/..', /"\.\."/],
    ['', /empty/],
    [`${'d/'.repeat(300)}x`.slice(0, 99), null],
  ])('I1: %j is refused, or lies in the root', async (name, reason) => {
    if (reason !== null) await refused([{ name, body: 'x' }], reason);
    else expect((await seen([{ name: `t/${name}`.slice(0, 99), body: 'x' }])).length).toBeGreaterThan(10);
  });

  it('I1: an absolute name is one of the root, a backslash is a character, 5,000 bytes and 400 levels are refused', async () => {
    expect(
      await seen([
        { name: '/t/abs', body: 'x' },
        { name: 't/..\\x', body: 'x' },
        { name: 't/C:\\x', body: 'x' },
      ]),
    ).toEqual(['..\\x f 644 1000:1000 1 ', 'C:\\x f 644 1000:1000 1 ', 'abs f 644 1000:1000 1 ']);
    await refused([rawPax({ path: 'p'.repeat(5_000) }), { name: 'x' }], /longer/);
    await refused([rawPax({ path: `${'d/'.repeat(400)}x` }), { name: 'x' }], /levels/);
    await refused([rawPax({ path: 'a\0b' }), { name: 'x' }], /NUL/);
  });

  it('I5: names that are one elsewhere are two here', async () => {
    const names = ['t/é'.normalize('NFC'), 't/é'.normalize('NFD'), 't/A', 't/a', 't/straße', 't/strasse'];
    expect(await seen(names.map((name) => ({ name: Buffer.from(name), body: 'x' })))).toHaveLength(6);
  });
});

describe('links', () => {
  const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target });
  const hard = (name: string, target: string): RawEntry => ({ name, type: '1', link: target });

  it('I2: a file through a link stays in the root or is refused', async () => {
    expect(await seen([link('t/out', '../../../../..'), { name: 't/out/escaped', body: 'x' }], 'cat /escaped')).toEqual(
      ['x'],
    );
    await refused([link('proc', '/proc/self/root'), { name: 'proc/x', body: 'x' }], /cannot open|no directory/);
    await refused([link('a', 'b'), link('b', 'a'), { name: 'a/x', body: 'x' }], /cannot open|no directory/);
    await refused([dir('c'), link('c/up', '../..'), hard('h', 'c/up/victim')], /not in this archive/);
    expect(await seen([dir('t/real'), link('t/in', 'real'), { name: 't/in/x', body: 'x', uid: 0 }])).toContain(
      'real/x f 644 0:1000 1 ',
    );
  });

  it('I3: hard links are to files of the same archive that came before', async () => {
    for (const target of ['/etc/passwd', 'missing', 'h', '../x'])
      await refused([hard('h', target)], /not in this archive|"\.\."/);
    await refused([link('s', 'x'), hard('h', 's')], /regular/);
    await refused([dir('d'), hard('h', 'd')], /regular/);
  });

  it('I4: what comes last counts, and a folder that became a link is not gone through', async () => {
    await refused([dir('d'), link('d', '/tmp'), { name: 'd/x', body: 'x' }], /no directory|cannot open/);
    expect(
      await seen([
        { name: 't/x', body: 'first' },
        { name: 't/x', body: 'last!' },
        dir('t/y'),
        { name: 't/y', body: 'file' },
        { name: 't/z', body: 'f' },
        dir('t/z'),
      ]),
    ).toEqual(['x f 644 1000:1000 5 ', 'y f 644 1000:1000 4 ', expect.stringMatching(/^z d 755 0:1000 /)]);
  });
});

describe('kinds and attributes', () => {
  it.each([
    ['3', /device/],
    ['4', /device/],
    ['6', /FIFO/],
    ['S', /sparse/],
    ['Z', /type/],
  ])('I6: an entry of type %s is refused with its name', async (type, reason) => {
    await refused([{ name: 'evil', type }], reason);
    await refused([{ name: 'evil', type }], /"evil"/);
  });

  it('I7: bits and attributes that give rights, or that overlayfs reads, are taken off', async () => {
    const attributes = {
      'SCHILY.xattr.security.capability': 'x',
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      'SCHILY.xattr.user.overlay.opaque': 'y',
      'SCHILY.xattr.user.overlay.redirect': '/etc',
    };
    const lines = await seen([
      { name: 't/su', body: 'x', mode: 0o6755, uid: 0 },
      dir('t/sgid', 0o2755),
      rawPax(attributes),
      dir('t/o'),
      { name: 't/o/x', body: 'x' },
    ]);
    expect(lines.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      'o d 755',
      'o/x f 644',
      'sgid d 755',
      'su f 755',
    ]);
    await refused([rawPax({ 'SCHILY.xattr.user.big': 'x'.repeat(2 << 20) }), { name: 'x' }], /too large/);
  });

  it('I8: numbers out of range are clamped or refused', async () => {
    const [owner] = await seen([rawPax({ uid: '4294967295', gid: '2147483648' }), { name: 't/nobody', body: 'x' }]);
    expect(owner).toBe('nobody f 644 65534:65534 1 ');
    const [late] = await seen(
      [rawPax({ mtime: '9999999999999' }), { name: 't/late', body: 'x' }],
      'date -u -r /t/late +%Y',
    );
    expect(Number(late)).toBeLessThanOrEqual(9999);
    await refused([{ name: 'x', rawSize: Buffer.from([0xff, ...Array.from({ length: 11 }, () => 0xff)]) }], /bad size/);
    await refused([{ name: 'x', rawSize: Buffer.from('zzzzzzzzzzz\0') }], /bad size/);
  });
});

describe('sizes', () => {
  it('I9: a bomb meets the cap on bytes, however it was compressed', async () => {
    const bomb = gzipSync(rawTar([{ name: 'zeros', body: Buffer.alloc(32 << 20) }]));
    expect(bomb.length).toBeLessThan(100_000);
    await refused(gunzipSync(bomb), /more than 1048576 bytes/, { maxBytes: 1 << 20 });
  });

  it('I10: a size that lies, a PAX sparse file, too many entries and headers without end are refused', async () => {
    await refused([{ name: 'huge', rawSize: Buffer.from('77777777777\0') }], /truncated|more than/, {
      maxBytes: 1 << 20,
    });
    await refused([rawPax({ 'GNU.sparse.realsize': '9223372036854775807' }), { name: 'x' }], /sparse/);
    await refused(
      Array.from({ length: 50 }, (_, at) => ({ name: `f${at}` })),
      /more than 40 entries/,
      { maxEntries: 40 },
    );
    await refused([rawPax({ comment: 'x'.repeat(2 << 20) }), { name: 'x' }], /too large/);
    await refused([rawPax({ path: 'evil' }, 'g'), { name: 'x' }], /global/);
  });

  it('I12: what is cut off, damaged, empty or no tar leaves nothing', async () => {
    const whole = rawTar([{ name: 'a', body: 'x'.repeat(2000) }]);
    const wrong = Buffer.from(whole);
    wrong[0] = 0x62;
    for (const [bytes, reason] of [
      [whole.subarray(0, 1200), /truncated/],
      [whole.subarray(0, -1024), /truncated/],
      [wrong, /checksum/],
      [Buffer.alloc(0), /truncated/],
      [Buffer.from('<!doctype html>'.repeat(100)), /not a tar|checksum/],
      [Buffer.concat([whole, Buffer.from('junk'.repeat(200))]), /after the end/],
    ] as const)
      await refused(bytes, reason);
  });
});

describe('whiteouts', () => {
  it.each([
    [[{ name: 'd/.wh.' }], /no valid name/],
    [[{ name: 'd/.wh..' }], /no valid name/],
    [[{ name: 'd/.wh...' }], /no valid name/],
    [[{ name: 'd/.wh../x' }], /below a whiteout/],
    [[{ name: '.wh..wh..opq' }], /root/],
    [[{ name: 'd/.wh..wh..opq', type: '2', link: 'x' }], /regular/],
  ])('I13: %j is refused', async (entries, reason) => {
    await refused(entries, reason);
  });

  it('I13: one before or after a file of its name hides what lies below, not that file', async () => {
    const lines = await seen([
      { name: 't/.wh.a' },
      { name: 't/a', body: 'x' },
      { name: 't/b', body: 'y' },
      { name: 't/.wh.b' },
    ]);
    expect(lines.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(['a f', 'b f']);
  });
});

describe('I14: an image that has its own /dev, /proc, /sys, /tmp and /etc/hosts', () => {
  it.each([
    ['links', (name: string): RawEntry => ({ name, type: '2', link: '/etc' })],
    ['files', (name: string): RawEntry => ({ name, body: 'x' })],
    ['folders with content', (name: string): RawEntry => ({ name: `${name}/null`, body: 'evil' })],
  ])('as %s gets ours over them', async (_what, make) => {
    const places = ['dev', 'proc', 'tmp'].map(make);
    const script =
      'echo ok > /dev/null && cat /proc/self/comm && echo w > /tmp/w && cat /tmp/w && head -c 4 /etc/hosts';
    const lines = await seen([...places, { name: 'etc/hosts', type: '2', link: '/etc/shadow' }], script);
    expect(lines.slice(0, 2)).toEqual(['cat', 'w']);
    expect(lines[2]).toMatch(/^127\.|^$|^::1/);
  });
});

describe('I20: a config that names a strange place', () => {
  it.each(['/proc/self/fd/8', '/proc/1/root', '/proc/self/cwd/../../..'])(
    'a program in %s is in its root, or does not start',
    async (cwd) => {
      const lines = await look('pwd; ls /work /var/lib/wafer 2>/dev/null', [], { cwd }).catch((error: Error) => [
        error.message,
      ]);
      expect(lines.join(' ')).toMatch(/^\/(\s|$)|\/proc|cwd|directory/);
      expect(lines.join(' ')).not.toContain('store');
    },
  );
});

describe('I32: a build step', () => {
  const step = (script: string, options = {}) =>
    createBuildSandboxes(test.host, test.workDir).run(
      {
        step: 'a step',
        layers: test.base('debian12').layers,
        argv: ['sh', '-c', script],
        env: { PATH: '/usr/bin:/bin' },
        exact: true,
        ...options,
      },
      [],
      () => {},
      async (tar) => {
        const chunks: Buffer[] = [];
        for await (const chunk of tar) chunks.push(chunk as Buffer);
        return Buffer.concat(chunks).toString('latin1');
      },
    );

  it('that sleeps for hours ends when its time is over', async () => {
    await expect(step('sleep 21600', { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'build_failed',
      message: expect.stringContaining('took too long'),
    });
  });

  it('that leaves a program behind does not wait for it, and nothing of it lives on', async () => {
    const tar = await step('(setsid sh -c "while :; do date > /alive; done" > /dev/null 2>&1 &) ; echo made > /made');
    expect(tar).toContain('made');
    expect((await test.host.engineStats()).sandboxes).toBe(0);
  });

  it('that forks without end meets its process limit', async () => {
    const bomb = 'f() { f | f & }; f; sleep 1';
    await step(bomb, { timeoutMs: 1_500 }).catch((error: Error) => expect(error.message).toContain('a step'));
    expect((await test.host.engineStats()).sandboxes).toBe(0);
  });

  it.each(['mount -t tmpfs none /mnt', 'echo x > /etc/resolv.conf', 'mknod /d c 1 3', 'chroot / id && unshare -U id'])(
    'can not %s',
    async (script) => {
      await expect(step(script)).rejects.toMatchObject({ code: 'build_failed' });
    },
  );
});
