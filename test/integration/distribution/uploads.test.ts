/** Blobs on their way in, by plain HTTP: every route of the protocol, and what is refused. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { head, until } from '../../helpers/api-server.ts';
import { sha256 } from '../../helpers/oci-layout.ts';
import { type Answer, type Lab, newDir, pushBlob, startLab } from './lab.ts';

const DATA = randomBytes(300_000);
const DIGEST = sha256(DATA);
const OTHER = sha256('other');
const bytes = (from = 0, to = DATA.length) => new Uint8Array(DATA.subarray(from, to));

const begin = async (lab: Lab, repository = 'app'): Promise<string> => {
  const { status, headers } = await lab.ask(`POST /v2/${repository}/blobs/uploads/`);
  expect(status).toBe(202);
  expect(headers.get('range')).toBe('0-0');
  const location = headers.get('location') ?? '';
  expect(location).toBe(`/v2/${repository}/blobs/uploads/${headers.get('docker-upload-uuid')}`);
  return location;
};
const patch = (lab: Lab, location: string, from: number, to: number, range = `${from}-${to - 1}`) =>
  lab.ask(`PATCH ${location}`, { body: bytes(from, to), headers: { 'content-range': range } });
const put = (lab: Lab, location: string, digest = DIGEST, body?: Uint8Array<ArrayBuffer>) =>
  lab.ask(`PUT ${location}?digest=${digest}`, body === undefined ? {} : { body });
const expectBlob = async (lab: Lab, repository = 'app') => {
  const found = await lab.ask(`GET /v2/${repository}/blobs/${DIGEST}`);
  expect(found.status).toBe(200);
  expect(found.body.equals(DATA)).toBe(true);
};
const refused = ({ status, code }: Answer) => ({ status, code });

describe('a blob', () => {
  it('comes in one POST', async () => {
    const lab = await startLab();
    const { status, headers } = await lab.ask(`POST /v2/app/blobs/uploads/?digest=${DIGEST}`, { body: bytes() });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`/v2/app/blobs/${DIGEST}`);
    expect(headers.get('docker-content-digest')).toBe(DIGEST);
    await expectBlob(lab);
    expect(lab.files().uploads).toEqual([]);
  });

  it('comes as POST and PUT, and may be empty', async () => {
    const lab = await startLab();
    expect((await put(lab, await begin(lab), DIGEST, bytes())).status).toBe(201);
    await expectBlob(lab);
    expect((await put(lab, await begin(lab), sha256(''))).status).toBe(201);
    const empty = await lab.ask(`GET /v2/app/blobs/${sha256('')}`);
    expect({ status: empty.status, size: empty.body.length }).toEqual({ status: 200, size: 0 });
  });

  it('comes in chunks, the last one with the PUT or without', async () => {
    const lab = await startLab();
    const first = await begin(lab);
    const half = await patch(lab, first, 0, 100_000);
    expect(half.status).toBe(202);
    expect(half.headers.get('range')).toBe('0-99999');
    expect(half.headers.get('location')).toBe(first);
    await patch(lab, first, 100_000, DATA.length);
    expect((await put(lab, first)).status).toBe(201);
    await expectBlob(lab);

    const second = await begin(lab, 'two');
    await patch(lab, second, 0, 100_000);
    const last = { body: bytes(100_000), headers: { 'content-range': `100000-${DATA.length - 1}` } };
    expect((await lab.ask(`PUT ${second}?digest=${DIGEST}`, last)).status).toBe(201);
    await expectBlob(lab, 'two');
  });

  it('comes as a stream without Content-Range, as Docker sends it', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < DATA.length; at += 50_000)
          controller.enqueue(bytes(at, Math.min(DATA.length, at + 50_000)));
        controller.close();
      },
    });
    const init = { body, duplex: 'half' } as RequestInit;
    expect((await lab.ask(`PATCH ${place}`, init)).status).toBe(202);
    expect((await put(lab, place)).status).toBe(201);
    await expectBlob(lab);
  });

  it('says where its upload stands, and a chunk that comes again or too early is 416', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    await patch(lab, place, 0, 1000);
    const status = await lab.ask(`GET ${place}`);
    expect(status.status).toBe(204);
    expect(status.headers.get('range')).toBe('0-999');
    expect(status.headers.get('location')).toBe(place);
    for (const [from, to] of [
      [0, 1000],
      [2000, 3000],
      [999, 2000],
    ] as const) {
      const wrong = await patch(lab, place, from, to);
      expect(refused(wrong)).toEqual({ status: 416, code: 'BLOB_UPLOAD_INVALID' });
      expect(wrong.headers.get('range')).toBe('0-999');
    }
    await patch(lab, place, 1000, DATA.length);
    expect((await put(lab, place)).status).toBe(201);
  });

  it('is refused with another digest, and its upload ends', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    expect(refused(await put(lab, place, OTHER, bytes()))).toEqual({ status: 400, code: 'DIGEST_INVALID' });
    expect(refused(await lab.ask(`GET ${place}`))).toEqual({ status: 404, code: 'BLOB_UPLOAD_UNKNOWN' });
    const whole = await lab.ask(`POST /v2/app/blobs/uploads/?digest=${OTHER}`, { body: bytes() });
    expect(refused(whole)).toEqual({ status: 400, code: 'DIGEST_INVALID' });
    expect(lab.files()).toMatchObject({ uploads: [], blobs: [] });
  });

  it.each(['sha512:00', 'sha256:../../x', `sha256:${'A'.repeat(64)}`, `sha256:${'a'.repeat(63)}`, 'md5:x', ''])(
    'is refused with the digest %j',
    async (digest) => {
      const lab = await startLab();
      const answer = await put(lab, await begin(lab), encodeURIComponent(digest), bytes());
      expect(refused(answer)).toEqual({ status: 400, code: 'DIGEST_INVALID' });
      expect(lab.files().blobs).toEqual([]);
    },
  );

  it.each(['10-5', 'bytes 0-9', '0-', 'x', '-5', '0-99999999999999999999'])(
    'is refused with the Content-Range %j',
    async (range) => {
      const lab = await startLab();
      const answer = await patch(lab, await begin(lab), 0, 10, range);
      expect(refused(answer)).toEqual({ status: 400, code: 'BLOB_UPLOAD_INVALID' });
    },
  );

  it('is refused when a chunk is longer or shorter than it says; what came before stays', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    await patch(lab, place, 0, 1000);
    for (const range of ['1000-1004', '1000-1999']) {
      expect(refused(await patch(lab, place, 1000, 1010, range))).toEqual({ status: 400, code: 'SIZE_INVALID' });
      // Without a length only the bytes themselves tell.
      const path = `${place}`;
      const text = `${head(`PATCH ${path}`, `Content-Range: ${range}`, 'Transfer-Encoding: chunked', 'Connection: close')}\r\n\r\na\r\n${'x'.repeat(10)}\r\n0\r\n\r\n`;
      const answer = await lab.api.raw(text);
      expect(answer).toContain('HTTP/1.1 400');
      expect(answer).toContain('SIZE_INVALID');
    }
    expect((await lab.ask(`GET ${place}`)).headers.get('range')).toBe('0-999');
    await patch(lab, place, 1000, DATA.length);
    expect((await put(lab, place)).status).toBe(201);
    await expectBlob(lab);
  });

  it('is refused above the limit of the registry, and nothing of it stays', async () => {
    const lab = await startLab({ limits: { blobBytes: 1000 } });
    const answer = await lab.ask(`POST /v2/app/blobs/uploads/?digest=${DIGEST}`, { body: bytes() });
    expect(refused(answer)).toEqual({ status: 413, code: 'SIZE_INVALID' });
    expect(lab.files()).toMatchObject({ uploads: [], blobs: [] });
  });
});

describe('an upload', () => {
  it('is cancelled by DELETE, and nothing of it stays', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    await patch(lab, place, 0, 1000);
    expect(lab.files().uploads).toHaveLength(2);
    expect((await lab.ask(`DELETE ${place}`)).status).toBe(204);
    expect(lab.files().uploads).toEqual([]);
    expect(refused(await patch(lab, place, 1000, 2000))).toEqual({ status: 404, code: 'BLOB_UPLOAD_UNKNOWN' });
  });

  it('of another repository can not be seen, written, ended or cancelled', async () => {
    const lab = await startLab();
    const place = (await begin(lab, 'mine')).replace('/mine/', '/theirs/');
    const answers = [
      await lab.ask(`GET ${place}`),
      await patch(lab, place, 0, 10),
      await put(lab, place, DIGEST, bytes()),
      await lab.ask(`DELETE ${place}`),
    ];
    for (const answer of answers) expect(refused(answer)).toEqual({ status: 404, code: 'BLOB_UPLOAD_UNKNOWN' });
    expect(lab.files().uploads).toHaveLength(2);
  });

  it.each(['x', '..', '%2e%2e%2f%2e%2e%2findex.json', '00000000-0000-0000-0000-000000000000', 'constructor'])(
    'with the id %s does not exist',
    async (id) => {
      const lab = await startLab();
      const answer = await lab.api.raw(
        `${head(`PATCH /v2/app/blobs/uploads/${id}`, 'Content-Length: 1', 'Connection: close')}\r\n\r\nx`,
      );
      expect(answer).toMatch(/HTTP\/1.1 4(04|05)/);
      expect(lab.files().uploads).toEqual([]);
    },
  );

  it('keeps what came when its client goes away, so that it can go on', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    const client = await lab.api.connect();
    client.write(`${head(`PATCH ${place}`, `Content-Length: ${DATA.length}`)}\r\n\r\n`);
    client.write(DATA.subarray(0, 200_000));
    const end = async () => Number((await lab.ask(`GET ${place}`)).headers.get('range')?.split('-')[1]);
    let reached = 0;
    while (reached < 199_999) reached = await end();
    client.destroy();
    const rest = await patch(lab, place, 200_000, DATA.length);
    expect(rest.status).toBe(202);
    expect((await put(lab, place)).status).toBe(201);
    await expectBlob(lab);
  });

  it('whose client stands still is cut off, and can go on where it was', async () => {
    const lab = await startLab({ api: { bodyStallMs: 1000, sweepMs: 50 } });
    const place = await begin(lab);
    const client = await lab.api.connect();
    client.write(`${head(`PATCH ${place}`, `Content-Length: ${DATA.length}`)}\r\n\r\n`);
    client.write(DATA.subarray(0, 5000));
    expect(await client.closed()).toContain('HTTP/1.1 408');
    const { headers } = await patch(lab, place, 5000, DATA.length);
    expect(headers.get('range')).toBe(`0-${DATA.length - 1}`);
    expect((await put(lab, place)).status).toBe(201);
  });

  it('in one POST that breaks off leaves nothing', async () => {
    const lab = await startLab();
    const client = await lab.api.connect();
    client.write(`${head(`POST /v2/app/blobs/uploads/?digest=${DIGEST}`, `Content-Length: ${DATA.length}`)}\r\n\r\n`);
    client.write(DATA.subarray(0, 200_000));
    await until('the upload began', () => lab.files().uploads.length > 0);
    client.destroy();
    await until('the upload is gone', () => lab.files().uploads.length === 0);
    expect(lab.files().blobs).toEqual([]);
  });

  it('that nobody touches expires; one that goes on does not', async () => {
    const lab = await startLab({ limits: { uploadIdleMs: 1000 } });
    const [idle, active] = [await begin(lab), await begin(lab)];
    await patch(lab, idle, 0, 10);
    lab.pass(800);
    await patch(lab, active, 0, 10);
    lab.pass(800);
    expect(await lab.distribution.expire()).toEqual({ uploads: 1, blobs: 0 });
    expect((await lab.ask(`GET ${idle}`)).status).toBe(404);
    expect((await lab.ask(`GET ${active}`)).status).toBe(204);
    expect(lab.files().uploads).toHaveLength(2);
  });

  it('goes on after a restart of the platform', async () => {
    const dir = newDir();
    const before = await startLab({ dir });
    const place = await begin(before);
    await patch(before, place, 0, 123_456);
    await before.close();
    const lab = await startLab({ dir });
    expect((await lab.ask(`GET ${place}`)).headers.get('range')).toBe('0-123455');
    await patch(lab, place, 123_456, DATA.length);
    expect((await put(lab, place)).status).toBe(201);
    await expectBlob(lab);
  });

  it('is not begun when too many are open', async () => {
    const lab = await startLab({ limits: { uploads: 2 } });
    await begin(lab);
    const place = await begin(lab);
    expect(refused(await lab.ask('POST /v2/app/blobs/uploads/'))).toEqual({ status: 429, code: 'TOOMANYREQUESTS' });
    await lab.ask(`DELETE ${place}`);
    await begin(lab);
  });

  it('takes requests one after the other, also when they come at once', async () => {
    const lab = await startLab();
    const place = await begin(lab);
    const answers = await Promise.all([0, 0, 0].map(() => patch(lab, place, 0, 1000)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 416, 416]);
    expect((await lab.ask(`GET ${place}`)).headers.get('range')).toBe('0-999');
  });

  it('of the same blob many times at once gives the blob once', async () => {
    const lab = await startLab();
    await Promise.all(Array.from({ length: 8 }, (_, at) => pushBlob(lab.ask, `repo${at % 3}`, DATA)));
    expect(lab.files()).toMatchObject({ blobs: [DIGEST.slice(7)], uploads: [] });
    await expectBlob(lab, 'repo2');
  });
});

describe('a mount', () => {
  it('makes a blob of another repository readable here, at once', async () => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'from', DATA);
    expect((await lab.ask(`HEAD /v2/to/blobs/${DIGEST}`)).status).toBe(404);
    const mounted = await lab.ask(`POST /v2/to/blobs/uploads/?mount=${DIGEST}&from=from`);
    expect(mounted.status).toBe(201);
    expect(mounted.headers.get('location')).toBe(`/v2/to/blobs/${DIGEST}`);
    await expectBlob(lab, 'to');
    expect(lab.files().uploads).toEqual([]);
  });

  it.each([
    ['the blob is unknown', `mount=${OTHER}&from=from`],
    ['the repository does not have it', `mount=${DIGEST}&from=third`],
    ['no repository is named', `mount=${DIGEST}`],
    ['the repository is no name', `mount=${DIGEST}&from=../from`],
    ['the digest is none', 'mount=sha256:x&from=from'],
  ])('is an upload when %s', async (_what, query) => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'from', DATA);
    const answer = await lab.ask(`POST /v2/to/blobs/uploads/?${query}`);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('docker-upload-uuid')).toMatch(/^[0-9a-f-]{36}$/);
    expect((await lab.ask(`HEAD /v2/to/blobs/${DIGEST}`)).status).toBe(404);
  });
});

describe('a blob that is there', () => {
  it('is read whole, in part, or only its size', async () => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'app', DATA);
    const path = `/v2/app/blobs/${DIGEST}`;
    const size = await lab.ask(`HEAD ${path}`);
    expect(size.status).toBe(200);
    expect(size.headers.get('content-length')).toBe(String(DATA.length));
    expect(size.headers.get('docker-content-digest')).toBe(DIGEST);
    for (const [range, from, to] of [
      ['bytes=10-19', 10, 20],
      ['bytes=299990-', 299_990, 300_000],
      ['bytes=-5', 299_995, 300_000],
      ['bytes=299999-400000', 299_999, 300_000],
    ] as const) {
      const part = await lab.ask(`GET ${path}`, { headers: { range } });
      expect(part.status).toBe(206);
      expect(part.headers.get('content-range')).toBe(`bytes ${from}-${to - 1}/${DATA.length}`);
      expect(part.body.equals(DATA.subarray(from, to))).toBe(true);
    }
    const beyond = await lab.ask(`GET ${path}`, { headers: { range: 'bytes=300000-' } });
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe('bytes */300000');
    for (const range of ['bytes=0-1,5-6', 'lines=0-1', 'bytes=9-1']) {
      expect((await lab.ask(`GET ${path}`, { headers: { range } })).status).toBe(200);
    }
  });

  it('is not readable by its digest in a repository that does not have it', async () => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'secret', DATA);
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect((await lab.ask(`${method} /v2/other/blobs/${DIGEST}`)).status).toBe(404);
    }
    expect((await lab.ask(`GET /v2/other/blobs/${DIGEST}`)).code).toBe('BLOB_UNKNOWN');
  });

  it('is deleted on request, and from the disk', async () => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'app', DATA);
    expect((await lab.ask(`DELETE /v2/app/blobs/${DIGEST}`)).status).toBe(202);
    expect((await lab.ask(`HEAD /v2/app/blobs/${DIGEST}`)).status).toBe(404);
    expect(lab.files()).toMatchObject({ blobs: [], repositories: [] });
  });

  it('expires when no manifest asks for it', async () => {
    const lab = await startLab({ limits: { orphanMs: 5000 } });
    await pushBlob(lab.ask, 'app', DATA);
    await lab.store.collectGarbage();
    await expectBlob(lab);
    lab.pass(6000);
    expect(await lab.distribution.expire()).toEqual({ uploads: 0, blobs: 1 });
    expect(lab.files()).toMatchObject({ blobs: [], repositories: [] });
  });

  it('is cut off before its end when its bytes on disk are damaged', async () => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'app', DATA);
    const { writeFileSync } = await import('node:fs');
    const path = `${lab.dir}/blobs/sha256/${DIGEST.slice(7)}`;
    const damaged = Buffer.from(DATA);
    damaged[5] = (damaged[5] ?? 0) ^ 1;
    writeFileSync(path, damaged);
    expect(createHash('sha256').update(damaged).digest('hex')).not.toBe(DIGEST.slice(7));
    await expect(lab.ask(`GET /v2/app/blobs/${DIGEST}`)).rejects.toThrow();
  });
});
