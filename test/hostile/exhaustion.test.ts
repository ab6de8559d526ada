/** One sandbox takes all it can get of one resource: its own limit ends it, and nobody else notices. */
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../runtime/sandbox/index.ts';
import { hostProcesses } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';
import { type Lab, openLab } from './lab.ts';

const PIDS = 32;

let lab: Lab;
beforeAll(async () => {
  lab = await openLab('exhaust');
});
afterAll(() => lab?.close());

const hasStarted = (sandbox: Sandbox) =>
  new Promise<void>((resolve) =>
    sandbox.onOutput((_stream, chunk) => {
      if (chunk.includes('start ok')) resolve();
    }),
  );
const ofSandbox = async ({ hostUid }: Sandbox) => (await hostProcesses()).filter((one) => one.uid === hostUid);

describe('processes', () => {
  it('a fork bomb of double forks in own sessions stays under the limit and dies whole', async () => {
    const sandbox = await lab.start(['exhaust', 'bomb'], { pids: PIDS, memoryBytes: 512 << 20 });
    await hasStarted(sandbox);
    const seen = await until('the bomb is at its limit', async () => {
      const { pids } = await sandbox.stats();
      return pids >= PIDS && pids;
    });
    expect(seen).toBeLessThanOrEqual(PIDS + 1);
    expect((await ofSandbox(sandbox)).length).toBeLessThanOrEqual(PIDS);
    expect((await lab.run([], { argv: ['echo', 'other'] })).out).toBe('other\n');
    await sandbox.destroy();
    expect(await ofSandbox(sandbox)).toEqual([]);
  });
  it('the first program ends: the bomb around it ends too', async () => {
    const exit = await lab.run(['exhaust', 'bomb-and-leave'], { pids: PIDS, memoryBytes: 512 << 20 });
    expect(exit).toMatchObject({ status: 5, reason: 'exited' });
  });
  it('zombies count', async () => {
    const { out } = await lab.run(['exhaust', 'zombies', '100000'], { pids: PIDS });
    expect(out).toMatch(/^fork EAGAIN$/m);
    expect(Number(/^made (\d+)$/m.exec(out)?.[1])).toBeLessThan(PIDS);
  });
  it('orphans are reaped by pid 1 as they come', async () => {
    const { out } = await lab.run(['exhaust', 'orphans', '2000'], { pids: PIDS });
    expect(out).toBe('orphans 2000\n');
  });
  it('kill reaches nobody outside: not pid 1, no pid of the host', async () => {
    const bystander = await lab.start([], { argv: ['sleep', '60'] });
    const { out, status } = await lab.run(['exhaust', 'kill-all']);
    expect(out).toBe('kill-minus-1 ESRCH\nreached 0\nrefused 1\n');
    expect(status).toBe(0);
    expect(await ofSandbox(bystander)).toHaveLength(1);
    expect((await lab.test.host.engineStats()).sandboxes).toBeGreaterThan(0);
    await bystander.destroy();
  });
});

describe('memory', () => {
  const charged = it.runIf(process.env['WAFER_LIMITS'] !== 'none');
  charged.each(['anonymous', 'memfd', 'page-tables', 'sockets', 'pipes'])(
    'of the kind %s is charged, and its limit ends the whole sandbox',
    async (kind) => {
      // The parent of the one that eats must go too.
      const eater = `sleep 0.1; /function/exhaust eat ${kind} & /function/exhaust eat ${kind}; sleep 60`;
      const exit = await lab.run([], { argv: ['sh', '-c', eater], memoryBytes: 48 << 20 });
      if (exit.reason === 'oom') return expect(exit.memoryPeakBytes ?? 0).toBeLessThanOrEqual(48 << 20);
      expect(exit.out).toMatch(/ (EMFILE|ENFILE|ENOMEM|ENOSPC|EPERM)$/m);
    },
  );
  it('of /dev/shm is charged or ends at its own size', async () => {
    const exit = await lab.run(['exhaust', 'eat', 'shm'], { memoryBytes: 48 << 20 });
    expect(exit.reason === 'oom' || /^shm ENOSPC$/m.test(exit.out), exit.out).toBe(true);
  });
  it('of message queues is not given at all', async () => {
    expect((await lab.run(['exhaust', 'queue'])).out).toMatch(/^mq_open (EMFILE|ENOMEM|EACCES|ENOSYS)$/m);
  });
});

describe('descriptors', () => {
  const engineFds = async () => (await readdir(`/proc/${lab.test.host.info.pid}/fd`).catch(() => [])).length;
  it.each(['files', 'sockets', 'pipes'])(
    'of the kind %s end at 1024 for the program, and the engine loses none',
    async (kind) => {
      const before = await engineFds();
      const { out } = await lab.run(['exhaust', 'descriptors', kind]);
      expect(out).toMatch(/^last EMFILE$/m);
      expect(Number(/^made (\d+)$/m.exec(out)?.[1])).toBeLessThanOrEqual(1024);
      expect(await engineFds()).toBe(before);
    },
  );
  it('of terminals end long before the machine has no more', async () => {
    const { out } = await lab.run(['exhaust', 'descriptors', 'ptys']);
    expect(out).toMatch(/^last (ENOSPC|EMFILE)$/m);
    expect(Number(/^made (\d+)$/m.exec(out)?.[1])).toBeLessThanOrEqual(64);
  });
});

describe('time', () => {
  it('a program that ignores every signal and spins in two threads ends at destroy', async () => {
    const sandbox = await lab.start(['exhaust', 'stubborn']);
    await hasStarted(sandbox);
    for (const signal of [15, 2, 1]) await sandbox.signal(signal);
    expect(await ofSandbox(sandbox)).toHaveLength(1);
    await sandbox.destroy();
    expect(await sandbox.exited).toMatchObject({ reason: 'killed', signal: 9 });
    expect(await ofSandbox(sandbox)).toEqual([]);
  });
});

it('the next program runs and the host has what it had', async () => {
  expect(await lab.checkRest()).toEqual({ next: 'fine\n', host: lab.before });
});
