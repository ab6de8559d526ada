/**
 * Containers: an image, one writable layer, and what it was told to run. The worker
 * implements `Containers`; the API and the command line know only this file.
 */
import type { Readable, Writable } from 'node:stream';
import type { Digest } from '../images/types.ts';

export interface ContainerConfig {
  /** Reference of the image; it is not pulled. */
  image: string;
  /** Instead of the image's; `[]` drops the image's. Without it the image's is used. */
  entrypoint?: string[];
  /** Instead of the image's CMD. With `entrypoint` given, the image's CMD is not used. */
  command?: string[];
  /** Over the image's. */
  env: Record<string, string>;
  workingDir?: string;
  /** `name|uid[:group|gid]`, looked up in the image. */
  user?: string;
  hostname?: string;
  /** A pseudo-terminal; output is one stream then. */
  terminal: boolean;
  /** Keeps stdin open; without it the program reads from /dev/null. */
  stdin: boolean;
  mounts: ContainerMount[];
  ports: PortBinding[];
  network: ContainerNetwork;
  restart: RestartPolicy;
  /** Removed, with its anonymous volumes, when it ends. */
  removeOnExit: boolean;
  /** Like SIGTERM or 15; default the image's, else SIGTERM. */
  stopSignal?: string;
  /** From the stop signal to SIGKILL. */
  stopTimeoutSeconds: number;
  memoryMb?: number;
  pids?: number;
  /** In 1/1000 of a core. */
  cpuMillis?: number;
  labels: Record<string, string>;
  /** Instead of the image's HEALTHCHECK; null switches it off. */
  health?: HealthCheck | null;
}

export interface ContainerMount {
  /** A named volume, made when it does not exist; null: an anonymous one, which goes with the container. */
  volume: string | null;
  /** Absolute, inside. */
  path: string;
  readOnly: boolean;
}

/** From a loopback address of the host to 127.0.0.1 inside. TCP. */
export interface PortBinding {
  hostAddress: '127.0.0.1' | '::1';
  /** 0 takes a free one; `Container.ports` says which. */
  hostPort: number;
  containerPort: number;
}

export interface ContainerNetwork {
  /** `public`: the internet, never private or host addresses. */
  mode: 'none' | 'public';
  /** Containers of one group reach each other by name and by alias. */
  group?: string;
  aliases?: string[];
}

export interface RestartPolicy {
  name: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  /** Only of `on-failure`; 0 is without end. */
  maximumRetries: number;
}

/** As an image's Healthcheck; times in seconds. */
export interface HealthCheck {
  /** `['CMD', ...argv]` or `['CMD-SHELL', text]`. */
  test: string[];
  intervalSeconds: number;
  timeoutSeconds: number;
  startPeriodSeconds: number;
  retries: number;
}

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'exited';
export type HealthStatus = 'starting' | 'healthy' | 'unhealthy';

export interface Container {
  /** 21 characters; a prefix of at least 4 that only one has names it too. */
  id: string;
  name: string;
  status: ContainerStatus;
  config: ContainerConfig;
  /** The image that `config.image` named when it was created. */
  imageDigest: Digest;
  /** What runs: entrypoint and command together. */
  argv: string[];
  /** Of the last run; 128 + n after signal n. Null before the first one has ended. */
  exitCode: number | null;
  oomKilled: boolean;
  /** Why the last start failed, or why it ended without an exit code. */
  error: string | null;
  health: HealthStatus | null;
  restartCount: number;
  /** Unix ms. */
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** Host pid of its pid 1 while it runs. */
  pid: number | null;
  /** Bound now; empty while it does not run. */
  ports: PortBinding[];
}

export interface TerminalSize {
  rows: number;
  columns: number;
}

export type OutputStream = 'stdout' | 'stderr';

export interface ContainerLogLine {
  /** Unix ms. */
  time: number;
  stream: OutputStream;
  text: string;
  /** The line goes on in the next one of this stream: no newline follows the text. */
  partial?: true;
}

/** A session with a program inside. Leaving it does not end the program. */
export interface Session {
  /** Null where the program has no open stdin. Ending it closes the program's stdin. */
  readonly stdin: Writable | null;
  /** Set once, at once; chunks wait until then. A listener that returns a promise holds the program back. */
  onOutput(listener: (stream: OutputStream, chunk: Buffer) => void | Promise<void>): void;
  resize(size: TerminalSize): Promise<void>;
  /** Exit code when the program ends. Never rejects. */
  readonly ended: Promise<number>;
  leave(): void;
}

export interface ExecConfig {
  argv: string[];
  env: Record<string, string>;
  workingDir?: string;
  user?: string;
  stdin: boolean;
  terminal: TerminalSize | null;
}

export interface ContainerProcess {
  /** Inside. */
  pid: number;
  parent: number;
  /** Uid inside. */
  uid: number;
  cpuMs: number;
  memoryBytes: number;
  state: string;
  command: string;
}

export interface ContainerStats {
  /** Unix ms. */
  time: number;
  memoryBytes: number | null;
  memoryLimitBytes: number | null;
  cpuMicros: number | null;
  pids: number;
}

/** Against the image: docker's A, C and D. */
export interface ContainerChange {
  kind: 'added' | 'changed' | 'deleted';
  path: string;
}

export interface CommitOptions {
  tag?: string;
  author?: string;
  message?: string;
  /** Dockerfile instructions that change the config: `CMD ["x"]`. */
  changes: string[];
}

export interface LogQuery {
  follow: boolean;
  /** Unix ms. */
  since?: number;
  /** The last N lines only. */
  tail?: number;
  signal: AbortSignal;
}

/** `ref` is an id, a prefix of one, or a name. All throw WaferError `container_not_found` and `conflict`. */
export interface Containers {
  list(options: { all: boolean }): Promise<Container[]>;
  get(ref: string): Promise<Container>;
  /** Nothing runs yet. @throws WaferError `image_not_found | invalid_request | conflict` (the name is taken) */
  create(config: ContainerConfig, name?: string): Promise<Container>;
  /** Returns when the program runs. `size`: of the terminal. @throws WaferError `container_start_failed` */
  start(ref: string, size?: TerminalSize): Promise<Container>;
  /** Stop signal, then SIGKILL after the grace. Of one that does not run: nothing. */
  stop(ref: string, timeoutSeconds?: number): Promise<Container>;
  /** To the main program. `signal`: name or number. */
  kill(ref: string, signal: string): Promise<void>;
  restart(ref: string, timeoutSeconds?: number): Promise<Container>;
  pause(ref: string): Promise<Container>;
  unpause(ref: string): Promise<Container>;
  rename(ref: string, name: string): Promise<Container>;
  /** `force` kills first. Its anonymous volumes go too. */
  remove(ref: string, options: { force: boolean }): Promise<void>;
  /** Every one that does not run. */
  prune(): Promise<{ removed: string[] }>;
  /** Exit code, when it is not running (any more). */
  wait(ref: string, signal: AbortSignal): Promise<number>;
  /**
   * To the main program; of one that does not run, to its next run. `logs`: what it said before comes first.
   * Several may be attached: each gets all output, and what each sends is the program's input.
   */
  attach(ref: string, options: { logs: boolean }): Promise<Session>;
  exec(ref: string, config: ExecConfig): Promise<Session>;
  logs(ref: string, query: LogQuery): AsyncIterable<ContainerLogLine>;
  top(ref: string): Promise<ContainerProcess[]>;
  stats(ref: string): Promise<ContainerStats>;
  changes(ref: string): Promise<ContainerChange[]>;
  /** A tar whose entries begin with the last name of `path`, like docker's. Of a stopped one too. */
  readFiles(ref: string, path: string): Promise<Readable>;
  /** Unpacks into the directory `path`, which must exist. Owns `tar`. */
  writeFiles(ref: string, path: string, tar: Readable): Promise<void>;
  /** Its whole root as one tar, without volumes. */
  export(ref: string): Promise<Readable>;
  /** The writable layer becomes the image's next one; paused while it is read. */
  commit(ref: string, options: CommitOptions): Promise<{ digest: Digest; tags: string[] }>;
}
