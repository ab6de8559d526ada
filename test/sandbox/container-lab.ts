/** Containers for the tests of this directory: a Debian root with a writable layer, all removed at the end. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { OutputListener, Sandbox, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';

export const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', TERM: 'dumb' };

export interface ContainerLab {
  readonly host: TestHost['host'];
  readonly workDir: string;
  readonly volumesDir: string;
  base(name: string): string[];
  /** Without `argv`: parked. */
  create(argv?: string[], spec?: Partial<SandboxSpec>): Promise<Sandbox>;
  /** To the end, with all that it said. */
  run(argv: string[], spec?: Partial<SandboxSpec>): Promise<{ status: number | null; out: string; err: string }>;
  /** A shell script in a live sandbox. */
  sh(sandbox: Sandbox, script: string): Promise<string>;
  /** One more engine; the caller closes it. */
  openHost: TestHost['openHost'];
  /** A name for a volume, removed at the end. */
  volume(): string;
}

export function collect(): { listener: OutputListener; out: () => string; err: () => string } {
  const chunks: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  return {
    listener: (stream, chunk) => void chunks[stream].push(chunk),
    out: () => Buffer.concat(chunks.stdout).toString(),
    err: () => Buffer.concat(chunks.stderr).toString(),
  };
}

export function containerLab(prefix: string, options: Parameters<typeof openTestHost>[0] = {}): ContainerLab {
  const name = `${prefix}-${process.pid}`;
  const live: Sandbox[] = [];
  const uppers: string[] = [];
  const volumes: string[] = [];
  let test: TestHost;
  let next = 0;
  beforeAll(async () => {
    test = await openTestHost(options);
  });
  afterEach(async () => {
    await Promise.all(live.splice(0).map((one) => one.destroy()));
    for (const upper of uppers.splice(0)) await test.host.removeWork(upper);
    for (const volume of volumes.splice(0)) await test.host.removeVolume(volume);
  });
  afterAll(() => test.close());
  const lab: ContainerLab = {
    get host() {
      return test.host;
    },
    get workDir() {
      return test.workDir;
    },
    get volumesDir() {
      return test.volumesDir;
    },
    openHost: () => test.openHost(),
    base: (base) => test.base(base).layers,
    async create(argv = [], spec = {}) {
      const id = `${name}-${next++}`;
      if (spec.upper === undefined) uppers.push(id);
      const sandbox = await test.host.create({
        id,
        profile: 'container',
        layers: test.base('debian12').layers,
        upper: id,
        argv,
        env: ENV,
        memoryBytes: 256 << 20,
        pids: 64,
        ...spec,
      });
      live.push(sandbox);
      return sandbox;
    },
    async run(argv, spec = {}) {
      const sandbox = await lab.create(argv, spec);
      const said = collect();
      sandbox.onOutput(said.listener);
      const { status } = await sandbox.exited;
      return { status, out: said.out(), err: said.err() };
    },
    async sh(sandbox, script) {
      const said = collect();
      const exit = await sandbox.exec(['sh', '-c', script], { env: ENV, onOutput: said.listener });
      if (exit.status !== 0) throw new Error(`${script}: ${JSON.stringify(exit)}: ${said.out()}${said.err()}`);
      return said.out();
    },
    volume() {
      const volume = `${name}-v${next++}`;
      volumes.push(volume);
      return volume;
    },
  };
  return lab;
}
