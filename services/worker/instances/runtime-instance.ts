/**
 * An instance whose program speaks the runtime protocol. It knows how to start, to run a
 * call, and why it ended. It never serves again after a time-out, a crash or a
 * protocol error.
 */
import type { Readable } from 'node:stream';
import type {
  CancelSignal,
  CodeCacheUse,
  RuntimeCall,
  RuntimeCallHead,
  RuntimeConnection,
  Sandbox,
  SandboxExit,
  SandboxUsage,
} from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Lease } from '../../core/images/types.ts';
import type { Failure, InstanceInfo, LogSink } from '../../core/invocations/types.ts';
import type { BoundSecrets } from '../secrets/bind.ts';
import { maskFailure } from '../secrets/mask-failure.ts';
import type { InstanceVolumes } from '../volumes/index.ts';
import { type EndReason, explainExit } from './explain-exit.ts';
import type { HeldRuntime } from './held-runtime.ts';
import { InitFailure, type StartTimings } from './init-failure.ts';
import type { Instance } from './instance.ts';
import { beginLife, type InstanceLife } from './life.ts';
import { loadRuntime } from './load-runtime.ts';
import { type ProgramPlan, STANDARD_LIMITS } from './plan.ts';
import { createRest, type Rest } from './rest.ts';
import { type StrayWatch, watchSandbox } from './stray-watch.ts';
import { wait, within } from './within.ts';

const SHUTDOWN_MS = 2_000;
/** A process that ends closes its socket first; its status comes a moment later, and a kill before it would hide it. */
const EXIT_GRACE_MS = 1_000;

export interface RuntimeInstanceParts {
  logs: LogSink;
  lease: Lease;
  timings: StartTimings;
  volumes?: InstanceVolumes | undefined;
  secrets: BoundSecrets;
}

export class RuntimeInstance implements Instance {
  readonly files = { bytes: 0 };
  readonly version: FunctionVersion;
  readonly timings: StartTimings;
  readonly volumes: InstanceVolumes | undefined;
  readonly ended: Promise<SandboxExit>;
  readonly #life: InstanceLife;
  readonly #sandbox: Sandbox;
  readonly #runtime: RuntimeConnection;
  readonly #invocations = new Set<string>();
  readonly #strays: StrayWatch | undefined;
  readonly #rest: Rest;
  readonly #secrets: BoundSecrets;
  #state: 'starting' | 'ready' | 'draining' | 'ending' = 'starting';
  #isLoaded = false;
  #inFlight = 0;
  #calls = 0;
  #lastUsedAt = Date.now();
  #protocolError: string | undefined;
  /** Which volume it filled. */
  #full: string | undefined;

  /** Owns the sandbox with its runtime, and the lease. */
  constructor(
    version: FunctionVersion,
    held: HeldRuntime,
    { logs, lease, timings, volumes, secrets }: RuntimeInstanceParts,
  ) {
    const { sandbox, runtime } = held;
    this.volumes = volumes;
    volumes?.onFull((message) => {
      this.#full = message;
      void this.end('killed');
    });
    this.version = version;
    this.timings = timings;
    this.#sandbox = sandbox;
    this.#runtime = runtime;
    this.#secrets = secrets;
    const life = beginLife({
      version,
      sandbox,
      lease,
      logs,
      mask: secrets.mask,
      invocationId: () => this.#onlyInvocation(),
      onEnded: () => this.#onEnded(),
    });
    this.#life = life;
    this.ended = life.ended;
    held.listen({
      onLog: (_call, invocationId, stream, text) =>
        life.log.write({
          time: Date.now(),
          ...life.origin,
          ...(invocationId === undefined ? {} : { invocationId }),
          stream,
          text,
        }),
      onClose: (reason, message) => this.#onClose(reason, message),
    });
    sandbox.onOutput(life.lines.write);
    // What an `http` function's command starts is its own affair: its server may be many processes.
    this.#rest = createRest({ sandbox, onStuck: () => void this.end('killed') });
    this.#strays =
      version.config.runtime === 'http'
        ? undefined
        : watchSandbox(sandbox, version.config.pids ?? STANDARD_LIMITS.pids, (count) => this.#onStrays(count));
  }

  get id(): string {
    return this.#sandbox.id;
  }

  get state(): InstanceInfo['state'] {
    if (this.#state === 'starting') return 'starting';
    if (this.#state === 'ending') return 'ending';
    return this.#inFlight > 0 ? 'busy' : 'idle';
  }

  get isOutdated(): boolean {
    return this.#secrets.use.isOutdated();
  }

  mask(text: string): string {
    return this.#secrets.mask(text);
  }

  /** Calls that may still be given to it. */
  get free(): number {
    return this.#state === 'ready' ? this.version.config.concurrency - this.#inFlight : 0;
  }

  get lastUsedAt(): number {
    return this.#lastUsedAt;
  }

  /** A fresh one is a blank away, but for a version with a root of its own. */
  get isFollowed(): boolean {
    return !this.#isReused() && this.version.base === '' && this.#life.endReason() === undefined;
  }

  /** Waits for boot and loads the handler. Called once by `startInstance`. @returns what of it was compiled at build */
  async load(program: ProgramPlan, mark: () => number): Promise<CodeCacheUse | undefined> {
    const { version, timings } = this;
    const loading = await loadRuntime({ runtime: this.#runtime, version, program, timings, mark, gone: this.ended });
    if (loading.kind === 'silent') throw await this.#initFailure(loading.message);
    if (loading.kind === 'closed') throw await this.#initFailure();
    if (loading.kind === 'failed') {
      await this.end('killed');
      throw new InitFailure(maskFailure(this, loading.failure), timings, this.id);
    }
    if (this.#state !== 'starting') throw await this.#initFailure(); // it ended at once
    this.#isLoaded = true;
    this.#state = 'ready';
    return loading.codeCache;
  }

  /** Reserves room for one call; every `take` is followed by one `give`. */
  take(): void {
    this.#rest.end();
    this.#strays?.busy();
    this.#inFlight++;
    this.#calls++;
  }

  give(): void {
    this.#inFlight--;
    this.#lastUsedAt = Date.now();
    this.#life.log.flush();
    if (this.#inFlight === 0) {
      this.#life.lines.flush();
      this.#strays?.idle();
    }
    if (this.#inFlight === 0 && (this.#state === 'draining' || !this.#isReused()))
      void this.end(this.#life.endReason() ?? 'retired');
  }

  /** Before `give`, off the caller's way: the last call of a busy instance waits here for a look at what it left behind. */
  async settle(): Promise<void> {
    if (this.#inFlight === 1 && this.#state === 'ready' && this.#strays?.overdue()) await this.#strays.look();
  }

  /** Runs one call; room must have been taken. */
  call(head: RuntimeCallHead, body: Buffer | Readable | null, signal: CancelSignal): RuntimeCall {
    this.#invocations.add(head.invocationId);
    const call = this.#runtime.call(head, body, signal);
    void call.ended.then(() => this.#invocations.delete(head.invocationId));
    return call;
  }

  /** Arms a timer that `take` disarms. */
  whenIdleFor(ms: number, then: () => void): void {
    if (this.#state === 'ready' && this.#inFlight === 0) this.#rest.begin(ms, then);
  }

  /** Takes no more calls; ends when the last one has ended. Resolves then. */
  async retire(reason: EndReason = 'retired'): Promise<void> {
    this.#life.because(reason);
    if (this.#state === 'ready' && this.#inFlight > 0) this.#state = 'draining';
    else if (this.#inFlight === 0) await this.end(reason);
    await this.ended;
  }

  /** Ends it now, whatever it does. Resolves when nothing is left of it. Idempotent. */
  async end(reason: EndReason): Promise<void> {
    this.#life.because(reason);
    const graceful = this.#state === 'ready' && this.#inFlight === 0 && reason !== 'killed';
    this.#state = 'ending';
    this.#rest.end();
    if (graceful && (await this.#leavesByItself())) return;
    if (reason === 'closed') await Promise.race([this.ended, wait(EXIT_GRACE_MS)]);
    await this.#sandbox.destroy();
    await this.ended;
  }

  /** Why a call lost its connection, as the caller is told. Waits until the sandbox is gone. */
  async explainEnd(): Promise<Failure> {
    await Promise.race([this.ended, wait(EXIT_GRACE_MS)]);
    await this.#sandbox.destroy();
    const exit = await this.ended;
    return explainExit(exit, {
      memoryMb: this.version.config.memoryMb,
      endReason: this.#life.endReason(),
      protocolError: this.#protocolError,
      loading: !this.#isLoaded,
      full: this.#full,
    });
  }

  usage(): SandboxUsage {
    return this.#life.usage();
  }

  info(): Promise<InstanceInfo> {
    return this.#life.info({ state: this.state, calls: this.#calls, inFlight: this.#inFlight });
  }

  #onEnded(): void {
    this.#state = 'ending';
    this.#rest.stop();
    this.#strays?.stop();
    this.#runtime.destroy();
  }

  #isReused(): boolean {
    return this.version.config.reuse !== false;
  }

  #onClose(reason: 'closed' | 'protocol_error', message: string): void {
    if (reason === 'protocol_error') this.#protocolError = message;
    if (this.#state !== 'ending') void this.end(reason === 'protocol_error' ? 'protocol' : 'closed');
  }

  #onStrays(count: number): void {
    const what = count === 1 ? 'process that a call started was' : 'processes that a call started were';
    this.#life.log.tell(`The instance ends: ${count} ${what} still there after its end.`);
    void this.retire('strays');
  }

  #onlyInvocation(): string | undefined {
    return this.#invocations.size === 1 ? [...this.#invocations][0] : undefined;
  }

  async #initFailure(timeoutMessage?: string): Promise<InitFailure> {
    const endedFirst = await Promise.race([this.ended.then(() => true), nextTurn().then(() => false)]);
    const failure: Failure =
      endedFirst || timeoutMessage === undefined || this.#state === 'ending'
        ? await this.explainEnd()
        : { kind: 'function_init_failed', message: timeoutMessage };
    await this.end('killed');
    return new InitFailure(failure, this.timings, this.id);
  }

  async #leavesByItself(): Promise<boolean> {
    this.#runtime.shutdown();
    return (await within(SHUTDOWN_MS, this.ended)) !== undefined;
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
