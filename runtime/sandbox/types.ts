/**
 * The host side of sandboxes. `openSandboxHost` starts the engine and listens on the
 * host socket; everything else goes through `SandboxHost`. See ../engine/protocol.md.
 */
import type { Duplex, Readable, Writable } from 'node:stream';

export interface SandboxHostOptions {
  enginePath: string;
  layersDir: string;
  workDir: string;
  /** `<name>/`: the content of volumes; owned by the layer owner. */
  volumesDir: string;
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
  /** Directories on the host in which the groups of sandboxes are; empty with `none`. */
  groups: { memory: string; cpu: string };
  landlockAbi: number;
  seccompHash: string;
  pid: number;
}

/** `host:port`, `*.suffix:port` (one label in front), `host:*`; addresses and CIDR too. Private addresses pass only where the rule names them or `trustResolved` is set. */
export interface EgressRule {
  host: string;
  port: number | '*';
  /** The operator named this host (its own registry): whatever address it resolves to is fine. */
  trustResolved?: boolean;
}

export type EgressRules =
  | { mode: 'none' }
  | { mode: 'public'; also?: EgressRule[] }
  | { mode: 'list'; allow: EgressRule[] };

/** `within`: a ceiling, which has to allow a connection as well. A name is trusted when both trust it. */
export type EgressPolicy = EgressRules & { within?: EgressRules };

/** What became of one connection (or refused name: `port` 0). */
export interface EgressVerdict {
  sandboxId: string;
  /** The name the sandbox asked for; `null` when it used an address. */
  host: string | null;
  /** The real address; `null` when it did not come to one. */
  address: string | null;
  port: number;
  /** `failed`: allowed, but the look-up, the connection or the transfer failed. */
  verdict: 'allowed' | 'denied' | 'failed';
  reason: string;
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
}

/** Who answers for the traffic of sandboxes: told of all of it, and asked before it goes on. Nothing of it may throw. */
export interface EgressAccount {
  /** A connection begins that the policy allows. A reason when it may not; else `close` follows once. */
  open(): string | null;
  /** Bytes went through, either way. A reason when the connection has to end. */
  carry(bytes: number): string | null;
  close(): void;
  record(verdict: EgressVerdict): void;
}

/** `container`: like `build`, with what a long-running program of a foreign image expects (`/dev/shm`, a host name, ports). */
export type Profile = 'function' | 'build' | 'container';

export interface TerminalSize {
  rows: number;
  columns: number;
}

export interface VolumeMount {
  /** In `volumesDir`; made, with what the image has at `path`, when it does not exist. */
  volume: string;
  path: string;
  readOnly: boolean;
}

/** Directories of `volumesDir`, bottom first, as one: a volume's state. */
export type VolumeLayers = readonly string[];

/** A volume at a place of a function's sandbox. `tx`: what is written goes to the upper, which `makeUpper` made. */
export interface ShownVolume {
  /** Index in the spec's `points`. */
  point: number;
  layers: VolumeLayers;
  mode: 'ro' | 'rw' | { upper: string };
}

/** `size` of a file in bytes, `modified` in epoch ms. */
export interface VolumeEntry {
  name: string;
  type: 'file' | 'dir' | 'link' | 'other';
  mode: number;
  size: number;
  modified: number;
}

export interface VolumeHost {
  /** An empty directory that functions may write to. @throws SandboxError when there is one of that name */
  makeVolume(name: string): Promise<void>;
  /** For one transaction over a state whose top layer is `like`. */
  makeUpper(name: string, like: string): Promise<void>;
  removeVolume(name: string): Promise<void>;
  /** Bytes and entries on disk; 0 when it is not there. */
  measureVolume(name: string): Promise<{ bytes: number; entries: number }>;
  /** All that was written to the upper, on the disk, as the layer `to`; null, and no layer, when nothing was. The upper is of no use then but to be removed. */
  sealUpper(upper: string, to: string): Promise<{ bytes: number; entries: number } | null>;
  /** One directory that holds what the layers show. `links`: none of them is ever written to. */
  copyVolume(layers: VolumeLayers, to: string, options?: { links?: boolean }): Promise<void>;
  /** What is at the path, behind links, as `.`; of a directory then what is in it. @throws SandboxError `not_found` */
  listVolume(layers: VolumeLayers, path: string): Promise<VolumeEntry[]>;
  /** @throws SandboxError `not_found`; the stream errors when there is less */
  readVolumePart(layers: VolumeLayers, path: string, part: { offset: number; length: number }): Promise<Readable>;
  /** A tar, as `Sandbox.readFiles` gives it; everything belongs to the function's user. */
  readVolume(layers: VolumeLayers, path: string): Promise<Readable>;
  /** Unpacks a tar into a directory of it; everything belongs to the function's user then. */
  writeVolume(
    layers: VolumeLayers,
    path: string,
    tar: Readable,
    options?: { upper?: string; maxBytes?: number; maxEntries?: number },
  ): Promise<void>;
}

/** `/run/secrets/NAME` of a function, mode 0400 of its user, on a read-only tmpfs of the sandbox's own. */
export interface SecretFile {
  name: string;
  /** At most 64 KiB; all of them together half a MiB. */
  bytes: Buffer;
}

export interface SandboxSpec {
  id: string;
  profile: Profile;
  /** Layer names, bottom first. */
  layers: string[];
  upper?: string;
  codeLayers?: string[];
  /** Empty: parked. Nothing runs but pid 1 until something is started in it or it is destroyed. */
  argv: string[];
  env: Record<string, string>;
  cwd?: string;
  /** Ids inside, for builds and containers; root when not given. */
  user?: UserIds;
  hostname?: string;
  /** Gives `stdin`; without it the program reads from /dev/null. */
  stdin?: boolean;
  /** A pseudo-terminal is the program's controlling terminal, and its output comes as `stdout`. Brings `stdin`. */
  terminal?: TerminalSize;
  volumes?: VolumeMount[];
  /** Of a function: where volumes can be shown later (`Sandbox.mount`). Its user is then the owner of volumes' files, in all such sandboxes. */
  points?: readonly string[];
  /** For functions. */
  secrets?: readonly SecretFile[];
  /** Looked up before the policy, also with mode `none`: the id of the live sandbox that a host name means here. */
  peers?: (name: string) => string | null;
  /** Gives the program fd 3 and `Sandbox.control`. */
  control?: boolean;
  /** Id of the live zygote that makes the program, where it can; else `argv` is executed. For functions with `control` over the zygote's own layers. */
  zygote?: string;
  memoryBytes?: number;
  pids?: number;
  cpuMillis?: number;
  tmpBytes?: number;
  /** Descriptors of a process; default 1024, of containers more. */
  openFiles?: number;
  /** Largest file that a process may write. */
  fileBytes?: number;
  /** Default `none`: no route, no resolver, no listener. */
  egress?: EgressPolicy;
  egressAccount?: EgressAccount;
  mountRo?: { work: string; path: string }[];
}

/** A runtime of a base image that forks itself into sandboxes. It runs nobody's code but the image's. */
export interface ZygoteSpec {
  /** Among zygotes. */
  id: string;
  layers: string[];
  argv: string[];
  env: Record<string, string>;
}

export interface Zygote {
  readonly id: string;
  readonly pid: number;
  /** Never rejects. What it has forked goes on. */
  readonly exited: Promise<void>;
  /** Kills and waits. Idempotent. */
  end(): Promise<void>;
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

/** As the kernel counts, since the sandbox was made, read when it is looked at; null where it does not. */
export interface SandboxUsage {
  readonly cpuMicros: number | null;
  readonly memoryPeakBytes: number | null;
  /** In files that are in memory: `/tmp`, `/dev/shm`, a writable root, memfds. Absent of a sandbox that has ended. */
  readonly fileBytes?: number | null;
}

/** One that returns a promise gets nothing more until it settles; the program is held back meanwhile. */
export type OutputListener = (stream: 'stdout' | 'stderr', chunk: Buffer) => void | Promise<void>;

export interface UserIds {
  uid: number;
  gid: number;
  groups: number[];
}

/** At most 8 layers, bottom first; `pids`, `openFiles` and `fileBytes` can only be lowered, `/tmp` have no less than what is in it. */
export interface Attachment {
  codeLayers: readonly string[];
  memoryBytes?: number | undefined;
  pids?: number | undefined;
  cpuMillis?: number | undefined;
  tmpBytes?: number | undefined;
  openFiles?: number | undefined;
  fileBytes?: number | undefined;
  /** There before the code is. */
  secrets?: readonly SecretFile[] | undefined;
}

export const MAX_ATTACHED_LAYERS = 8;

export interface ProgramOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Builds and containers only; default root there. */
  user?: UserIds;
  stdin?: boolean;
  terminal?: TerminalSize;
}

/** A program that was started in a live sandbox. */
export interface SandboxProgram {
  readonly stdin: Writable | null;
  /** A listener that returns a promise holds the program back until it settles. */
  onOutput(listener: OutputListener): void;
  resize(size: TerminalSize): Promise<void>;
  signal(signal: number): Promise<void>;
  /** Never rejects; signal 9 when the sandbox ended first. All output has been given out by then. */
  readonly exited: Promise<{ status: number | null; signal: number | null }>;
}

export interface SandboxProcess {
  /** Inside. */
  pid: number;
  parent: number;
  uid: number;
  cpuMs: number;
  memoryBytes: number;
  /** One letter, as in proc(5). */
  state: string;
  command: string;
}

export interface Sandbox {
  readonly id: string;
  readonly pid: number;
  readonly hostUid: number;
  /** Microseconds of each engine step. */
  readonly timings: Record<string, number>;
  /** Of a spec with a zygote: whether that made the program, or why not. Undefined without one. */
  readonly fork?: true | string;
  /** The host end of fd 3; absent unless asked for. Owned by the caller. */
  readonly control: Duplex | null;
  /** Null unless asked for. Ending it ends the program's stdin. */
  readonly stdin: Writable | null;
  /** Settles when everything of the sandbox is freed; never rejects. */
  readonly exited: Promise<SandboxExit>;
  /** Raw output of the program (not what goes through the runtime protocol). Set it right after create; chunks are buffered until then. */
  onOutput(listener: OutputListener): void;
  exec(
    argv: string[],
    options?: { env?: Record<string, string>; cwd?: string; onOutput?: OutputListener },
  ): Promise<{ status: number | null; signal: number | null }>;
  /** Like `exec`, with a stdin, a terminal, a user. @throws SandboxError `exec_failed` when the program can not be started */
  start(argv: string[], options?: ProgramOptions): Promise<SandboxProgram>;
  /** Of the first program's terminal. */
  resize(size: TerminalSize): Promise<void>;
  signal(signal: number): Promise<void>;
  /**
   * Shows the code at `/function` and sets the limits that go with it (what is not given stays). For functions that
   * were created without code, once: also an attempt that failed half-way was one.
   * @throws SandboxError `already_attached | attach_failed | layer_missing`
   */
  attach(code: Attachment): Promise<void>;
  /** Shows volumes at its points, each instead of what is there. What is open of that stays open. @throws SandboxError `mount_failed` */
  mount(volumes: readonly ShownVolume[]): Promise<void>;
  /**
   * From now on another policy; what was open under the last one is cut. For one that was made with egress.
   * @throws SandboxError `no_egress | invalid_policy`
   */
  setEgress(policy: EgressPolicy, account?: EgressAccount): void;
  /** Stops and continues every process: by the freezer of the limit mode, else by SIGSTOP and SIGCONT. A thaw ends a freeze that is under way, which rejects then. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** A TCP connection to 127.0.0.1:port inside. @throws SandboxError `connect_failed` */
  connect(port: number): Promise<Duplex>;
  /** What runs inside, with pid 1. */
  processes(): Promise<SandboxProcess[]>;
  /** A tar of `path` as it is seen inside, its entries named from its last component on. Never leaves the root. @throws SandboxError `not_found` */
  readFiles(path: string): Promise<Readable>;
  /** Unpacks a tar into the directory `path` inside. */
  writeFiles(path: string, tar: Readable): Promise<void>;
  stats(): Promise<SandboxStats>;
  /** Some microseconds, without asking the engine: for the receipt of a call. All null with limits `none`, and after the end. */
  usage(): SandboxUsage;
  /** Kills and waits until nothing is left. Idempotent. */
  destroy(): Promise<void>;
}

export interface PackOptions {
  only?: string[];
  /** No time in the tar is later. */
  mtimeSeconds?: number;
  /** Before the stream ends: how many sockets, FIFOs and attributes are not in the tar. */
  onLeftOut?: (count: number) => void;
}

export interface EngineStats {
  sandboxes: number;
  fds: number;
  children: number;
  /** Private ids that function sandboxes have. */
  ids: number;
}

export interface SandboxHost {
  readonly info: EngineInfo;
  /** @throws SandboxError when the engine refused; nothing is left then. */
  create(spec: SandboxSpec): Promise<Sandbox>;
  /** Settles when it is ready. @throws SandboxError `zygote_failed` */
  startZygote(spec: ZygoteSpec): Promise<Zygote>;
  unpack(
    layer: string,
    tar: Readable,
    options?: { signal?: AbortSignal; maxBytes?: number; maxEntries?: number },
  ): Promise<{ entries: number; bytes: number; existed: boolean }>;
  /** The upper as an OCI layer tar. The stream errors when packing failed. */
  pack(upper: string, options?: PackOptions): Promise<Readable>;
  /**
   * The upper of an ended sandbox becomes a layer as it lies there; nothing is copied.
   * False when it can not: layers and uppers lie on different file systems.
   */
  adopt(upper: string, layer: string): Promise<boolean>;
  removeLayer(name: string): Promise<void>;
  removeWork(name: string): Promise<void>;
  /** Bytes on disk, also while a program writes there; 0 when it is not there. */
  measureWork(name: string): Promise<number>;
  readonly volumes: VolumeHost;
  removeVolume(name: string): Promise<void>;
  list(): Promise<{ layers: string[]; work: string[] }>;
  /** Counters of the engine for leak tests and `doctor`. */
  engineStats(): Promise<EngineStats>;
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
