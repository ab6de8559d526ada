/** One consistent story for the examples of the documentation. */
export const CONFIG = {
  runtime: 'node',
  base: 'node24',
  handler: 'index.handler',
  command: [],
  env: { GREETING: 'Hello' },
  timeoutMs: 30_000,
  memoryMb: 256,
  tmpMb: 64,
  concurrency: 1,
  minInstances: 0,
  reuse: true,
};

export const FUNCTION = { name: 'hello', createdAt: 1_763_000_000_000, aliases: { live: 3 }, latest: 3 };

export const VERSION = {
  functionName: 'hello',
  number: 3,
  image: `sha256:${'3f'.repeat(32)}`,
  base: 'node24',
  config: CONFIG,
  createdAt: 1_763_000_123_000,
  codeBytes: 412,
  addedBytes: 2_301,
};

export const INVOCATION = {
  id: 'inv_01kadr9x3q8m2n7t5v0w4y6z1b',
  functionName: 'hello',
  version: 3,
  trigger: 'invoke',
  state: 'succeeded',
  startedAt: 1_763_000_200_000,
  finishedAt: 1_763_000_200_002,
  durationMs: 2.41,
  attempts: 1,
  outcome: { kind: 'ok' },
  receipt: {
    start: 'warm',
    phases: { queue: 0.05, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 1.9 },
    instanceId: 'i-4k2m9x7q1p0z',
  },
  bytesOut: 27,
};

const times = (p50: number, p99 = p50) => ({ p50, p99 });

export const EXPLANATION = {
  functionName: 'hello',
  version: 3,
  runtime: 'node',
  base: 'node24',
  kinds: {
    blank: {
      calls: 4,
      wall: times(3.1, 5.8),
      phases: {
        queue: times(0.3, 0.4),
        sandbox: times(0),
        attach: times(0.9, 1.6),
        boot: times(0),
        init: times(0.8, 1.9),
        handler: times(1.1, 1.9),
      },
    },
    warm: {
      calls: 211,
      wall: times(0.6, 2.2),
      phases: {
        queue: times(0.05, 0.1),
        sandbox: times(0),
        attach: times(0),
        boot: times(0),
        init: times(0),
        handler: times(0.5, 2.1),
      },
    },
  },
  causes: { first: 1, idle: 3 },
  noBlank: {},
  facts: {
    blank: 'fits',
    blanksKept: 2,
    memoryBudgetMb: 3900,
    memoryUsedMb: 512,
    layers: [{ createdBy: 'code', bytes: 2_301 }],
  },
  advice: [
    {
      code: 'idle',
      seen: '3 starts because its last instance had ended after a while without calls.',
      help: '"minInstances": 1 keeps an instance, for 256 MB of the memory budget. WAFER_IDLE_MS keeps those of all functions longer.',
    },
  ],
};

export const LINE = {
  time: 1_763_000_200_001,
  functionName: 'hello',
  version: 3,
  instanceId: 'i-4k2m9x7q1p0z',
  invocationId: 'inv_01kadr9x3q8m2n7t5v0w4y6z1b',
  stream: 'stdout',
  text: 'greeting Ada',
  cursor: '1763000200001-0',
};

export const IMAGE = {
  digest: `sha256:${'3f'.repeat(32)}`,
  tags: ['hello-3'],
  bytes: 61_204_301,
  layers: [
    {
      diffId: `sha256:${'a1'.repeat(32)}`,
      bytes: 61_202_000,
      createdBy: 'base node24',
      createdAt: 1_762_000_000_000,
      sharedBy: 9,
    },
    { diffId: `sha256:${'b2'.repeat(32)}`, bytes: 2_301, createdBy: 'code', createdAt: 1_763_000_123_000, sharedBy: 1 },
  ],
};

export const INSTANCE = {
  id: 'i-4k2m9x7q1p0z',
  functionName: 'hello',
  version: 3,
  state: 'idle',
  pid: 4711,
  hostUid: 100_007,
  startedAt: 1_763_000_199_000,
  calls: 12,
  inFlight: 0,
  memoryBytes: 41_943_040,
};

export const READY = {
  ok: true,
  checks: [
    { name: 'redis', ok: true },
    { name: 'engine', ok: true },
  ],
};

const LAYER = {
  diffId: `sha256:${'a1'.repeat(32)}`,
  parent: null,
  chainId: `sha256:${'a1'.repeat(32)}`,
  blob: `sha256:${'c3'.repeat(32)}`,
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  bytes: 61_202_000,
  tarBytes: 152_104_960,
  createdBy: 'base node24',
  createdAt: 1_762_000_000_000,
};

export const IMAGE_DETAIL = {
  digest: `sha256:${'3f'.repeat(32)}`,
  tags: ['registry.example:5000/team/app:v1'],
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  architecture: 'amd64',
  os: 'linux',
  created: null,
  config: { Entrypoint: ['/app'], Env: ['PATH=/usr/bin'] },
  bytes: 61_202_000,
  layers: [LAYER],
  history: [
    { createdBy: 'base node24', created: null, comment: null, layer: LAYER.diffId, parent: null, bytes: LAYER.bytes },
  ],
};

export const STORE_USAGE = {
  images: 1,
  layers: 1,
  blobsBytes: 61_300_000,
  unpackedBytes: 152_104_960,
  uniqueBytes: 61_202_000,
  sharedBytes: 0,
  buildCache: { entries: 12, bytes: 4_120_000, onlyBytes: 1_204_301 },
  each: [
    {
      digest: IMAGE_DETAIL.digest,
      tags: IMAGE_DETAIL.tags,
      bytes: 61_202_000,
      sharedBytes: 0,
      uniqueBytes: 61_202_000,
    },
  ],
};

export const IMAGE_TREE = {
  layers: [
    {
      chainId: LAYER.chainId,
      parent: null,
      diffId: LAYER.diffId,
      bytes: LAYER.bytes,
      tarBytes: LAYER.tarBytes,
      createdBy: LAYER.createdBy,
      images: 2,
    },
    {
      chainId: `sha256:${'d4'.repeat(32)}`,
      parent: LAYER.chainId,
      diffId: `sha256:${'b2'.repeat(32)}`,
      bytes: 2_301,
      tarBytes: 10_240,
      createdBy: 'code',
      images: 1,
    },
  ],
  images: [
    {
      digest: IMAGE_DETAIL.digest,
      tags: ['node24'],
      functions: [],
      top: LAYER.chainId,
      layers: 1,
      bytes: LAYER.bytes,
      ownBytes: 0,
    },
    {
      digest: `sha256:${'7a'.repeat(32)}`,
      tags: ['functions/hello@3f3f3f3f3f3f'],
      functions: [{ name: 'hello', version: 3 }],
      top: `sha256:${'d4'.repeat(32)}`,
      layers: 2,
      bytes: LAYER.bytes + 2_301,
      ownBytes: 2_301,
    },
  ],
};

export const TRANSFER = { digest: IMAGE_DETAIL.digest, name: 'registry.example:5000/team/app:v1', isNew: true };
export const BUILT_IMAGE = {
  digest: `sha256:${'5e'.repeat(32)}`,
  tags: ['app:1.0'],
  layers: 3,
  bytes: 48_113_020,
  stepsRun: 1,
  stepsCached: 2,
};

export const CONTAINER = {
  id: '4k2m9x7q1p0z4k2m9x7q1',
  name: 'quiet-harbor',
  status: 'running',
  config: {
    image: 'debian12',
    command: ['sleep', '60'],
    env: {},
    terminal: false,
    stdin: false,
    mounts: [],
    ports: [],
    network: { mode: 'public' },
    restart: { name: 'no', maximumRetries: 0 },
    removeOnExit: false,
    stopTimeoutSeconds: 10,
    labels: {},
  },
  imageDigest: IMAGE_DETAIL.digest,
  argv: ['sleep', '60'],
  exitCode: null,
  oomKilled: false,
  error: null,
  health: null,
  restartCount: 0,
  createdAt: 1_763_000_200_000,
  startedAt: 1_763_000_200_100,
  finishedAt: null,
  pid: 4711,
  ports: [],
};
