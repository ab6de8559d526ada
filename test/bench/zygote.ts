/**
 * `npx tsx test/bench/zygote.ts [ROUNDS]`: programs of Python that are executed next to such
 * that a zygote forks, interleaved in one run: a blank until it is ready (time, processor
 * time), its first call (a function without imports, one with many of the standard
 * library's), both together as a call pays that finds no blank, and private memory after it.
 */
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { openRuntime, type Sandbox, type SandboxHost, type Zygote } from '../../runtime/sandbox/index.ts';
import { BASE_ENV } from '../../services/worker/instances/plan.ts';
import { layerOfFolder } from '../helpers/folder-layer.ts';
import { pythonSpec, startZygote } from '../helpers/python-zygote.ts';
import { openTestHost } from '../helpers/sandbox-host.ts';
import { summarize } from './stats.ts';

const ROUNDS = Number(process.argv[2] ?? 100);
const WAYS = ['executed', 'forked'] as const;
const FUNCTIONS = ['light', 'heavy'] as const;
type Way = (typeof WAYS)[number];

const samples = new Map<string, number[]>();
const note = (row: string, value: number) => samples.set(row, [...(samples.get(row) ?? []), value]);
const TICK_MS = 10;

/** Milliseconds; for the zygote itself, which is in no sandbox's account. */
async function cpuOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** MB of memory that is no file's. */
async function memoryOf(pid: number): Promise<number> {
  const kb = /^RssAnon:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1024;
}

async function firstCall(runtime: ReturnType<typeof openRuntime>, name: string): Promise<{ private: number }> {
  const common = { functionName: name, version: 1, codePath: '/function', command: [] };
  const limits = { maxResultBytes: 1 << 20, maxLogLineBytes: 65_536 };
  const init = await runtime.init({ ...common, handler: `${name}.handler`, env: { ...BASE_ENV }, ...limits });
  if (init.kind !== 'ok') throw new Error(init.message);
  const head = { invocationId: 'first', deadlineMs: 4e12, attempt: 1, kind: 'event' } as const;
  const answer = await runtime.call(head, Buffer.from('1'), new AbortController().signal).head;
  if (answer.kind !== 'value') throw new Error(`the call ended ${answer.kind}`);
  let text = '';
  for await (const part of answer.body) text += part;
  return JSON.parse(text);
}

async function once(way: Way, name: string, make: () => Promise<Sandbox>, code: string): Promise<void> {
  const began = performance.now();
  const sandbox = await make();
  if (sandbox.control === null || (way === 'forked') !== (sandbox.fork === true)) throw new Error(`not ${way}`);
  const runtime = openRuntime(sandbox.control, { onLog() {}, onClose() {} });
  await runtime.ready;
  const ready = performance.now();
  const { cpuMicros } = await sandbox.stats();
  const asked = performance.now();
  await sandbox.attach({ codeLayers: [code] });
  const { private: kb } = await firstCall(runtime, name);
  const answered = performance.now();
  note(`blank until ready (ms)|${way}`, ready - began);
  if (cpuMicros !== null) note(`processor time of that (ms)|${way}`, cpuMicros / 1000);
  note(`first call of ${name} (ms)|${way}`, answered - asked);
  note(`both, no blank ready: ${name} (ms)|${way}`, ready - began + answered - asked);
  note(`private memory after ${name} (MB)|${way}`, kb / 1024);
  runtime.destroy();
  await sandbox.destroy();
}

async function measure(host: SandboxHost, layers: string[], code: string, zygote: Zygote): Promise<void> {
  let next = 0;
  for (let round = 0; round < ROUNDS; round++)
    for (const name of FUNCTIONS)
      for (const way of WAYS) {
        const spec = { ...pythonSpec(`bench-${next++}`, layers), ...(way === 'forked' ? { zygote: zygote.id } : {}) };
        await once(way, name, () => host.create(spec), code);
      }
}

function print(own: { cpu: number; memory: number }): void {
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `p50 of ${ROUNDS} rounds, load ${load}`.padEnd(44),
    'executed'.padStart(9),
    'forked'.padStart(9),
    '  ratio',
  );
  for (const row of new Set([...samples.keys()].map((key) => key.split('|')[0]))) {
    const [executed, forked] = WAYS.map((way) => summarize(samples.get(`${row}|${way}`) ?? []).p50) as [number, number];
    const cells = [executed.toFixed(2).padStart(9), forked.toFixed(2).padStart(9), (forked / executed).toFixed(2)];
    console.log(`${row}`.padEnd(44), ...cells);
  }
  console.log(`the zygote itself: ${own.memory.toFixed(1)} MB, ${own.cpu.toFixed(2)} ms of processor time a fork`);
}

const test = await openTestHost();
const code = await layerOfFolder(test.host, join(import.meta.dirname, '../fixtures/zygote'));
try {
  const { layers } = test.base('python3.11');
  const zygote = await startZygote(test.host, layers);
  const before = await cpuOf(zygote.pid);
  await measure(test.host, layers, code, zygote);
  const cpu = ((await cpuOf(zygote.pid)) - before) / (ROUNDS * FUNCTIONS.length);
  print({ cpu, memory: await memoryOf(zygote.pid) });
} finally {
  await test.host.removeLayer(code);
  await test.close();
}
