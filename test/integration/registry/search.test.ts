/** `_catalog` of Debian's docker-registry, and of registries that have none or lie. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReference } from '../../../services/core/images/reference.ts';
import { type DockerRegistry, skopeo, startDockerRegistry } from '../../helpers/docker-registry.ts';
import { type ImageLab, openImageLab } from '../../helpers/image-service.ts';
import { makeImage, writeLayout } from '../../helpers/oci-layout.ts';
import { startScriptedRegistry } from '../../helpers/scripted-registry.ts';

interface Reply {
  status: number;
  headers?: Record<string, string>;
  body: string;
}

let dir: string;
let registry: DockerRegistry;
let lab: ImageLab;
const signal = new AbortController().signal;
const NAMES = ['team/app', 'team/app-worker', 'team/other'];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-search-'));
  registry = await startDockerRegistry(join(dir, 'registry'));
  const layout = writeLayout(join(dir, 'layout'), makeImage([{ a: 'a' }]));
  for (const name of NAMES)
    await skopeo('copy', '--dest-tls-verify=false', layout, `docker://${registry.host}/${name}:v1`);
  lab = await openImageLab(join(dir, 'store'), { insecure: [registry.host], defaultRegistry: registry.host });
});
afterAll(async () => {
  await registry.close();
  rmSync(dir, { recursive: true, force: true });
});

const search = (term: string, limit = 100, at = lab) => at.service.search({ term, limit, signal });

describe('search', () => {
  it('finds the names of the default registry that have the term in them', async () => {
    expect(await search('APP')).toEqual({ registry: registry.host, repositories: NAMES.slice(0, 2), isCut: false });
    expect((await search('')).repositories).toEqual(NAMES);
    expect((await search('nothing')).repositories).toEqual([]);
    expect(() => parseReference(`${registry.host}/${NAMES[0]}`, null)).not.toThrow();
  });

  it('says when there is more than was asked for', async () => {
    expect(await search('team', 2)).toMatchObject({ repositories: NAMES.slice(0, 2), isCut: true });
  });

  it('asks for a registry where there is no default one', async () => {
    const none = await openImageLab(join(dir, 'none'), { insecure: [registry.host] });
    await expect(search('x', 1, none)).rejects.toMatchObject({
      code: 'invalid_request',
      hint: expect.stringContaining('WAFER_DEFAULT_REGISTRY'),
    });
    expect(
      (await none.service.search({ term: 'other', limit: 9, signal, registry: registry.host })).repositories,
    ).toEqual(['team/other']);
  });
});

describe('a registry', () => {
  const at = async (handle: (request: { url: string }) => Reply) => {
    const scripted = await startScriptedRegistry();
    scripted.on(/./, (request, response) => {
      const { status, headers = {}, body } = handle(request);
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
    });
    try {
      const other = await openImageLab(join(dir, `scripted-${scripted.host.split(':')[1]}`), {
        insecure: [scripted.host],
      });
      return await other.service.search({ term: '', limit: 100, signal, registry: scripted.host });
    } finally {
      await scripted.close();
    }
  };
  const page = (names: unknown, next?: string) => ({
    status: 200,
    headers: next === undefined ? {} : { link: `<${next}>; rel="next"` },
    body: JSON.stringify({ repositories: names }),
  });

  it('with several pages is read to the last one', async () => {
    const found = await at(({ url }) =>
      url.includes('last=b') ? page(['c']) : page(['a', 'b'], '/v2/_catalog?last=b&n=2'),
    );
    expect(found.repositories).toEqual(['a', 'b', 'c']);
  });

  it.each([404, 405, 400])('that answers %i is said to have no list', async (status) => {
    await expect(at(() => ({ status, body: 'no' }))).rejects.toMatchObject({
      code: 'registry_failed',
      message: expect.stringContaining('does not offer a list of its repositories'),
    });
  });

  it('that gives its list only to others says how to log in', async () => {
    await expect(at(() => ({ status: 401, body: 'no' }))).rejects.toMatchObject({
      code: 'registry_denied',
      hint: expect.stringContaining('wafer login'),
    });
  });

  it('that never ends its list is left after a while', async () => {
    let pages = 0;
    await at(() => page([`n${pages++}`], `/v2/_catalog?last=${pages}`));
    expect(pages).toBeLessThanOrEqual(200);
  });

  it('can not send escape sequences or names that are none', async () => {
    expect((await at(() => page(['ok', '\u001b[2Jx', '../x', 'A', 'x'.repeat(300)]))).repositories).toEqual(['ok']);
    await expect(at(() => page([1]))).rejects.toMatchObject({ code: 'registry_failed' });
    await expect(at(() => ({ status: 200, body: '<html>' }))).rejects.toMatchObject({ code: 'registry_failed' });
  });

  it('can not send us to an address of its choice', async () => {
    await expect(at(() => page(['a'], 'https://169.254.169.254/v2/_catalog'))).rejects.toMatchObject({
      code: 'registry_denied',
    });
  });
});
