/** Instances and the blanks they are made of: these have the memory that those leave. */
import { availableParallelism, totalmem } from 'node:os';
import type { SandboxHost } from '../../runtime/sandbox/index.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import type { ImageStore } from '../core/images/types.ts';
import type { BaseImages } from './base-images/index.ts';
import { type Blanks, createBlanks } from './blanks/index.ts';
import type { FunctionEgress } from './egress/index.ts';
import { createBootQueue } from './instances/boot-queue.ts';
import type { Instance } from './instances/instance.ts';
import { type InstancePlan, planInstance } from './instances/plan.ts';
import { startInstance } from './instances/start.ts';
import { createLearnedPolicy } from './keep-alive/policy.ts';
import type { NamespaceLimits } from './namespaces/limits.ts';
import { capInvocations } from './output/invocation-cap.ts';
import { createPool, type Pool } from './pool/pool.ts';
import type { WorkerDeps } from './types.ts';
import type { InstanceVolumes, WorkerVolumes } from './volumes/index.ts';
import { createZygotes } from './zygotes/index.ts';

export interface InstancePool {
  pool: Pool<Instance>;
  blanks: Blanks;
  memoryBudgetMb: number;
  /** Lets running calls finish until the signal aborts. */
  close(signal: AbortSignal): Promise<void>;
}

interface PoolParts {
  host: SandboxHost;
  images: ImageStore;
  bases: BaseImages;
  volumes: WorkerVolumes;
  egress: FunctionEgress;
  limits: NamespaceLimits;
}

const MIB = 1024 * 1024;
const MAX_WAITING = 1_000;

export function openInstancePool(
  { config, logs: allLogs, log, obtain, secrets }: WorkerDeps,
  parts: PoolParts,
): InstancePool {
  const { images, bases, limits } = parts;
  const zygotes = config.pythonZygote === 'on' ? createZygotes({ ...parts, bases: () => bases.list(), log }) : null;
  const host = zygotes ?? parts.host;
  const plan = planner(parts, obtain);
  const logs = capInvocations(allLogs, config.logInvocationKb * 1024);
  const memoryBudgetMb = config.memoryMb ?? Math.floor(totalmem() / MIB / 2);
  const freeMb = () => memoryBudgetMb - pool.usedMb();
  const boots = createBootQueue({ atOnce: availableParallelism() });
  const blanks = createBlanks({
    host,
    images,
    getBase: (name) => bases.get(name),
    perBase: config.blanks,
    queue: boots,
    freeMb,
    log,
  });
  const pool = createPool({
    memoryBudgetMb,
    ceilings: limits.ceilings,
    idleMs: config.idleMs,
    ...(config.keepAlive === 'learned' ? { keepAlive: createLearnedPolicy({ standardMs: config.idleMs }) } : {}),
    maxWaiting: MAX_WAITING,
    start: (version, isWanted) => startInstance(version, { host, logs, blanks, boots, log, plan, secrets }, isWanted),
    onStartFailed: ({ functionName, number }, err) =>
      log.warn({ function: functionName, version: number, err }, 'an instance that no call waits for did not start'),
  });
  return {
    pool,
    blanks,
    memoryBudgetMb,
    async close(signal) {
      await Promise.all([pool.close(signal), blanks.close()]);
      await zygotes?.close();
    },
  };
}

/** What an instance is made of: its version's layers and limits, where it may connect to, its volumes. */
const planner =
  ({ images, volumes, egress, limits }: PoolParts, obtain: WorkerDeps['obtain']) =>
  async (version: FunctionVersion): Promise<InstancePlan> => {
    await obtain?.(version, images);
    const planned = await planInstance(version, images);
    const spec = { ...planned.spec, ...limits.of(version.config), ...egress.of(version) };
    return withVolumes({ ...planned, spec }, volumes.of(version));
  };

/** What the volumes hold ends with what the layers hold: when the sandbox is gone. */
function withVolumes(plan: InstancePlan, volumes: InstanceVolumes | undefined): InstancePlan {
  if (volumes === undefined) return plan;
  const release = () => {
    volumes.close();
    plan.lease.release();
  };
  return { ...plan, volumes, lease: { release } };
}
