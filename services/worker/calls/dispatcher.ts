/**
 * The way of a call: acquire an instance, run, settle on one outcome and a receipt.
 * Guest failures are values; only the platform's own failures are thrown.
 */
import { SandboxError } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import type { Call, CallReply, Dispatcher, Failure, Receipt } from '../../core/invocations/types.ts';
import type { Blanks } from '../blanks/index.ts';
import { InitFailure } from '../instances/init-failure.ts';
import type { Instance } from '../instances/instance.ts';
import type { Grant, Pool } from '../pool/pool.ts';
import { failedStartReceipt, makeReceipt, startMeter } from './receipt.ts';
import { runOnInstance } from './running-call.ts';
import { runWithVolumes } from './with-volumes.ts';

export function createDispatcher(
  pool: Pool<Instance>,
  blanks: Pick<Blanks, 'list' | 'forget'>,
  startFacts: Dispatcher['startFacts'],
): Dispatcher {
  return {
    startFacts,
    call: (call) => runCall(pool, call),
    instances: () => Promise.all(pool.instances().map((instance) => instance.info())),
    blanks: () => blanks.list(),
    async retire(functionName) {
      blanks.forget(functionName);
      await pool.retire(functionName);
    },
  };
}

async function runCall(pool: Pool<Instance>, call: Call): Promise<CallReply> {
  const { acceptedAt } = call;
  let grant: Grant<Instance>;
  try {
    grant = await pool.acquire(call.version, call.signal);
  } catch (error) {
    return replyWithoutInstance(error, call, acceptedAt);
  }
  const grantedAt = performance.now();
  const { instance } = grant;
  const start = grant.cause === null ? null : { ...instance.timings, cause: grant.cause };
  const receipt = (): Receipt => makeReceipt(instance.id, start, grantedAt - acceptedAt, performance.now() - grantedAt);
  const used = startMeter(() => instance.usage(), instance.files, call.request);
  const parts = { call, instance, receipt, used, release: grant.release };
  const { volumes } = instance;
  return volumes?.isAsked === true ? runWithVolumes(parts, volumes) : runOnInstance(parts);
}

/** The call never reached an instance: the function does not load, the caller left, or the platform can not. */
function replyWithoutInstance(error: unknown, call: Call, acceptedAt: number): CallReply {
  const waitedMs = performance.now() - acceptedAt;
  if (error instanceof InitFailure) {
    return failedReply(error.failure, failedStartReceipt(error.instanceId, error.timings, waitedMs));
  }
  if (call.signal.aborted) return failedReply(LEFT, failedStartReceipt('', null, waitedMs));
  if (error instanceof SandboxError) {
    const code = error.code === 'engine_failed' ? 'engine_failed' : 'sandbox_failed';
    throw new WaferError(code, `No sandbox for ${call.version.functionName}: ${error.message}`, {
      cause: error,
      hint: 'Run `wafer doctor` on the machine of the worker.',
    });
  }
  throw error;
}

const LEFT: Failure = { kind: 'cancelled', message: 'The caller went away before the function was called.' };

function failedReply(failure: Failure, receipt: Receipt): CallReply {
  return {
    result: { kind: 'failure', failure },
    receipt,
    done: Promise.resolve({ outcome: failure, receipt, bytesOut: 0 }),
  };
}
