/** Secrets: named values that functions get and nobody is shown. A value is in no answer, record, log or layer. */
import type { SecretRef } from '../functions/secret-refs.ts';

/** What is known of one, and shown. */
export interface Secret {
  name: string;
  createdAt: number;
  /** The version that functions get that name none. */
  latest: number;
  /** Oldest first. Numbers are never reused. */
  versions: SecretVersion[];
}

export interface SecretVersion {
  version: number;
  createdAt: number;
}

/** As it is given to a function. */
export interface SecretValue {
  name: string;
  version: number;
  value: Buffer;
}

/** For whoever starts instances: values of secrets, here or at the platform that a worker joined. */
export interface SecretReader {
  /**
   * In the order of `refs`.
   * @throws WaferError `secret_not_found`, and `secrets_locked | store_unavailable | not_reachable` when they can not be had now
   */
  read(refs: readonly SecretRef[]): Promise<SecretValue[]>;
}

/** Far above any key or certificate chain; below what an argument or a variable of a program may have. */
export const MAX_SECRET_BYTES = 64 * 1024;
export const MAX_SECRETS = 1_000;
/** Of one secret. `rotate` removes those that nobody pins. */
export const MAX_SECRET_VERSIONS = 100;
