/** Neighbours of the API that have nothing: every name is missing. */
import { Readable } from 'node:stream';
import type { ApiDeps } from '../../../services/api/deps.ts';
import { WaferError } from '../../../services/core/errors.ts';
import { DistributionError } from '../../../services/core/images/distribution/errors.ts';
import { DISTRIBUTION_LIMITS } from '../../../services/core/images/distribution/limits.ts';

/** Accepts nothing; the tests of accepted calls run the real ones. */
export const notAccepted = async () => {
  throw new WaferError('store_unavailable', 'Nothing is accepted in this test.');
};

export function createNoVolumes(): ApiDeps['volumes'] {
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

export function createNoSchedules(): ApiDeps['schedules'] {
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
export function createNoCallbacks(): ApiDeps['callbacks'] {
  const secrets = async () => ({ secret: 'whsec_dGVzdA==', previous: [] });
  return { assertUrl: async () => {}, deliveries: async () => [], redeliver: notAccepted, secrets, rotate: secrets };
}

export function createNoDurable(): ApiDeps['durable'] {
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
export function createNoWebhooks(): ApiDeps['webhooks'] {
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
export function createNoSecrets(): ApiDeps['secrets'] {
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
export function createNoContainers(): ApiDeps['containers'] {
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
export function createNoImages(): ApiDeps['imageService'] {
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
export function createNoRegistry(): ApiDeps['distribution'] {
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
