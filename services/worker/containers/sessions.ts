/** Sessions with the main program and with others; waiting; the log. */
import type { SandboxProgram } from '../../../runtime/sandbox/index.ts';
import { checkExec } from '../../core/containers/config.ts';
import { containerNotFound } from '../../core/containers/names.ts';
import { assertAllowed } from '../../core/containers/state.ts';
import type { ContainerStatus, Containers, ExecConfig, Session } from '../../core/containers/types.ts';
import type { Context } from './context.ts';
import type { Entry } from './entry.ts';
import { exitCodeOf, ignoreGone, startError } from './exits.ts';
import { programPlan } from './spec.ts';

type Sessions = Pick<Containers, 'attach' | 'exec' | 'logs' | 'wait'>;

const GOES_ON: readonly ContainerStatus[] = ['running', 'paused', 'restarting'];
const NEVER = new AbortController().signal;

export function createSessions(context: Context): Sessions {
  const { shelf } = context;
  return {
    async attach(ref, { logs }) {
      const { log, audience, record } = shelf.find(ref);
      // In one go: what is in the log before this moment is replayed, what comes after it is heard.
      const replay = logs ? log.read({ until: log.cut(), signal: NEVER }) : null;
      return audience.join({ replay, hasStdin: record.config.stdin });
    },
    exec: (ref, config) => exec(context, shelf.find(ref), checkExec(config)),
    logs(ref, { follow, since, tail, signal }) {
      const entry = shelf.find(ref);
      return entry.log.read({
        signal,
        ...(since === undefined ? {} : { since }),
        ...(tail === undefined ? {} : { tail }),
        ...(follow ? { follow: () => GOES_ON.includes(entry.record.status) && !entry.isRemoved } : {}),
      });
    },
    wait: (ref, signal) => waitFor(shelf.find(ref), ref, signal),
  };
}

/** What has not run yet is waited for too. */
async function waitFor(entry: Entry, ref: string, signal: AbortSignal): Promise<number> {
  const isStill = () => entry.record.status === 'exited' || entry.record.status === 'restarting';
  while (!isStill() || entry.record.exitCode === null) {
    if (entry.isRemoved) throw containerNotFound(ref);
    await new Promise<void>((resolve, reject) => {
      const wake = () => {
        entry.onStill.delete(wake);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        entry.onStill.delete(wake);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      entry.onStill.add(wake);
      signal.addEventListener('abort', leave, { once: true });
    });
    // A start that failed has an exit code, and nothing more to wait for.
    if (entry.run === null && entry.record.exitCode !== null) break;
  }
  return entry.record.exitCode ?? 0;
}

async function exec(context: Context, entry: Entry, config: ExecConfig): Promise<Session> {
  const { record, run } = entry;
  assertAllowed('exec', record);
  const image = await context.images.get(record.imageDigest);
  const plan = await programPlan(context, entry, image, { ...config, terminal: config.terminal !== null });
  assertAllowed('exec', entry.record); // it may have ended meanwhile
  if (run === null) throw containerNotFound(record.name);
  try {
    const program = await run.sandbox.start(config.argv, {
      ...plan,
      ...(config.stdin ? { stdin: true } : {}),
      ...(config.terminal === null ? {} : { terminal: config.terminal }),
    });
    return sessionOf(program, config.stdin);
  } catch (error) {
    throw startError(error, record.name, config.argv[0] ?? '');
  }
}

function sessionOf(program: SandboxProgram, hasStdin: boolean): Session {
  let isLeft = false;
  return {
    stdin: hasStdin ? program.stdin : null,
    onOutput: (listener) => program.onOutput((stream, chunk) => (isLeft ? undefined : listener(stream, chunk))),
    resize: (size) => program.resize(size).catch(ignoreGone),
    ended: program.exited.then(exitCodeOf),
    leave() {
      isLeft = true;
    },
  };
}
