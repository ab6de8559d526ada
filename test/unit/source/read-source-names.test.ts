import { describe, expect, it } from 'vitest';
import { type RawEntry, rawPax, rawTar } from '../../helpers/raw-tar.ts';

import { read, readInOwnFolder, refused, tarEntries, targz, zip } from './source-lab.ts';

readInOwnFolder();

describe('readSource refuses names (I1)', () => {
  const cases: [string, RegExp][] = [
    ['../../x', /"\.\."/],
    ['a/../../x', /"\.\."/],
    ['a/..', /"\.\."/],
    ['..', /"\.\."/],
    ['/abs', /absolute/],
    ['//abs', /absolute/],
    ['C:/x', /absolute/],
    ['..\\x', /backslash/],
    ['C:\\x', /backslash/],
    ['a//b', /empty or "\."/],
    ['a/./b', /empty or "\."/],
    ['line\nbreak', /control/],
    ['\u001b[2J', /control/],
    [`${'n'.repeat(256)}`, /longer than 255/],
    [`${'n/'.repeat(65)}x`, /deeper than 64/],
    [`${`${'n'.repeat(200)}/`.repeat(6)}x`, /longer than 1024/],
  ];
  it.each(cases)('%j, in tar, zip and inline', async (name, reason) => {
    await expect(tarEntries([rawPax({ path: name }), { name: 'p', body: 'x' }])).rejects.toMatchObject(
      refused(reason, name.slice(0, 1024)),
    );
    await expect(zip([{ name, body: 'x' }])).rejects.toMatchObject(refused(reason, name.slice(0, 1024)));
    await expect(read({ kind: 'files', files: { [name]: 'x' } })).rejects.toMatchObject(refused(reason));
  });
  it('with a NUL byte, an empty name, and bytes that are not UTF-8', async () => {
    await expect(tarEntries([rawPax({ path: 'a\0b' }), { name: 'p', body: 'x' }])).rejects.toMatchObject(
      refused(/NUL/),
    );
    await expect(zip([{ name: 'a\0b', body: 'x' }])).rejects.toMatchObject(refused(/NUL/));
    await expect(zip([{ name: '', body: 'x' }])).rejects.toMatchObject(refused(/empty/));
    await expect(tarEntries([{ name: Buffer.from([0x61, 0xff]), body: 'x' }])).rejects.toMatchObject(refused(/UTF-8/));
    await expect(zip([{ name: Buffer.from([0x61, 0xff]), body: 'x' }])).rejects.toMatchObject(refused(/UTF-8/));
  });
});

describe('readSource refuses links and kinds (I2, I3, I4, I6)', () => {
  it.each<[string, RawEntry[], RegExp, string]>([
    ['a link out', [{ name: 'l', type: '2', link: '../x' }], /leaves the folder/, 'l'],
    ['a link to /', [{ name: 'l', type: '2', link: '/' }], /absolute/, 'l'],
    ['a link with an empty target', [{ name: 'l', type: '2', link: '' }], /empty/, 'l'],
    [
      'a link out and a file through it',
      [
        { name: 'l', type: '2', link: '..' },
        { name: 'l/x', body: 'x' },
      ],
      /lies below "l", which is a link/,
      'l/x',
    ],
    [
      'a file through a link that stays inside',
      [{ name: 'd/f' }, { name: 'l', type: '2', link: 'd' }, { name: 'l/x', body: 'x' }],
      /below "l"/,
      'l/x',
    ],
    [
      'a chain of links that leaves together',
      [
        { name: 'a/up', type: '2', link: '..' },
        { name: 'a/l', type: '2', link: 'up/../x' },
      ],
      /leaves the folder/,
      'a/l',
    ],
    [
      'a loop of links',
      [
        { name: 'a', type: '2', link: 'b' },
        { name: 'b', type: '2', link: 'a' },
      ],
      /loop/,
      'a',
    ],
    [
      'a link that takes for ever',
      [
        { name: 'here', type: '2', link: `${'x/../'.repeat(19)}.` },
        { name: 'long', type: '2', link: 'here/'.repeat(19) },
      ],
      /too many steps/,
      'long',
    ],
    ['a hard link', [{ name: 'h', type: '1', link: 'index.mjs' }], /hard link/, 'h'],
    ['a hard link to /', [{ name: 'h', type: '1', link: '/etc/passwd' }], /hard link/, 'h'],
    ['a character device', [{ name: 'c', type: '3' }], /device/, 'c'],
    ['a block device', [{ name: 'c', type: '4' }], /device/, 'c'],
    ['a pipe', [{ name: 'c', type: '6' }], /pipe/, 'c'],
    ['an unknown type', [{ name: 'c', type: 'Z' }], /type/, 'c'],
    ['a GNU sparse file', [{ name: 'c', type: 'S' }], /type/, 'c'],
    [
      'a PAX sparse file',
      [rawPax({ 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '9223372036854775807' }), { name: 'c', body: 'x' }],
      /sparse/,
      'c',
    ],
    ['a folder with a size', [{ name: 'd/', type: '5', body: 'x'.repeat(600) }], /size must be 0/, 'd/'],
    [
      'a file twice',
      [
        { name: 'f', body: '1' },
        { name: 'f', body: '2' },
      ],
      /twice/,
      'f',
    ],
    [
      'a file twice, once with ./',
      [
        { name: 'f', body: '1' },
        { name: './f', body: '2' },
      ],
      /twice/,
      'f',
    ],
    [
      'a folder twice',
      [
        { name: 'd/', type: '5' },
        { name: 'd/', type: '5' },
      ],
      /twice/,
      'd',
    ],
    [
      'a folder replaced by a link',
      [
        { name: 'd/', type: '5' },
        { name: 'd', type: '2', link: '.' },
      ],
      /twice/,
      'd',
    ],
    [
      'a link replaced by a folder',
      [
        { name: 'd', type: '2', link: '.' },
        { name: 'd/', type: '5' },
      ],
      /twice/,
      'd',
    ],
    [
      'a file below a file',
      [
        { name: 'f', body: 'x' },
        { name: 'f/g', body: 'x' },
      ],
      /which is a file/,
      'f/g',
    ],
    [
      'a file over an implied folder',
      [
        { name: 'f/g', body: 'x' },
        { name: 'f', body: 'x' },
      ],
      /twice/,
      'f',
    ],
  ])('%s', async (_, entries, reason, entry) => {
    await expect(tarEntries(entries)).rejects.toMatchObject(refused(reason, entry));
  });
  it('a link that would leave once the only folder is stripped', async () => {
    const entries: RawEntry[] = [
      { name: 'top/f', body: 'x' },
      { name: 'top/l', type: '2', link: '../top/f' },
    ];
    await expect(targz(rawTar(entries))).rejects.toMatchObject(refused(/leaves the folder/, 'l'));
  });
  it('links and devices of a zip by their attributes', async () => {
    const link = { name: 'l', body: '../../etc/passwd', unixMode: 0o120777 };
    await expect(zip([{ name: 'f', body: 'x' }, link])).rejects.toMatchObject(refused(/leaves the folder/, 'l'));
    await expect(zip([{ name: 'f', body: '', unixMode: 0o010644 }])).rejects.toMatchObject(refused(/device/, 'f'));
    await expect(zip([{ name: 'f', body: '', unixMode: 0o040755 }])).rejects.toMatchObject(refused(/disagree/, 'f'));
    expect(
      (
        await zip([
          { name: 'f', body: 'x' },
          { ...link, body: 'f' },
        ])
      ).find('l'),
    ).toMatchObject({ target: 'f' });
  });
  it.each([
    ['README.md', 'readme.MD'],
    ['é.txt'.normalize('NFC'), 'é.txt'.normalize('NFD')],
    ['straße/a', 'strasse/b'],
    ['A/x', 'a/y'],
  ])('names that are one on other file systems: %s and %s (I5)', async (one, two) => {
    const refusal = { code: 'invalid_archive', message: expect.stringMatching(/only in case or Unicode/) };
    const error = await read({ kind: 'files', files: { [one]: '1', [two]: '2' } }).catch((caught: Error) => caught);
    expect(error).toMatchObject(refusal);
    for (const name of [one, two]) expect((error as Error).message).toContain(name.split('/')[0]);
  });
});
