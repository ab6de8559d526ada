/** ADD of URLs: what comes, under which name, when it is fetched again; and what a server may not do. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readSource } from '../../../services/core/functions/source/index.ts';
import { createImageBuilder, type ImageBuildOptions } from '../../../services/core/images/dockerfile/index.ts';
import { createRemoteFiles, type REMOTE_LIMITS } from '../../../services/core/images/remote-files.ts';
import { type ImageLab, openImageLab } from '../../helpers/image-service.ts';
import { makeTar } from '../../helpers/make-tar.ts';

let dir: string;
let lab: ImageLab;
let server: Server;
let host: string;
let asked: string[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-add-'));
  lab = await openImageLab(join(dir, 'store'));
  asked = [];
  answer = (_request, response) =>
    void response.writeHead(200, { 'last-modified': 'Sun, 13 Sep 2020 12:26:40 GMT' }).end('hello');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const HELLO = createHash('sha256').update('hello').digest('hex');

interface Options extends ImageBuildOptions {
  allow?: string[];
  limits?: Partial<typeof REMOTE_LIMITS>;
}

async function build(line: string, { allow = [host], limits = {}, ...options }: Options = {}) {
  const builder = createImageBuilder({
    images: lab.store,
    tmpDir: dir,
    runner: { run: () => Promise.reject(new Error('RUN in a test without an engine')) },
    remotes: createRemoteFiles({ allow, limits: { attempts: 2, backoffMs: 1, ...limits } }),
    resolveImage: (reference) => lab.store.get(reference),
    nameForTag: (tag) => tag,
  });
  const stream = Readable.from([gzipSync(makeTar({ Dockerfile: `FROM scratch\n${line}`, local: 'local' }))]);
  const signal = new AbortController().signal;
  const context = await readSource(
    { kind: 'archive', format: 'tar.gz', stream },
    { tmpDir: dir, context: true },
    signal,
  );
  try {
    const built = await builder.build({ tags: ['built'], ...options, context, signal }, () => {});
    return { ...built, image: await lab.store.get(built.digest) };
  } finally {
    await context.close();
  }
}

async function files({ image }: Awaited<ReturnType<typeof build>>): Promise<string[]> {
  const found: string[] = [];
  const tar = (await lab.store.exportLayer(image.layers.at(-1)!.diffId)).pipe(extract());
  for await (const member of tar) {
    const { name, mode = 0, uid, gid, mtime } = member.header;
    const body = await text(member);
    found.push([name, mode.toString(8), `${uid}:${gid}`, (mtime?.getTime() ?? 0) / 1000, body].join(' '));
  }
  return found;
}

describe('ADD of a URL', () => {
  it.each([
    ['ADD http://HOST/d/file.txt /', ['file.txt 600 0:0 1600000000 hello']],
    ['ADD http://HOST/d/file.txt?q=1 /x/', ['x/ 755 0:0 1735689600 ', 'x/file.txt 600 0:0 1600000000 hello']],
    ['ADD http://HOST/ /name', ['name 600 0:0 1600000000 hello']],
    ['ADD --chown=5:6 --chmod=755 http://HOST/a%20b /', ['a b 755 5:6 1600000000 hello']],
    ['ARG V=2\nADD http://HOST/v$V /', ['v2 600 0:0 1600000000 hello']],
    [`ADD --checksum=sha256:${HELLO} http://HOST/f /`, ['f 600 0:0 1600000000 hello']],
    ['ADD local http://HOST/f /', ['f 600 0:0 1600000000 hello', 'local 644 0:0 1735689600 local']],
  ])('%s', async (line, expected) => {
    expect((await files(await build(line.replaceAll('HOST', host)))).sort()).toEqual(expected);
  });

  it('keeps the whole line in the history, and is not unpacked', async () => {
    const tar = gzipSync(makeTar({ inside: 'x' }));
    answer = (_request, response) => void response.end(tar);
    const built = await build(`ADD http://${host}/a.tar.gz /`);
    expect((await files(built)).map((line) => line.split(' ')[0])).toEqual(['a.tar.gz']);
    expect(built.image.config.history.at(-1)?.created_by).toContain(`ADD http://${host}/a.tar.gz /`);
  });

  it('is fetched again at the next build, and made again only when it has changed', async () => {
    const line = `ADD http://${host}/f /`;
    const first = await build(line);
    const again = await build(line);
    expect([again.digest, again.stepsRun, asked.length]).toEqual([first.digest, 0, 2]);
    answer = (_request, response) => void response.end('other');
    expect((await build(line)).stepsRun).toBe(1);
  });

  it('with a checksum is not fetched again', async () => {
    const line = `ADD --checksum=sha256:${HELLO} http://${host}/f /`;
    await build(line);
    expect([(await build(line)).stepsRun, asked.length]).toEqual([0, 1]);
  });

  it('is fetched once for all stages of a build', async () => {
    await build(`ADD http://${host}/f /a\nFROM scratch AS b\nADD http://${host}/f /b\nCOPY --from=0 /a /c`);
    expect(asked).toHaveLength(1);
  });

  it('takes the time of SOURCE_DATE_EPOCH when the server’s is newer', async () => {
    const built = await build(`ADD http://${host}/f /`, { buildArgs: { SOURCE_DATE_EPOCH: '1500000000' } });
    expect(await files(built)).toEqual(['f 600 0:0 1500000000 hello']);
  });

  it('goes on after a failure that may pass', async () => {
    answer = (_request, response) => void (asked.length === 1 ? response.writeHead(503).end() : response.end('hello'));
    expect(await files(await build(`ADD http://${host}/f /`))).toHaveLength(1);
  });
});

describe('I30: ADD of a URL is refused', () => {
  const refused = async (line: string, reason: RegExp, options: Options = {}) => {
    await expect(build(line.replaceAll('HOST', host), options)).rejects.toMatchObject({
      message: expect.stringMatching(reason),
      details: { line: 2 },
    });
    expect(readdirSync(dir).filter((name) => name.startsWith('spool'))).toEqual([]);
  };

  it.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://HOST/x',
    'http://[::1]:1/x',
    'http://localhost:1/x',
    'http://10.0.0.1/x',
    'http://0x7f000001/x',
  ])('when %s is not at a public address', async (url) => {
    await refused(`ADD ${url} /x`, /not at a public address/, { allow: [] });
    expect(asked).toEqual([]);
  });

  it('when it redirects to an address that is not public, to another scheme, or in a circle', async () => {
    const to = (location: string) => {
      answer = (_request, response) => void response.writeHead(302, { location }).end();
    };
    to('http://169.254.169.254/x');
    await refused('ADD http://HOST/f /', /not at a public address/);
    to('file:///etc/passwd');
    await refused('ADD http://HOST/f /', /redirects to "file:/);
    to(`http://a:b@${host}/x`);
    await refused('ADD http://HOST/f /', /redirects to/);
    to('/again');
    await refused('ADD http://HOST/f /', /redirects too often/);
  });

  it('when the bytes are others than the checksum says', async () => {
    await refused(`ADD --checksum=sha256:${'0'.repeat(64)} http://HOST/f /`, new RegExp(`is sha256:${HELLO}, not`));
  });

  it('when the server says 404, encodes it, or breaks off again and again', async () => {
    answer = (_request, response) => void response.writeHead(404).end();
    await refused('ADD http://HOST/f /', /answered 404/);
    answer = (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
    await refused('ADD http://HOST/f /', /encoded with gzip/);
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('x', () => response.destroy());
    };
    await refused('ADD http://HOST/f /', /failed 2 times/);
  });

  it('when it is too large by its own word, or needs too long', async () => {
    answer = (_request, response) =>
      void response.writeHead(200, { 'content-length': String(3 * 1024 ** 3) }).write('x');
    await refused('ADD http://HOST/f /', /more than 2147483648 bytes/);
    answer = (_request, response) => void response.writeHead(200).write('x');
    await refused('ADD http://HOST/f /', /did not come in 0.2 s/, { limits: { ms: 200 } });
  });

  it('when it has no name and the destination is a folder', async () => {
    await refused('ADD http://HOST/ /x/', /no file name/);
    await refused('ADD http://HOST/..%2f..%2fetc%2fpasswd /x/', /no file name/);
  });
});
