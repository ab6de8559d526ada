// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax under test
/** The builder on the real store: what COPY, ADD and WORKDIR make, what their keys are made of. RUN needs the engine: see e2e. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { extract, type Header, pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSource } from '../../../services/core/functions/source/index.ts';
import type { ImageBuildEvent, ImageBuildOptions } from '../../../services/core/images/dockerfile/index.ts';
import { createImageBuilder } from '../../../services/core/images/dockerfile/index.ts';
import { openImageStore } from '../../../services/core/images/index.ts';
import { createRemoteFiles } from '../../../services/core/images/remote-files.ts';
import type { Image, ImageStore } from '../../../services/core/images/types.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

type Entry = Partial<Header> & { name: string; content?: string | Buffer };

async function tarOf(entries: Entry[]): Promise<Buffer> {
  const archive = pack();
  // A time of its own would make other layers in the next second.
  for (const { content = '', ...header } of entries) archive.entry({ mtime: new Date(0), ...header }, content);
  archive.finalize();
  return buffer(archive);
}

let dir: string;
let store: ImageStore;
const openStore = (below: string) =>
  openImageStore({
    dir: join(dir, below),
    unpacker: createTarUnpacker(join(dir, below, 'layers')),
    log: { warn: () => undefined, info: () => undefined },
  });

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-dockerfile-'));
  store = await openStore('store');
  await addBase(store);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A base with a user, a folder of an unusual mode, and a link to a folder. */
async function addBase(to: ImageStore): Promise<void> {
  const tar = await tarOf([
    { name: 'etc/', type: 'directory', mode: 0o755 },
    { name: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n' },
    { name: 'etc/group', content: 'www:x:34:\nextra:x:40:\n' },
    { name: 'sticky/', type: 'directory', mode: 0o1777 },
    { name: 'real/', type: 'directory', mode: 0o750, uid: 5, gid: 6 },
    { name: 'real/old.txt', content: 'old' },
    { name: 'alias', type: 'symlink', linkname: '/real' },
  ]);
  const layer = await to.addLayer(Readable.from([tar]), { createdBy: 'base' });
  const config = { Env: ['PATH=/bin'], Cmd: ['sh'] };
  await to.putImage({ layers: [layer.diffId], config, tag: 'base' });
}

/** Servers of a test that ADD may fetch from. */
const allow: string[] = [];

interface Options extends ImageBuildOptions {
  store?: ImageStore;
}

async function build(files: Entry[], { store: on = store, ...options }: Options = {}) {
  const builder = createImageBuilder({
    images: on,
    tmpDir: dir,
    runner: { run: () => Promise.reject(new Error('RUN in a test without an engine')) },
    remotes: createRemoteFiles({ allow, limits: { attempts: 2, backoffMs: 1 } }),
    resolveImage: (reference) => on.get(reference),
    nameForTag: (tag) => tag,
  });
  const stream = Readable.from([gzipSync(await tarOf(files))]);
  const signal = new AbortController().signal;
  const context = await readSource(
    { kind: 'archive', format: 'tar.gz', stream },
    { tmpDir: dir, context: true },
    signal,
  );
  const events: ImageBuildEvent[] = [];
  try {
    const built = await builder.build({ tags: ['built'], ...options, context, signal }, (event) => events.push(event));
    return { ...built, events, image: await on.get(built.digest) };
  } finally {
    await context.close();
  }
}

const dockerfile = (content: string): Entry => ({ name: 'Dockerfile', content });

/** `path kind mode uid:gid content-or-target` of one layer. */
async function layerOf(image: Image, index: number): Promise<string[]> {
  const found: string[] = [];
  const layer = image.layers.at(index);
  const members = (await store.exportLayer(layer?.diffId ?? '')).pipe(extract());
  for await (const member of members) {
    const { name, type, mode = 0, uid, gid, linkname } = member.header;
    const content = type === 'file' ? await text(member) : (linkname ?? '');
    member.resume();
    found.push(`${name} ${type} ${mode.toString(8)} ${uid}:${gid} ${content}`.trimEnd());
  }
  return found;
}

describe('a layer of COPY', () => {
  const SOURCES: Entry[] = [
    { name: 'a.txt', content: 'A', mode: 0o640 },
    { name: 'd/', type: 'directory', mode: 0o700 },
    { name: 'd/b.sh', content: 'B', mode: 0o755 },
    { name: 'd/link', type: 'symlink', linkname: '/anywhere' },
    { name: 'to-a', type: 'symlink', linkname: 'a.txt' },
    { name: 'out', type: 'symlink', linkname: '../../../etc/passwd' },
  ];
  it.each<[string, string[]]>([
    ['COPY a.txt /', ['a.txt file 640 0:0 A']],
    ['COPY a.txt /new', ['new file 640 0:0 A']],
    ['COPY a.txt /new/', ['new/ directory 755 0:0', 'new/a.txt file 640 0:0 A']],
    ['COPY a.txt /sticky', ['sticky/ directory 1777 0:0', 'sticky/a.txt file 640 0:0 A']],
    ['COPY a.txt /alias/x', ['real/ directory 750 5:6', 'real/x file 640 0:0 A']],
    ['COPY d /alias', ['real/ directory 750 5:6', 'real/b.sh file 755 0:0 B', 'real/link symlink 777 0:0 /anywhere']],
    ['COPY d/* /g/', ['g/ directory 755 0:0', 'g/b.sh file 755 0:0 B']],
    ['COPY . /all/d', []],
    ['COPY to-a /t', ['t file 640 0:0 A']],
    ['COPY --chown=web a.txt /n/', ['n/ directory 755 33:34', 'n/a.txt file 640 33:34 A']],
    ['COPY --chown=7:extra a.txt /x', ['x file 640 7:40 A']],
    ['COPY --chmod=600 a.txt /x', ['x file 600 0:0 A']],
    ['COPY ["a.txt", "/with space"]', ['with space file 640 0:0 A']],
    ['WORKDIR /w\nCOPY a.txt .', ['w/ directory 755 0:0', 'w/a.txt file 640 0:0 A']],
    ['COPY <<x /h\ninline $PATH\nx', ['h file 644 0:0 inline /bin']],
    ['ARG F=a\nCOPY ${F}.txt /x', ['x file 640 0:0 A']],
  ])('%j', async (instructions, expected) => {
    const wanted = expected.length > 0 ? expected : null;
    const sources = instructions.includes('d/*') ? SOURCES.filter(({ name }) => name !== 'd/link') : SOURCES;
    const { image } = await build([...sources, dockerfile(`FROM base\n${instructions}\n`)]);
    const found = await layerOf(image, -1);
    if (wanted !== null) expect(found).toEqual(wanted);
    else expect(found).toContain('all/d/out symlink 777 0:0 ../../../etc/passwd');
  });

  it.each([
    ['COPY a.txt d /x', 'must end with "/"'],
    ['COPY out /x', 'not in the build context'],
    ['COPY a.txt /etc/passwd/x', 'not a folder'],
    ['COPY d /etc/passwd', 'not a folder'],
    ['COPY --chown=nobody a.txt /', 'no user'],
    ['COPY --chmod=u+x a.txt /', 'octal'],
    ['COPY *.nope /x/', 'not in the build context'],
    ['COPY [a.txt /x/', 'not a pattern'],
    ['COPY a.txt', 'at least one source'],
    ['COPY a.txt /x/.wh.y', 'deleted'],
    ['COPY --parents a.txt /x/', 'not supported'],
    ['ADD --checksum=x a.txt /x/', '64 lower-case hex digits'],
    [`ADD --checksum=sha256:${'a'.repeat(64)} a.txt /x/`, 'which is a URL'],
    ['ADD https://example.org/team/app.git /x', 'is not cloned'],
    ['ADD git@example.org:team/app /x', 'is not cloned'],
    ['ADD ftp://example.org/x /x', 'only http and https'],
    ['ADD https://user:secret@example.org/x /x', 'history'],
    ['FROM nope', 'no image'],
    ['FROM --platform=linux/s390x base', 'can not be built here'],
    ['FROM ${NOTHING}', 'expands to nothing'],
    ['EXPOSE ${X:?give it}', 'give it'],
  ])('%s is refused with its place', async (instruction, reason) => {
    const files = [...SOURCES, dockerfile(`FROM base\n${instruction}\n`)];
    await expect(build(files)).rejects.toThrow(reason);
    await expect(build(files)).rejects.toMatchObject({ details: { file: 'Dockerfile', line: 2 } });
    expect(readdirSync(dir).filter((name) => name !== 'store')).toEqual([]);
  });

  it('leaves out what .dockerignore names, also by its own name', async () => {
    const files = [
      ...SOURCES,
      { name: '.dockerignore', content: '*\n!d\nd/link' },
      dockerfile('FROM base\nCOPY . /all/'),
    ];
    expect(await layerOf((await build(files)).image, -1)).toEqual([
      'all/ directory 755 0:0',
      'all/d/ directory 700 0:0',
      'all/d/b.sh file 755 0:0 B',
    ]);
    const named = [...files, { name: 'Dockerfile.dockerignore', content: '**\n!a.txt' }];
    expect(await layerOf((await build(named)).image, -1)).toEqual([
      'all/ directory 755 0:0',
      'all/a.txt file 640 0:0 A',
    ]);
  });
});

describe('COPY --from', () => {
  it('takes files of a stage as its layers show them: whiteouts, links and hard links', async () => {
    const lower = await store.get('base');
    const upper = await tarOf([
      { name: 'real/.wh.old.txt' },
      { name: 'real/new.txt', content: 'new', uid: 9, gid: 9, mode: 0o604 },
      { name: 'real/twin', type: 'link', linkname: 'real/new.txt' },
    ]);
    const layer = await store.addLayer(Readable.from([upper]), { createdBy: 'upper' });
    await store.putImage({
      layers: [...lower.layers.map((one) => one.diffId), layer.diffId],
      config: {},
      tag: 'upper',
    });
    const { image } = await build([
      dockerfile('FROM upper AS a\nFROM base\nCOPY --from=a /alias /to/\nCOPY --from=upper /real/new.txt /n'),
    ]);
    expect(await layerOf(image, -2)).toEqual([
      'to/ directory 755 0:0',
      'to/new.txt file 604 9:9 new',
      'to/twin link 604 9:9 to/new.txt',
    ]);
    expect(await layerOf(image, -1)).toEqual(['n file 604 9:9 new']);
  });

  it('is reused when the stage was made again with the same content', async () => {
    const file = (text: string) => [
      { name: 'a', content: 'A' },
      dockerfile(
        `FROM base AS s\nLABEL x=${text}\nCOPY a /a\nCOPY a /${text}\nFROM base\nCOPY --from=s /a /b\nCOPY --from=0 /a /c`,
      ),
    ];
    expect((await build(file('one'))).stepsRun).toBe(4);
    const second = await build(file('two'));
    expect(second).toMatchObject({ stepsRun: 2, stepsCached: 2 });
    expect((await build(file('two'))).stepsRun).toBe(0);
  });

  it.each([
    ['FROM base AS a\nCOPY --from=a /x /y', 'the stage itself'],
    ['FROM base\nCOPY --from=b /x /y\nFROM base AS b\nFROM base\nCOPY --from=0 / /x/', 'further down'],
    ['FROM b AS a\nFROM a AS b', 'further down'],
    ['FROM base\nCOPY --from=0 /x /y', 'the stage itself'],
    ['FROM base\nCOPY --from=1 /x /y', 'no stage'],
  ])('I28: %j is refused', async (text, reason) => {
    await expect(build([dockerfile(text)])).rejects.toThrow(reason);
  });
});

describe('ADD', () => {
  const members: Entry[] = [
    { name: 'x/', type: 'directory', mode: 0o711, uid: 3, gid: 4 },
    { name: 'x/f', content: 'F', mode: 0o4755, uid: 3, gid: 4 },
    { name: 'x/h', type: 'link', linkname: 'x/f', mode: 0o4755, uid: 3, gid: 4 },
    { name: 'x/s', type: 'symlink', linkname: '../../up' },
  ];
  const EXPECTED = [
    'o/ directory 755 0:0',
    'o/x/ directory 711 3:4',
    'o/x/f file 4755 3:4 F',
    'o/x/h link 4755 3:4 o/x/f',
    'o/x/s symlink 777 0:0 ../../up',
  ];

  it('unpacks a local tar and tar.gz, and copies what is neither', async () => {
    const tar = await tarOf(members);
    const files = (content: Buffer) => [{ name: 'p', content }, dockerfile('FROM base\nADD p /o')];
    expect(await layerOf((await build(files(tar))).image, -1)).toEqual(EXPECTED);
    expect(await layerOf((await build(files(gzipSync(tar)))).image, -1)).toEqual(EXPECTED);
    const plain = await build([{ name: 'p', content: gzipSync('just text') }, dockerfile('FROM base\nADD p /o\n')]);
    expect((await layerOf(plain.image, -1))[0]).toMatch(/^o file/);
    const copied = await build([{ name: 'p', content: tar }, dockerfile('FROM base\nCOPY p /o\n')]);
    expect((await layerOf(copied.image, -1))[0]).toMatch(/^o file/);
  });

  it.each<[string, Entry[] | Buffer, string]>([
    ['a member that leaves it', [{ name: '../x', content: 'x' }], 'leaves the archive'],
    ['a device', [{ name: 'x', type: 'character-device' }], 'character-device'],
    ['a whiteout', [{ name: 'd/.wh.x' }], 'deleted'],
    ['a hard link to nothing', [{ name: 'x', type: 'link', linkname: 'y' }], 'leads to nothing'],
    [
      'a file in place of a folder',
      [
        { name: 'x/', type: 'directory' },
        { name: 'x', content: 'f' },
      ],
      'folder already',
    ],
    [
      'a member below a file',
      [
        { name: 'x', content: 'f' },
        { name: 'x/y', content: 'f' },
      ],
      'not a folder',
    ],
    ['another compression', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2, 3]), 'xz'],
  ])('refuses %s', async (_what, content, reason) => {
    const archive = Buffer.isBuffer(content) ? content : await tarOf(content);
    await expect(build([{ name: 'p', content: archive }, dockerfile('FROM base\nADD p /o/')])).rejects.toThrow(reason);
  });

  it('keeps a member within the image when a link leads out of it', async () => {
    const archive = await tarOf([
      { name: 'up', type: 'symlink', linkname: '../../../..' },
      { name: 'up/f', content: 'x' },
    ]);
    const { image } = await build([{ name: 'p', content: archive }, dockerfile('FROM base\nADD p /o/')]);
    expect(await layerOf(image, -1)).toContain('f file 644 0:0 x');
  });
});

describe('keys and digests', () => {
  const files = (content: string, more: Partial<Entry> = {}, text = 'COPY a /a') => [
    { name: 'a', content, mtime: new Date(0), ...more },
    dockerfile(`FROM base\nLABEL l=1\n${text}\nCOPY a /b\n`),
  ];
  it.each([
    ['nothing', files('A'), {}, 0],
    ['a time stamp', files('A', { mtime: new Date(1e12) }), {}, 0],
    ['the content', files('B'), {}, 2],
    ['the mode', files('A', { mode: 0o600 }), {}, 2],
    ['the instruction', files('A', {}, 'COPY a /c'), {}, 2],
    ['an instruction above', files('A', {}, 'ENV X=1\nCOPY a /a'), {}, 2],
    ['SOURCE_DATE_EPOCH', files('A'), { buildArgs: { SOURCE_DATE_EPOCH: '1700000000' } }, 2],
    ['--no-cache', files('A'), { noCache: true }, 2],
  ])('after a change of %s the right steps run', async (_what, changed, options, stepsRun) => {
    const first = await build(files('A'));
    expect(first.stepsRun).toBe(2);
    const second = await build(changed, options);
    expect(second.stepsRun).toBe(stepsRun);
    if (stepsRun === 0) expect(second.digest).toBe(first.digest);
  });

  it('I33: two stores make the same image, bit by bit', async () => {
    const options = { buildArgs: { SOURCE_DATE_EPOCH: '1700000000' } };
    const first = await build(files('A'), options);
    const other = await openStore('other');
    await addBase(other);
    const second = await build(files('A'), { ...options, store: other });
    expect(second.digest).toBe(first.digest);
    expect(second.image.config.created).toBe('2023-11-14T22:13:20.000Z');
  });

  it('makes one layer of each step that has one, and only history of the others', async () => {
    const { image } = await build([
      { name: 'a', content: 'A' },
      dockerfile('FROM base\nENV E=1\nWORKDIR /real\nWORKDIR /new\nCOPY a .\nUSER web\nCMD ["x"]'),
    ]);
    expect(image.layers).toHaveLength(3);
    expect(image.config.history.map(({ created_by, empty_layer }) => [created_by, empty_layer === true])).toEqual([
      ['base', false],
      ['ENV E=1', true],
      ['WORKDIR /real', true],
      ['WORKDIR /new', false],
      ['COPY a .', false],
      ['USER web', true],
      ['CMD ["x"]', true],
    ]);
    expect(image.config.config).toMatchObject({
      User: 'web',
      WorkingDir: '/new',
      Env: ['PATH=/bin', 'E=1'],
      Cmd: ['x'],
    });
  });

  it('outlive garbage collection, and a failed build keeps what was built', async () => {
    await build(files('A'));
    store.forget((await store.get('built')).layers.map((layer) => layer.diffId));
    await store.untag('built');
    await store.collectGarbage();
    expect((await build(files('A'))).stepsRun).toBe(0);
    const failed = await build([{ name: 'a', content: 'A' }, dockerfile('FROM base\nCOPY a /a\nRUN x\n')]).catch(
      (error) => error,
    );
    expect(failed).toBeInstanceOf(Error);
    const refused = await build([{ name: 'a', content: 'A' }, dockerfile('FROM base\nCOPY a /a\nCOPY no /b\n')]).catch(
      (error) => error,
    );
    const kept = await store.get(refused.details.image);
    expect(await layerOf(kept, -1)).toEqual(['a file 644 0:0 A']);
  });

  it('leaves out stages that the target does not need, and says which build argument nobody took', async () => {
    const text = 'FROM base AS one\nCOPY no /x\nFROM base AS two\nCOPY a /a\nFROM nope AS three\n';
    const { events, image } = await build([{ name: 'a', content: 'A' }, dockerfile(text)], {
      target: 'two',
      buildArgs: { Q: '1' },
    });
    expect(image.layers).toHaveLength(2);
    expect(events.find((event) => event.type === 'log')).toMatchObject({
      text: 'No ARG asks for the build argument Q.',
    });
    await expect(build([dockerfile(text)], { target: 'four' })).rejects.toThrow('there are one, two, three');
  });

  it('makes images from nothing', async () => {
    const { image } = await build([{ name: 'a', content: 'A' }, dockerfile('FROM scratch\nCOPY a /a\nCMD ["/a"]')]);
    expect(image.layers).toHaveLength(1);
    expect(image.config.config).toEqual({ Cmd: ['/a'] });
    await expect(build([dockerfile('FROM scratch\nRUN x')])).rejects.toThrow('FROM scratch');
  });
});
