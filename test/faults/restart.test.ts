/** What a crash of the platform or of a part of it leaves behind: nothing lost, nothing orphaned. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { removeData } from '../helpers/data-dir.ts';
import { CLI, ROOT } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { hostProcesses, processTree } from '../helpers/processes.ts';
import { TEST_DATA } from '../helpers/test-data.ts';
import { until } from '../helpers/until.ts';

const CODE = {
  'index.mjs':
    'export const handler = async (event) => { if (event?.hold) await new Promise((r) => setTimeout(r, event.hold)); return process.pid; };',
};

let wafer: TestPlatform | undefined;
afterEach(() => wafer?.stop());

const mountCount = async () => (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').length;

describe('wafer up', () => {
  it('killed with SIGKILL and started again has lost no function, version or alias and left no process or mount', async () => {
    wafer = await startTestPlatform();
    const mounts = await mountCount();
    const first = await wafer.deploy('survivor', CODE);
    await wafer.deploy('survivor', { 'index.mjs': 'export const handler = () => "second";' });
    const alias = {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ version: first.number }),
    };
    expect((await wafer.fetch('/v1/functions/survivor/aliases/stable', alias)).status).toBe(200);
    const before = await (await wafer.fetch('/v1/functions/survivor')).json();
    await wafer.invoke('survivor', {});
    const held = wafer.invoke('survivor', { hold: 60_000 }, '?alias=stable').catch(() => null);
    const tree = await until('the held call runs', async () => {
      const now = await processTree((wafer as TestPlatform).pid);
      return now.filter((one) => one.command === 'node').length >= 3 && now;
    });
    await wafer.kill();
    await held;
    const pids = new Set(tree.map((one) => one.pid));
    await until(
      'every process of the tree is gone',
      async () => !(await hostProcesses()).some((one) => pids.has(one.pid)),
    );
    expect(await mountCount()).toBe(mounts);
    wafer = await startTestPlatform();
    expect(await (await wafer.fetch('/v1/functions/survivor')).json()).toEqual(before);
    expect((await wafer.invoke('survivor', {})).body).toBe('second');
    expect((await wafer.invoke('survivor', {}, '?alias=stable')).status).toBe(200);
    await wafer.remove('survivor');
  });

  it('lets a call that runs finish when Ctrl-C is pressed at its terminal, and ends every process', async () => {
    wafer = await startTestPlatform({}, { ownGroup: true });
    await wafer.deploy('interrupted', CODE);
    const pids = new Set((await processTree(wafer.pid)).map((one) => one.pid));
    const held = wafer.invoke('interrupted', { hold: 3000 });
    await until('the call runs', async () => {
      const listed = await (wafer as TestPlatform).fetch('/v1/instances');
      return JSON.stringify(await listed.json()).includes('busy');
    });
    await wafer.interrupt();
    expect((await held).status).toBe(200);
    expect(wafer.output()).not.toContain('engine ended');
    await until('every process is gone', async () => !(await hostProcesses()).some((one) => pids.has(one.pid)));
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'ended by %s while it makes a base image leaves no process and no scratch',
    async (signal) => {
      const data = await mkdtemp(join(tmpdir(), 'wafer-faults-'));
      const env = { ...process.env, NO_COLOR: '1', WAFER_DATA: data, WAFER_PORT: '0', WAFER_LOG_LEVEL: 'silent' };
      const child = spawn(process.execPath, [CLI, 'up'], { env, stdio: 'ignore' });
      const closed = once(child, 'close');
      const below = () => processTree(child.pid ?? 0);
      await until('mmdebstrap runs', async () => (await below()).some(({ command }) => command === 'perl'));
      const pids = new Set((await below()).map((one) => one.pid));
      child.kill(signal);
      await closed;
      const left = async () => (await hostProcesses()).filter((one) => pids.has(one.pid));
      await until('every process is gone', async () => (await left()).length === 0);
      const scratch = async () =>
        (await readdir('/var/tmp')).filter((name) => pids.has(Number(/^wafer-debian12-.*\.(\d+)$/.exec(name)?.[1])));
      await until('no scratch is left', async () => (await scratch()).length === 0);
      await removeData(data);
    },
  );

  it('is obeyed by what makes the base image: nothing goes on behind it', async () => {
    const script = join(ROOT, 'infra/base-images/debian12/build.sh');
    const child = spawn('bash', [script], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    const closed = once(child, 'close');
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until('it reads the lists of packages', () => said.includes('@5 '));
    child.kill('SIGTERM');
    expect(await closed).toEqual([143, null]);
    expect(said).not.toContain('@50 ');
    await until('its group is gone', () => {
      try {
        return !process.kill(-(child.pid ?? 0), 0);
      } catch {
        return true;
      }
    });
  });

  it('starts a new engine when the engine dies, and calls work again', async () => {
    wafer = await startTestPlatform();
    await wafer.deploy('engineless', CODE);
    await wafer.invoke('engineless', {});
    const engine = (await processTree(wafer.pid)).find(
      (one) => one.command.startsWith('wafer-engine') && one.ppid === wafer?.pid,
    );
    expect(engine).toBeDefined();
    const held = wafer.invoke('engineless', { hold: 60_000 });
    await until('the call runs', async () => {
      const listed = await (wafer as TestPlatform).fetch('/v1/instances');
      return JSON.stringify(await listed.json()).includes('busy');
    });
    process.kill(engine?.pid ?? 0, 'SIGKILL');
    expect((await held).body).toMatchObject({ code: 'function_killed', detail: expect.stringMatching(/engine ended/) });
    await until('a call works', async () => (await (wafer as TestPlatform).invoke('engineless', {})).status === 200);
    await wafer.remove('engineless');
  });

  it('starts with a damaged image in its store, and serves the other functions', async () => {
    wafer = await startTestPlatform();
    await wafer.deploy('whole', CODE);
    const { image } = await wafer.deploy('damaged', { 'index.mjs': 'export const handler = () => "damaged";' });
    await wafer.stop();
    const blob = join(TEST_DATA, 'store/blobs/sha256', image.replace('sha256:', ''));
    const bytes = await readFile(blob);
    await writeFile(blob, bytes.subarray(0, 20));
    try {
      wafer = await startTestPlatform();
      expect((await wafer.invoke('whole', {})).status).toBe(200);
      expect((await wafer.invoke('damaged', {})).body).toMatchObject({ code: 'digest_mismatch' });
      await wafer.stop();
    } finally {
      await writeFile(blob, bytes);
    }
    wafer = await startTestPlatform();
    expect((await wafer.invoke('damaged', {})).body).toBe('damaged');
    await wafer.remove('whole');
    await wafer.remove('damaged');
  });

  it('keeps the record of a call that it had to cut when it ended', async () => {
    wafer = await startTestPlatform({ WAFER_DRAIN_MS: '2000' });
    await wafer.deploy('cut', CODE, { timeoutMs: 300_000 });
    const call = new AbortController();
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"hold": 200000}' };
    const held = wafer.fetch('/v1/functions/cut/invoke', { ...init, signal: call.signal }).catch(() => null);
    await until('the call runs', async () => {
      const listed = await (wafer as TestPlatform).fetch('/v1/instances');
      return JSON.stringify(await listed.json()).includes('busy');
    });
    await wafer.stop();
    call.abort();
    await held;
    wafer = await startTestPlatform();
    const { invocations } = (await (await wafer.fetch('/v1/invocations?function=cut')).json()) as {
      invocations: { outcome: { kind: string } }[];
    };
    expect(invocations.map(({ outcome }) => outcome.kind)).toEqual(['cancelled']);
    await wafer.remove('cut');
  });

  it('says in one line that the port is in use, with the fix, and ends with status 4', async () => {
    wafer = await startTestPlatform();
    const { port } = new URL(wafer.url);
    const second = await startTestPlatform({
      WAFER_PORT: port,
      WAFER_DATA: `${process.env['HOME']}/.local/share/wafer-test-second`,
    }).catch((error: Error) => error.message);
    expect(second).toMatch(/port.*in use/i);
    expect(second).toMatch(/WAFER_PORT/);
    expect(second).toMatch(/\(4\)/);
  });

  it('refuses a second platform on the same data directory', async () => {
    wafer = await startTestPlatform();
    const second = await startTestPlatform().catch((error: Error) => error.message);
    expect(second).toMatch(/\(4\)/);
    expect(second).toMatch(/uses this data directory|already|in use/i);
  });
});
