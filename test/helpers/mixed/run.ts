/** Makes the calls of a plan, so many at a time, with its changes in between, and tells the ledger. */
import { Pool } from 'undici';
import type { BlankInfo } from '../../../services/core/invocations/types.ts';
import type { TestPlatform } from '../platform.ts';
import { until } from '../until.ts';
import type { Ledger, Witness } from './ledger.ts';
import type { Plan, PlannedCall, PlannedChange } from './plan.ts';
import { codeOf, FUNCTIONS, type MixedFunction } from './programs.ts';

export interface MixedRun {
  /** Kind of start -> calls. */
  starts: Record<string, number>;
  /** Outcomes of calls that were to fail. */
  failed: number;
  /** What was wrong, in words; the first so many. */
  wrong: string[];
  /** Invocation -> `function vNUMBER` as its answer had it. */
  versionOf: Map<string, string>;
}

interface Deployed extends MixedFunction {
  /** In the order of their numbers. */
  versions: { mark: string; number: number }[];
  /** Changes of one function come one after the other. */
  turn: Promise<unknown>;
}

interface Reply {
  status: number;
  body: string;
  began: number;
  ended: number;
  invocation: string;
  start: string;
}

const MAX_WRONG = 20;

export async function runMixed(wafer: TestPlatform, plan: Plan, ledger: Ledger, callers: number): Promise<MixedRun> {
  const client = new Pool(wafer.url, { connections: callers, pipelining: 1 });
  const run: MixedRun = { starts: {}, failed: 0, wrong: [], versionOf: new Map() };
  const functions: Deployed[] = FUNCTIONS.map((one) => ({ ...one, versions: [], turn: Promise.resolve() }));
  const world: World = { wafer, ledger, functions, client, run };
  try {
    await Promise.all(functions.map((one) => change(world, one, { kind: 'deploy', functionAt: 0, pick: 0 })));
    await Promise.all(functions.map((one) => change(world, one, { kind: 'stable', functionAt: 0, pick: 0 })));
    await untilBlanks(wafer);
    let next = 0;
    const caller = async () => {
      for (let seq = next++; seq < plan.calls.length && run.wrong.length < MAX_WRONG; seq = next++) {
        const planned = plan.changes.get(seq);
        const call = at(plan.calls, seq);
        if (planned !== undefined) await change(world, at(functions, planned.functionAt), planned);
        await makeCall(world, seq, planned?.kind === 'deploy' ? ofNewest(call, planned) : call);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  } finally {
    await client.close();
  }
  return run;
}

interface World {
  wafer: TestPlatform;
  ledger: Ledger;
  functions: Deployed[];
  client: Pool;
  run: MixedRun;
}

/** Whoever deploys a version calls it: where deploys take long, the next may come before anybody else does. */
const ofNewest = (call: PlannedCall, { functionAt }: PlannedChange): PlannedCall => ({
  ...call,
  functionAt,
  way: 'number',
  pick: 1 - Number.EPSILON,
  fail: false,
});

/** From then on the first call of a version that blanks fit has one. */
const untilBlanks = (wafer: TestPlatform) =>
  until('there is a blank of each language', async () => {
    const { blanks } = (await (await wafer.fetch('/v1/instances')).json()) as { blanks: BlankInfo[] };
    const fit = blanks.filter(({ ready, egress, volumes }) => ready > 0 && !egress && volumes === 0);
    return fit.length > 1;
  });

function at<T>(all: readonly T[], index: number): T {
  const found = all[index];
  if (found === undefined) throw new Error(`there is no item ${index} of ${all.length}`);
  return found;
}

function change(world: World, one: Deployed, planned: PlannedChange): Promise<void> {
  const done = one.turn.then(() => (planned.kind === 'deploy' ? deploy(world, one) : moveAlias(world, one, planned)));
  one.turn = done;
  return done;
}

async function deploy({ wafer, ledger }: World, one: Deployed): Promise<void> {
  const mark = `${one.name}-code-${one.versions.length + 1}`;
  const move = ledger.move(one.name, 'live', mark);
  const { number } = await wafer.deploy(one.name, codeOf(one, mark), one.config);
  move.done();
  one.versions.push({ mark, number });
}

async function moveAlias({ wafer, ledger }: World, one: Deployed, { kind, pick }: PlannedChange): Promise<void> {
  const { mark, number } = at(one.versions, Math.floor(pick * one.versions.length));
  const move = ledger.move(one.name, kind, mark);
  const reply = await wafer.fetch(`/v1/functions/${one.name}/aliases/${kind}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ version: number }),
  });
  if (reply.status !== 200) throw new Error(`${kind} of ${one.name}: ${reply.status} ${await reply.text()}`);
  await reply.arrayBuffer();
  move.done();
}

async function makeCall(world: World, seq: number, call: PlannedCall): Promise<void> {
  const one = at(world.functions, call.functionAt);
  const { mark, number } = at(one.versions, Math.floor(call.pick * one.versions.length));
  const invoke = `/v1/functions/${one.name}/invoke`;
  const paths = { live: invoke, stable: `${invoke}?alias=stable`, number: `${invoke}?version=${number}` };
  const path = call.way === 'http' ? `/fn/${one.name}/` : paths[call.way];
  const reply = await send(world, path, seq, call);
  const alias = call.way === 'stable' ? 'stable' : 'live';
  const allowed =
    call.way === 'number' ? new Set([mark]) : world.ledger.allowed(one.name, alias, reply.began, reply.ended);
  const fault = judge(world, seq, { call, reply, allowed });
  if (fault !== undefined) world.run.wrong.push(`call ${seq} ${path}: ${fault}; answered ${reply.body.slice(0, 500)}`);
}

async function send({ client, wafer }: World, path: string, seq: number, call: PlannedCall): Promise<Reply> {
  const event = { seq, pauseMs: call.pauseMs, fail: call.fail, pad: 'x'.repeat(call.padBytes) };
  const began = performance.now();
  const { statusCode, headers, body } = await client.request({
    method: 'POST',
    path,
    headers: { authorization: `Bearer ${wafer.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(event),
  });
  const text = await body.text();
  const header = (name: string) => String(headers[name]);
  return {
    status: statusCode,
    body: text,
    began,
    ended: performance.now(),
    invocation: header('x-wafer-invocation'),
    start: header('x-wafer-start'),
  };
}

interface Judged {
  call: PlannedCall;
  reply: Reply;
  allowed: Set<string>;
}

/** What is wrong with the answer. */
function judge({ run, ledger }: World, seq: number, { call, reply, allowed }: Judged): string | undefined {
  run.starts[reply.start] = (run.starts[reply.start] ?? 0) + 1;
  const { body, status, invocation } = reply;
  if (call.fail) {
    run.failed++;
    const isWanted = status === 502 && body.includes('"function_error"') && body.includes(`wanted by ${seq}`);
    return isWanted ? undefined : `status ${status}, not the failure that was asked for`;
  }
  if (status !== 200) return `status ${status}`;
  const witness = JSON.parse(body) as Witness & { seq: number; pad: number };
  ledger.answered(witness);
  run.versionOf.set(invocation, `${witness.functionName} v${witness.version}`);
  if (witness.seq !== seq || witness.pad !== call.padBytes) return 'the answer is of another call';
  if (!allowed.has(witness.mark)) return `only ${[...allowed].join(' or ')} may answer`;
  return undefined;
}
