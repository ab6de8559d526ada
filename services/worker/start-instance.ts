/** Makes the sandbox of a version and an instance of it. */
import { type Sandbox, SandboxError, type SandboxHost } from '../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import { newInstanceId } from '../core/ids.ts';
import type { LogSink } from '../core/invocations/types.ts';
import { InitFailure, type StartTimings } from './init-failure.ts';
import { Instance } from './instance.ts';
import type { InstancePlan } from './instance-plan.ts';

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
  if (sandbox.control === null) throw new TypeError(`sandbox ${id} has no control socket`);
  const instance = new Instance(version, sandbox, sandbox.control, deps.logs, plan.lease, timings);
  try {
    await instance.load(mark);
  } catch (error) {
    timings.init += mark(); // finding out why, and cleaning up
    throw error;
  }
  return instance;
}

/** A base without the program of the runtime is the version's mistake, not the platform's. */
function explainCreate(error: unknown, version: FunctionVersion, timings: StartTimings, id: string): unknown {
  if (!(error instanceof SandboxError && error.code === 'exec_failed')) return error;
  const { base, config } = version;
  const message = `The base image "${base}" can not run the runtime "${config.runtime}" (${error.message}); name another "base" in wafer.json, or none.`;
  return new InitFailure({ kind: 'function_init_failed', message }, timings, id);
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
