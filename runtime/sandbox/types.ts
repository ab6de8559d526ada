/**
 * The host side of sandboxes. `openSandboxHost` starts the engine and listens on the
 * host socket; everything else goes through `SandboxHost`. See ../engine/protocol.md.
 */
import type { Duplex, Readable } from 'node:stream';

export interface SandboxHostOptions {
  enginePath: string;
  layersDir: string;
  workDir: string;
  /** Directory (0700) for the host socket. */
  runDir: string;
  /** `runtime/languages` (bootstraps and the built http adapter). */
  languagesDir: string;
  limits?: 'auto' | LimitMode;
  /** Called once if the engine dies by itself; every sandbox is dead then. */
  onEngineExit?: (reason: string) => void;
}

export type LimitMode = 'v2' | 'v1' | 'none';

export interface EngineInfo {
  ids: 'range' | 'single';
  idsFirst: number;
  idsCount: number;
  limits: LimitMode;
  limitsDetail: string;
  landlockAbi: number;
  seccompHash: string;
  pid: number;
}

/** `host:port`, `*.suffix:port`, `host:*`; addresses and CIDR too. Private addresses pass only where the rule names them or `trustResolved` is set. */
export interface EgressRule {
  host: string;
  port: number | '*';
  /** The operator named this host (its own registry): whatever address it resolves to is fine. */
  trustResolved?: boolean;
}

export type EgressPolicy =
  | { mode: 'none' }
  | { mode: 'public'; also?: EgressRule[] }
  | { mode: 'list'; allow: EgressRule[] };

export interface SandboxSpec {
  id: string;
  profile: 'function' | 'build';
  /** Layer names, bottom first. */
  layers: string[];
  upper?: string;
  codeLayers?: string[];
  argv: string[];
  env: Record<string, string>;
  cwd?: string;
  /** Ids inside, for builds; root when not given. */
  user?: { uid: number; gid: number; groups: number[] };
  /** Gives the program fd 3 and `Sandbox.control`. */
  control?: boolean;
  memoryBytes?: number;
  pids?: number;
  cpuMillis?: number;
  tmpBytes?: number;
  /** Default `none`. */
  egress?: EgressPolicy;
  mountRo?: { work: string; path: string }[];
}

export interface SandboxExit {
  /** Of the first program; exactly one of the two is set. */
  status: number | null;
  signal: number | null;
  reason: 'exited' | 'oom' | 'killed' | 'limit' | 'engine_ended';
  memoryPeakBytes: number | null;
  cpuMicros: number | null;
}

export interface SandboxStats {
  memoryBytes: number | null;
  memoryPeakBytes: number | null;
  cpuMicros: number | null;
  /** Threads too, where cgroups count. */
  pids: number;
  /** With pid 1; without threads and zombies. Null when it can not be told. */
  processes: number | null;
}

export type OutputListener = (stream: 'stdout' | 'stderr', chunk: Buffer) => void;

export interface Sandbox {
  readonly id: string;
  readonly pid: number;
  readonly hostUid: number;
  /** Microseconds of each engine step. */
  readonly timings: Record<string, number>;
  /** The host end of fd 3; absent unless asked for. Owned by the caller. */
  readonly control: Duplex | null;
  /** Settles when everything of the sandbox is freed; never rejects. */
  readonly exited: Promise<SandboxExit>;
  /** Raw output of the program (not what goes through the runtime protocol). Set it right after create; chunks are buffered until then. */
  onOutput(listener: OutputListener): void;
  exec(
    argv: string[],
    options?: { env?: Record<string, string>; cwd?: string; onOutput?: OutputListener },
  ): Promise<{ status: number | null; signal: number | null }>;
  signal(signal: number): Promise<void>;
  stats(): Promise<SandboxStats>;
  /** Kills and waits until nothing is left. Idempotent. */
  destroy(): Promise<void>;
}

export interface SandboxHost {
  readonly info: EngineInfo;
  /** @throws SandboxError when the engine refused; nothing is left then. */
  create(spec: SandboxSpec): Promise<Sandbox>;
  unpack(
    layer: string,
    tar: Readable,
    options?: { signal?: AbortSignal; maxBytes?: number; maxEntries?: number },
  ): Promise<{ entries: number; bytes: number; existed: boolean }>;
  /** The upper as an OCI layer tar. The stream errors when packing failed. */
  pack(upper: string, options?: { only?: string[]; mtimeSeconds?: number }): Promise<Readable>;
  removeLayer(name: string): Promise<void>;
  removeWork(name: string): Promise<void>;
  list(): Promise<{ layers: string[]; work: string[] }>;
  /** Counters of the engine for leak tests and `doctor`. */
  engineStats(): Promise<{ sandboxes: number; fds: number; children: number }>;
  close(): Promise<void>;
}

/** The engine refused or failed: `step` and `message` say where and why. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
  readonly code: string;
  readonly step: string;
  constructor(code: string, step: string, message: string, options?: ErrorOptions) {
    super(`${step}: ${message}`, options);
    this.code = code;
    this.step = step;
  }
}
