/** The plan of an instance with its secrets in it: files for the sandbox, variables for the program. */
import type { FunctionVersion } from '../../core/functions/types.ts';
import { InitFailure, type StartTimings } from '../instances/init-failure.ts';
import type { InstancePlan } from '../instances/plan.ts';
import { type BoundSecrets, bindSecrets, type SecretsHere, SecretsUnfit } from './bind.ts';

interface PlanParts {
  plan: (version: FunctionVersion) => Promise<InstancePlan>;
  secrets: SecretsHere;
}

/** @throws InitFailure when the function's secrets can not be given to it; nothing is held then */
export async function planWithSecrets(
  version: FunctionVersion,
  deps: PlanParts,
  timings: StartTimings,
): Promise<{ plan: InstancePlan; secrets: BoundSecrets }> {
  const [planned, bound] = await Promise.allSettled([deps.plan(version), bindSecrets(version, deps.secrets)]);
  if (planned.status === 'fulfilled' && bound.status === 'fulfilled')
    return { plan: withSecrets(planned.value, bound.value), secrets: bound.value };
  if (bound.status === 'fulfilled') bound.value.use.end();
  if (planned.status === 'fulfilled') planned.value.lease.release();
  const reason: unknown = planned.status === 'rejected' ? planned.reason : bound.status === 'rejected' && bound.reason;
  if (!(reason instanceof SecretsUnfit)) throw reason;
  throw new InitFailure({ kind: 'function_init_failed', message: reason.message }, timings, '');
}

function withSecrets(plan: InstancePlan, { files, env }: BoundSecrets): InstancePlan {
  const { spec, program } = plan;
  if (files.length === 0 && Object.keys(env).length === 0) return plan;
  return {
    ...plan,
    spec: files.length === 0 ? spec : { ...spec, secrets: files },
    program: { ...program, env: { ...program.env, ...env } },
  };
}
