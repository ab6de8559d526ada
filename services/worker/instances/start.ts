/** Makes the sandbox of a version and an instance of it. */
import { type Sandbox, SandboxError, type SandboxHost } from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { newInstanceId } from '../../core/ids.ts';
import type { LogSink } from '../../core/invocations/types.ts';
import type { Log } from '../../core/log.ts';
import type { Blanks } from '../blanks/index.ts';
import type { BoundSecrets, SecretsHere } from '../secrets/bind.ts';
import { planWithSecrets } from '../secrets/plan.ts';
import type { BootQueue } from './boot-queue.ts';
import { type HeldRuntime, holdRuntime } from './held-runtime.ts';
import { InitFailure, type StartTimings } from './init-failure.ts';
import type { Instance } from './instance.ts';
import { type InstancePlan, STANDARD_LIMITS } from './plan.ts';
import { ProgramInstance } from './program-instance.ts';
import { RuntimeInstance } from './runtime-instance.ts';

export interface InstanceDeps {
  host: Pick<SandboxHost, 'create'>;
  logs: LogSink;
  /** Layers of the version, leased until the instance has ended. */
  plan: (version: FunctionVersion) => Promise<InstancePlan>;
  blanks: Pick<Blanks, 'take' | 'whyNone'>;
  /** Values of what versions name. */
  secrets: SecretsHere;
  /** For runtimes that boot in a sandbox of their own. */
  boots: BootQueue;
  log: Log;
}

/**
 * Takes a blank for the version, or makes a sandbox of it, and loads its handler. `isWanted` is asked
 * before work is done for it that others wait for, too; null: it was not.
 * @throws InitFailure when the function can not be loaded, SandboxError when the platform can not make a sandbox
 */
export async function startInstance(
  version: FunctionVersion,
  deps: InstanceDeps,
  isWanted: () => boolean,
): Promise<Instance | null> {
  const timings: StartTimings = { kind: 'cold', sandbox: 0, attach: 0, boot: 0, init: 0 };
  const { plan, secrets } = await planWithSecrets(version, deps, timings);
  const { use } = secrets;
  let instance: Instance | null = null;
  try {
    instance = await startPlanned(version, plan, { ...deps, bound: secrets, timings, mark: stopwatch(), isWanted });
  } finally {
    if (instance === null) use.end();
  }
  if (instance === null) return null;
  followSecrets(instance, use);
  return instance;
}

/** One that was outdated while it started serves nothing. */
function followSecrets(instance: Instance, use: BoundSecrets['use']): void {
  void instance.ended.then(() => use.end());
  use.whenOutdated(() => void instance.retire());
}

type StartDeps = StartParts & Omit<InstanceDeps, 'plan' | 'secrets'> & { bound: BoundSecrets; isWanted: () => boolean };

async function startPlanned(version: FunctionVersion, plan: InstancePlan, deps: StartDeps): Promise<Instance | null> {
  const { host, logs, boots, bound: secrets, timings, mark, isWanted } = deps;
  const blank = await bindBlank(version, plan, deps);
  if (blank !== undefined) return load(version, blank, plan, deps);
  if (version.config.runtime === 'image') {
    mark();
    const sandbox = await createSandbox(version, plan, { timings, mark, host });
    const { lease, program, volumes } = plan;
    return new ProgramInstance({ version, sandbox, logs, lease, timings, program, volumes, secrets });
  }
  const boot = async () => (isWanted() ? bootOwn(version, plan, { timings, mark, host }) : null);
  const held = await boots.run(boot, 'call');
  if (held !== null) return load(version, held, plan, deps);
  plan.lease.release();
  return null;
}

/** Its runtime is ready, or its sandbox has ended, which loading finds out about. */
async function bootOwn(
  version: FunctionVersion,
  plan: InstancePlan,
  parts: StartParts & Pick<InstanceDeps, 'host'>,
): Promise<HeldRuntime> {
  parts.mark();
  const held = holdRuntime(await createSandbox(version, plan, parts));
  await Promise.race([held.runtime.ready.catch(() => {}), held.sandbox.exited]);
  return held;
}

/** Undefined when there is no blank, or the one there was died; then nothing is left of it. */
async function bindBlank(
  version: FunctionVersion,
  plan: InstancePlan,
  {
    blanks,
    log,
    timings,
    mark,
    isWanted,
  }: StartParts & Pick<InstanceDeps, 'blanks' | 'log'> & { isWanted: () => boolean },
): Promise<HeldRuntime | undefined> {
  const blank = await blanks.take(version, plan, isWanted);
  mark();
  if (blank?.waited !== false) timings.noBlank = blanks.whyNone(version, plan);
  if (blank === undefined) return undefined;
  const { sandbox } = blank.held;
  const { codeLayers = [], memoryBytes, pids, cpuMillis, tmpBytes, openFiles, fileBytes, secrets } = plan.spec;
  // What the blank has already is not set once more: that would mean to look for its processes.
  const less = {
    ...(openFiles === STANDARD_LIMITS.openFiles ? {} : { openFiles }),
    ...(fileBytes === STANDARD_LIMITS.fileBytes ? {} : { fileBytes }),
  };
  try {
    // In one go: the engine does one after the other, in this order.
    await Promise.all([
      sandbox.attach({ codeLayers, memoryBytes, pids, cpuMillis, tmpBytes, secrets, ...less }),
      plan.volumes?.show(sandbox),
    ]);
    if (plan.spec.egress !== undefined) sandbox.setEgress(plan.spec.egress, plan.spec.egressAccount);
    if (blank.waited) Object.assign(timings, blank.took);
    else timings.kind = 'blank';
    timings.attach = mark();
    return blank.held;
  } catch (err) {
    log.debug({ err, function: version.functionName, instance: sandbox.id }, 'a blank could not be bound');
    await sandbox.destroy().catch(() => {}); // a new engine is on its way; the start below waits for it
    return undefined;
  }
}

interface StartParts {
  timings: StartTimings;
  mark: () => number;
}

async function createSandbox(
  version: FunctionVersion,
  plan: InstancePlan,
  { timings, mark, host }: StartParts & Pick<InstanceDeps, 'host'>,
): Promise<Sandbox> {
  const id = newInstanceId();
  let sandbox: Sandbox | undefined;
  try {
    sandbox = await host.create({ id, ...plan.spec });
    await plan.volumes?.show(sandbox);
    return sandbox;
  } catch (error) {
    await sandbox?.destroy().catch(() => {}); // a sandbox that can not be destroyed is gone with its engine
    plan.lease.release();
    throw explainCreate(error, version, timings, id);
  } finally {
    timings.sandbox = mark();
  }
}

async function load(
  version: FunctionVersion,
  held: HeldRuntime,
  plan: InstancePlan,
  { timings, mark, logs, log, bound }: StartParts & Pick<InstanceDeps, 'logs' | 'log'> & { bound: BoundSecrets },
): Promise<Instance> {
  const { lease, volumes } = plan;
  const instance = new RuntimeInstance(version, held, { logs, lease, timings, volumes, secrets: bound });
  try {
    const codeCache = await instance.load(plan.program, mark);
    if (codeCache !== undefined)
      log.debug(
        { function: version.functionName, instance: instance.id, codeCache },
        'code that was compiled at build',
      );
  } catch (error) {
    timings.init += mark(); // finding out why, and cleaning up
    throw error;
  }
  return instance;
}

/** A root without the program of the runtime, or without its code, is the version's mistake, not the platform's. */
function explainCreate(error: unknown, version: FunctionVersion, timings: StartTimings, id: string): unknown {
  if (!(error instanceof SandboxError)) return error;
  const failed = (message: string) => new InitFailure({ kind: 'function_init_failed', message }, timings, id);
  const { base, config, from } = version;
  if (/^code layer .* has no directory/.test(error.message.slice(error.step.length + 2)))
    return failed('The image of the function is damaged: a layer above its base holds nothing at /function.');
  if (error.code !== 'exec_failed') return error;
  return failed(
    from === undefined
      ? `The base image "${base}" can not run the runtime "${config.runtime}" (${error.message}); name another "base" in wafer.json, or none.`
      : `The image can not run the runtime "${config.runtime}" (${error.message}); it needs ${config.runtime} on its PATH.`,
  );
}

/** Milliseconds since the last call of the returned function. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = now - last;
    last = now;
    return ms;
  };
}
