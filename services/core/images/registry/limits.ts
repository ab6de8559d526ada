/** What a registry may cost us, each with the reason. One object, so that tests can tighten it. */
export const REGISTRY_LIMITS = {
  /** Manifests and configs are held in memory. */
  documentBytes: 4 * 1024 * 1024,
  /** Token answers and error texts. */
  smallBytes: 64 * 1024,
  /** Index in index in index: deeper is a loop, or a joke. */
  indexDepth: 4,
  redirects: 5,
  /** Tries of one request, and of one blob; a blob goes on where it broke off. */
  attempts: 5,
  /** A try that brings at least so much of a blob that was not there before does not count. */
  progressBytes: 1024 * 1024,
  backoffMs: 500,
  /** A registry may ask for more time than this; it does not get it. */
  maxBackoffMs: 10_000,
  /** Connecting, and each pause between two packets. */
  idleMs: 30_000,
  /** A blob that brings less than `stallBytes` in `stallMs` stands still. */
  stallMs: 30_000,
  stallBytes: 16 * 1024,
  /** Blobs go up in pieces of this size; one is held in memory for each that goes up at the same time. */
  chunkBytes: 8 * 1024 * 1024,
  parallel: 3,
};

export type RegistryLimits = { readonly [K in keyof typeof REGISTRY_LIMITS]: number };
