import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataDir } from '../../../services/core/data-lock.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-lock-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the lock of a data directory', () => {
  it('is held by one process at a time, and free again after its release', async () => {
    const path = join(dir, 'run/wafer.lock');
    const lock = await lockDataDir(path);
    await expect(lockDataDir(path)).rejects.toMatchObject({ code: 'already_running' });
    await lock.release();
    await (await lockDataDir(path)).release();
  });

  it('does not hold when its process is gone', async () => {
    const path = join(dir, 'wafer.lock');
    await writeFile(path, `${process.pid} 1\n`);
    await (await lockDataDir(path)).release();
  });

  it('is not taken from another process by a late release', async () => {
    const path = join(dir, 'wafer.lock');
    const lock = await lockDataDir(path);
    await writeFile(path, '1 1\n');
    await lock.release();
    expect(await readFile(path, 'utf8')).toBe('1 1\n');
  });
});
