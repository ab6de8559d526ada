/** From a sandbox to a function that can be called: its runtime boots, then loads the handler. */
import type { CodeCacheUse, RuntimeConnection } from '../../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Said } from '../secrets/mask-failure.ts';
import type { StartTimings } from './init-failure.ts';
import { MAX_LOG_LINE_BYTES, MAX_RESULT_BYTES } from './instance.ts';
import type { ProgramPlan } from './plan.ts';
import { within } from './within.ts';

const INIT_MS = 30_000;
const BOOT_MS = 20_000;

/**
 * `loaded`: with what of it was compiled at build; `failed`: the function's own mistake; `silent`: no answer in time, or
 * the sandbox is gone, which then says why; `closed`: the connection ended first.
 */
export type Loading =
  | { kind: 'loaded'; codeCache: CodeCacheUse | undefined }
  | { kind: 'failed'; failure: Said }
  | { kind: 'silent'; message: string }
  | { kind: 'closed' };

export interface LoadParts {
  runtime: Pick<RuntimeConnection, 'ready' | 'init'>;
  version: FunctionVersion;
  program: ProgramPlan;
  timings: StartTimings;
  mark: () => number;
  /** The sandbox has ended. */
  gone: Promise<unknown>;
}

/** Never rejects. */
export async function loadRuntime({ runtime, version, program, timings, mark, gone }: LoadParts): Promise<Loading> {
  const booted = await within(
    BOOT_MS,
    runtime.ready.then(() => true),
    gone,
  );
  timings.boot += mark();
  if (booted !== true) return { kind: 'silent', message: `The runtime did not start within ${BOOT_MS / 1000} s.` };
  const { config, functionName, number } = version;
  const init = runtime.init({
    functionName,
    version: number,
    codePath: program.codePath,
    handler: config.handler,
    command: config.command,
    env: program.env,
    memoryMb: config.memoryMb,
    maxResultBytes: MAX_RESULT_BYTES,
    maxLogLineBytes: MAX_LOG_LINE_BYTES,
  });
  const result = await within(INIT_MS, init, gone);
  timings.init = mark();
  if (result === undefined) return { kind: 'silent', message: `The function did not load within ${INIT_MS / 1000} s.` };
  if (result.kind !== 'error') return { kind: 'loaded', codeCache: result.codeCache };
  if (result.code === 'connection_closed') return { kind: 'closed' };
  const { message, errorType, stack } = result;
  const kind = result.code === 'handler_not_found' ? 'handler_not_found' : 'function_init_failed';
  return { kind: 'failed', failure: { kind, message, errorType, stack } };
}
