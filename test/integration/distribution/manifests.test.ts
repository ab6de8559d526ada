/** Manifests, tags, referrers and the lists, by plain HTTP. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hostArchitecture } from '../../../services/core/images/documents.ts';
import { MEDIA } from '../../../services/core/images/types.ts';
import { type MadeImage, sha256 } from '../../helpers/oci-layout.ts';
import { type Answer, describe1, type Lab, newDir, pushBlob, putManifest, smallImage, startLab } from './lab.ts';

const refused = ({ status, code }: Answer) => ({ status, code });
const UNKNOWN = { status: 404, code: 'MANIFEST_UNKNOWN' };
const EMPTY = Buffer.from('{}');
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';

const indexOf = (...manifests: object[]) =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests }));
const foreign = () => smallImage({ config: (config) => ({ ...config, architecture: 's390x' }) });
const artifact = (type: string, more: object = {}) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: type,
      config: { mediaType: EMPTY_TYPE, digest: sha256(EMPTY), size: 2 },
      layers: [{ mediaType: EMPTY_TYPE, digest: sha256(EMPTY), size: 2 }],
      ...more,
    }),
  );
/** Pushes an index over two images, by digest first as clients do. */
async function pushIndex(lab: Lab, tag: string): Promise<{ here: MadeImage; there: MadeImage; index: Buffer }> {
  const [here, there] = [smallImage(), foreign()];
  for (const image of [there, here]) await lab.push('app', image, image.digest);
  const index = indexOf(
    describe1(there, { platform: { os: 'linux', architecture: 's390x' } }),
    describe1(here, { platform: { os: 'linux', architecture: hostArchitecture() } }),
  );
  expect((await putManifest(lab.ask, 'app', tag, index)).status).toBe(201);
  return { here, there, index };
}

describe('a manifest', () => {
  it.each([
    ['OCI', {}],
    [
      'Docker',
      { manifestType: MEDIA.dockerManifest, configType: MEDIA.dockerConfig, layerType: MEDIA.dockerLayerGzip },
    ],
  ])('of %s comes back byte by byte, by tag and by digest, with its type', async (_what, types) => {
    const lab = await startLab();
    const image = smallImage(types);
    const pushed = await lab.push('team/app', image, 'v1');
    expect(pushed.status).toBe(201);
    expect(pushed.headers.get('location')).toBe('/v2/team/app/manifests/v1');
    expect(pushed.headers.get('docker-content-digest')).toBe(image.digest);
    for (const reference of ['v1', image.digest, image.digest.replace(':', '%3A')]) {
      const got = await lab.ask(`GET /v2/team/app/manifests/${reference}`);
      expect(got.body.equals(image.manifest)).toBe(true);
      expect(got.headers.get('content-type')).toBe(JSON.parse(image.manifest.toString()).mediaType);
      const head = await lab.ask(`HEAD /v2/team/app/manifests/${reference}`);
      expect(head.headers.get('content-length')).toBe(String(image.manifest.length));
      expect(head.headers.get('docker-content-digest')).toBe(image.digest);
      expect(head.body.length).toBe(0);
    }
    expect((await lab.store.get('team/app:v1')).tags).toEqual(['team/app:v1']);
  });

  it('that is pushed again changes nothing; another one moves the tag and leaves the first by its digest', async () => {
    const lab = await startLab();
    const [one, two] = [smallImage(), smallImage()];
    await lab.push('app', one);
    expect((await lab.push('app', one)).status).toBe(201);
    await lab.push('app', two);
    await lab.store.collectGarbage();
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(two.manifest)).toBe(true);
    expect((await lab.ask(`GET /v2/app/manifests/${one.digest}`)).body.equals(one.manifest)).toBe(true);
    for (const digest of one.blobs.keys()) {
      if (digest !== one.digest) expect((await lab.ask(`HEAD /v2/app/blobs/${digest}`)).status).toBe(200);
    }
  });

  it('whose blobs are missing is refused, and names one', async () => {
    const lab = await startLab();
    const image = smallImage();
    const nothing = await putManifest(lab.ask, 'app', 'v1', image.manifest);
    expect(refused(nothing)).toEqual({ status: 404, code: 'MANIFEST_BLOB_UNKNOWN' });
    const [missing = ''] = [...image.blobs.keys()];
    for (const [digest, bytes] of image.blobs) if (digest !== missing) await pushBlob(lab.ask, 'app', bytes);
    const one = await putManifest(lab.ask, 'app', 'v1', image.manifest);
    expect(one.json).toMatchObject({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: missing } }] });
    await pushBlob(lab.ask, 'other', image.blobs.get(missing) ?? EMPTY);
    expect(refused(await putManifest(lab.ask, 'app', 'v1', image.manifest))).toEqual(refused(one));
    expect(refused(await lab.ask('GET /v2/app/manifests/v1'))).toEqual(UNKNOWN);
  });

  it('under a digest that is not its own is refused', async () => {
    const lab = await startLab();
    const answer = await lab.push('app', smallImage(), sha256('other'));
    expect(refused(answer)).toEqual({ status: 400, code: 'DIGEST_INVALID' });
    expect(answer.json).toMatchObject({ errors: [{ detail: { expected: sha256('other') } }] });
  });

  it('is the same image for Wafer: under another name it is another repository, and without a name it is gone', async () => {
    const lab = await startLab();
    const image = smallImage();
    await lab.push('app', image);
    await lab.store.tag('app:v1', 'copy:latest');
    expect((await lab.ask('GET /v2/copy/manifests/latest')).body.equals(image.manifest)).toBe(true);
    for (const { digest } of image.layers) expect((await lab.ask(`HEAD /v2/copy/blobs/${digest}`)).status).toBe(200);
    await lab.store.untag('app:v1');
    expect(refused(await lab.ask(`GET /v2/app/manifests/${image.digest}`))).toEqual(UNKNOWN);
    await lab.store.untag('copy:latest');
    lab.store.forget([image.digest, ...image.layers.map(({ diffId }) => diffId)]);
    await lab.store.collectGarbage();
    expect(lab.files()).toEqual({ blobs: [], uploads: [], layers: [], repositories: [] });
  });

  it('of an image for other machines, or of no image at all, is kept and served, and never run', async () => {
    const lab = await startLab();
    const other = foreign();
    const pushed = await lab.push('app', other, 's390x');
    expect(pushed.headers.get('warning')).toMatch(/^299 - "It is kept, but can not be run here\. .*linux\/s390x.*"$/);
    await pushBlob(lab.ask, 'app', EMPTY);
    const note = artifact('application/x-note');
    const second = await putManifest(lab.ask, 'app', 'note', note);
    expect({ status: second.status, warning: second.headers.get('warning') }).toEqual({ status: 201, warning: null });
    await lab.store.collectGarbage();
    expect((await lab.ask('GET /v2/app/manifests/s390x')).body.equals(other.manifest)).toBe(true);
    expect((await lab.ask('GET /v2/app/manifests/note')).body.equals(note)).toBe(true);
    expect(await lab.store.list()).toEqual([]);
    expect(lab.files().layers).toEqual([]);
    expect((await lab.ask('GET /v2/app/tags/list')).json).toEqual({ name: 'app', tags: ['note', 's390x'] });
  });

  it('that is refused because a layer is not what the config says leaves nothing unpacked', async () => {
    const lab = await startLab();
    const image = smallImage({
      config: (config) => ({ ...config, rootfs: { type: 'layers', diff_ids: [sha256('a'), sha256('b')] } }),
    });
    expect(refused(await lab.push('app', image))).toEqual({ status: 400, code: 'MANIFEST_INVALID' });
    expect(lab.files().layers).toEqual([]);
    expect(refused(await lab.ask('GET /v2/app/manifests/v1'))).toEqual(UNKNOWN);
    const { blobs } = lab.files();
    expect(blobs).not.toContain(image.digest.slice(7));
  });

  it('is deleted by tag (the tag alone) and by digest (with its tags and its bytes)', async () => {
    const lab = await startLab();
    const image = smallImage();
    await lab.push('app', image, 'v1');
    await lab.push('app', image, 'v2');
    expect((await lab.ask('DELETE /v2/app/manifests/v1')).status).toBe(202);
    expect(refused(await lab.ask('GET /v2/app/manifests/v1'))).toEqual(UNKNOWN);
    expect((await lab.ask('GET /v2/app/manifests/v2')).status).toBe(200);
    expect((await lab.ask('DELETE /v2/app/manifests/v2')).status).toBe(202);
    expect((await lab.ask(`GET /v2/app/manifests/${image.digest}`)).status).toBe(200);
    expect((await lab.store.get(image.digest)).tags).toEqual([]);
    await lab.push('app', image, 'v3');
    expect((await lab.ask(`DELETE /v2/app/manifests/${image.digest}`)).status).toBe(202);
    for (const reference of ['v3', image.digest]) {
      expect(refused(await lab.ask(`GET /v2/app/manifests/${reference}`))).toEqual(UNKNOWN);
      expect(refused(await lab.ask(`DELETE /v2/app/manifests/${reference}`))).toEqual(UNKNOWN);
    }
    expect(lab.files()).toEqual({ blobs: [], uploads: [], layers: [], repositories: [] });
  });

  it('keeps its blobs: none of them can be deleted alone', async () => {
    const lab = await startLab();
    const image = smallImage();
    await lab.push('app', image);
    await lab.store.tag('app:v1', 'local:latest');
    // Also when it was pushed once more, and so waits for another manifest.
    await pushBlob(lab.ask, 'app', image.blobs.get(image.layers[0]?.digest ?? '') ?? EMPTY);
    for (const repository of ['app', 'local']) {
      const answer = await lab.ask(`DELETE /v2/${repository}/blobs/${image.layers[0]?.digest}`);
      expect(refused(answer)).toEqual({ status: 405, code: 'DENIED' });
    }
    expect((await lab.ask(`HEAD /v2/app/blobs/${image.layers[0]?.digest}`)).status).toBe(200);
  });

  it('without a name outlives a restart, and goes with prune', async () => {
    const dir = newDir();
    const before = await startLab({ dir });
    const [one, two] = [smallImage(), smallImage()];
    await before.push('app', one);
    await before.push('app', two);
    await before.close();
    const lab = await startLab({ dir });
    await lab.store.collectGarbage();
    expect((await lab.ask(`GET /v2/app/manifests/${one.digest}`)).status).toBe(200);
    await lab.store.content.prune(false);
    await lab.store.collectGarbage();
    expect(refused(await lab.ask(`GET /v2/app/manifests/${one.digest}`))).toEqual(UNKNOWN);
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(two.manifest)).toBe(true);
    expect(lab.files().blobs).toHaveLength(two.blobs.size);
  });
});

describe('the short name of an image', () => {
  it('is its tag `latest`, which a push moves', async () => {
    const lab = await startLab();
    const [old, next] = [smallImage(), smallImage()];
    await lab.push('other', old);
    await lab.store.tag('other:v1', 'app');
    expect((await lab.ask('GET /v2/app/tags/list')).json).toEqual({ name: 'app', tags: ['latest'] });
    expect((await lab.ask('GET /v2/app/manifests/latest')).body.equals(old.manifest)).toBe(true);
    await lab.push('app', next, 'latest');
    expect((await lab.ask('GET /v2/app/manifests/latest')).body.equals(next.manifest)).toBe(true);
    expect(await lab.store.find('app')).toBeNull();
    expect((await lab.store.get(next.digest)).tags).toEqual(['app:latest']);
    await lab.store.tag('other:v1', 'second');
    expect((await lab.ask('DELETE /v2/second/manifests/latest')).status).toBe(202);
    expect(await lab.store.find('second')).toBeNull();
  });
});

describe('an index', () => {
  it('is served as it came; for Wafer the tag is the image of this host', async () => {
    const lab = await startLab();
    const { here, there, index } = await pushIndex(lab, 'v1');
    const got = await lab.ask('GET /v2/app/manifests/v1');
    expect(got.body.equals(index)).toBe(true);
    expect(got.headers.get('content-type')).toBe(MEDIA.index);
    expect((await lab.store.get('app:v1')).digest).toBe(here.digest);
    lab.pass(60 * 60 * 1000);
    await lab.store.collectGarbage();
    for (const image of [here, there]) {
      expect((await lab.ask(`GET /v2/app/manifests/${image.digest}`)).body.equals(image.manifest)).toBe(true);
      for (const digest of image.blobs.keys())
        expect(readdirSync(`${lab.dir}/blobs/sha256`)).toContain(digest.slice(7));
    }
  });

  it('is the same after a restart', async () => {
    const dir = newDir();
    const before = await startLab({ dir });
    const { index, here } = await pushIndex(before, 'v1');
    await before.close();
    const lab = await startLab({ dir });
    await lab.store.collectGarbage();
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(index)).toBe(true);
    expect((await lab.store.get('app:v1')).digest).toBe(here.digest);
    expect((await lab.ask('GET /v2/app/tags/list')).json).toEqual({ name: 'app', tags: ['v1'] });
  });

  it('gives way when the name is given to another image, or is taken away', async () => {
    const lab = await startLab();
    const { index, here } = await pushIndex(lab, 'v1');
    const other = smallImage();
    await lab.push('other', other);
    await lab.store.tag('other:v1', 'app:v1');
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(other.manifest)).toBe(true);
    await putManifest(lab.ask, 'app', 'v1', index);
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(index)).toBe(true);
    await lab.store.untag('app:v1');
    expect(refused(await lab.ask('GET /v2/app/manifests/v1'))).toEqual(UNKNOWN);
    expect(refused(await lab.ask(`GET /v2/app/manifests/${sha256(index)}`))).toEqual(UNKNOWN);
    expect(refused(await lab.ask(`GET /v2/app/manifests/${here.digest}`))).toEqual(UNKNOWN);
    await lab.store.untag('other:v1');
    lab.pass(60 * 60 * 1000);
    await lab.store.collectGarbage();
    expect(lab.files()).toMatchObject({ blobs: [], layers: [], repositories: [] });
  });

  it('gives way to an image that is pushed under its tag, and takes the tag of one', async () => {
    const lab = await startLab();
    const plain = smallImage();
    await lab.push('app', plain);
    const { index, here } = await pushIndex(lab, 'v1');
    expect((await lab.store.get('app:v1')).digest).toBe(here.digest);
    await lab.push('app', plain);
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(plain.manifest)).toBe(true);
    // Also when the image is the one that the index has for this host.
    await putManifest(lab.ask, 'app', 'v1', index);
    await lab.push('app', here);
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(here.manifest)).toBe(true);
  });

  it('without an image for this host takes the name away from the store', async () => {
    const lab = await startLab();
    await lab.push('app', smallImage());
    const other = foreign();
    await lab.push('app', other, other.digest);
    const index = indexOf(describe1(other));
    expect((await putManifest(lab.ask, 'app', 'v1', index)).status).toBe(201);
    expect(await lab.store.find('app:v1')).toBeNull();
    expect((await lab.ask('GET /v2/app/manifests/v1')).body.equals(index)).toBe(true);
    expect((await lab.ask('DELETE /v2/app/manifests/v1')).status).toBe(202);
    expect(refused(await lab.ask('GET /v2/app/manifests/v1'))).toEqual(UNKNOWN);
  });

  it('is refused when one of its manifests is missing, and keeps those that it has', async () => {
    const lab = await startLab();
    const image = smallImage();
    const index = indexOf(describe1(image));
    expect(refused(await putManifest(lab.ask, 'app', 'v1', index))).toEqual({
      status: 404,
      code: 'MANIFEST_BLOB_UNKNOWN',
    });
    await lab.push('app', image, image.digest);
    expect((await putManifest(lab.ask, 'app', 'v1', index)).status).toBe(201);
    const answer = await lab.ask(`DELETE /v2/app/manifests/${image.digest}`);
    expect(refused(answer)).toEqual({ status: 405, code: 'DENIED' });
    expect(answer.json).toMatchObject({ errors: [{ detail: { usedBy: sha256(index) } }] });
    expect((await lab.ask(`DELETE /v2/app/manifests/${sha256(index)}`)).status).toBe(202);
    expect((await lab.ask(`DELETE /v2/app/manifests/${image.digest}`)).status).toBe(202);
  });

  it('may hold an index, which may hold the image', async () => {
    const lab = await startLab();
    const image = smallImage();
    await lab.push('app', image, image.digest);
    let inner = indexOf(describe1(image));
    await putManifest(lab.ask, 'app', sha256(inner), inner);
    inner = indexOf({ mediaType: MEDIA.index, digest: sha256(inner), size: inner.length });
    expect((await putManifest(lab.ask, 'app', 'v1', inner)).status).toBe(201);
    expect((await lab.store.get('app:v1')).digest).toBe(image.digest);
  });
});

describe('referrers', () => {
  it('lists what has the manifest as its subject, and filters by type', async () => {
    const lab = await startLab();
    const image = smallImage();
    const subject = describe1(image);
    await pushBlob(lab.ask, 'app', EMPTY);
    const note = artifact('application/x-note', { subject, annotations: { why: 'test' } });
    const early = await putManifest(lab.ask, 'app', sha256(note), note);
    expect(early.headers.get('oci-subject')).toBe(image.digest);
    await lab.push('app', image);
    const signature = artifact('', { subject });
    await putManifest(lab.ask, 'app', sha256(signature), signature);

    const all = await lab.ask(`GET /v2/app/referrers/${image.digest}`);
    expect(all.headers.get('content-type')).toBe(MEDIA.index);
    expect(all.headers.get('oci-filters-applied')).toBeNull();
    const { manifests } = all.json as { manifests: { digest: string }[] };
    expect(manifests).toHaveLength(2);
    expect(manifests.find(({ digest }) => digest === sha256(note))).toEqual({
      mediaType: MEDIA.manifest,
      digest: sha256(note),
      size: note.length,
      artifactType: 'application/x-note',
      annotations: { why: 'test' },
    });
    const some = await lab.ask(`GET /v2/app/referrers/${image.digest}?artifactType=${encodeURIComponent(EMPTY_TYPE)}`);
    expect(some.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(some.json).toMatchObject({ schemaVersion: 2, manifests: [{ digest: sha256(signature) }] });

    await lab.store.collectGarbage();
    expect((await lab.ask(`GET /v2/app/manifests/${sha256(note)}`)).body.equals(note)).toBe(true);
    await lab.store.untag('app:v1');
    expect((await lab.ask(`GET /v2/app/referrers/${image.digest}`)).json).toMatchObject({ manifests: [] });
  });

  it('is an empty list for a manifest that nobody refers to, or that is not there', async () => {
    const lab = await startLab();
    const empty = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [] };
    expect((await lab.ask(`GET /v2/app/referrers/${sha256('x')}`)).json).toEqual(empty);
    expect(refused(await lab.ask('GET /v2/app/referrers/sha256:x'))).toEqual({ status: 400, code: 'DIGEST_INVALID' });
  });

  it('come in pages when they are many', async () => {
    const lab = await startLab();
    await pushBlob(lab.ask, 'app', EMPTY);
    const subject = { mediaType: MEDIA.manifest, digest: sha256('subject'), size: 7 };
    const wanted = Array.from({ length: 205 }, (_, at) =>
      artifact('application/x-note', { subject, annotations: { at: `${at}` } }),
    );
    for (const one of wanted) await putManifest(lab.ask, 'app', sha256(one), one);
    const found: string[] = [];
    let next: string | undefined = `/v2/app/referrers/${subject.digest}?artifactType=application%2Fx-note`;
    while (next !== undefined) {
      const page = await lab.ask(`GET ${next}`);
      expect(page.headers.get('oci-filters-applied')).toBe('artifactType');
      found.push(...(page.json as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest));
      next = /^<([^>]*)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(found.sort()).toEqual(wanted.map(sha256).sort());
  });
});

describe('lists', () => {
  it('of tags are sorted, and come in pages', async () => {
    const lab = await startLab();
    const image = smallImage();
    for (const tag of ['b', 'A', 'c', 'constructor', '__proto__', 'v1.0']) await lab.push('app', image, tag);
    const all = ['__proto__', 'A', 'b', 'c', 'constructor', 'v1.0'];
    expect((await lab.ask('GET /v2/app/tags/list')).json).toEqual({ name: 'app', tags: all });
    const first = await lab.ask('GET /v2/app/tags/list?n=2');
    expect(first.json).toEqual({ name: 'app', tags: all.slice(0, 2) });
    expect(first.headers.get('link')).toBe('</v2/app/tags/list?n=2&last=A>; rel="next"');
    const second = await lab.ask('GET /v2/app/tags/list?n=2&last=A');
    expect(second.json).toEqual({ name: 'app', tags: ['b', 'c'] });
    const last = await lab.ask('GET /v2/app/tags/list?n=2&last=c');
    expect({ tags: last.json, link: last.headers.get('link') }).toEqual({
      tags: { name: 'app', tags: ['constructor', 'v1.0'] },
      link: null,
    });
    expect((await lab.ask('GET /v2/app/tags/list?n=0')).json).toEqual({ name: 'app', tags: [] });
    expect((await lab.ask('GET /v2/app/tags/list?last=bx')).json).toMatchObject({ tags: all.slice(3) });
    expect((await lab.ask('GET /v2/app/tags/list?n=x')).status).toBe(400);
    expect(refused(await lab.ask('GET /v2/none/tags/list'))).toEqual({ status: 404, code: 'NAME_UNKNOWN' });
  });

  it('of repositories name pushed and local ones, bases and functions, and nothing that is only the platform’s', async () => {
    const lab = await startLab();
    const image = smallImage();
    await lab.push('team/app', image);
    for (const tag of [
      'local:latest',
      'reg.example/x/y:1',
      'reg.example:5000/x:1',
      'node24',
      'deps/abc',
      'functions/hello@abc',
    ]) {
      await lab.store.tag('team/app:v1', tag);
    }
    const all = ['functions/hello', 'functions/other', 'local', 'node24', 'reg.example/x/y', 'team/app'];
    expect((await lab.ask('GET /v2/_catalog')).json).toEqual({ repositories: all });
    const page = await lab.ask('GET /v2/_catalog?n=2&last=local');
    expect(page.json).toEqual({ repositories: ['node24', 'reg.example/x/y'] });
    expect(page.headers.get('link')).toBe('</v2/_catalog?n=2&last=reg.example%2Fx%2Fy>; rel="next"');
    expect((await lab.ask('GET /v2/node24/manifests/latest')).body.equals(image.manifest)).toBe(true);
    expect((await lab.ask('GET /v2/deps/abc/manifests/latest')).code).toBe('NAME_UNKNOWN');
    expect((await lab.ask('GET /v2/reg.example/x/y/manifests/1')).status).toBe(200);
  });
});

describe('a base image', () => {
  it('can be read, and not be written or deleted', async () => {
    const lab = await startLab();
    const image = smallImage();
    await lab.push('app', image);
    await lab.store.tag('app:v1', 'node24');
    expect((await lab.ask('GET /v2/node24/tags/list')).json).toEqual({ name: 'node24', tags: ['latest'] });
    for (const { digest } of image.layers) expect((await lab.ask(`GET /v2/node24/blobs/${digest}`)).status).toBe(200);
    const denied = { status: 403, code: 'DENIED' };
    expect(refused(await lab.ask('POST /v2/node24/blobs/uploads/'))).toEqual(denied);
    expect(refused(await putManifest(lab.ask, 'node24', 'latest', image.manifest))).toEqual(denied);
    expect(refused(await putManifest(lab.ask, 'node24', 'v2', image.manifest))).toEqual(denied);
    const deleted = await lab.ask('DELETE /v2/node24/manifests/latest');
    expect(refused(deleted)).toEqual({ status: 405, code: 'UNSUPPORTED' });
    expect((await lab.store.get('node24')).digest).toBe(image.digest);
  });
});
