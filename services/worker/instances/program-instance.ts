/**
 * An instance whose program is started for its one call: a function of runtime `image`. Its
 * sandbox is made before and parked, so that one which is kept (`minInstances`) is warm; after
 * the call it ends with everything in it.
 */
import type { Readable } from 'node:stream';
import {
  type CancelSignal,
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeEnd,
  type RuntimeFailure,
  type RuntimeResult,
  type Sandbox,
  SandboxError,
  type SandboxExit,
  type SandboxUsage,
} from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Lease } from '../../core/images/types.ts';
import type { Failure, InstanceInfo, LogSink } from '../../core/invocations/types.ts';
import type { BoundSecrets } from '../secrets/bind.ts';
import type { InstanceVolumes } from '../volumes/index.ts';
import { type EndReason, explainExit } from './explain-exit.ts';
import type { StartTimings } from './init-failure.ts';
import { type Instance, MAX_RESULT_BYTES } from './instance.ts';
import { beginLife, type InstanceLife } from './life.ts';
import type { ProgramPlan } from './plan.ts';
import { answerOf } from './program-answer.ts';
import { type ProgramEnd, runProgram } from './program-run.ts';

/** Of stderr, told with a failure. */
const TAIL_CHARACTERS = 2 * 1024;
/** More of it is held: a secret whose beginning is not held any more could not be found. */
const HELD_BYTES = TAIL_CHARACTERS + 1024;
const LINE_CHARACTERS = 300;

export interface ProgramInstanceOptions {
  version: FunctionVersion;
  /** Parked: nothing runs in it yet. Owned. */
  sandbox: Sandbox;
  logs: LogSink;
  /** Owned. */
  lease: Lease;
  timings: StartTimings;
  program: ProgramPlan;
  volumes?: InstanceVolumes | undefined;
  secrets: BoundSecrets;
}

export class ProgramInstance implements Instance {
  readonly files = { bytes: 0 };
  readonly version: FunctionVersion;
  readonly timings: StartTimings;
  readonly volumes: InstanceVolumes | undefined;
  readonly ended: Promise<SandboxExit>;
  readonly #life: InstanceLife;
  readonly #sandbox: Sandbox;
  readonly #program: ProgramPlan;
  readonly #secrets: BoundSecrets;
  #state: 'ready' | 'busy' | 'ending' = 'ready';
  #invocationId: string | undefined;
  #tail: Buffer = Buffer.alloc(0);
  #end: ProgramEnd | undefined;
  #lastUsedAt = Date.now();
  #isRetired = false;
  /** Which volume it filled. */
  #full: string | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor({ version, sandbox, logs, lease, timings, program, volumes, secrets }: ProgramInstanceOptions) {
    this.volumes = volumes;
    volumes?.onFull((message) => {
      this.#full = message;
      void this.end('killed');
    });
    this.version = version;
    this.timings = timings;
    this.#sandbox = sandbox;
    this.#program = program;
    this.#secrets = secrets;
    this.#life = beginLife({
      version,
      sandbox,
      lease,
      logs,
      mask: secrets.mask,
      invocationId: () => this.#invocationId,
      onEnded: () => {
        this.#state = 'ending';
        clearTimeout(this.#idleTimer);
      },
    });
    this.ended = this.#life.ended;
  }

  get id(): string {
    return this.#sandbox.id;
  }

  get state(): InstanceInfo['state'] {
    return this.#state === 'ready' ? 'idle' : this.#state;
  }

  get isOutdated(): boolean {
    return this.#secrets.use.isOutdated();
  }

  mask(text: string): string {
    return this.#secrets.mask(text);
  }

  get free(): number {
    return this.#state === 'ready' ? 1 : 0;
  }

  get lastUsedAt(): number {
    return this.#lastUsedAt;
  }

  get isFollowed(): boolean {
    return !this.#isRetired && this.#life.endReason() === undefined;
  }

  take(): void {
    clearTimeout(this.#idleTimer);
    this.#state = 'busy';
  }

  give(): void {
    this.#lastUsedAt = Date.now();
    void this.end('retired');
  }

  async settle(): Promise<void> {}

  whenIdleFor(ms: number, then: () => void): void {
    clearTimeout(this.#idleTimer);
    if (this.#state === 'ready') this.#idleTimer = setTimeout(then, ms).unref();
  }

  call(head: RuntimeCallHead, body: Buffer | Readable | null, signal: CancelSignal): RuntimeCall {
    this.#invocationId = head.invocationId;
    const answered = this.#run(head, body, signal);
    return {
      number: 1,
      head: answered.then(({ result }) => result),
      ended: answered.then(({ end }) => end),
    };
  }

  /** One that has its call ends by itself after it. */
  async retire(reason: EndReason = 'retired'): Promise<void> {
    this.#isRetired = true;
    if (this.#state !== 'busy') await this.end(reason);
    await this.ended;
  }

  async end(reason: EndReason): Promise<void> {
    this.#life.because(reason);
    this.#state = 'ending';
    clearTimeout(this.#idleTimer);
    await this.#sandbox.destroy();
    await this.ended;
  }

  async explainEnd(): Promise<Failure> {
    const stopped = this.#life.endReason();
    await this.#sandbox.destroy();
    const exit = await this.ended;
    const platformDid = exit.reason === 'oom' || exit.reason === 'engine_ended' || stopped !== undefined;
    const refused = this.#end?.kind === 'not_started' ? this.#end.error : undefined;
    if (refused instanceof SandboxError && refused.code === 'exec_failed' && !platformDid) return notStarted(refused);
    const { status, signal } = this.#end?.kind === 'ended' ? this.#end : exit;
    return explainExit(
      { ...exit, status, signal, reason: platformDid || this.#end?.kind !== 'ended' ? exit.reason : 'exited' },
      {
        memoryMb: this.version.config.memoryMb,
        endReason: stopped,
        protocolError: undefined,
        loading: false,
        full: this.#full,
      },
    );
  }

  usage(): SandboxUsage {
    return this.#life.usage();
  }

  info(): Promise<InstanceInfo> {
    const calls = this.#invocationId === undefined ? 0 : 1;
    return this.#life.info({ state: this.state, calls, inFlight: this.#state === 'busy' ? calls : 0 });
  }

  async #run(
    head: RuntimeCallHead,
    body: Buffer | Readable | null,
    signal: CancelSignal,
  ): Promise<{ result: RuntimeResult; end: RuntimeEnd }> {
    this.#end = await runProgram({
      sandbox: this.#sandbox,
      argv: this.version.config.command,
      env: { ...this.#program.env, ...callEnv(this.version, head) },
      cwd: this.#program.codePath,
      input: inputOf(head, body),
      maxOutputBytes: MAX_RESULT_BYTES,
      signal,
      onStderr: (chunk) => {
        this.#life.lines.write('stderr', chunk);
        this.#tail = Buffer.concat([this.#tail, chunk.subarray(-HELD_BYTES)]).subarray(-HELD_BYTES);
      },
    });
    this.#life.lines.flush();
    const failure = this.#failureOf(this.#end);
    if (failure !== null) return { result: failure, end: failure };
    const output = this.#end.kind === 'ended' ? this.#end.output : Buffer.alloc(0);
    return { result: answerOf(head.kind, output), end: { kind: 'ok', bytes: output.length } };
  }

  /** Null when it ended well. `connection_closed`: `explainEnd` knows why. */
  #failureOf(end: ProgramEnd): RuntimeFailure | null {
    if (end.kind === 'too_large') {
      const message = `The program wrote more than ${MAX_RESULT_BYTES} bytes to stdout.`;
      return { kind: 'error', code: 'result_too_large', message };
    }
    if (end.kind === 'not_started' || end.status === null)
      return { kind: 'error', code: 'connection_closed', message: 'The program was ended.' };
    const tail = () => this.mask(this.#tail.toString('utf8')).slice(-TAIL_CHARACTERS).trim();
    return end.status === 0 ? null : exitFailure(end.status, tail());
  }
}

function exitFailure(status: number, tail: string): RuntimeFailure {
  const last = tail.split('\n').at(-1)?.trim().slice(0, LINE_CHARACTERS) ?? '';
  const said = last === '' ? ' and wrote nothing to stderr.' : `: ${last}`;
  return {
    kind: 'error',
    code: 'function_error',
    message: `The program exited with status ${status}${said}`,
    ...(tail === last ? {} : { stack: tail }),
  };
}

function notStarted(error: SandboxError): Failure {
  const message = `The program of the image could not be started: ${error.message}.`;
  return { kind: 'function_init_failed', message };
}

/** What the call adds to the environment; it wins, since a program must be able to trust it. */
function callEnv({ functionName, number }: FunctionVersion, head: RuntimeCallHead): Record<string, string> {
  return {
    WAFER_FUNCTION: functionName,
    WAFER_VERSION: String(number),
    WAFER_INVOCATION_ID: head.invocationId,
    WAFER_DEADLINE_MS: String(head.deadlineMs),
    ...(head.kind === 'event'
      ? {}
      : { WAFER_HTTP_METHOD: head.method, WAFER_HTTP_PATH: head.path, WAFER_HTTP_QUERY: head.query }),
  };
}

/** No body is the event `null`. */
function inputOf({ kind }: RuntimeCallHead, body: Buffer | Readable | null): Buffer | Readable {
  const isEmpty = body === null || (Buffer.isBuffer(body) && body.length === 0);
  return isEmpty ? Buffer.from(kind === 'event' ? 'null' : '') : body;
}
