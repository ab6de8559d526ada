/** Programs of Python in sandboxes: executed, or made by a zygote. */
import {
  openRuntime,
  type RuntimeConnection,
  type Sandbox,
  type SandboxHost,
  type SandboxSpec,
  type Zygote,
} from '../../runtime/sandbox/index.ts';
import { BASE_ENV, PROGRAMS } from '../../services/worker/instances/plan.ts';
import { ZYGOTE_PROGRAM } from '../../services/worker/zygotes/line.ts';

export interface PythonProgram {
  sandbox: Sandbox;
  runtime: RuntimeConnection;
  /** The value of the handler. */
  call(event?: unknown): Promise<unknown>;
}

export const startZygote = (host: SandboxHost, layers: string[], id = 'python'): Promise<Zygote> =>
  host.startZygote({ id, layers, argv: ZYGOTE_PROGRAM, env: BASE_ENV });

export const pythonSpec = (id: string, layers: string[]): SandboxSpec => ({
  id,
  profile: 'function',
  layers,
  argv: PROGRAMS.python,
  env: BASE_ENV,
  cwd: '/',
  control: true,
  memoryBytes: 256 << 20,
  tmpBytes: 64 << 20,
  pids: 256,
});

/** Booted, and bound to a handler of the code in `/function`. */
export async function startPython(host: SandboxHost, spec: SandboxSpec, handler: string): Promise<PythonProgram> {
  const sandbox = await host.create(spec);
  if (sandbox.control === null) throw new Error('no control socket');
  const runtime = openRuntime(sandbox.control, { onLog() {}, onClose() {} });
  await runtime.ready;
  const init = await runtime.init({
    functionName: 'zygote',
    version: 1,
    codePath: '/function',
    handler,
    command: [],
    env: { ...BASE_ENV },
    maxResultBytes: 1 << 20,
    maxLogLineBytes: 65_536,
  });
  if (init.kind !== 'ok') throw new Error(`${init.code}: ${init.message}`);
  let calls = 0;
  const call = async (event: unknown) => {
    const head = { invocationId: `call-${++calls}`, deadlineMs: 4e12, attempt: 1, kind: 'event' } as const;
    const running = runtime.call(head, Buffer.from(JSON.stringify(event ?? null)), new AbortController().signal);
    const answer = await running.head;
    if (answer.kind !== 'value') throw new Error(answer.kind === 'error' ? answer.message : answer.kind);
    const parts: Buffer[] = [];
    for await (const part of answer.body) parts.push(part as Buffer);
    return JSON.parse(Buffer.concat(parts).toString());
  };
  return { sandbox, runtime, call };
}
