/**
 * A call whose volumes have to be looked after: what changed is shown anew; with a transaction the
 * answer is held until the sandbox is gone and what it wrote is in the volume, or is not.
 */
import type { Readable } from 'node:stream';
import { SandboxError } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import type { CallReply, CallResult, Failure, Outcome } from '../../core/invocations/types.ts';
import { MAX_RESULT_BYTES } from '../instances/instance.ts';
import type { InstanceVolumes } from '../volumes/index.ts';
import type { Transaction } from '../volumes/transactions.ts';
import { type RunParts, runOnInstance } from './running-call.ts';

/** @throws what `runOnInstance` throws, and WaferError `sandbox_failed`; the room was given back then */
export async function runWithVolumes(parts: RunParts, volumes: InstanceVolumes): Promise<CallReply> {
  const begun = await begin(parts, volumes);
  if (begun === null) return runOnInstance(parts);
  if ('kind' in begun) return failed(parts, begun);
  return runTransaction(parts, begun);
}

async function begin({ call, instance, release }: RunParts, volumes: InstanceVolumes) {
  try {
    return await volumes.begin(call);
  } catch (error) {
    release();
    void instance.end('killed'); // what it shows may be half of one state and half of another
    throw explain(error, call.version.functionName);
  }
}

/** The call did not begin; the instance is as good as before. */
function failed({ receipt, release }: RunParts, failure: Failure): CallReply {
  const now = receipt();
  release();
  return {
    result: { kind: 'failure', failure },
    receipt: now,
    done: Promise.resolve({ outcome: failure, receipt: now, bytesOut: 0 }),
  };
}

async function runTransaction(parts: RunParts, transaction: Transaction): Promise<CallReply> {
  const { instance, call } = parts;
  try {
    const reply = await runOnInstance(parts);
    const result = await heldResult(reply.result);
    const end = await reply.done;
    // Nothing may be written behind the end: with the sandbox every process of it is gone.
    await instance.end('killed');
    const failure = await endingOf(end.outcome, result, transaction);
    const receipt = { ...end.receipt, ...parts.receipt() }; // its time has gone on, what it used has not
    if (failure === null) return { result, receipt, done: Promise.resolve({ ...end, receipt }) };
    return {
      result: { kind: 'failure', failure },
      receipt,
      done: Promise.resolve({ ...end, outcome: failure, receipt, bytesOut: 0 }),
    };
  } catch (error) {
    throw explain(error, call.version.functionName);
  } finally {
    await transaction.discard();
  }
}

/** Null: as the call ended. A result that can not be given is no success. */
async function endingOf(outcome: Outcome, result: CallResult, transaction: Transaction): Promise<Failure | null> {
  if (outcome.kind === 'ok' && result.kind !== 'failure') return transaction.commit();
  const failure = result.kind === 'failure' ? result.failure : null;
  await transaction.discard(outcome.kind === 'ok' ? failure?.kind : outcome.kind);
  return outcome.kind === 'ok' ? failure : null;
}

async function heldResult(result: CallResult): Promise<CallResult> {
  if (result.kind === 'failure' || !isStream(result.body)) return result;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of result.body) {
      bytes += (chunk as Buffer).length;
      if (bytes <= MAX_RESULT_BYTES) chunks.push(chunk as Buffer);
    }
  } catch {
    return result; // the call failed; its outcome says why
  }
  if (bytes > MAX_RESULT_BYTES) {
    const message = `The answer of a call with a volume of mode "tx" may have ${MAX_RESULT_BYTES} bytes: it is held until the volume has what the call wrote.`;
    return { kind: 'failure', failure: { kind: 'result_too_large', message } };
  }
  return { ...result, body: Buffer.concat(chunks) } as CallResult;
}

const isStream = (body: Buffer | Readable | null): body is Readable => body !== null && !Buffer.isBuffer(body);

function explain(error: unknown, functionName: string): unknown {
  if (!(error instanceof SandboxError)) return error;
  const code = error.code === 'engine_failed' ? 'engine_failed' : 'sandbox_failed';
  return new WaferError(code, `The volumes of ${functionName}: ${error.message}`, {
    cause: error,
    hint: 'Run `wafer doctor` on the machine of the worker.',
  });
}
