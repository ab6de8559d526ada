/** Readings of a group's files, here of files that the test writes. */
import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUsage } from '../../../runtime/sandbox/usage.ts';

let root: string;
const write = (name: string, text: string) => writeFileSync(join(root, 'box', name), text);
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'wafer-usage-'));
  await mkdir(join(root, 'box'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = (limits: 'v1' | 'v2' | 'none') => createUsage({ limits, groups: { cpu: root, memory: root } }, 'box');

describe('what a sandbox has used', () => {
  it('is read from the files of cgroup v2', () => {
    write('cpu.stat', 'usage_usec 1234\nuser_usec 1000\n');
    write('memory.peak', '8192\n');
    write('memory.stat', 'anon 1\nshmem 4096\n');
    const usage = open('v2');
    expect({ ...usage.now }).toEqual({ cpuMicros: 1234, memoryPeakBytes: 8192, fileBytes: 4096 });
    usage.close();
  });

  it('is read from the files of cgroup v1, whose processor time is in nanoseconds', () => {
    write('cpuacct.usage', '1234000\n');
    write('memory.max_usage_in_bytes', '8192\n');
    write('memory.stat', 'cache 1\nshmem 4096\n');
    const usage = open('v1');
    expect({ ...usage.now }).toEqual({ cpuMicros: 1234, memoryPeakBytes: 8192, fileBytes: 4096 });
    usage.close();
  });

  it('is one reading for all that ask in one turn of the event loop, and a new one in the next', async () => {
    write('cpu.stat', 'usage_usec 1\n');
    const usage = open('v2');
    expect(usage.now.cpuMicros).toBe(1);
    write('cpu.stat', 'usage_usec 2\n');
    expect(usage.now.cpuMicros).toBe(1);
    await nextTurn();
    expect(usage.now.cpuMicros).toBe(2);
    usage.close();
  });

  it('is unknown where nothing counts, where the kernel has no such file, and after the end', () => {
    write('cpu.stat', 'usage_usec 1\n');
    expect(open('none').now).toEqual({ cpuMicros: null, memoryPeakBytes: null, fileBytes: null });
    const usage = open('v2');
    expect(usage.now.memoryPeakBytes).toBeNull();
    usage.close();
    expect(usage.now.cpuMicros).toBeNull();
  });
});
