/** What a client of the registry may cost us, each with the reason. One object, so that tests can tighten it. */
const HOUR = 60 * 60 * 1000;

export const DISTRIBUTION_LIMITS = {
  /** Held in memory; the least that the specification asks a registry to take. */
  manifestBytes: 4 * 1024 * 1024,
  /** Descriptors in one manifest or index: each is looked up on disk. */
  references: 1_000,
  /** Index in index: deeper is a joke. */
  indexDepth: 4,
  /** The same as for a layer that is pulled. */
  blobBytes: 16 * 1024 ** 3,
  /** Open uploads at a time: each may hold a blob's worth of disk. */
  uploads: 512,
  /** An upload that nobody has touched for so long was abandoned. */
  uploadIdleMs: HOUR,
  /** A blob that no manifest has asked for after this time was part of a push that never ended. */
  orphanMs: 24 * HOUR,
  sweepMs: 5 * 60 * 1000,
};

export type DistributionLimits = { readonly [K in keyof typeof DISTRIBUTION_LIMITS]: number };
