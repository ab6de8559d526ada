/**
 * The API's neighbours in memory: the smallest things that keep the contracts of
 * core's interfaces. Stands in for worker and Redis in the API's own tests only;
 * the end-to-end tests run the real ones.
 */
import { once, setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { ApiDeps, Readiness } from '../../services/api/deps.ts';
import { WaferError } from '../../services/core/errors.ts';
import type {
  BuildEvent,
  DeployRequest,
  FunctionRecord,
  FunctionStore,
  FunctionVersion,
} from '../../services/core/functions/types.ts';
import { DistributionError } from '../../services/core/images/distribution/errors.ts';
import { DISTRIBUTION_LIMITS } from '../../services/core/images/distribution/limits.ts';
import type { LogStore, StoredLogLine } from '../../services/core/invocations/logs.ts';
import type { InvocationStore } from '../../services/core/invocations/records.ts';
import type {
  Call,
  CallResult,
  Dispatcher,
  InvocationRecord,
  Outcome,
  Receipt,
  StartFacts,
} from '../../services/core/invocations/types.ts';

export const TEST_KEY = 'wafer_admin_test_0123456789_0123456789_0123';
export const AUTH = { authorization: `Bearer ${TEST_KEY}` };

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

export type Handler = (call: Call) => CallResult | Promise<CallResult>;
export type Deploy = (request: DeployRequest, onEvent: (event: BuildEvent) => void) => Promise<void>;

export interface FakePlatform extends ApiDeps {
  /** What a call does; `hello` and `other` exist from the start. */
  handler: Handler;
  /** What a build does before its version is published. */
  deploy: Deploy;
  readiness: Readiness;
  calls: Call[];
  records: InvocationRecord[];
  lines: StoredLogLine[];
  write(text: string, invocationId?: string): void;
  /** What was counted: `call ok`, `refused overloaded`, `build failed`. */
  counted: string[];
  /** Streams that follow a log at this moment. */
  followers: number;
}

export function createFakePlatform(extra: Partial<ApiDeps> = {}): FakePlatform {
  const functions = createFunctions();
  const platform: FakePlatform = {
    handler: () => json({ ok: true }),
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

/** Accepts nothing; the tests of accepted calls run the real ones. */
const notAccepted = async () => {
  throw new WaferError('store_unavailable', 'Nothing is accepted in this test.');
};
function createNoVolumes(): ApiDeps['volumes'] {
  const missing = async () => {
    throw new WaferError('volume_not_found', 'There is no such volume.');
  };
  return {
    list: async () => [],
    get: missing,
    create: missing,
    setLimits: missing,
    remove: missing,
    prune: async () => [],
    usage: missing,
    files: missing,
    download: missing,
    read: missing,
    write: missing,
    snapshot: missing,
    removeSnapshot: missing,
    rollback: missing,
  };
}
function createNoSchedules(): ApiDeps['schedules'] {
  const missing = async () => {
    throw new WaferError('schedule_not_found', 'There is no such schedule.');
  };
  return {
    put: missing,
    list: async () => [],
    get: missing,
    remove: missing,
    pause: missing,
    resume: missing,
    run: missing,
    preview: () => [],
  };
}
/** Every URL may be called, and nothing ever is. */
function createNoCallbacks(): ApiDeps['callbacks'] {
  const secrets = async () => ({ secret: 'whsec_dGVzdA==', previous: [] });
  return { assertUrl: async () => {}, deliveries: async () => [], redeliver: notAccepted, secrets, rotate: secrets };
}
function createNoDurable(): ApiDeps['durable'] {
  const missing = async () => {
    throw new WaferError('invocation_not_found', 'There is no such invocation.');
  };
  return {
    accept: notAccepted,
    acceptAll: notAccepted,
    get: missing,
    list: async () => ({ records: [], cursor: null }),
    readBody: missing,
    wait: missing,
    cancel: missing,
  };
}

/** No webhooks; tests of their routes give the real ones. */
function createNoWebhooks(): ApiDeps['webhooks'] {
  const missing = async () => {
    throw new WaferError('webhook_not_found', 'There is no such webhook.');
  };
  return {
    list: async () => [],
    create: missing,
    get: missing,
    update: missing,
    rotate: missing,
    remove: missing,
    find: missing,
    receive: missing,
    deliveries: missing,
    delivery: missing,
    redeliver: missing,
    redeliverRange: missing,
    sample: missing,
  };
}

/** No secrets; tests of their routes give the real ones. */
function createNoSecrets(): ApiDeps['secrets'] {
  const missing = async () => {
    throw new WaferError('secret_not_found', 'There is no such secret.');
  };
  return {
    read: missing,
    list: async () => [],
    get: missing,
    set: missing,
    rotate: missing,
    remove: missing,
    assertKnown: async () => {},
  };
}

/** Containers of a platform that has none; tests of their routes give their own, or run the real ones. */
function createNoContainers(): ApiDeps['containers'] {
  const missing = async () => {
    throw new WaferError('container_not_found', 'There is no such container.');
  };
  return {
    list: async () => [],
    prune: async () => ({ removed: [] }),
    create: async () => {
      throw new WaferError('image_not_found', 'There is no such image.');
    },
    logs: () => Readable.from([]),
    get: missing,
    start: missing,
    stop: missing,
    kill: missing,
    restart: missing,
    pause: missing,
    unpause: missing,
    rename: missing,
    remove: missing,
    wait: missing,
    attach: missing,
    exec: missing,
    top: missing,
    stats: missing,
    changes: missing,
    readFiles: missing,
    writeFiles: missing,
    export: missing,
    commit: missing,
  };
}

/** An image service that has nothing; tests of its routes give their own. */
function createNoImages(): ApiDeps['imageService'] {
  const missing = async () => {
    throw new WaferError('image_not_found', 'There is no such image.');
  };
  const nothing = { images: 0, layers: 0, bytes: 0 };
  return {
    inspect: missing,
    tag: missing,
    remove: missing,
    pull: missing,
    push: missing,
    load: missing,
    save: missing,
    importRoot: missing,
    exportRoot: missing,
    tree: async () => ({ layers: [], images: [] }),
    search: async () => ({ registry: 'registry.example', repositories: [], isCut: false }),
    prune: async () => ({ ...nothing, untagged: [] }),
    usage: async () => ({
      ...nothing,
      blobsBytes: 0,
      unpackedBytes: 0,
      uniqueBytes: 0,
      sharedBytes: 0,
      buildCache: { entries: 0, bytes: 0, onlyBytes: 0 },
      each: [],
    }),
    login: async () => {},
    logout: async () => false,
    registries: async () => [],
  };
}

/** A registry without repositories; tests of `/v2/` give a real one. */
function createNoRegistry(): ApiDeps['distribution'] {
  const missing = async () => {
    throw new DistributionError('NAME_UNKNOWN', 'There is no such repository.');
  };
  return {
    limits: DISTRIBUTION_LIMITS,
    repositories: async () => [],
    tags: missing,
    manifest: missing,
    pushManifest: missing,
    removeManifest: missing,
    referrers: async () => [],
    blob: missing,
    removeBlob: missing,
    startUpload: missing,
    uploadStatus: missing,
    append: missing,
    finishUpload: missing,
    cancelUpload: missing,
    pushBlob: missing,
    expire: async () => ({ uploads: 0, blobs: 0 }),
    close: () => {},
  };
}

const LINE = { time: 1000, functionName: 'hello', version: 1, instanceId: 'i-test', stream: 'stdout' as const };

const VERSION = {
  image: `sha256:${'a'.repeat(64)}`,
  base: 'node24',
  config: {
    runtime: 'node' as const,
    base: 'node24',
    handler: 'index.handler',
    command: [],
    env: {},
    timeoutMs: 30_000,
    memoryMb: 256,
    tmpMb: 64,
    concurrency: 1,
    minInstances: 0,
    reuse: true,
  },
  codeBytes: 10,
  addedBytes: 20,
};

function createFunctions(): FunctionStore {
  const all = new Map<string, { record: FunctionRecord; versions: FunctionVersion[] }>();
  const get = (name: string) => {
    const found = all.get(name);
    if (found === undefined) throw new WaferError('function_not_found', `There is no function "${name}".`);
    return found;
  };
  const publish = (name: string): FunctionVersion => {
    const entry = all.get(name) ?? { record: { name, createdAt: 1, aliases: {}, latest: 0 }, versions: [] };
    const version = { ...VERSION, functionName: name, number: entry.versions.length + 1, createdAt: 1 };
    entry.versions.push(version);
    entry.record.latest = version.number;
    entry.record.aliases['live'] = version.number;
    all.set(name, entry);
    return version;
  };
  const version = (name: string, number: number) => {
    const found = get(name).versions[number - 1];
    if (found === undefined) throw new WaferError('version_not_found', `"${name}" has no version ${number}.`);
    return found;
  };
  for (const name of ['hello', 'hello', 'other']) publish(name);
  return {
    list: async () => [...all.values()].map(({ record }) => record),
    get: async (name) => get(name).record,
    versions: async (name) => get(name).versions,
    resolve: async (name, { alias = 'live', version: number } = {}) => {
      const wanted = number ?? get(name).record.aliases[alias];
      if (wanted === undefined) throw new WaferError('alias_not_found', `"${name}" has no alias "${alias}".`);
      return version(name, wanted);
    },
    publish: async ({ functionName }) => publish(functionName),
    setAlias: async (name, alias, number) => {
      version(name, number);
      get(name).record.aliases[alias] = number;
      return get(name).record;
    },
    remove: async (name) => {
      get(name);
      all.delete(name);
    },
  };
}

function createDispatcher(platform: () => FakePlatform): Dispatcher {
  return {
    call: async (call) => {
      platform().calls.push(call);
      const result = await platform().handler(call);
      const end = (outcome: Outcome) => ({ outcome, receipt: RECEIPT, bytesOut: 0 });
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

function createTelemetry(platform: () => FakePlatform): ApiDeps['telemetry'] {
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

function createInvocations(platform: () => FakePlatform): InvocationStore {
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

function createLogs(platform: () => FakePlatform): LogStore {
  const grown = new EventTarget();
  setMaxListeners(0, grown);
  const select: LogStore['read'] = async ({ functionName, invocationId, since = 0, limit = Infinity, after }) => {
    const { lines } = platform();
    const from = after === undefined ? 0 : lines.findIndex(({ cursor }) => cursor === after) + 1;
    return lines
      .slice(from)
      .filter((line) => (functionName ?? line.functionName) === line.functionName)
      .filter((line) => (invocationId ?? line.invocationId) === line.invocationId && line.time >= since)
      .slice(limit === Infinity ? 0 : -limit);
  };
  return {
    write: (line) => {
      platform().lines.push({ ...line, cursor: `${line.time}-${platform().lines.length}` });
      grown.dispatchEvent(new Event('line'));
    },
    read: select,
    flush: async () => {},
    async *follow(query, signal) {
      platform().followers += 1;
      try {
        for (let sent = 0; !signal.aborted; ) {
          const found = await select({ ...query, limit: Infinity });
          yield* found.slice(sent);
          sent = found.length;
          await once(grown, 'line', { signal }).catch(() => {});
        }
      } finally {
        platform().followers -= 1;
      }
    },
  };
}
