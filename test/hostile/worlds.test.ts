/** What stands between two sandboxes, and between them and the host, as the host sees it. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../runtime/sandbox/index.ts';
import { hostProcesses } from '../helpers/processes.ts';
import { type Lab, openLab } from './lab.ts';

const CAPABILITIES_OF_INIT = (1n << 5n) | (1n << 6n) | (1n << 7n) | (1n << 8n); // KILL, SETGID, SETUID, SETPCAP

let lab: Lab;
let one: Sandbox;
let two: Sandbox;
beforeAll(async () => {
  lab = await openLab('files');
  [one, two] = (await Promise.all([0, 1].map(() => lab.start([], { argv: ['sleep', '600'] })))) as [Sandbox, Sandbox];
});
afterAll(() => lab?.close());

async function namespacesOf(sandbox: Sandbox): Promise<Record<string, string>> {
  let out = '';
  const list = 'cd /proc/self/ns; for n in *; do echo $n $(readlink $n); done';
  await sandbox.exec(['sh', '-c', list], {
    env: { PATH: '/usr/bin' },
    onOutput: (_stream, chunk) => {
      out += chunk;
    },
  });
  return Object.fromEntries(
    out
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
}

const statusOf = async (pid: number): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n').map((line) => line.split(':\t') as [string, string]),
  );

describe('namespaces', () => {
  it("of every kind are a sandbox's own: not the host's, not another sandbox's", async () => {
    const [first, second] = [await namespacesOf(one), await namespacesOf(two)];
    const kinds = (await readdir('/proc/self/ns')).filter((kind) => !kind.endsWith('_for_children'));
    expect(kinds.length).toBeGreaterThan(6);
    for (const kind of kinds) {
      const all = [first[kind], second[kind], await readlink(`/proc/self/ns/${kind}`)];
      expect(new Set(all).size, `${kind} ${all.join()}`).toBe(3);
    }
  });
  it('have objects of their own: a message queue of one is not in the other', async () => {
    const made = await one.exec(['ipcmk', '-Q'], { env: { PATH: '/usr/bin' } });
    expect(made.status).toBe(0);
    let listed = '';
    await two.exec(['ipcs', '-q'], {
      env: { PATH: '/usr/bin' },
      onOutput: (_stream, chunk) => {
        listed += chunk;
      },
    });
    expect(listed).toContain('Message Queues');
    expect(listed).not.toMatch(/0x[0-9a-f]{8}/);
    expect(await readFile('/proc/sysvipc/msg', 'utf8')).not.toMatch(new RegExp(`\\s${one.hostUid}\\s`));
  });
});

describe('pid 1', () => {
  it('keeps four capabilities in its own namespace, in every set that has any', async () => {
    const status = await statusOf(one.pid);
    const sets = ['CapPrm', 'CapEff', 'CapBnd'].map((set) => BigInt(`0x${status[set]}`));
    expect(sets).toEqual(sets.map(() => CAPABILITIES_OF_INIT));
    expect([status['CapInh'], status['CapAmb']]).toEqual(['0000000000000000', '0000000000000000']);
  });
  it('is confined as its programs are: no_new_privs and both filters', async () => {
    const status = await statusOf(one.pid);
    expect([status['NoNewPrivs'], status['Seccomp'], status['Seccomp_filters']]).toEqual(['1', '2', '2']);
  });
  it('leads a session of its own, so does its program, and neither has a terminal', async () => {
    const program = (await hostProcesses()).find(({ uid }) => uid === one.hostUid);
    for (const pid of [one.pid, program?.pid ?? 0]) {
      const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
      expect([Number(fields[3]), fields[4]], `${pid}`).toEqual([pid, '0']);
    }
  });
});

describe('a program', () => {
  it('has limits on what nothing else counts', async () => {
    const { out } = await lab.run([], { argv: ['cat', '/proc/self/limits'] });
    const hard = (name: string) => new RegExp(`^${name}\\s+\\S+\\s+(\\S+)`, 'm').exec(out)?.[1];
    expect({
      core: hard('Max core file size'),
      files: hard('Max open files'),
      locked: hard('Max locked memory'),
      queues: hard('Max msgqueue size'),
      signals: hard('Max pending signals'),
      stack: hard('Max stack size'),
      nice: hard('Max nice priority'),
      realtime: hard('Max realtime priority'),
      processes: hard('Max processes'),
    }).toEqual({
      core: '0',
      files: '1024',
      locked: '65536',
      queues: '0',
      signals: expect.stringMatching(/^(1024|[0-9]{1,3})$/),
      stack: '8388608',
      nice: '0',
      realtime: '0',
      processes: '32',
    });
  });
  it('makes files that only it can read, and gets an end of file from stdin', async () => {
    const { out } = await lab.run([], {
      argv: ['sh', '-c', 'umask; cat; readlink /proc/self/fd/0; echo > /tmp/x; stat -c %a /tmp/x'],
    });
    expect(out).toBe('0077\n/dev/null\n600\n');
  });
});
