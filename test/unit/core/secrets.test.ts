import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configOfImage, LABEL_CONFIG } from '../../../services/core/functions/image-config.ts';
import { validateConfig } from '../../../services/core/functions/validate.ts';
import { KEY_BYTES, seal, secretsKeyOf, unseal } from '../../../services/core/secrets/cipher.ts';
import { createSecretFeed } from '../../../services/core/secrets/feed.ts';
import { loadSecretsKey } from '../../../services/core/secrets/key.ts';
import { openReceiver, sealFor } from '../../../services/core/secrets/sealed-box.ts';
import { headOf } from '../../../services/core/secrets/store.ts';

const key = secretsKeyOf(Buffer.alloc(KEY_BYTES, 7));
const place = { namespace: 'default', name: 'db', version: 3 };
const value = Buffer.from([0, 1, 255, 10, 65]);
const locked = expect.objectContaining({ code: 'secrets_locked' });
const failureOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
};

describe('a value at rest', () => {
  test('opens as it was, and looks different each time', () => {
    const texts = [seal(key, place, value), seal(key, place, value)];
    expect(texts[0]).not.toBe(texts[1]);
    for (const text of texts) expect(unseal(key, place, text).equals(value)).toBe(true);
  });

  test.each([
    ['another name', { ...place, name: 'other' }],
    ['another version', { ...place, version: 4 }],
    ['another namespace', { ...place, namespace: 'tenant' }],
  ])('does not open as that of %s', (_what, elsewhere) => {
    expect(failureOf(() => unseal(key, elsewhere, seal(key, place, value)))).toEqual(locked);
  });

  test('does not open with another key, and says so', () => {
    const error = failureOf(() => unseal(secretsKeyOf(Buffer.alloc(KEY_BYTES, 8)), place, seal(key, place, value)));
    expect(error).toEqual(locked);
    expect(String(error)).toContain('another key');
  });

  test('does not open when any byte of it was changed', () => {
    const [format, id, body = ''] = seal(key, place, value).split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (const [index, byte] of bytes.entries()) {
      const changed = Buffer.from(bytes);
      changed[index] = byte ^ 1;
      const text = [format, id, changed.toString('base64url')].join('.');
      expect(failureOf(() => unseal(key, place, text))).toEqual(locked);
    }
    for (const text of ['', 'v1', `v1.${id}.AAAA`, `v2.${id}.${body}`])
      expect(failureOf(() => unseal(key, place, text))).toEqual(locked);
  });
});

describe('the key of secrets', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'wafer-key-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test('is made by the first start, mode 0400, and stays', async () => {
    const path = join(dir, 'secrets.key');
    const [one, other] = await Promise.all([loadSecretsKey(path, undefined), loadSecretsKey(path, '')]);
    expect(one.bytes).toHaveLength(KEY_BYTES);
    expect(other.id).toBe(one.id);
    expect((await stat(path)).mode & 0o777).toBe(0o400);
    expect((await loadSecretsKey(path, undefined)).bytes.equals(one.bytes)).toBe(true);
  });

  test('may be given as base64 or hexadecimal, and then there is no file', async () => {
    const path = join(dir, 'none.key');
    const bytes = Buffer.alloc(KEY_BYTES, 0xfb);
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect((await loadSecretsKey(path, bytes.toString(encoding))).bytes.equals(bytes)).toBe(true);
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.each(['too short', `${'a'.repeat(42)}!`])('that is none is refused without being repeated: %s', async (text) => {
    const error = await loadSecretsKey(join(dir, 'none.key'), text).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'usage' });
    expect(String(error)).not.toContain(text);
  });

  test('is not used when others may read its file, or when it holds none', async () => {
    const path = join(dir, 'open.key');
    await writeFile(path, `${'a'.repeat(43)}\n`);
    await chmod(path, 0o440);
    await expect(loadSecretsKey(path, undefined)).rejects.toMatchObject({ code: 'usage' });
    await chmod(path, 0o600);
    await writeFile(path, 'nothing\n');
    await expect(loadSecretsKey(path, undefined)).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('what is sealed for a worker', () => {
  test('opens for it alone', () => {
    const receiver = openReceiver();
    const sealed = sealFor(receiver.publicKey, value);
    expect(JSON.stringify(sealed)).not.toContain(value.toString('base64url'));
    expect(receiver.open(sealed).equals(value)).toBe(true);
    expect(failureOf(() => openReceiver().open(sealed))).toMatchObject({ code: 'not_reachable' });
    expect(failureOf(() => sealFor('AAAA', value))).toMatchObject({ code: 'invalid_request' });
  });
});

describe('wafer.json', () => {
  const refusal = (config: object) => String(failureOf(() => validateConfig({ runtime: 'node', ...config })));

  test('names secrets as files and as variables, of the newest or of a fixed version', () => {
    const settings = { secrets: ['db-password', 'tls.key@12'], secretEnv: { STRIPE_KEY: 'stripe', OLD: 'stripe@1' } };
    expect(validateConfig(settings)).toEqual(settings);
  });

  test.each([
    [{ secrets: 'db' }, '/secrets: must be a list'],
    [{ secrets: ['../etc'] }, '/secrets/0: must be the name of a secret'],
    [{ secrets: ['db@0'] }, '/secrets/0: must be the name of a secret'],
    [{ secrets: ['a', 'a@2'] }, '/secrets/1: is there twice'],
    [{ secretEnv: { A: 'no name' } }, '/secretEnv/A: must be the name of a secret'],
    [{ secretEnv: { '1A': 'db' } }, '/secretEnv/1A: is not a name for a variable'],
    [{ secretEnv: { A: 'db' }, env: { A: 'x' } }, '/secretEnv/A: is set in env, too'],
    [{ secretEnv: ['db'] }, '/secretEnv: must be an object from variables to secrets'],
    [{ secret: ['db'] }, 'Did you mean "secrets"?'],
  ])('is refused with the place and the rule: %j', (config, text) => {
    expect(refusal(config)).toContain(text);
  });

  test('the labels of an image can not ask for secrets', () => {
    const labels = { [LABEL_CONFIG]: JSON.stringify({ runtime: 'http', secrets: ['db'], secretEnv: { A: 'db' } }) };
    const config = { Labels: labels, Cmd: ['/server'] };
    const made = configOfImage({}, { name: 'foreign', config, layers: 1 });
    expect(made.runtime).toBe('http');
    expect(made).not.toHaveProperty('secrets');
    expect(made).not.toHaveProperty('secretEnv');
    expect(configOfImage({ secrets: ['db'] }, { name: 'foreign', config, layers: 1 }).secrets).toEqual(['db']);
  });
});

describe('the feed of changes', () => {
  const used = (version: number, isPinned = false) => [{ name: 'db', version, isPinned }];

  test('tells a use once when a newer version is there, and no use of that version', () => {
    const feed = createSecretFeed();
    const told: string[] = [];
    const old = feed.use(used(1));
    old.whenOutdated(() => told.push('old'));
    feed.use(used(2)).whenOutdated(() => told.push('new'));
    expect(feed.note(headOf('db', 2, false))).toBe(1);
    expect(feed.note(headOf('db', 2, false))).toBe(0);
    expect(told).toEqual(['old']);
    expect(old.isOutdated()).toBe(true);
  });

  test('tells a use that began before the change and comes after it', () => {
    const feed = createSecretFeed();
    feed.note(headOf('db', 2, false));
    let isTold = false;
    const late = feed.use(used(1));
    late.whenOutdated(() => {
      isTold = true;
    });
    expect(isTold).toBe(true);
  });

  test('a fixed version is outdated by the removal of the secret only, and the secret may come back', () => {
    const feed = createSecretFeed();
    const pinned = feed.use(used(1, true));
    feed.note(headOf('db', 2, false));
    expect(pinned.isOutdated()).toBe(false);
    expect(feed.note(headOf('db', 2, true))).toBe(1);
    expect(pinned.isOutdated()).toBe(true);
    const again = feed.use(used(3));
    feed.note(headOf('db', 3, false));
    expect(again.isOutdated()).toBe(false);
  });

  test('what has ended is told nothing, and old news change nothing', () => {
    const feed = createSecretFeed();
    const ended = feed.use(used(1));
    ended.end();
    feed.note(headOf('db', 3, false));
    expect(ended.isOutdated()).toBe(false);
    const present = feed.use(used(3));
    expect(feed.note(headOf('db', 2, false))).toBe(0);
    expect(present.isOutdated()).toBe(false);
  });
});
