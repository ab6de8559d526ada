/** Answers of the API that are not stored types of core. */
import type { FunctionRecord, FunctionVersion } from '../core/functions/types.ts';

/** `GET /v1/functions/{name}`: with the version that `live` names. */
export type FunctionDetail = FunctionRecord & { live: FunctionVersion };

/** `GET /v1/functions/{name}/versions`. */
export interface FunctionVersions {
  versions: FunctionVersion[];
  aliases: Record<string, number>;
}

/** One row of `GET /v1/images`; sizes are compressed. */
export interface ImageSummary {
  digest: string;
  tags: string[];
  bytes: number;
  layers: {
    diffId: string;
    bytes: number;
    createdBy: string;
    /** Epoch ms. */
    createdAt: number;
    /** Images in the store that have this layer. */
    sharedBy: number;
  }[];
}

/** `GET /readyz`. */
export interface Readiness {
  ok: boolean;
  checks: { name: string; ok: boolean; message?: string }[];
}
