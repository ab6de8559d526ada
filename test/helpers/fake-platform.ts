/**
 * The API's neighbours in memory: the smallest things that keep the contracts of
 * core's interfaces. Stands in for worker and Redis in the API's own tests only;
 * the end-to-end tests run the real ones.
 */
import { pino } from 'pino';
import type { ApiDeps } from '../../services/api/deps.ts';
import { WaferError } from '../../services/core/errors.ts';
import { createDispatcher, createInvocations, createTelemetry, json, RECEIPT } from './fake-platform/calls.ts';
import { createFunctions, VERSION } from './fake-platform/functions.ts';
import { createLogs, LINE } from './fake-platform/logs.ts';
import {
  createNoCallbacks,
  createNoContainers,
  createNoDurable,
  createNoImages,
  createNoRegistry,
  createNoSchedules,
  createNoSecrets,
  createNoVolumes,
  createNoWebhooks,
  notAccepted,
} from './fake-platform/nothing.ts';
import type { FakePlatform } from './fake-platform/types.ts';

export { FACTS, json, RECEIPT } from './fake-platform/calls.ts';
export type { Deploy, FakePlatform, Handler } from './fake-platform/types.ts';

export const TEST_KEY = 'wafer_admin_test_0123456789_0123456789_0123';
export const AUTH = { authorization: `Bearer ${TEST_KEY}` };

export function createFakePlatform(extra: Partial<ApiDeps> = {}): FakePlatform {
  const functions = createFunctions();
  const platform: FakePlatform = {
    handler: () => json({ ok: true }),
    receiptOf: () => RECEIPT,
    deploy: async () => {},
    readiness: { ok: true, checks: [{ name: 'redis', ok: true }] },
    calls: [],
    records: [],
    lines: [],
    followers: 0,
    counted: [],
    write: (text, invocationId) => platform.logs.write({ ...LINE, text, ...(invocationId && { invocationId }) }),
    functions,
    dispatcher: createDispatcher(() => platform),
    deployer: {
      deploy: async (request, onEvent) => {
        await platform.deploy(request, onEvent);
        const version = await functions.publish({ ...VERSION, functionName: request.name });
        onEvent({ type: 'deployed', version });
        return version;
      },
      remove: (name) => functions.remove(name),
    },
    imageBuilds: {
      build: async () => {
        throw new WaferError('build_failed', 'There is no builder in this test.');
      },
    },
    images: { list: async () => [], usage: async () => ({ blobsBytes: 0, layers: 0, images: 0 }) },
    imageService: createNoImages(),
    distribution: createNoRegistry(),
    containers: createNoContainers(),
    volumes: createNoVolumes(),
    invocations: createInvocations(() => platform),
    durable: createNoDurable(),
    bodies: { read: notAccepted, put: notAccepted },
    schedules: createNoSchedules(),
    callbacks: createNoCallbacks(),
    again: { replay: notAccepted, redrive: async () => [], bury: async () => {} },
    webhooks: createNoWebhooks(),
    secrets: createNoSecrets(),
    logs: createLogs(() => platform),
    egressLog: { read: async () => [], async *follow() {} },
    telemetry: createTelemetry(() => platform),
    log: pino({ level: 'silent' }),
    ready: async () => platform.readiness,
    adminKey: TEST_KEY,
    version: '0.0.0-test',
    ...extra,
  };
  return platform;
}
