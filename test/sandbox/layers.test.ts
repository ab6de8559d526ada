/**
 * The whole way of a layer: tar -> unpacked -> overlay, as a program inside sees it -> difference -> tar -> unpacked.
 * What the program sees before is what another one sees after, whatever kind of change it was.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import tar from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MEDIA } from '../../services/core/images/types.ts';
import { type RawEntry, rawPax, rawTar } from '../helpers/raw-tar.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

const run = promisify(execFile);
let test: TestHost;
let rounds = 0;
const made: string[] = [];
const BELOW = 'c0'.repeat(32);

beforeAll(async () => {
  test = await openTestHost();
  await test.host.removeLayer(BELOW);
  await test.host.unpack(BELOW, Readable.from([rawTar(LOWER)]));
  made.push(BELOW);
});
afterAll(async () => {
  for (const name of made) await test?.host.removeLayer(name);
  await test?.close();
});

const dir = (name: string, mode = 0o755): RawEntry => ({ name: `${name}/`, type: '5', mode, uid: 0 });
const LOWER: RawEntry[] = [
  dir('t'),
  { name: 't/stays', body: 'stays' },
  { name: 't/changed', body: 'before', mode: 0o600, uid: 12 },
  { name: 't/deleted', body: 'x' },
  dir('t/gone'),
  { name: 't/gone/deep', body: 'x' },
  dir('t/to-file'),
  { name: 't/to-file/child', body: 'x' },
  { name: 't/to-dir', body: 'x' },
  { name: 't/to-link', body: 'x' },
  dir('t/again'),
  { name: 't/again/old', body: 'old' },
  dir('t/mode', 0o700),
  { name: 't/mode/in', body: 'in' },
  { name: 't/link-a', body: 'linked' },
  { name: 't/link-b', type: '1', link: 't/link-a' },
  { name: 't/sym', type: '2', link: 'stays' },
  rawPax({ 'SCHILY.xattr.user.kept': 'from below' }),
  { name: 't/attributes', body: 'x' },
  { name: 't/holes', body: Buffer.concat([Buffer.alloc(4 << 20), Buffer.from('end'), Buffer.alloc(1 << 20)]) },
];

/** Everything that a program can tell about a folder, one line a file. */
const listOf = (root: string) => `
import os, stat, hashlib
def show(p):
    s = os.lstat(p)
    kind = stat.S_IFMT(s.st_mode) >> 12
    what = os.readlink(p) if stat.S_ISLNK(s.st_mode) else ''
    data = ''
    if stat.S_ISREG(s.st_mode):
        with open(p, 'rb') as f: data = hashlib.sha256(f.read()).hexdigest()[:12]
    attributes = '' if stat.S_ISLNK(s.st_mode) else ','.join(n + '=' + os.getxattr(p, n).decode() for n in sorted(os.listxattr(p)) if n.startswith('user.') and not n.startswith('user.overlay.'))
    links = s.st_nlink if stat.S_ISREG(s.st_mode) else '-'
    size = s.st_size if stat.S_ISREG(s.st_mode) else '-'
    print(p[len('${root}') + 1:] or '.', kind, oct(s.st_mode & 0o7777), s.st_uid, s.st_gid, links, size, int(s.st_mtime), what, data, attributes, sep='|')
for top, dirs, files in os.walk('${root}'):
    show(top)
    for name in files + [d for d in dirs if os.path.islink(os.path.join(top, d))]: show(os.path.join(top, name))
`;

const LIST = listOf('/t');

/** `upper`: its difference can be packed; then the root is writable. */
async function python(code: string, layers: string[], upper?: string): Promise<string> {
  const base = test.base('python3.11');
  const sandbox = await test.host.create({
    id: `round-${rounds++}`,
    profile: 'build',
    layers: [...base.layers, ...layers],
    argv: ['python3', '-c', code],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    memoryBytes: 256 << 20,
    pids: 32,
    ...(upper === undefined ? {} : { upper }),
  });
  let out = '';
  sandbox.onOutput((_stream, chunk) => {
    out += chunk.toString();
  });
  const exit = await sandbox.exited;
  expect(exit.status, out).toBe(0);
  return out;
}

interface Round {
  before: string[];
  after: string[];
  entries: tar.Header[];
  /** What only the layers below show. */
  below: string[];
}

/** Runs `change` over LOWER, packs what it did, unpacks that over LOWER again, and looks. */
async function round(change: string): Promise<Round> {
  const upper = `build-round-${rounds}`;
  const name = rounds.toString(16).padStart(64, 'd');
  const lines = (out: string) => out.trimEnd().split('\n').sort();
  try {
    const before = lines(await python(`import os, shutil\nos.chdir('/t')\n${change}\n${LIST}`, [BELOW], upper));
    const packed = await buffer(await test.host.pack(upper));
    const again = await buffer(await test.host.pack(upper));
    expect(again.equals(packed)).toBe(true);
    await test.host.removeLayer(name);
    made.push(name);
    await test.host.unpack(name, Readable.from([packed]));
    const after = lines(await python(LIST, [BELOW, name]));
    const below = lines(await python(LIST, [BELOW]));
    const entries: tar.Header[] = [];
    for await (const entry of Readable.from([packed]).pipe(tar.extract())) {
      entries.push(entry.header);
      entry.resume();
    }
    return { before, after, entries, below };
  } finally {
    await test.host.removeWork(upper);
  }
}

const namesOf = ({ entries }: Round) =>
  entries.map(({ name }) => name).filter((name) => name.startsWith('t/') && name !== 't/');
const paths = (lines: string[]) => lines.map((line) => line.split('|')[0]);

describe('a change over a lower layer', () => {
  it.each([
    ['a new file', "open('new', 'w').write('new')", ['t/new']],
    [
      'a new folder',
      "os.makedirs('made/deep'); open('made/deep/f', 'w').write('f')",
      ['t/made/', 't/made/deep/', 't/made/deep/f'],
    ],
    ['a changed file', "open('changed', 'w').write('after')", ['t/changed']],
    ['a changed mode and owner', "os.chmod('stays', 0o640); os.chown('stays', 33, 34)", ['t/stays']],
    ['a changed folder', "os.chmod('mode', 0o711)", ['t/mode/']],
    ['a changed time', "os.utime('stays', (1, 1500000000))", ['t/stays']],
    ['a deleted file', "os.remove('deleted')", ['t/.wh.deleted']],
    ['a deleted folder', "shutil.rmtree('gone')", ['t/.wh.gone']],
    ['a folder that became a file', "shutil.rmtree('to-file'); open('to-file', 'w').write('now')", ['t/to-file']],
    [
      'a file that became a folder',
      "os.remove('to-dir'); os.mkdir('to-dir'); open('to-dir/in', 'w')",
      ['t/to-dir/', 't/to-dir/.wh..wh..opq', 't/to-dir/in'],
    ],
    ['a file that became a link', "os.remove('to-link'); os.symlink('stays', 'to-link')", ['t/to-link']],
    ['a link that leads elsewhere', "os.remove('sym'); os.symlink('/nowhere', 'sym')", ['t/sym']],
    [
      'a folder that was deleted and made again',
      "shutil.rmtree('again'); os.mkdir('again'); open('again/new', 'w')",
      ['t/again/', 't/again/.wh..wh..opq', 't/again/new'],
    ],
    [
      'an empty folder in place of a full one',
      "shutil.rmtree('again'); os.mkdir('again')",
      ['t/again/', 't/again/.wh..wh..opq'],
    ],
    ['a renamed file', "os.rename('stays', 'moved')", ['t/moved', 't/.wh.stays']],
    ['two names of one file', "open('one', 'w').write('1'); os.link('one', 'two')", ['t/one', 't/two']],
    ['an attribute', "os.setxattr('attributes', 'user.more', b'yes')", ['t/attributes']],
    ['a deleted and an equal file', "os.remove('stays'); open('stays', 'w').write('stays')", ['t/stays']],
  ])('%s is the same after its way through a tar', async (_what, change, expected) => {
    const result = await round(change);
    expect(result.after).toEqual(result.before);
    expect(namesOf(result)).toEqual(expected);
    expect(result.after).not.toEqual(result.below);
  });

  it('takes nothing from the layer below: what was deleted is still there without it', async () => {
    const { after, below } = await round("os.remove('deleted'); shutil.rmtree('gone')");
    expect(paths(after)).not.toContain('deleted');
    expect(paths(below)).toEqual(expect.arrayContaining(['deleted', 'gone/deep']));
  });

  it('to one name of two leaves the other one as it was', async () => {
    const { before, after } = await round("os.remove('link-a'); open('link-a', 'w').write('other')");
    expect(after).toEqual(before);
    const contents = after.filter((line) => line.startsWith('link-')).map((line) => line.split('|')[9]);
    expect(new Set(contents).size).toBe(2);
  });

  it('that makes two names of one file stores its bytes once', async () => {
    const { entries } = await round("open('one', 'w').write('1'); os.link('one', 'two')");
    expect(entries.filter(({ type }) => type === 'link')).toMatchObject([
      { name: 't/two', linkname: 't/one', size: 0 },
    ]);
  });

  it('keeps attributes of users, and no others', async () => {
    const { after, entries } = await round("os.setxattr('attributes', 'user.more', b'yes')");
    expect(after.find((line) => line.startsWith('attributes|'))).toMatch(/user\.kept=from below,user\.more=yes$/);
    const records = entries.flatMap(({ pax }) => Object.keys(pax ?? {})).filter((key) => key.startsWith('SCHILY.'));
    expect(records.toSorted()).toEqual(['SCHILY.xattr.user.kept', 'SCHILY.xattr.user.more']);
  });
});

describe('a sparse file', () => {
  const BLOCKS =
    "import os\nfor n in ('holes', 'sparse'):\n    p = '/t/' + n\n    if os.path.exists(p): print(n, os.stat(p).st_size, os.stat(p).st_blocks)";

  it('has its size and content after its way through a tar, and takes no more room', async () => {
    const upper = 'build-round-sparse';
    const name = 'e5'.repeat(32);
    made.push(name);
    const change =
      "f = open('/t/sparse', 'wb'); f.truncate(64 << 20); f.seek(32 << 20); f.write(b'middle'); f.close()\n";
    await python(change, [BELOW], upper);
    await test.host.removeLayer(name);
    await test.host.unpack(name, await test.host.pack(upper));
    await test.host.removeWork(upper);
    const seen = await python(`${BLOCKS}\nf = open('/t/sparse', 'rb'); f.seek(32 << 20); print(f.read(6))`, [
      BELOW,
      name,
    ]);
    const [holes, sparse, middle] = seen
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    expect([sparse![1], middle]).toEqual([String(64 << 20), ["b'middle'"]]);
    expect(Number(sparse![2])).toBeLessThan(1024);
    expect(holes![1]).toBe(String((5 << 20) + 3));
    expect(Number(holes![2])).toBeLessThan(1024);
  });
});

describe('layers of an image', () => {
  const UPPER: RawEntry[] = [
    dir('t', 0o711),
    { name: 't/.wh.deleted' },
    { name: 't/.wh.gone' },
    { name: 't/to-file', body: 'now' },
    dir('t/to-dir'),
    { name: 't/to-dir/in', body: 'in' },
    { name: 't/to-link', type: '2', link: 'stays' },
    dir('t/again'),
    { name: 't/again/.wh..wh..opq' },
    { name: 't/again/new', body: 'new' },
    { name: 't/changed', body: 'after', uid: 1001, mode: 0o751 },
    { name: 't/new-a', body: 'n', mtime: 1_500_000_000 },
    { name: 't/new-b', type: '1', link: 't/new-a' },
    rawPax({ 'SCHILY.xattr.user.upper': 'from above' }),
    { name: 't/attributes', body: 'y' },
    { name: 't/setuid', body: 's', mode: 0o4755 },
    dir('t/sticky', 0o1777),
    { name: 't/mode/added', body: 'without its folder' },
  ];
  const image = async () => {
    const at = await mkdtemp(join(tmpdir(), 'wafer-umoci-'));
    const tars = [rawTar(LOWER), rawTar(UPPER)];
    const keep = async (bytes: Buffer, mediaType: string) => {
      const digest = createHash('sha256').update(bytes).digest('hex');
      await writeFile(join(at, 'image/blobs/sha256', digest), bytes);
      return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
    };
    await mkdir(join(at, 'image/blobs/sha256'), { recursive: true });
    const layers = await Promise.all(tars.map((one) => keep(one, MEDIA.layer)));
    const config = {
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    };
    const described = await keep(Buffer.from(JSON.stringify(config)), MEDIA.config);
    const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config: described, layers };
    const entry = await keep(Buffer.from(JSON.stringify(manifest)), MEDIA.manifest);
    const annotations = { 'org.opencontainers.image.ref.name': 'v1' };
    const index = { schemaVersion: 2, manifests: [{ ...entry, annotations }] };
    await writeFile(join(at, 'image/index.json'), JSON.stringify(index));
    await writeFile(join(at, 'image/oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    return at;
  };
  /** Rootless, umoci writes owners into an attribute: two numbers as protobuf. */
  const OWNER = `
import os
def owner(p, s):
    try: data = os.getxattr(p, 'user.rootlesscontainers', follow_symlinks=False)
    except OSError: return 0, 0
    found, at = {}, 0
    while at < len(data):
        tag, value, shift = data[at], 0, 0
        at += 1
        while True:
            byte = data[at]; at += 1
            value |= (byte & 127) << shift; shift += 7
            if byte < 128: break
        found[tag >> 3] = value
    # All ones: as it is, which is root here.
    return tuple(0 if found.get(n, 0) == 2**32 - 1 else found.get(n, 0) for n in (1, 2))
`;

  it('are the same tree for umoci and for a program inside, but for bits that give rights', async () => {
    const at = await image();
    try {
      await run('umoci', ['unpack', '--rootless', '--image', `${at}/image:v1`, `${at}/bundle`]);
      const list = listOf(`${at}/bundle/rootfs/t`)
        .replace("n.startswith('user.')", "n.startswith('user.') and n != 'user.rootlesscontainers'")
        .replace('s.st_uid, s.st_gid', '*owner(p, s)');
      const theirs = (await run('python3', ['-c', OWNER + list])).stdout.trimEnd().split('\n').sort();
      const above = 'c1'.repeat(32);
      made.push(above);
      await test.host.removeLayer(above);
      await test.host.unpack(above, Readable.from([rawTar(UPPER)]));
      const ours = (await python(LIST, [BELOW, above])).trimEnd().split('\n').sort();
      const differs = (line: string) => /^(setuid|sym|to-link|mode)\|/.test(line);
      expect(ours.filter((line) => !differs(line))).toEqual(theirs.filter((line) => !differs(line)));
      const pick = (lines: string[], name: string) =>
        lines.find((line) => line.startsWith(`${name}|`))?.split('|') ?? [];
      // Owners of links can not be recorded without root: user attributes are for files and folders only.
      for (const name of ['sym', 'to-link']) {
        expect(pick(ours, name).toSpliced(3, 2)).toEqual(pick(theirs, name).toSpliced(3, 2));
      }
      expect([pick(ours, 'setuid')[2], pick(theirs, 'setuid')[2]]).toEqual(['0o755', '0o4755']);
      // A layer is unpacked once for all images, so what it does not say of a folder can not come from below.
      // Tools that make layers say it of every folder on the way, as Wafer does.
      expect([pick(ours, 'mode')[2], pick(theirs, 'mode')[2]]).toEqual(['0o755', '0o700']);
      expect(ours.length).toBeGreaterThan(15);
    } finally {
      await run('chmod', ['-R', 'u+rwX', at]);
      await rm(at, { recursive: true, force: true });
    }
  });

  it('whose unpacking is given up are not there, nor anything of them', async () => {
    const name = 'c2'.repeat(32);
    const stop = new AbortController();
    const endless = new PassThrough();
    endless.write(rawTar([{ name: 'a', body: Buffer.alloc(1 << 20) }]).subarray(0, -2048));
    const own = async () => (await test.host.list()).layers.filter((one) => one === name || one.startsWith('tmp-'));
    const before = (await own()).length;
    const work = test.host.unpack(name, endless, { signal: stop.signal });
    work.catch(() => {});
    await until('it has begun', async () => (await own()).length > before);
    stop.abort();
    await expect(work).rejects.toThrow();
    expect((await own()).length).toBe(before);
  });
});

describe('the difference', () => {
  it('of a program that changed nothing is empty', async () => {
    const { entries, before, below } = await round('pass');
    expect(entries.filter(({ name }) => name.startsWith('t/'))).toEqual([]);
    expect(before).toEqual(below);
  });

  it('ends as a tar does', async () => {
    const upper = 'build-round-end';
    await python("open('/t/x', 'w')", [BELOW], upper);
    const packed = await text(await test.host.pack(upper));
    await test.host.removeWork(upper);
    expect(packed.endsWith('\0'.repeat(1024))).toBe(true);
  });
});
