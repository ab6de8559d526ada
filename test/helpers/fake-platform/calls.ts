/** Calls that the test answers, what was counted of them, and their records. */
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Registry } from 'prom-client';
import type { ApiDeps } from '../../../services/api/deps.ts';
import { WaferError } from '../../../services/core/errors.ts';
import type { InvocationStore } from '../../../services/core/invocations/records.ts';
import type { CallResult, Dispatcher, Outcome, Receipt, StartFacts } from '../../../services/core/invocations/types.ts';
import type { FakePlatform } from './types.ts';

export const RECEIPT: Receipt = {
  start: 'warm',
  phases: { queue: 0.25, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 1.5 },
  instanceId: 'i-test',
};

/** Of the fake `hello`: a blank fits, and there is memory. */
export const FACTS: StartFacts = {
  blank: 'fits',
  blanksKept: 2,
  memoryBudgetMb: 2000,
  memoryUsedMb: 256,
  layers: [{ createdBy: 'code', bytes: 412 }],
};

export const json = (value: unknown): CallResult => ({
  kind: 'value',
  contentType: 'application/json',
  body: Readable.from([Buffer.from(JSON.stringify(value))]),
});

export function createDispatcher(platform: () => FakePlatform): Dispatcher {
  return {
    call: async (call) => {
      platform().calls.push(call);
      const result = await platform().handler(call);
      const end = (outcome: Outcome) => ({ outcome, receipt: platform().receiptOf(call), bytesOut: 0 });
      const done =
        result.kind === 'failure'
          ? Promise.resolve(end(result.failure))
          : finished(Buffer.isBuffer(result.body) ? Readable.from([]).resume() : result.body).then(
              () => end({ kind: 'ok' }),
              (error: Error) =>
                end({ kind: call.signal.aborted ? 'cancelled' : 'function_crashed', message: error.message }),
            );
      return { result, receipt: RECEIPT, done };
    },
    instances: async () => [],
    blanks: () => [],
    startFacts: async () => FACTS,
    retire: async () => {},
  };
}

export function createTelemetry(platform: () => FakePlatform): ApiDeps['telemetry'] {
  const registry = new Registry();
  const count = (text: string) => void platform().counted.push(text);
  return {
    registry,
    contentType: registry.contentType,
    text: () => registry.metrics(),
    call: ({ outcome }) => count(`call ${outcome}`),
    refused: (code) => count(`refused ${code}`),
    build: (result) => count(`build ${result}`),
  };
}

export function createInvocations(platform: () => FakePlatform): InvocationStore {
  return {
    record: (record) => void platform().records.push(record),
    flush: async () => {},
    starts: async (name) =>
      platform()
        .records.filter(({ functionName, receipt }) => functionName === name && receipt?.start !== 'warm')
        .reverse(),
    get: async (id) => {
      const found = platform().records.find((record) => record.id === id);
      if (found === undefined) throw new WaferError('invocation_not_found', `There is no invocation "${id}".`);
      return found;
    },
    list: async ({ functionName, outcome, limit }) => {
      const wanted = platform().records.filter(
        (record) =>
          (functionName === undefined || record.functionName === functionName) &&
          (outcome === undefined || record.outcome.kind === outcome),
      );
      return { records: wanted.reverse().slice(0, limit), cursor: null };
    },
  };
}
