/**
 * Runs one build command in a build sandbox and turns what it wrote into a layer.
 * Whatever happens, the sandbox, its upper and its input files are gone afterwards.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { EgressPolicy, SandboxHost } from '../../../runtime/sandbox/index.ts';
import { SandboxError } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import { lineSplitter } from '../output/lines.ts';
import { watchDisk } from './disk-watch.ts';
import { newBuildId } from './ids.ts';

export interface BuildCommand {
  /** Shown to the user: `install dependencies`. */
  step: string;
  /** Root, bottom first. */
  layers: string[];
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Ids inside; root when not given. */
  user?: { uid: number; gid: number; groups: number[] };
  /** Nothing but `env` is set, and `/tmp` belongs to the root: what a Dockerfile expects. */
  exact?: boolean;
  /** No file of the difference is newer; null for times as they are. Default: 2025-01-01. */
  latest?: number | null;
  /**
   * Files put into the sandbox read-only: path inside -> content. They never get into a layer; what does is an
   * empty file at a path that was not there, unless it lies below `/dev/shm`.
   */
  files?: Record<string, InputFile>;
  egress?: EgressPolicy;
  memoryMb?: number;
  timeoutMs?: number;
  /** What it may write to its root. Looked at every second, and at its end: it can be more for a moment. */
  diskBytes?: number;
  signal?: AbortSignal;
}

export type InputFile = string | Buffer | { content: string | Buffer; executable?: boolean };
export type BuildOutput = (stream: 'stdout' | 'stderr', line: string) => void;

export interface BuildDifference {
  pack(only?: string[]): Promise<Readable>;
  /** After all of it was packed. False when the tar is not just what is there: times were changed, or things left out. */
  adopt(layer: string): Promise<boolean>;
}

export interface BuildSandboxes {
  /**
   * Runs the command; `use` gets the difference it made (only the named prefixes) as an
   * uncompressed layer tar, and must read it to its end.
   * @throws WaferError `build_failed` with `details.step`, `.output` (the last lines) when the command fails
   */
  run<T>(command: BuildCommand, only: string[], onOutput: BuildOutput, use: (tar: Readable) => Promise<T>): Promise<T>;
  /** The same; the difference, or parts of it, can be read several times. */
  runAndPack<T>(
    command: BuildCommand,
    onOutput: BuildOutput,
    use: (difference: BuildDifference) => Promise<T>,
  ): Promise<T>;
}

const MIB = 1024 * 1024;
const BUILD_MEMORY_MB = 2048;
const BUILD_PIDS = 1024;
const BUILD_MS = 15 * 60_000;
const BUILD_DISK_BYTES = 8 * 1024 * MIB;
const KEPT_LINES = 40;
const MAX_LINE = 8 * 1024;
/** No file of a built layer is newer than this, so that the same inputs give the same layer: 2025-01-01. */
const MTIME_SECONDS = 1_735_689_600;
const BUILD_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/tmp',
  TMPDIR: '/tmp',
  LANG: 'C.UTF-8',
};

export function createBuildSandboxes(host: SandboxHost, workDir: string): BuildSandboxes {
  const runAndPack: BuildSandboxes['runAndPack'] = async (command, onOutput, use) => {
    const id = newBuildId();
    const { latest = MTIME_SECONDS } = command;
    const files = await writeInputs(workDir, id, command.files ?? {});
    try {
      await runCommand(host, id, command, files, onOutput);
      return await use(differenceOf(host, id, latest));
    } finally {
      await host.removeWork(id).catch(ignoreDeadEngine);
      await Promise.all(files.map((file) => rm(join(workDir, file.work), { force: true })));
    }
  };
  return {
    runAndPack,
    run: (command, only, onOutput, use) => runAndPack(command, onOutput, async ({ pack }) => use(await pack(only))),
  };
}

function differenceOf(host: SandboxHost, id: string, latest: number | null): BuildDifference {
  let isExact = false;
  return {
    pack(only = []) {
      const onLeftOut = (count: number) => {
        isExact = latest === null && only.length === 0 && count === 0;
      };
      return host.pack(id, { only, onLeftOut, ...(latest === null ? {} : { mtimeSeconds: latest }) });
    },
    adopt: async (layer) => isExact && host.adopt(id, layer),
  };
}

async function writeInputs(workDir: string, id: string, files: Record<string, InputFile>) {
  const mounts = Object.keys(files).map((path, index) => ({ work: `${id}.f${index}`, path }));
  await Promise.all(
    mounts.map(({ work, path }) => {
      const file = files[path] ?? '';
      const { content, executable = false } =
        typeof file === 'string' || Buffer.isBuffer(file) ? { content: file } : file;
      // Open for others: read inside by another host id. The data directory around it is 0700.
      return writeFile(join(workDir, work), content, { mode: executable ? 0o755 : 0o644 });
    }),
  );
  return mounts;
}

async function runCommand(
  host: SandboxHost,
  id: string,
  command: BuildCommand,
  mountRo: { work: string; path: string }[],
  onOutput: BuildOutput,
): Promise<void> {
  command.signal?.throwIfAborted();
  const last = keepLast(onOutput);
  const sandbox = await host.create({
    id,
    profile: 'build',
    layers: command.layers,
    upper: id,
    argv: command.argv,
    env: command.exact === true ? { ...command.env } : { ...BUILD_ENV, ...command.env },
    ...(command.user === undefined ? {} : { user: command.user }),
    cwd: command.cwd ?? '/',
    memoryBytes: (command.memoryMb ?? BUILD_MEMORY_MB) * MIB,
    pids: BUILD_PIDS,
    ...(command.exact === true ? {} : { tmpBytes: 512 * MIB }),
    egress: command.egress ?? { mode: 'none' },
    mountRo,
  });
  sandbox.onOutput(last.write);
  const cut = cutAfter(command, () => void sandbox.destroy());
  const disk = watchDisk(host, id, command.diskBytes ?? BUILD_DISK_BYTES, () => void sandbox.destroy());
  try {
    const exit = await sandbox.exited;
    await disk.end();
    last.flush();
    command.signal?.throwIfAborted();
    if (exit.status === 0 && exit.reason === 'exited' && !disk.isOver()) return;
    const why = disk.isOver()
      ? `wrote more than ${(command.diskBytes ?? BUILD_DISK_BYTES) / MIB} MiB`
      : cut.timedOut()
        ? 'took too long'
        : exit.reason === 'oom'
          ? 'ran out of memory'
          : exit.signal !== null
            ? `was ended by signal ${exit.signal}`
            : `exited with status ${exit.status}`;
    throw new WaferError('build_failed', `The step "${command.step}" ${why}.`, {
      details: { step: command.step, status: exit.status, output: last.lines() },
    });
  } finally {
    cut.clear();
    disk.stop();
    await sandbox.destroy();
  }
}

/** Ends the sandbox when the step's time is over or its caller has gone. */
function cutAfter(command: BuildCommand, end: () => void) {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, command.timeoutMs ?? BUILD_MS);
  if (command.signal?.aborted)
    end(); // while the sandbox was made
  else command.signal?.addEventListener('abort', end, { once: true });
  return {
    timedOut: () => late,
    clear: () => {
      clearTimeout(timer);
      command.signal?.removeEventListener('abort', end);
    },
  };
}

function keepLast(onOutput: BuildOutput) {
  const kept: string[] = [];
  const streams = { stdout: lineSplitter(MAX_LINE), stderr: lineSplitter(MAX_LINE) };
  const emit = (stream: 'stdout' | 'stderr') => (line: string) => {
    kept.push(line);
    if (kept.length > KEPT_LINES) kept.shift();
    onOutput(stream, line);
  };
  return {
    write: (stream: 'stdout' | 'stderr', chunk: Buffer) => streams[stream].push(chunk, emit(stream)),
    flush() {
      for (const stream of ['stdout', 'stderr'] as const) streams[stream].end(emit(stream));
    },
    lines: () => kept.join('\n'),
  };
}

function ignoreDeadEngine(error: unknown): void {
  if (!(error instanceof SandboxError && error.code === 'engine_failed')) throw error; // the next start removes it
}
