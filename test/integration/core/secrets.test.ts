/** Secrets over a real Redis. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import { secretsKeyOf } from '../../../services/core/secrets/cipher.ts';
import { createSecretFeed } from '../../../services/core/secrets/feed.ts';
import { followSecrets } from '../../../services/core/secrets/follow.ts';
import { createSecrets, type Secrets } from '../../../services/core/secrets/index.ts';
import { createSecretReader } from '../../../services/core/secrets/reader.ts';
import { createSecretStore } from '../../../services/core/secrets/store.ts';
import { MAX_SECRET_BYTES } from '../../../services/core/secrets/types.ts';
import { keysOf } from '../../../services/core/store/keys.ts';
import { eventually, silentLog, startTestRedis, type TestRedis } from '../../helpers/redis.ts';

const key = secretsKeyOf(Buffer.alloc(32, 1));
const bytes = (text: string) => Buffer.from(text);

let redis: TestRedis;
/** What functions there are: name -> settings of its versions, oldest first; `live` is the last. */
let deployed: Record<string, Partial<FunctionVersion['config']>[]>;

beforeAll(async () => {
  redis = await startTestRedis();
});
afterAll(() => redis?.close());
beforeEach(async () => {
  await redis.connection.redis.flushall();
  deployed = {};
});

const functions = {
  list: async () =>
    Object.entries(deployed).map(([name, all]) => ({
      name,
      createdAt: 1,
      latest: all.length,
      aliases: { live: all.length },
    })),
  versions: async (name: string) =>
    (deployed[name] ?? []).map((config, index) => ({ number: index + 1, config }) as FunctionVersion),
};

function open(withKey = key): Secrets & { feed: ReturnType<typeof createSecretFeed> } {
  const store = createSecretStore({ redis: redis.connection.redis });
  const feed = createSecretFeed();
  const reader = createSecretReader({ store, key: withKey });
  return { ...createSecrets({ store, key: withKey, reader, functions, feed }), feed };
}

const textOf = async (secrets: Secrets, ...names: string[]) =>
  (await secrets.read(names.map((name) => ({ name })))).map(({ value }) => value.toString());

describe('set', () => {
  test('gives versions 1, 2, 3, and functions get the newest or the one that they name', async () => {
    const secrets = open();
    expect(await secrets.set('db', bytes('one'))).toMatchObject({ created: true, changed: true });
    expect(await secrets.set('db', bytes('two'))).toMatchObject({ created: false, changed: true });
    expect(await textOf(secrets, 'db')).toEqual(['two']);
    const [first] = await secrets.read([{ name: 'db', version: 1 }]);
    expect(first).toMatchObject({ name: 'db', version: 1 });
    expect(first?.value.toString()).toBe('one');
    expect(await secrets.get('db')).toMatchObject({ latest: 2, versions: [{ version: 1 }, { version: 2 }] });
  });

  test('of the same value makes no version', async () => {
    const secrets = open();
    await secrets.set('db', bytes('one'));
    expect(await secrets.set('db', bytes('one'))).toMatchObject({ changed: false, secret: { latest: 1 } });
  });

  test('from many at once gives each its own version', async () => {
    const secrets = [open(), open(), open()];
    const made = await Promise.all(secrets.map((one, index) => one.set('db', bytes(`value ${index}`))));
    expect(made.map(({ secret }) => secret.latest).sort()).toEqual([1, 2, 3]);
    expect((await secrets[0]?.get('db'))?.versions).toHaveLength(3);
  });

  test.each([
    ['an empty value', 'db', '', 'invalid_request'],
    ['a value that is too large', 'db', 'x'.repeat(MAX_SECRET_BYTES + 1), 'payload_too_large'],
    ['a name with a path in it', '../db', 'x', 'invalid_name'],
    ['a name with a version', 'db@2', 'x', 'invalid_name'],
  ])('refuses %s and leaves nothing', async (_what, name, value, code) => {
    await expect(open().set(name, bytes(value))).rejects.toMatchObject({ code });
    expect(await redis.connection.redis.keys('*')).toEqual([]);
  });

  test('numbers go on after the secret was removed', async () => {
    const secrets = open();
    await secrets.set('db', bytes('one'));
    await secrets.remove('db', false);
    expect(await redis.connection.redis.hlen(keysOf().secretValues)).toBe(0);
    expect((await secrets.set('db', bytes('one'))).secret.latest).toBe(2);
  });
});

describe('rotate', () => {
  test('forgets the versions before, but for those that a version of a function pins', async () => {
    deployed = { pins: [{ secrets: ['db@2'] }, { secrets: ['other'] }], follows: [{ secretEnv: { DB: 'db' } }] };
    const secrets = open();
    for (const value of ['one', 'two', 'three']) await secrets.set('db', bytes(value));
    const { secret } = await secrets.rotate('db', bytes('four'));
    expect(secret.versions.map(({ version }) => version)).toEqual([2, 4]);
    expect(secret.usedBy).toEqual(['follows']);
    expect(await redis.connection.redis.hkeys(keysOf().secretValues)).toEqual(expect.arrayContaining(['db@2', 'db@4']));
    expect(await redis.connection.redis.hlen(keysOf().secretValues)).toBe(2);
    await expect(secrets.read([{ name: 'db', version: 1 }])).rejects.toMatchObject({ code: 'secret_not_found' });
  });

  test('of a secret that is not there makes none', async () => {
    await expect(open().rotate('db', bytes('x'))).rejects.toMatchObject({ code: 'secret_not_found' });
    expect(await open().list()).toEqual([]);
  });

  test('tells those who use an older version, here at once and elsewhere soon', async () => {
    const here = open();
    await here.set('db', bytes('one'));
    const there = createSecretFeed();
    const store = createSecretStore({ redis: redis.connection.redis });
    const end = followSecrets({ store, feed: there, log: silentLog, everyMs: 5 });
    const uses = [here.feed, there].map((feed) => feed.use([{ name: 'db', version: 1, isPinned: false }]));
    expect((await here.rotate('db', bytes('two'))).replaced).toBe(1);
    expect(uses[0]?.isOutdated()).toBe(true);
    await eventually('the other one hears of it', () => uses[1]?.isOutdated() === true);
    await end();
  });
});

describe('remove', () => {
  test('is refused while a function uses it in a version that an alias leads to, unless it is forced', async () => {
    deployed = { orders: [{ secrets: ['db'] }], old: [{ secrets: ['db'] }, {}] };
    const secrets = open();
    await secrets.set('db', bytes('one'));
    await expect(secrets.remove('db', false)).rejects.toMatchObject({
      code: 'conflict',
      details: { functions: ['orders'] },
    });
    const use = secrets.feed.use([{ name: 'db', version: 1, isPinned: true }]);
    await secrets.remove('db', true);
    expect(use.isOutdated()).toBe(true);
    await expect(secrets.get('db')).rejects.toMatchObject({ code: 'secret_not_found' });
  });
});

describe('a deploy', () => {
  test('that names an unknown secret or version is told which, where, and what to do', async () => {
    const secrets = open();
    await secrets.set('db-password', bytes('one'));
    await secrets.assertKnown({ secrets: ['db-password', 'db-password@1'], secretEnv: {} });
    await expect(
      secrets.assertKnown({ secrets: ['db-pasword'], secretEnv: { A: 'db-password@7' } }),
    ).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringMatching(
        /^\/secrets\/0: There is no secret "db-pasword"\. Did you mean "db-password"\? \/secretEnv\/A: .*has no version 7; it has 1\.$/,
      ),
      hint: 'Set it first: wafer secret set db-pasword',
      details: { path: '/secrets/0' },
    });
  });
});

describe('what is stored', () => {
  test('holds no value in any file of Redis, and opens with its own key only', async () => {
    const secrets = open();
    const canary = `canary-${'q7'.repeat(12)}`;
    await secrets.set('db', bytes(canary));
    await redis.connection.redis.save();
    const files = await readdir(redis.directory, { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
    );
    expect(texts.join('')).toContain('db@1');
    for (const form of [canary, ...(['base64', 'hex'] as const).map((encoding) => bytes(canary).toString(encoding))])
      expect(texts.join('')).not.toContain(form);
    const other = open(secretsKeyOf(Buffer.alloc(32, 2)));
    await expect(other.read([{ name: 'db' }])).rejects.toMatchObject({ code: 'secrets_locked' });
    // With another key it can still be listed, and set again.
    expect(await other.list()).toHaveLength(1);
    await other.set('db', bytes(canary));
    expect(await textOf(other, 'db')).toEqual([canary]);
  });
});
