/** `functions/NAME`: versions and aliases are tags, and a push deploys. The deployer here is a stand-in; test/e2e runs the real one. */
import { describe, expect, it } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import {
  createFunctionImages,
  type FunctionImages,
} from '../../../services/core/images/distribution/function-images.ts';
import { MEDIA } from '../../../services/core/images/types.ts';
import { createFakePlatform } from '../../helpers/fake-platform.ts';
import { type Answer, describe1, type Lab, putManifest, smallImage, startLab } from './lab.ts';

const refused = ({ status, code }: Answer) => ({ status, code });

/** A deployer that publishes the image it is given, and the versions that it made. */
function deploying() {
  const versions: string[] = [];
  const aliases = new Map<string, number>();
  const broken = { with: null as WaferError | null };
  const functions: FunctionImages = {
    names: async () => (versions.length > 0 ? ['app'] : []),
    tags: async (name) => {
      if (name !== 'app' || versions.length === 0) return null;
      const tags = new Map(versions.map((image, at) => [String(at + 1), image]));
      for (const [alias, number] of aliases) tags.set(alias, versions[number - 1] ?? '');
      return tags;
    },
    deploy: async (_name, image) => {
      if (broken.with !== null) throw broken.with;
      await lab.current?.store.tag(image, `functions/app@${image.slice(7, 19)}`);
      versions.push(image);
      aliases.set('live', versions.length);
      return versions.length;
    },
    setAlias: async (_name, alias, version) => void aliases.set(alias, version),
  };
  const lab = { current: null as Lab | null };
  return { functions, versions, aliases, broken, lab };
}

async function start() {
  const made = deploying();
  const lab = await startLab({ functions: made.functions });
  made.lab.current = lab;
  return { ...made, lab };
}

describe('functions/NAME', () => {
  it('shows versions and aliases as tags, and `latest` is `live`', async () => {
    const { tags } = createFunctionImages(createFakePlatform());
    expect([...((await tags('hello')) ?? new Map()).keys()].sort()).toEqual(['1', '2', 'live']);
    expect(await tags('none')).toBeNull();
    const { lab } = await start();
    const image = smallImage();
    const pushed = await lab.push('functions/app', image, 'live');
    expect(pushed.status).toBe(201);
    expect(pushed.headers.get('location')).toBe('/v2/functions/app/manifests/1');
    expect((await lab.ask('GET /v2/functions/app/tags/list')).json).toMatchObject({ tags: ['1', 'latest', 'live'] });
    for (const reference of ['1', 'latest', 'live', image.digest]) {
      const got = await lab.ask(`GET /v2/functions/app/manifests/${reference}`);
      expect(got.body.equals(image.manifest)).toBe(true);
    }
    for (const { digest } of image.layers) {
      expect((await lab.ask(`GET /v2/functions/app/blobs/${digest}`)).status).toBe(200);
    }
    expect((await lab.ask('GET /v2/functions/none/tags/list')).code).toBe('NAME_UNKNOWN');
  });

  it('takes an alias, and a number only for the version that has it already', async () => {
    const { lab, versions, aliases } = await start();
    const [one, two] = [smallImage(), smallImage()];
    expect(refused(await lab.push('functions/app', one, '1'))).toEqual({ status: 403, code: 'DENIED' });
    expect((await lab.push('functions/app', one, 'latest')).status).toBe(201);
    expect((await lab.push('functions/app', one, '1')).status).toBe(201);
    expect(versions).toEqual([one.digest]);
    for (const tag of ['1', '2']) {
      const answer = await lab.push('functions/app', two, tag);
      expect(refused(answer)).toEqual({ status: 403, code: 'DENIED' });
    }
    expect((await lab.push('functions/app', two, 'beta')).status).toBe(201);
    expect(versions).toEqual([one.digest, two.digest]);
    expect(Object.fromEntries(aliases)).toEqual({ live: 2, beta: 2 });
  });

  it('answers with the reason when the deploy fails, and keeps nothing of it', async () => {
    const { lab, versions, broken } = await start();
    const one = smallImage();
    await lab.push('functions/app', one, 'live');
    const before = lab.files();
    broken.with = new WaferError('invalid_config', '/timeoutMs must be a number.');
    const answer = await lab.push('functions/app', smallImage(), 'live');
    expect(refused(answer)).toEqual({ status: 400, code: 'MANIFEST_INVALID' });
    expect(answer.json).toMatchObject({
      errors: [{ message: 'app was not deployed: /timeoutMs must be a number.', detail: { code: 'invalid_config' } }],
    });
    expect(versions).toEqual([one.digest]);
    expect(lab.files()).toEqual(before);
    broken.with = new WaferError('engine_failed', 'The engine is gone.');
    expect(refused(await lab.push('functions/app', smallImage(), 'live'))).toEqual({
      status: 503,
      code: 'UNAVAILABLE',
    });
  });

  it('takes no index, no manifest by digest, nothing that can not run here, and no delete', async () => {
    const { lab, versions } = await start();
    const image = smallImage();
    const unsupported = { status: 405, code: 'UNSUPPORTED' };
    expect(refused(await lab.push('functions/app', image, image.digest))).toEqual(unsupported);
    const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [describe1(image)] };
    expect(refused(await putManifest(lab.ask, 'functions/app', 'live', index))).toEqual(unsupported);
    const other = smallImage({ config: (config) => ({ ...config, architecture: 's390x' }) });
    const answer = await lab.push('functions/app', other, 'live');
    expect(refused(answer)).toEqual({ status: 400, code: 'MANIFEST_INVALID' });
    expect(JSON.stringify(answer.json)).toContain('linux/s390x');
    expect(versions).toEqual([]);
    await lab.push('functions/app', image, 'live');
    for (const reference of ['1', 'live', image.digest]) {
      expect(refused(await lab.ask(`DELETE /v2/functions/app/manifests/${reference}`))).toEqual(unsupported);
    }
    const blob = await lab.ask(`DELETE /v2/functions/app/blobs/${image.layers[0]?.digest}`);
    expect(refused(blob)).toEqual(unsupported);
  });
});
