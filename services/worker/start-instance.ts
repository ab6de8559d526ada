/** Makes the sandbox of a version and an instance of it. */
import { type Sandbox, SandboxError, type SandboxHost } from '../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import { newInstanceId } from '../core/ids.ts';
import type { LogSink } from '../core/invocations/types.ts';
import { InitFailure, type StartTimings } from './init-failure.ts';
import type { Instance } from './instance.ts';
import type { InstancePlan } from './instance-plan.ts';
import { ProgramInstance } from './program-instance.ts';
import { RuntimeInstance } from './runtime-instance.ts';

export interface InstanceDeps {
  host: SandboxHost;
  logs: LogSink;
  /** Layers of the version, leased until the instance has ended. */
  plan: (version: FunctionVersion) => Promise<InstancePlan>;
}

/**
 * Makes a sandbox of the version and loads its handler.
 * @throws InitFailure when the function can not be loaded, SandboxError when the platform can not make a sandbox
 */
export async function startInstance(version: FunctionVersion, deps: InstanceDeps): Promise<Instance> {
  const id = newInstanceId();
  const plan = await deps.plan(version);
  const timings: StartTimings = { sandbox: 0, boot: 0, init: 0 };
  const mark = stopwatch();
  let sandbox: Sandbox;
  try {
    sandbox = await deps.host.create({ id, ...plan.spec });
  } catch (error) {
    plan.lease.release();
    timings.sandbox = mark();
    throw explainCreate(error, version, timings, id);
  }
  timings.sandbox = mark();
  if (version.config.runtime === 'image') {
    return new ProgramInstance({
      version,
      sandbox,
      logs: deps.logs,
      lease: plan.lease,
      timings,
      program: plan.program,
    });
  }
  if (sandbox.control === null) throw new TypeError(`sandbox ${id} has no control socket`);
  const instance = new RuntimeInstance(version, sandbox, sandbox.control, deps.logs, plan.lease, timings);
  try {
    await instance.load(plan.program, mark);
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
