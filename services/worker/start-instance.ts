/** Makes the sandbox of a version and an instance of it. */
import type { Sandbox, SandboxHost } from '../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import { newInstanceId } from '../core/ids.ts';
import type { LogSink } from '../core/invocations/types.ts';
import type { StartTimings } from './init-failure.ts';
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
    throw error;
  }
  timings.sandbox = mark();
  if (sandbox.control === null) throw new TypeError(`sandbox ${id} has no control socket`);
  const instance = new Instance(version, sandbox, sandbox.control, deps.logs, plan.lease, timings);
  await instance.load(mark);
  return instance;
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
