/**
 * The hostile case F47 through the whole platform: settings of a function that programs of the host would obey. What they
 * name is there on the host, and leaves a mark when it is run or loaded.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';
import { type Cases, openCases } from './cases.ts';

const CODE = `
import { spawnSync } from 'node:child_process';
const acts: Record<string, () => unknown> = {
  ok: () => 'ok',
  settings: () => process.env,
  // What its own programs make of them.
  own: () => {
    const { status, stderr } = spawnSync(process.execPath, ['-e', '0'], { encoding: 'utf8' });
    return { status, stderr, found: spawnSync('newuidmap').error?.code };
  },
};
export const handler = (event: { act: string }) => acts[event.act]();`;

let cases: Cases;
let trap: string;
beforeAll(async () => {
  trap = await mkdtemp(join(tmpdir(), 'wafer-trap-'));
  cases = await openCases({ settled: { files: { 'index.ts': CODE } } });
});
afterAll(async () => {
  await cases?.close();
  await rm(trap, { recursive: true, force: true });
});
afterEach(() => cases.checkRest());

describe('F47: LD_PRELOAD, NODE_OPTIONS and PATH of a function', () => {
  const FAKES = ['sh', 'bash', 'node', 'npm', 'setpriv', 'newuidmap', 'newgidmap', 'redis-server', 'wafer-engine'];
  const marks = async () => (await readdir(trap)).filter((name) => name.startsWith('mark-'));
  const expectUntouched = async () => {
    expect(await marks()).toEqual([]);
    for (const { pid, uid } of await processTree(cases.wafer.pid)) {
      if (uid !== process.getuid?.()) continue; // of others nobody may read it
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      expect(environment).not.toMatch(/wafer-trap|canary-of-a-function/);
    }
    expect(cases.wafer.output()).not.toContain('wafer-trap'); // the loader says what it could not load
  };
  beforeAll(async () => {
    for (const name of FAKES)
      await writeFile(join(trap, name), `#!/bin/sh\n: > ${trap}/mark-${name}\n`, { mode: 0o755 });
    await writeFile(join(trap, 'evil.cjs'), `require('fs').writeFileSync('${trap}/mark-node-options', '');`);
  });

  /** Deployed, called and removed, and what it says meanwhile of its environment and of a program of its own. */
  const life = async (meanwhile: () => Promise<void>) => {
    const { wafer } = cases;
    await wafer.deploy('reach-settings', { 'index.ts': CODE }, { env: settings(), timeoutMs: 120_000 });
    const environment = (await cases.act('reach-settings', 'settings')).body;
    const { body } = await cases.act('reach-settings', 'own');
    await meanwhile();
    expect((await cases.act('reach-settings', 'ok')).body).toBe('ok');
    await wafer.remove('reach-settings');
    return { environment, own: body as { status: number; stderr: string; found: string } };
  };
  const settings = () => ({
    LD_PRELOAD: join(trap, 'evil.so'),
    LD_LIBRARY_PATH: trap,
    NODE_OPTIONS: `--require=${trap}/evil.cjs`,
    PATH: `${trap}:/nowhere`,
    BASH_ENV: join(trap, 'sh'),
    PYTHONPATH: trap,
    EVIL: 'canary-of-a-function',
  });

  it('are in its environment and that of its programs, and in no other: not while it is built, started, called or removed', async () => {
    let isOver = false;
    const told = life(async () => {}).finally(() => (isOver = true));
    told.catch(() => {}); // it is told below, unless a look fails first
    let looks = 0;
    for (; !isOver; looks++) await expectUntouched();
    const { environment, own } = await told;
    expect(looks).toBeGreaterThan(0);
    expect(environment).toMatchObject(settings());
    // They work where they may: what they name is looked for inside, and not there.
    expect(own).toMatchObject({ found: 'ENOENT' });
    expect(own.status).not.toBe(0);
    expect(own.stderr).toContain('evil.so');
    expect(own.stderr).toContain('evil.cjs');
    await expectUntouched();
  });

  it('reach no helper that is started while it runs', async () => {
    const engines = async () =>
      (await processTree(cases.wafer.pid)).filter(
        ({ command, ppid }) => command.startsWith('wafer-engine') && ppid === cases.wafer.pid,
      );
    await life(async () => {
      const [old] = await engines();
      if (old === undefined) throw new Error('the platform has no engine');
      process.kill(old.pid, 'SIGKILL');
      await until('another engine runs', async () => (await engines()).some(({ pid }) => pid !== old.pid));
      await expectUntouched();
    });
    await expectUntouched();
  });

  it('would leave marks where they are obeyed', async () => {
    const env = { NODE_OPTIONS: settings().NODE_OPTIONS, PATH: `${trap}:${process.env['PATH']}` };
    spawnSync(process.execPath, ['-e', '0'], { env });
    spawnSync('newuidmap', { env });
    expect((await marks()).sort()).toEqual(['mark-newuidmap', 'mark-node-options']);
  });
});
