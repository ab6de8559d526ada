import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadAdminKey, readAdminKey } from '../../../services/core/auth/admin-key.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-key-'));
  path = join(dir, 'data', 'admin.key');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) });

describe('loadAdminKey', () => {
  test('makes a key of 256 random bits that only the owner can read, and nothing beside it', async () => {
    const { key, created } = await loadAdminKey(path);
    expect(created).toBe(true);
    expect(key).toMatch(/^wafer_admin_[A-Za-z0-9_-]{43}$/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, 'data'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(dir, 'data'))).toEqual(['admin.key']);
    expect(await readFile(path, 'utf8')).toBe(`${key}\n`);
  });

  test('gives the same key the second time', async () => {
    const first = await loadAdminKey(path);
    expect(await loadAdminKey(path)).toEqual({ key: first.key, created: false });
  });

  test('gives one key to many that start together, and only one has made it', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => loadAdminKey(path)));
    expect(new Set(all.map(({ key }) => key)).size).toBe(1);
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    expect(await readdir(join(dir, 'data'))).toEqual(['admin.key']);
  });

  test('keeps 0600 whatever the umask is', async () => {
    const before = process.umask(0);
    try {
      await loadAdminKey(path);
    } finally {
      process.umask(before);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test.each([0o640, 0o604, 0o620, 0o666, 0o777])('refuses a file with mode %o', async (mode) => {
    await loadAdminKey(path);
    await chmod(path, mode);
    await expect(loadAdminKey(path)).rejects.toEqual(refused(/other users of this machine/));
  });

  test('refuses a symbolic link, even to a good key', async () => {
    await loadAdminKey(path);
    const linked = join(dir, 'linked.key');
    await symlink(path, linked);
    await expect(loadAdminKey(linked)).rejects.toEqual(refused(/symbolic link/));
  });

  test('refuses a directory in its place', async () => {
    await expect(loadAdminKey(dir)).rejects.toEqual(refused(/not a plain file/));
  });

  test.each(['', 'short\n', `${'a'.repeat(40)}\n${'b'.repeat(40)}\n`, `${'a'.repeat(300)}`])(
    'refuses a file that holds no key: %j',
    async (text) => {
      const bad = join(dir, 'bad.key');
      await writeFile(bad, text, { mode: 0o600 });
      await expect(loadAdminKey(bad)).rejects.toEqual(refused(/does not hold a key/));
      expect(await readFile(bad, 'utf8')).toBe(text);
    },
  );
});

describe('readAdminKey', () => {
  test('is null without a file and makes none', async () => {
    expect(await readAdminKey(path)).toBeNull();
    expect(await readdir(dir)).toEqual([]);
  });
});
