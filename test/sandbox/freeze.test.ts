/** Frozen sandboxes, and what runs in one, in the limit mode of this machine and without any. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../../runtime/sandbox/index.ts';
import { hostProcesses } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';
import { containerLab, ENV } from './container-lab.ts';

const COUNT = ['sh', '-c', 'n=0; while :; do n=$((n+1)); echo $n > /tmp/n; done'];

for (const limits of ['auto', 'none'] as const) {
  const lab = containerLab(`freeze-${limits}`, { limits });

  /** CPU time of the counting program, seen from outside. */
  const ticks = async (sandbox: Sandbox) => (await sandbox.processes()).find(({ pid }) => pid === 2)?.cpuMs ?? -1;

  describe(`a frozen sandbox (limits ${limits})`, () => {
    it('does nothing until it is thawed, and then goes on', async () => {
      const sandbox = await lab.create(COUNT);
      await until('it counts', async () => (await ticks(sandbox)) > 20);
      await sandbox.freeze();
      await sandbox.freeze();
      const frozen = await ticks(sandbox);
      // Others run meanwhile, on the same processors.
      await lab.run(['sh', '-c', 'n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done']);
      expect(await ticks(sandbox)).toBe(frozen);
      expect((await sandbox.stats()).processes).toBe(2);
      await expect(sandbox.start(['true'], { env: ENV })).rejects.toMatchObject({ code: 'frozen' });
      await sandbox.thaw();
      await sandbox.thaw();
      await until('it counts again', async () => (await ticks(sandbox)) > frozen + 20);
      expect(Number(await lab.sh(sandbox, 'cat /tmp/n || echo 0'))).toBeGreaterThanOrEqual(0);
    });

    it('is thawed in the middle of its being frozen, and goes on', async () => {
      const sandbox = await lab.create(COUNT);
      await until('it counts', async () => (await ticks(sandbox)) > 0);
      for (let round = 0; round < 20; round++) {
        const frozen = sandbox.freeze().catch((error: unknown) => error);
        await sandbox.thaw();
        const refused = await frozen;
        if (refused !== undefined) expect(refused).toMatchObject({ code: 'freeze_failed' });
      }
      const before = await ticks(sandbox);
      await until('it counts on', async () => (await ticks(sandbox)) > before + 20);
    });

    it('is held to its memory when it goes on', async () => {
      const script = 'while [ ! -e /go ]; do sleep 0.1; done; exec tail /dev/zero';
      const sandbox = await lab.create(['sh', '-c', script], { memoryBytes: 32 << 20 });
      await sandbox.freeze();
      await sandbox.thaw();
      await lab.sh(sandbox, ': > /go');
      expect(await sandbox.exited).toMatchObject({ reason: 'oom' });
    });

    it('can be destroyed', async () => {
      const sandbox = await lab.create(COUNT);
      await sandbox.freeze();
      await sandbox.destroy();
      expect(await sandbox.exited).toMatchObject({ reason: 'killed' });
      expect((await hostProcesses()).some(({ pid }) => pid === sandbox.pid)).toBe(false);
    });
  });

  describe(`the processes of a sandbox (limits ${limits})`, () => {
    it('are listed as they are inside', async () => {
      const sandbox = await lab.create(['sh', '-c', 'sleep 600 & wait']);
      const sleeper = await sandbox.start(['sleep', '601'], { env: ENV, user: { uid: 33, gid: 33, groups: [] } });
      sleeper.onOutput(() => {});
      // A child is its parent's copy until it has become its own program.
      const commands = async () => (await sandbox.processes()).map(({ command }) => command);
      await until('three programs', async () => {
        const listed = await commands();
        return listed.includes('sleep 600') && listed.includes('sleep 601');
      });
      const list = (await sandbox.processes()).map(({ pid, parent, uid, command }) => ({ pid, parent, uid, command }));
      expect((await commands()).slice(1).sort()).toEqual(['sh -c sleep 600 & wait', 'sleep 600', 'sleep 601']);
      expect(list[0]).toMatchObject({ pid: 1, parent: 0, uid: 0 });
      const shell = list.find(({ command }) => command.startsWith('sh'));
      expect(shell).toMatchObject({ parent: 1, uid: 0 });
      expect(list[0]).toEqual({ pid: 1, parent: 0, uid: 0, command: 'wafer-init' });
      expect(list.find(({ command }) => command === 'sleep 600')).toMatchObject({ parent: shell?.pid, uid: 0 });
      expect(list.find(({ command }) => command === 'sleep 601')).toMatchObject({ parent: 1, uid: 33 });
      for (const one of await sandbox.processes()) {
        expect(one.state).toMatch(/^[RSDT]$/);
        expect(one.memoryBytes).toBeGreaterThan(0);
      }
    });

    it('can not steer a terminal by their names', async () => {
      const sandbox = await lab.create(['perl', '-e', '$0 = "a\\x1b[2Jb\\nc\\xffd\\x{9b}31m)  R 1 1"; sleep 600']);
      await until('it has renamed itself', async () =>
        (await sandbox.processes()).some(({ command }) => command.startsWith('a')),
      );
      const [, one] = await sandbox.processes();
      expect(one?.command).toMatch(/^a\ufffd\[2Jb\ufffdc/);
      expect(one?.command).not.toMatch(/\p{Cc}/u);
      expect(one).toMatchObject({ pid: 2, parent: 1, state: 'S' });
    });
  });

  if (limits === 'auto')
    it('dies with its engine also when it is frozen', async () => {
      const other = await lab.openHost();
      const sandbox = await other.create({
        id: 'frozen',
        profile: 'container',
        layers: lab.base('debian12'),
        argv: ['sleep', '600'],
        env: ENV,
      });
      await sandbox.freeze();
      await other.close();
      await until('its pid 1 is gone', async () =>
        readFile(`/proc/${sandbox.pid}/stat`, 'utf8').then(
          (text) => / Z /.test(text),
          () => true,
        ),
      );
    });
}
