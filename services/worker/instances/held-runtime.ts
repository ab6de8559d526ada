/** A runtime that boots in its sandbox and belongs to no version yet. */
import {
  openRuntime,
  type RuntimeConnection,
  type RuntimeOptions,
  type Sandbox,
} from '../../../runtime/sandbox/index.ts';

export interface HeldRuntime {
  readonly sandbox: Sandbox;
  readonly runtime: RuntimeConnection;
  /** By the instance that it becomes. What happened before is told to nobody. */
  listen(hooks: Pick<RuntimeOptions, 'onLog' | 'onClose'>): void;
}

/** Owns the sandbox's control socket from here on. @throws TypeError when the sandbox was made without one */
export function holdRuntime(sandbox: Sandbox): HeldRuntime {
  if (sandbox.control === null) throw new TypeError(`sandbox ${sandbox.id} has no control socket`);
  let hooks: Pick<RuntimeOptions, 'onLog' | 'onClose'> | undefined;
  const runtime = openRuntime(sandbox.control, {
    onLog: (...line) => hooks?.onLog(...line),
    onClose: (...why) => hooks?.onClose(...why),
  });
  runtime.ready.catch(() => {}); // who waits for it is told, and so is nobody when it is thrown away
  return {
    sandbox,
    runtime,
    listen(listener) {
      hooks = listener;
    },
  };
}
