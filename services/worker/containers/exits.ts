/** How programs end, in the words of containers; and why they could not begin. */
import { SandboxError, type SandboxExit } from '../../../runtime/sandbox/index.ts';
import { type ErrorCode, WaferError } from '../../core/errors.ts';

const KILLED = 128 + 9;
/** As shells have it. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

export const exitCodeOf = ({ status, signal }: { status: number | null; signal: number | null }): number =>
  status ?? (signal === null ? KILLED : 128 + signal);

/** Null when its exit code says it all. */
export function exitError({ reason }: SandboxExit): string | null {
  if (reason === 'oom') return 'It used more memory than it may.';
  if (reason === 'limit') return 'It met a limit of its sandbox.';
  return reason === 'engine_ended' ? 'The sandbox engine ended; the platform starts it again.' : null;
}

/** A program that can not be started is the container's fault, with the exit code that a shell would give. */
export function startError(error: unknown, name: string, program: string): unknown {
  if (!(error instanceof SandboxError)) return error;
  if (error.code === 'engine_failed')
    return new WaferError('engine_failed', `The container ${name} could not be started: ${error.message}`, {
      cause: error,
    });
  const isProgram = error.code === 'exec_failed' || error.step === 'exec';
  const exitCode = isProgram
    ? /no such file|not found|ENOENT/i.test(error.message)
      ? NOT_FOUND
      : NOT_EXECUTABLE
    : 125;
  const what = isProgram ? `The program ${JSON.stringify(program)} of the container ${name}` : `The container ${name}`;
  return new WaferError('container_start_failed', `${what} could not be started: ${error.message}`, {
    details: { exitCode },
    cause: error,
  });
}

/** The sandbox went while it was asked; its exit is told elsewhere. */
export function ignoreGone(error: unknown): void {
  const isGone = error instanceof SandboxError && ['not_found', 'engine_failed'].includes(error.code);
  if (!isGone) throw error;
}

/** What the engine refused of somebody's wish, as an error that names it. */
export function asWaferError(error: unknown, what: string): unknown {
  if (!(error instanceof SandboxError)) return error;
  return new WaferError(refusalCode(error), `${what}: ${error.message}`, { cause: error });
}

function refusalCode({ code, message }: SandboxError): ErrorCode {
  if (code === 'not_found') return 'not_found';
  if (/no space left|quota exceeded/i.test(message)) return 'disk_full';
  if (/read-only file system/i.test(message)) return 'conflict';
  // "cannot ...": the engine asked the kernel for something and did not get it; all else is about the archive.
  const isOfArchive = code === 'write_failed' && !/^[\w-]+: (cannot|out of memory)/.test(message);
  return isOfArchive ? 'invalid_archive' : 'engine_failed';
}
