/**
 * Limits in each of the modes that this machine has (cgroup v2, cgroup v1, none): the same promises,
 * and what a mode can not promise is said in its test.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LimitMode, Sandbox, SandboxExit, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { layerOfFolder } from '../helpers/folder-layer.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

const MIB = 1024 * 1024;

/** Undefined when this machine has not got the mode. */
const open = (limits: LimitMode) => openTestHost({ limits }).catch(() => undefined);

describe.each(['v2', 'v1', 'none'] as const)('limits mode %s', (mode) => {
  let test: TestHost | undefined;
  let next = 0;
  beforeAll(async () => {
    test = await open(mode);
  });
  afterAll(() => test?.close());

  const counts = mode !== 'none';
  /** Skips what the machine can not do. */
  const promise = (title: string, run: (host: TestHost) => Promise<void>) =>
    it(title, async ({ skip }) => {
      if (test === undefined) return skip(`this machine has no limits mode ${mode}`);
      await run(test);
    });
  const start = ({ host, base }: TestHost, script: string, spec: Partial<SandboxSpec> = {}): Promise<Sandbox> =>
    host.create({
      id: `limits-${mode}-${next++}`,
      profile: 'function',
      layers: base('python3.11').layers,
      argv: ['python3', '-c', script],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      memoryBytes: 256 * MIB,
      pids: 64,
      tmpBytes: 8 * MIB,
      ...spec,
    });
  const run = async (host: TestHost, script: string, spec?: Partial<SandboxSpec>) => {
    const sandbox = await start(host, script, spec);
    let out = '';
    sandbox.onOutput((_stream, chunk) => {
      out += chunk.toString();
    });
    return { ...(await sandbox.exited), out } satisfies SandboxExit & { out: string };
  };
  /** Of every group of this engine: the sandbox's own is among those that are made ahead. */
  const filesOf = async (host: TestHost, which: 'memory' | 'cpu', name: string) => {
    // Where v1 counts in a hierarchy of its own (cpuacct), the one that limits has the same groups.
    const root = host.host.info.groups[which].replace('/cpuacct/', '/cpu/');
    const groups = (await readdir(root)).filter((one) => one.startsWith(`sandbox-${host.host.info.pid}-`));
    return Promise.all(groups.map((group) => readFile(join(root, group, name), 'utf8').catch(() => '')));
  };

  promise('memory: what takes more ends whole, as oom, with its peak', async (host) => {
    const eat = `import time\nhoard = []\nwhile True:\n  hoard.append(bytearray(b'x') * ${MIB})\n  time.sleep(0.002)`;
    const exit = await run(host, eat, { memoryBytes: 64 * MIB });
    expect(exit.reason).toBe('oom');
    expect(exit.memoryPeakBytes).toBeGreaterThan(32 * MIB);
    // A watcher looks every 50 ms: what is taken between two looks passes.
    if (counts) expect(exit.memoryPeakBytes).toBeLessThanOrEqual(64 * MIB);
  });

  promise('memory: swap is off, or the mode has no say over it', async (host) => {
    if (!counts) return;
    const sandbox = await start(host, 'import time; time.sleep(600)');
    const name = mode === 'v2' ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes';
    const wanted = mode === 'v2' ? '0' : String(256 * MIB);
    const found = (await filesOf(host, 'memory', name)).filter((text) => text !== '');
    await sandbox.destroy();
    // Empty: the kernel does not account for swap, and the sandbox has what the machine gives everybody.
    if (found.length > 0) expect(found.map((text) => text.trim())).toContain(wanted);
  });

  promise('pids: processes and threads end at the limit', async (host) => {
    const threads = `
import threading, time
made = 0
try:
  while made < 200:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    made += 1
except RuntimeError as error:
  print(made, error)
`;
    const { out } = await run(host, threads, { pids: 20 });
    expect(out).toMatch(/can't start new thread/);
    expect(Number.parseInt(out, 10)).toBeLessThan(20);
  });

  promise('cpu: one that takes more than its share is held back, or the mode has no say over it', async (host) => {
    if (!counts) return;
    const sandbox = await start(host, 'while True: pass', { cpuMillis: 50 });
    const throttled = async () =>
      (await filesOf(host, 'cpu', 'cpu.stat')).map((text) => Number(/^nr_throttled (\d+)/m.exec(text)?.[1] ?? 0));
    await until('it was held back', async () => (await throttled()).some((times) => times >= 3));
    await sandbox.destroy();
  });

  promise('tmp: a full one is ENOSPC inside, for bytes and for files', async (host) => {
    const fill = `
import os
def tell(what, run):
  try:
    run()
    print(what, 'fits')
  except OSError as error:
    print(what, error.strerror)
def big():
  with open('/tmp/big', 'wb') as file:
    for _ in range(100): file.write(b'x' * ${MIB})
def many():
  os.path.exists('/tmp/big') and os.unlink('/tmp/big')
  for at in range(1000000): open(f'/tmp/{at}', 'w').close()
tell('bytes', big)
tell('files', many)
`;
    const { out } = await run(host, fill);
    expect(out).toBe('bytes No space left on device\nfiles No space left on device\n');
  });

  promise('open files: end at the limit of a program', async (host) => {
    const open =
      "files = []\ntry:\n  while True: files.append(open('/dev/null'))\nexcept OSError as error: print(len(files) + 3, error.errno)";
    expect((await run(host, open, { openFiles: 64 })).out).toBe('64 24\n');
    expect((await run(host, 'import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))')).out).toBe(
      '(1024, 1024)\n',
    );
  });

  promise('F6: a file ends at the largest size, also one with a hole of a terabyte', async (host) => {
    const grow = `
import os
for size in (${MIB}, ${MIB} + 1, 1 << 40):
  try:
    with open('/tmp/file', 'wb') as file: os.truncate(file.fileno(), size)
    print('fits')
  except OSError as error:
    print(error.strerror)
`;
    expect((await run(host, grow, { fileBytes: MIB })).out).toBe('fits\nFile too large\nFile too large\n');
  });

  promise('of a live sandbox: open files and the largest file are lowered when it gets its code', async (host) => {
    const script = `
import resource, time
print(resource.getrlimit(resource.RLIMIT_NOFILE)[1], flush=True)
while resource.getrlimit(resource.RLIMIT_NOFILE)[1] == 512: time.sleep(0.01)
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_FSIZE))
`;
    const code = await layerOfFolder(host.host, join(import.meta.dirname, '../fixtures/zygote'));
    const sandbox = await start(host, script, { openFiles: 512, fileBytes: 8 * MIB });
    let out = '';
    let begun: () => void = () => {};
    const began = new Promise<void>((done) => (begun = done));
    sandbox.onOutput((_stream, chunk) => {
      out += chunk.toString();
      begun();
    });
    await began;
    await expect(sandbox.attach({ codeLayers: [code], openFiles: 100, fileBytes: MIB })).resolves.toBeUndefined();
    await sandbox.exited;
    expect(out).toBe(`512\n(100, 100) (${MIB}, ${MIB})\n`);
  });

  promise('usage: processor time and peak are read without the engine, or are unknown', async (host) => {
    const sandbox = await start(host, "sum(range(3_000_000)); print('done', flush=True); import time; time.sleep(600)");
    await new Promise<void>((done) => sandbox.onOutput(() => done()));
    const { cpuMicros, memoryPeakBytes } = sandbox.usage();
    await sandbox.destroy();
    if (!counts) return expect([cpuMicros, memoryPeakBytes]).toEqual([null, null]);
    expect(cpuMicros).toBeGreaterThan(1_000);
    expect(memoryPeakBytes).toBeGreaterThan(MIB);
    expect(sandbox.usage()).toMatchObject({ cpuMicros: null, memoryPeakBytes: null });
    expect((await sandbox.exited).cpuMicros).toBeGreaterThanOrEqual(cpuMicros ?? 0);
  });
});
