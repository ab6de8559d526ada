/** What a zygote of Python makes is as shut in as what is executed, and a process of its own. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxSpec, Zygote } from '../../runtime/sandbox/index.ts';
import { layerOfFolder } from '../helpers/folder-layer.ts';
import { type HostProcess, hostProcesses } from '../helpers/processes.ts';
import { type PythonProgram, pythonSpec, startPython, startZygote } from '../helpers/python-zygote.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

type Facts = Record<string, unknown>;

let test: TestHost;
let layers: string[];
let code: string;
let zygote: Zygote;
let next = 0;
const open: PythonProgram[] = [];

beforeAll(async () => {
  test = await openTestHost();
  layers = test.base('python3.11').layers;
  code = await layerOfFolder(test.host, join(import.meta.dirname, '../fixtures/zygote'));
  zygote = await startZygote(test.host, layers);
});
afterEach(async () => {
  for (const { runtime, sandbox } of open.splice(0)) {
    runtime.destroy();
    await sandbox.destroy();
  }
});
afterAll(async () => {
  await test?.host.removeLayer(code);
  await test?.close();
});

const make = async (handler: string, spec: Partial<SandboxSpec>) => {
  const program = await startPython(
    test.host,
    { ...pythonSpec(`zygote-${next++}`, layers), codeLayers: [code], ...spec },
    `main.${handler}`,
  );
  open.push(program);
  return program;
};
const executed = (handler: string, spec: Partial<SandboxSpec> = {}) => make(handler, spec);
async function forked(handler: string, spec: Partial<SandboxSpec> = {}): Promise<PythonProgram> {
  const program = await make(handler, { zygote: zygote.id, ...spec });
  expect(program.sandbox.fork).toBe(true);
  return program;
}

describe('a program that a zygote made', () => {
  it('has the ids, capabilities, filters, limits and surroundings of one that was executed', async () => {
    const [one, other] = await Promise.all([executed('status'), forked('status')]);
    const [before, now] = (await Promise.all([one.call(), other.call()])) as [Facts, Facts];
    expect(now).toEqual(before);
    const status = now['status'] as Record<string, string>;
    expect(status['Uid']).toBe('1000\t1000\t1000\t1000');
    expect(status['Groups']).toBe('');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status[set], set).toMatch(/^0+$/);
    expect(status).toMatchObject({ NoNewPrivs: '1', Seccomp: '2', Seccomp_filters: '2' });
  });

  it('is in every namespace of its sandbox, and in none of another', async () => {
    const [one, other] = await Promise.all([forked('namespaces'), forked('namespaces')]);
    const [mine, its] = (await Promise.all([one.call(), other.call()])) as [Facts, Facts];
    let listed = '';
    const script = 'cd /proc/self/ns; for name in *; do echo "$name $(readlink /proc/self/ns/$name)"; done';
    await one.sandbox.exec(['/bin/sh', '-c', script], {
      onOutput: (_stream, chunk) => {
        listed += chunk;
      },
    });
    expect(Object.entries(mine).map(([name, value]) => `${name} ${value}`)).toEqual(listed.trim().split('\n'));
    for (const [name, value] of Object.entries(mine)) expect(its[name], name).not.toBe(value);
    expect(one.sandbox.hostUid).not.toBe(other.sandbox.hostUid);
  });

  it('holds no descriptor of the zygote and no memory that it could write to others', async () => {
    const program = await forked('held');
    const held = (await program.call()) as { descriptors: Record<string, string>; shared: string[]; exe: string };
    const { 0: stdin, 1: stdout, 2: stderr, 3: control, ...others } = held.descriptors;
    expect([stdin, stdout, stderr, control]).toEqual(['/dev/null', 'pipe', 'pipe', 'socket']);
    expect(Object.values(others)).toEqual(['closed']); // the listing itself
    expect(held.shared).toEqual([]);
    expect(held.exe).toBe('/usr/bin/python3.11');
  });

  it('sees only its sandbox, in which it is a child of pid 1', async () => {
    const program = await forked('attempt');
    const listed = (await program.call(['sh', '-c', 'echo $PPID; ls /proc | grep -c "^[0-9]"'])) as { out: string };
    const processes = await program.sandbox.processes();
    const python = processes.find(({ command }) => command.startsWith('python3'));
    expect(python?.parent).toBe(1);
    expect(listed.out.split('\n')[0]).toBe(String(python?.pid));
    expect(processes.map(({ parent }) => parent).filter((parent) => parent === 0)).toHaveLength(1); // pid 1's
  });

  it('leaves nobody for pid 1 of the host to reap, who may take its time while the sandbox can not end', async () => {
    // One that has ended has no command line. Other engines may leave some at once, when they are killed, not with each program.
    const isOrphan = ({ ppid, uid, command }: HostProcess) =>
      ppid === 1 && uid === process.getuid?.() && command === '';
    const leftBy = async (programs: number) => {
      const known = new Set((await hostProcesses()).map(({ pid }) => pid));
      const left = new Set<number>();
      for (let made = 0; made < programs; made++) {
        await forked('status');
        for (const one of await hostProcesses()) if (isOrphan(one) && !known.has(one.pid)) left.add(one.pid);
      }
      return left.size;
    };
    let left = await leftBy(20);
    for (let time = 0; time < 2 && left > 0; time++) left = await leftBy(20);
    expect(left).toBe(0);
  });

  it.each([
    ['make a namespace', ['unshare', '-U', 'true']],
    ['write its root', ['touch', '/usr/mine']],
    ['look into pid 1', ['ls', '/proc/1/root/']],
  ])('can not %s', async (_what, argv) => {
    const program = await forked('attempt');
    expect(((await program.call(argv)) as { status: number }).status).not.toBe(0);
  });

  it('can neither mount nor end pid 1', async () => {
    const [mounting, killing] = await Promise.all([forked('mount'), forked('attempt')]);
    expect(await mounting.call()).toEqual({ status: 1, error: 1 }); // EPERM
    await killing.call(['sh', '-c', 'kill -9 1']);
    expect(await killing.call(['true'])).toMatchObject({ status: 0 });
  });

  it('shares no randomness with its siblings', async () => {
    const programs = await Promise.all([forked('chance'), forked('chance'), forked('chance')]);
    const drawn = (await Promise.all(programs.map((one) => one.call()))) as Facts[];
    for (const name of Object.keys(drawn[0] ?? {}))
      expect(new Set(drawn.map((one) => JSON.stringify(one[name]))).size, name).toBe(3);
  });

  it('may use threads, children and coroutines', async () => {
    const program = await forked('threads');
    const found = (await program.call()) as Facts;
    expect(found).toMatchObject({
      sums: [3, 7, 11],
      child: true,
      async: 'slept',
      parent: 'MainProcess',
      alive: true,
    });
    expect(found['main']).toBe(found['pid']);
  });

  it('finds its own modules before those that the zygote imported', async () => {
    const program = await forked('shadowed');
    expect(await program.call()).toEqual(['/function/difflib.py', '/usr/lib/python3.11/calendar.py']);
  });

  it.each(['os', 'sys', 'C', 'abort'])('ends by exit of %s as one that was executed', async (how) => {
    const both = await Promise.all([executed('leave'), forked('leave')]);
    const [before, now] = await Promise.all(
      both.map(({ sandbox, call }) => {
        call({ how, status: 7 }).catch(() => {});
        return sandbox.exited.then(({ status, signal, reason }) => ({ status, signal, reason }));
      }),
    );
    expect(now).toEqual(before);
    expect(now).toMatchObject(how === 'abort' ? { signal: 6 } : { status: 7 });
  });

  it('ends by the signals that are sent to it', async () => {
    const [killed, destroyed] = await Promise.all([forked('held'), forked('held')]);
    await killed.sandbox.signal(15);
    expect(await killed.sandbox.exited).toMatchObject({ signal: 15 });
    await destroyed.sandbox.destroy();
    expect(await destroyed.sandbox.exited).toMatchObject({ reason: 'killed' });
  });

  it('is counted, limited, frozen and given code as one that was executed', async () => {
    const program = await startPython(
      test.host,
      { ...pythonSpec(`zygote-${next++}`, layers), zygote: zygote.id, codeLayers: [code], memoryBytes: 64 << 20 },
      'main.fill',
    );
    open.push(program);
    const stats = await program.sandbox.stats();
    expect(stats.processes ?? stats.pids).toBeGreaterThanOrEqual(2);
    await program.sandbox.freeze();
    await program.sandbox.thaw();
    await expect(program.call()).rejects.toThrow(); // MemoryError, or the end of all of it
    const blank = await test.host.create({ ...pythonSpec(`zygote-${next++}`, layers), zygote: zygote.id });
    expect(blank.fork).toBe(true);
    await blank.attach({ codeLayers: [code], memoryBytes: 32 << 20, pids: 64 });
    await blank.destroy();
  });

  it('goes on when the zygote ends', async () => {
    const own = await startZygote(test.host, layers, 'short');
    const program = await forked('held', { zygote: own.id });
    await own.end();
    expect(await program.call()).toHaveProperty('exe');
  });
});

describe('a zygote', () => {
  it('has two capabilities, no network, no /proc, one socket, and dies with the engine', async () => {
    const other = await test.openHost();
    const own = await startZygote(other, layers);
    const of = (name: string) => join('/proc', String(own.pid), name);
    const status = await readFile(of('status'), 'utf8');
    for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
      expect(BigInt(`0x${new RegExp(`^${set}:\\s+(\\w+)$`, 'm').exec(status)?.[1]}`), set).toBe(
        (1n << 18n) | (1n << 21n),
      );
    expect((await readFile(of('net/dev'), 'utf8')).match(/^ *\w+(?=:)/gm)).toEqual(['    lo']);
    expect(await readdir(of('root/proc'))).toEqual([]);
    expect(await readdir(of('fd'))).toEqual(['0', '1', '2', '3']);
    const [stdin, stdout, stderr, socket] = await Promise.all([0, 1, 2, 3].map((fd) => readlink(of(`fd/${fd}`))));
    expect([stdin, stdout]).toEqual(['/dev/null', '/dev/null']);
    expect(stderr).toBe(await readlink(`/proc/${other.info.pid}/fd/2`)); // what it says there is in the engine's last words
    expect(socket).toMatch(/^socket:/);
    await other.close();
    await own.exited;
    await until('it is gone', async () => !isAlive(own.pid));
  });

  it('gives all that it makes one hash secret and one layout of memory, the next one others', async () => {
    const own = await startZygote(test.host, layers, 'second');
    const ask = async (id: string) => (await (await forked('secret', { zygote: id })).call()) as Facts;
    const [first, again, second] = [await ask(zygote.id), await ask(zygote.id), await ask(own.id)];
    expect(again).toEqual(first);
    expect(Object.keys(first)).toEqual(['hash', 'library', 'heap', 'stack']);
    for (const [name, value] of Object.entries(first)) expect(second[name], name).not.toBe(value);
    await own.end();
  });

  it('that is gone is not waited for: the program is executed', async () => {
    const own = await startZygote(test.host, layers, 'dying');
    await own.end();
    const program = await make('held', { zygote: own.id });
    expect(program.sandbox.fork).toBeUndefined();
    expect(await program.call()).toHaveProperty('exe');
  });

  it('that dies while it is asked is told, and the program is executed', async () => {
    const own = await startZygote(test.host, layers, 'killed');
    process.kill(own.pid, 'SIGSTOP');
    const making = make('held', { zygote: own.id });
    await new Promise((resolve) => setTimeout(resolve, 200)); // whether it was asked by then makes no difference
    await own.end();
    const program = await making;
    expect(program.sandbox.fork).not.toBe(true);
    expect(await program.call()).toHaveProperty('exe');
  });

  it('that does not become ready says why', async () => {
    const start = (argv: string[]) => test.host.startZygote({ id: 'bad', layers, argv, env: { PATH: '/usr/bin' } });
    await expect(start(['no-such-program'])).rejects.toMatchObject({
      code: 'zygote_failed',
      message: /no-such-program/,
    });
    await expect(start(['python3', '-c', 'raise SystemExit(3)'])).rejects.toMatchObject({ message: /status 3/ });
    const broken = 'import sys; sys.modules["gc"] = None; sys.path.append("/.wafer/python/lib"); import wafer._zygote';
    await expect(start(['python3', '-I', '-S', '-c', broken])).rejects.toMatchObject({ code: 'zygote_failed' });
  });

  it('leaves nothing behind: 40 programs, and the engine has what it had', async () => {
    await (await forked('held')).sandbox.destroy();
    const before = await test.host.engineStats();
    for (let round = 0; round < 5; round++) {
      const made = await Promise.all(Array.from({ length: 8 }, () => forked('held')));
      await Promise.all(made.map(({ sandbox }) => sandbox.destroy()));
    }
    await until('they are gone', async () => {
      const now = await test.host.engineStats();
      return JSON.stringify(now) === JSON.stringify(before);
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
